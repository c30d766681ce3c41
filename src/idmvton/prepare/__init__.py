"""From photos to what the pipeline reads: parsing, pose, body map, mask, caption."""
