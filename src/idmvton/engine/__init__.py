"""Photos in, photos out: preparation, captions and pipeline together, each loaded once."""
