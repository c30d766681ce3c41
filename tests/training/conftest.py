from pathlib import Path

import pytest

from training.toy import data_folder
from training.tryon_tasks import NOTHING_DROPPED, build


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pairs in VITON-HD's layout."""
    return data_folder(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def plain(photos):
    """A try-on task that drops no condition, and its samples."""
    return build(photos, tryon=NOTHING_DROPPED)
