"""The stages of a try-on."""
