"""The studio: rendered adults in parametric garments, with exact ground truth."""
