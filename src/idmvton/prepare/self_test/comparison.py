"""What a comparison with golden numbers says."""

from __future__ import annotations

from typing import Final, NamedTuple

Check = tuple[str, float, float]
"""What is compared, the largest difference, and the one that is allowed."""
OTHER: Final = float("inf")
"""The difference of results that cannot be compared, such as another number of people."""


class Comparison(NamedTuple):
    """One comparison.

    Attributes:
        what: what is compared.
        difference: the largest one.
        allowed: what is still taken for the same.
    """

    what: str
    difference: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is allowed; NaN is not."""
        return self.difference <= self.allowed
