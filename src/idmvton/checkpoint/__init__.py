"""Checkpoints: a folder in the published layout <-> the modules of a pipeline.

:mod:`idmvton.checkpoint.published` reads and writes whole folders, :mod:`idmvton.checkpoint.parts` one part of one.
"""
