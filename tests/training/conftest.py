import copy
import functools
from pathlib import Path

import pytest

from idmvton.checkpoint.published import load_checkpoint
from idmvton.training import start
from training.toy import data_folder
from training.tryon_tasks import NOTHING_DROPPED, build


@pytest.fixture(scope="session")
def loaded_once():
    """Loads each checkpoint once."""
    return functools.cache(load_checkpoint)


@pytest.fixture(autouse=True)
def _copies_of_checkpoints(loaded_once, monkeypatch):
    """Trainings get copies of checkpoints, a quarter of the time of loading them; loading has tests of its own."""
    monkeypatch.setattr(start, "load_checkpoint", lambda *path, **how: copy.deepcopy(loaded_once(*path, **how)))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pairs in VITON-HD's layout."""
    return data_folder(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def plain(photos):
    """A try-on task that drops no condition, and its samples."""
    return build(photos, tryon=NOTHING_DROPPED)
