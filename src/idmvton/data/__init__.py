"""Pairs of people and garments: the studio, the published datasets, folders of own photos."""
