"""Files by key: in a folder, and through fsspec."""

import sys

import pytest

from idmvton.engine.service.failures import UnavailableError
from idmvton.engine.service.store import Store
from idmvton.errors import ConfigError, InputError, MissingExtraError, OutputError


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


def test_a_store_behind_a_url_that_does_not_answer_says_so(monkeypatch):
    store = Store("memory://place")
    store.put("jobs/1/person", b"photo")

    def fail(*_, **__):
        raise RuntimeError("no route to the store")  # botocore has classes of its own

    for name in ("pipe_file", "cat_file", "get_file", "rm"):
        monkeypatch.setattr(store._files, name, fail)
    asks = (
        lambda: store.put("jobs/1/garment", b"photo"),
        lambda: store.read("jobs/1/person"),
        lambda: store.local("jobs/1/person").__enter__(),
        lambda: store.delete("jobs/1"),
    )
    for ask in asks:
        with pytest.raises(UnavailableError, match="does not answer") as caught:
            ask()
        assert caught.value.code == "unavailable"


def test_a_kind_of_store_that_is_not_known_or_not_installed_is_named(monkeypatch):
    with pytest.raises(ConfigError, match="s3://bucket/place"):
        Store("nowhere://place")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"idmvton\[s3\]"):
        Store("s3://bucket/place")
