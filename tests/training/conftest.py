from pathlib import Path

import pytest

from training.toy import data_folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pairs in VITON-HD's layout."""
    return data_folder(tmp_path_factory.mktemp("photos"))
