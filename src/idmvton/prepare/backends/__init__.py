"""Networks that read photos of people; each is a package of its own."""
