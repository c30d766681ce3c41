"""Customization (paper, section 3.3): a checkpoint learns one garment from a pair of photos, into an adapter."""
