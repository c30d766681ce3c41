"""Files by key: in a folder, and through fsspec."""

import pytest

from idmvton.engine.service.store import Store
from idmvton.errors import InputError, OutputError


@pytest.fixture(params=["folder", "fsspec"])
def store(request, tmp_path):
    place = str(tmp_path / "store")
    return Store(place if request.param == "folder" else f"file://{place}")


def test_what_is_put_can_be_read_and_deleted(store, tmp_path):
    file = tmp_path / "photo"
    file.write_bytes(b"photo")
    sha, size = store.put("jobs/1/person", file)
    assert store.put("jobs/1/again", b"photo") == (sha, size)
    assert size == 5
    assert store.read("jobs/1/person") == b"photo"
    with store.local("jobs/1/person") as path:
        assert path.read_bytes() == b"photo"
    with store.local("jobs/1") as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["again", "person"]
    store.delete("jobs/1")
    store.delete("jobs/1")
    for ask in (store.read, lambda key: store.local(key).__enter__()):
        with pytest.raises(InputError, match="is gone"):
            ask("jobs/1/person")


def test_a_place_that_takes_no_files_says_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="folder of pictures"):
        Store(str(tmp_path / "file" / "below"))
