"""What lies on the disk, and that it goes."""

import os
import time
import zipfile

import pytest
from PIL import Image

from idmvton.errors import InputError
from idmvton.web.many import pictures_of
from idmvton.web.results import what_changed
from idmvton.web.shelf import Shelf, safe_name


@pytest.fixture
def photo(tmp_path):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a b;c.jpg")
    return tmp_path / "a b;c.jpg"


def test_a_photo_stays_as_it_was_handed_in(tmp_path, photo):
    shelf = Shelf(tmp_path / "shelf", hours=1, max_pixels=1.0)
    kept = shelf.add(photo, "person")
    assert shelf.get(kept.id).path.read_bytes() == photo.read_bytes()
    assert kept.name == "a_b_c.jpg"


def test_what_is_no_picture_is_not_kept(tmp_path):
    (tmp_path / "x.jpg").write_text("hello")
    shelf = Shelf(tmp_path / "shelf", hours=1, max_pixels=1.0)
    with pytest.raises(InputError):
        shelf.add(tmp_path / "x.jpg", "person")
    assert not list(shelf.folder.iterdir())


def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    Image.new("L", (1100, 1000)).save(tmp_path / "large.png")
    with (tmp_path / "large.png").open("r+b") as file:
        file.truncate(200)  # decoding would fail
    with pytest.raises(InputError, match="too many pixels"):
        Shelf(tmp_path / "shelf", hours=1, max_pixels=1.0).add(tmp_path / "large.png", "person")


def test_old_photos_are_erased_and_new_ones_stay(tmp_path, photo):
    shelf = Shelf(tmp_path / "shelf", hours=1, max_pixels=1.0)
    old, new = shelf.add(photo, "person"), shelf.add(photo, "person")
    os.utime(old.path.parent, (time.time() - 4000,) * 2)
    assert shelf.erase_old() == 1
    assert shelf.get(new.id).path.is_file()
    with pytest.raises(InputError, match="erased"):
        shelf.get(old.id)


@pytest.mark.parametrize("id", ["../../etc/passwd", "", "a" * 22, "/tmp"])
def test_an_id_leads_nowhere_else(tmp_path, id):
    shelf = Shelf(tmp_path / "shelf", hours=1, max_pixels=1.0)
    with pytest.raises(InputError, match="erased"):
        shelf.get(id)
    shelf.erase(id)
    assert shelf.folder.is_dir()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../x.png", "x.png"),
        ("-rf.jpg", "rf.jpg"),
        ("$(reboot).jpg", "reboot.jpg"),
        ("사람.jpg", "사람.jpg"),
        ("", "person"),
    ],
)
def test_names_have_no_meaning_for_shells(name, safe):
    assert safe_name(name, "person") == safe


def test_a_zip_gives_its_pictures_and_leads_nowhere_else(tmp_path, photo):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(photo, "../../evil.jpg")
        archive.writestr("readme.txt", "no picture")
        archive.writestr("__MACOSX/._a.jpg", "no picture")
    found = pictures_of([tmp_path / "x.zip", photo], tmp_path / "scratch")
    assert [path.parent for path in found] == [tmp_path / "scratch", photo.parent]
    assert found[0].name.endswith("evil.jpg")


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("idmvton.web.many.MAX_UNPACKED", 2**20)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(2**21))
    with pytest.raises(InputError, match="too much"):
        pictures_of([tmp_path / "x.zip"], tmp_path / "scratch")


def test_no_picture_at_all_is_an_error(tmp_path):
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(InputError, match="no picture"):
        pictures_of([tmp_path / "x.txt"], tmp_path / "scratch")


def test_what_changed_is_coloured_and_the_rest_is_grey():
    before = Image.new("RGB", (20, 20), (90, 120, 60))
    after = before.copy()
    after.paste((200, 30, 30), (5, 5, 10, 10))
    shown = what_changed(before, after)
    red, green, blue = shown.getpixel((7, 7))
    assert red > green + 60
    assert red > blue + 30
    assert len(set(shown.getpixel((15, 15)))) == 1
