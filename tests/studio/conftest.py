from __future__ import annotations

import pytest

from idmvton.studio.sampling import CATEGORIES, StudioSample, sample

SIZE = (192, 144)
NUM_EACH = 8


@pytest.fixture(scope="session")
def samples() -> list[StudioSample]:
    """Eight samples of each category, every third in the wild."""
    return [
        sample(3, index, "wild" if index % 3 == 2 else "train", category, SIZE)
        for category in CATEGORIES
        for index in range(NUM_EACH)
    ]
