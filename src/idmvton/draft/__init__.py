"""mini's own method, not part of the published system: a draft of the result, for checkpoints that bring a WarpNet.

:class:`idmvton.draft.drafter.Drafter` is what the pipeline calls.
"""
