"""A server of the Model Context Protocol: try-ons as tools of an assistant."""
