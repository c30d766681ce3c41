"""Fixtures of rendered photos, and of backends that know them."""

import pytest
from PIL import Image

from idmvton.studio import sample
from truth_backends import of_sample, use


@pytest.fixture(scope="session")
def rendered():
    """A rendered person in a shirt, to the feet, with the product picture of the shirt."""
    return sample(3, 18, "test", "upper_body", (512, 384))


@pytest.fixture
def truth(rendered):
    return of_sample(rendered)


@pytest.fixture
def photos(rendered, truth, monkeypatch, tmp_path):
    """A person's and a garment's photo on the disk, and backends that know them."""
    use(truth, monkeypatch)
    Image.fromarray(rendered.person).save(tmp_path / "anna.png")
    Image.fromarray(rendered.garment).save(tmp_path / "shirt.png")
    return tmp_path
