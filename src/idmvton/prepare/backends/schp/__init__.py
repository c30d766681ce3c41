"""SCHP (Self-Correction for Human Parsing): clothes and skin by two published networks."""
