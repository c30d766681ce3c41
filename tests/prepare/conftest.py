import pytest

from idmvton.data.synthetic import sample
from truth_backends import of_sample


@pytest.fixture(scope="session")
def rendered():
    """A rendered person in a shirt, to the feet, with the product picture of the shirt."""
    return sample(3, 18, "test", "upper_body", (512, 384))


@pytest.fixture
def truth(rendered):
    return of_sample(rendered)
