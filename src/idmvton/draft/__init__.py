"""What only checkpoints with a WarpNet need: the draft's outline, and the garment's own detail."""
