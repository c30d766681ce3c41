"""The page: a fitting room in the browser (``idmvton web``)."""
