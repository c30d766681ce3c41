"""The real networks on rendered people. `make test` fetches the files once; without them these tests fail."""

import pytest

from idmvton.prepare.backends.blazepose import BlazePose
from idmvton.prepare.backends.protocols import Pose
from idmvton.studio.sampling import StudioSample, sample

NUM_PEOPLE = 6
SIZE = (384, 288)


@pytest.fixture(scope="session")
def estimator() -> BlazePose:
    """The full landmark model, which every set-up has."""
    return BlazePose(model="full")


@pytest.fixture(scope="session")
def people() -> list[StudioSample]:
    """Rendered people, two of each category."""
    return [sample(7, index, "test", "mixed", SIZE) for index in range(NUM_PEOPLE)]


@pytest.fixture(scope="session")
def poses(estimator: BlazePose, people: list[StudioSample]) -> list[tuple[Pose, ...]]:
    """Everybody found in each of them."""
    return [estimator(each.person) for each in people]
