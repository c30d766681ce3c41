"""The page in a real browser, on desks and on telephones."""

import io
import shlex
import zipfile

import numpy as np
import pytest
from page_visitor import HOODIE, PERSON, SHIRT
from PIL import Image
from typer.testing import CliRunner

from idmvton.cli import app
from idmvton.images import read_provenance


@pytest.mark.parametrize("width", [1440, 390])
def test_two_photos_become_a_picture(visitors, width, tmp_path, monkeypatch):
    visitor = visitors(width)
    visitor.put("person", PERSON)
    before = visitor.mask_share()
    assert 0.1 < before < 0.6
    visitor.put("garment", SHIRT)
    visitor.stroke("erase", [(0.5, 0.35), (0.5, 0.55)])
    visitor.see("text=mask changed by you")
    assert visitor.mask_share() < before - 0.005
    visitor.window.get_by_label("Top", exact=True).click()  # painted parts stay when the category changes
    visitor.see("text=mask changed by you")
    visitor.run()
    slider = visitor.see("#slider img").bounding_box()
    assert slider["width"] > 250
    made = visitor.download("#png")
    with Image.open(made) as picture, Image.open(PERSON) as photo:
        assert picture.size == photo.size
        after, old = np.asarray(picture.convert("RGB")), np.asarray(photo.convert("RGB"))
    changed = np.abs(after.astype(int) - old).max(2) > 24
    assert changed.mean() > 0.03
    assert not changed[:60].any()  # above the head nothing is repainted
    assert not changed[380:540, 380:390].any()  # where the mask was erased neither
    assert read_provenance(made)["preparation"]["category"] == "upper_body"
    with Image.open(visitor.download("#jpeg")) as jpeg:
        assert jpeg.format == "JPEG"
        assert jpeg.size == photo.size
    if width == 1440:
        _same_pixels_by_command(visitor, after, tmp_path, monkeypatch)


def _same_pixels_by_command(visitor, after, tmp_path, monkeypatch):
    """The command that the page shows makes the same picture."""
    visitor.window.click("#copy > button")
    command = visitor.see("#as-command .cm-content").inner_text().strip()
    (tmp_path / "mask.png").write_bytes(visitor.download("#mask-file").read_bytes())
    for path in (PERSON, SHIRT):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*shlex.split(command)[1:], "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert (np.asarray(Image.open("out.png").convert("RGB")) == after).all()


def test_nothing_comes_from_elsewhere(visitors, site):
    visitor = visitors()
    visitor.put("person", PERSON)
    assert visitor.asked
    assert not [each for each in visitor.asked if not each.startswith((site.url, "data:", "blob:"))]


def test_of_two_people_one_is_chosen(visitors, couple):
    visitor = visitors()
    visitor.put("person", couple)
    visitor.see("text=2 people found")
    pins = visitor.window.locator(".painter-pin")
    assert pins.count() == 2
    first = visitor.mask_share()
    places = [visitor.window.evaluate(_MIDDLE)]
    pins.nth(1).click()
    visitor.window.wait_for_function("document.querySelectorAll('.painter-pin')[1].ariaPressed === 'true'")
    visitor.window.wait_for_timeout(500)
    assert abs(visitor.mask_share() - first) < 0.1
    places.append(visitor.window.evaluate(_MIDDLE))
    assert abs(places[0] - places[1]) > 0.3


_MIDDLE = """() => { const c = document.querySelector('#painter .painter-mask');
const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0, s = 0;
for (let i = 3; i < d.length; i += 4) if (d[i] > 127) { n++; s += ((i - 3) / 4) % c.width; }
return s / n / c.width; }"""


def test_a_photo_without_anybody_is_told_beside_it(visitors, tmp_path):
    Image.new("RGB", (600, 800), (190, 190, 180)).save(tmp_path / "wall.jpg")
    visitor = visitors(390)
    visitor.window.set_input_files("#person-upload input[type=file]", str(tmp_path / "wall.jpg"))
    assert "Nobody was found" in visitor.see("#person-notes .note").inner_text()
    visitor.window.click("#run")
    visitor.see("#status .note")


def test_a_file_that_is_no_picture_is_told_beside_it(visitors, tmp_path):
    (tmp_path / "x.jpg").write_text("no picture")
    visitor = visitors()
    visitor.window.set_input_files("#garment-upload input[type=file]", str(tmp_path / "x.jpg"))
    assert "not a picture" in visitor.see("#garment-notes .note").inner_text()


def test_the_mask_outlives_another_tab_and_a_reload_keeps_the_history(visitors):
    visitor = visitors()
    visitor.put("person", PERSON)
    visitor.put("garment", HOODIE)
    visitor.mask_share()
    visitor.stroke("paint", [(0.2, 0.9), (0.8, 0.9)])
    visitor.see("text=mask changed by you")
    painted = visitor.mask_share()
    visitor.window.get_by_role("tab", name="Outfit").click()
    visitor.see("#outfit-run")
    visitor.window.get_by_role("tab", name="Try on").click()
    visitor.see("#painter .painter-mask")
    assert visitor.mask_share() == pytest.approx(painted, abs=1e-3)
    visitor.window.click("#painter [data-do=reset]")
    visitor.see("text=Pink will be repainted")
    visitor.run()
    visitor.window.reload()
    visitor.see("#history .strip-item").click()
    visitor.see("#slider img")
    assert visitor.download("#png").stat().st_size > 10_000


def test_two_browsers_do_not_see_each_other(visitors):
    one, two = visitors(), visitors(locale="de-DE")
    two.see("text=Umkleide")
    one.put("person", PERSON)
    assert one.window.locator(".painter-photo").count()
    assert not two.window.locator(".painter-photo[src]").count()
    one.put("garment", SHIRT)
    two.put("person", PERSON)
    two.put("garment", HOODIE)
    one.window.click("#run")
    two.run()
    one.see("#slider img")
    first, second = (np.asarray(Image.open(each.download("#png"))) for each in (one, two))
    assert (first != second).any()


def test_a_garment_of_the_rack_is_tried_on_at_once(visitors):
    visitor = visitors()
    visitor.put("person", PERSON)
    visitor.put("garment", SHIRT)
    visitor.run()
    visitor.window.click("#garment-change")
    visitor.put("garment", HOODIE)
    visitor.see("#garment-rack .strip-item >> nth=1").click()
    visitor.see(".progress")
    visitor.see("#slider img")
    assert visitor.window.locator("#history .strip-item").count() == 2


def test_an_outfit_is_put_on_in_one_go(visitors, tmp_path):
    visitor = visitors()
    visitor.window.get_by_role("tab", name="Outfit").click()
    shorts = tmp_path / "shorts.jpg"
    _shorts().save(shorts)
    for name, path in (("person", PERSON), ("top", SHIRT), ("bottom", shorts)):
        visitor.window.set_input_files(f"#outfit-{name} input[type=file]", str(path))
        visitor.see(f"#outfit-{name} img")
    visitor.run("#outfit-run", "#outfit-slider img")
    after = np.asarray(Image.open(visitor.download("#outfit-png")).convert("RGB")).astype(int)
    changed = np.abs(after - np.asarray(Image.open(PERSON).convert("RGB"))).max(2) > 24
    assert changed[250:600].mean() > 0.05  # the top
    assert changed[750:].mean() > 0.05  # the bottom


def _shorts():
    picture = Image.new("RGB", (600, 800), "white")
    picture.paste((40, 120, 60), (140, 150, 460, 300))
    picture.paste((40, 120, 60), (140, 300, 290, 640))
    picture.paste((40, 120, 60), (310, 300, 460, 640))
    return picture


def test_many_become_a_table_and_a_zip(visitors, tmp_path):
    visitor = visitors()
    visitor.window.get_by_role("tab", name="Many at once").click()
    with zipfile.ZipFile(tmp_path / "garments.zip", "w") as archive:
        archive.write(SHIRT, "shop/shirt.jpg")
        archive.write(HOODIE, "shop/hoodie.jpg")
    visitor.window.set_input_files("#many-people input[type=file]", str(PERSON))
    visitor.window.set_input_files("#many-garments input[type=file]", str(tmp_path / "garments.zip"))
    visitor.see("#many-garments >> text=garments.zip")
    visitor.window.click("#many-run")
    visitor.see("#many-zip")
    visitor.see("#many-table tbody tr:nth-child(2) >> text=done")
    assert [each.split("\t")[2] for each in visitor.see("#many-table tbody").inner_text().splitlines()] == ["done"] * 2
    with zipfile.ZipFile(visitor.download("#many-zip")) as made:
        assert len(made.namelist()) == 2
        for name in made.namelist():
            Image.open(io.BytesIO(made.read(name))).verify()


def test_everything_is_erased_when_the_visitor_says_so(visitors, site, service):
    visitor = visitors()
    visitor.put("person", PERSON)
    visitor.put("garment", SHIRT)
    visitor.run()
    photos = set(site.page.shelf.folder.iterdir())
    visitor.window.click("#erase")
    visitor.see("text=were erased")
    assert len(set(site.page.shelf.folder.iterdir())) == len(photos) - 2
    assert not visitor.window.locator("#history .strip-item").count()
