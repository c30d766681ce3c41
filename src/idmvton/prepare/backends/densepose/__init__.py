"""DensePose R50-FPN s1x: which of 24 body parts each pixel of a person shows, and where on it."""
