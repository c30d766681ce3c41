"""Networks that find out what a photo shows: their protocols, the registries, and a room for each."""
