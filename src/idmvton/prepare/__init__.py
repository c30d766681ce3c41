"""From photos to what the pipeline needs."""
