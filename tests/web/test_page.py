"""The page in a real browser; pictures are made by a lane without networks (mini: test_page_mini.py)."""

import io
import zipfile

import numpy as np
import pytest
from page_visitor import HOODIE, PERSON, SHIRT
from PIL import Image
from tests.web.page_lane import dressed

from idmvton.resume import digest


def photo(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_a_mask_is_painted_and_the_picture_follows_it_on_a_telephone(visitors):
    visitor = visitors(390)
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
    after, old = visitor.pixels("#png"), photo(PERSON)
    changed = np.abs(after - old).max(2) > 24
    assert after.shape == old.shape
    assert changed.mean() > 0.03
    assert not changed[:60].any()  # above the head nothing is repainted
    assert not changed[380:540, 380:390].any()  # where the mask was erased neither
    assert np.abs(visitor.pixels("#jpeg") - after).mean() < 3


def test_the_slider_shows_more_of_the_other_picture(at_home):
    at_home.run()
    box = at_home.see("#slider img").bounding_box()
    assert box["width"] > 250
    before = at_home.window.locator("#slider").screenshot()
    middle = box["y"] + box["height"] / 2
    at_home.window.mouse.move(box["x"] + box["width"] / 2, middle)
    at_home.window.mouse.down()
    at_home.window.mouse.move(box["x"] + box["width"] * 0.9, middle, steps=5)
    at_home.window.mouse.up()
    one, two = (
        np.asarray(Image.open(io.BytesIO(each)).convert("RGB")).astype(int)
        for each in (before, at_home.window.locator("#slider").screenshot())
    )
    moved = np.abs(one - two).max(2) > 24
    width = moved.shape[1]
    assert moved[:, width // 2 : int(width * 0.85)].mean() > 0.1
    assert moved[:, : int(width * 0.4)].mean() < 0.02


def test_what_changed_is_shown(at_home):
    at_home.run()
    at_home.window.get_by_label("What changed").click()
    at_home.see("#difference img")
    at_home.window.get_by_label("Before and after").click()
    at_home.see("#slider img")


def test_a_run_is_stopped(at_home):
    at_home.describe("sleep 2000")
    at_home.window.click("#run")
    at_home.see("text=Painting, step")
    at_home.window.click("#cancel")
    at_home.see("text=Stopped.")
    at_home.see("#run")
    at_home.describe("a shirt")
    at_home.run()


def test_the_mask_outlives_another_tab(at_home):
    at_home.stroke("paint", [(0.2, 0.9), (0.8, 0.9)])
    at_home.see("text=mask changed by you")
    painted = at_home.mask_share()
    at_home.tab("Outfit")
    at_home.see("#outfit-run")
    at_home.tab("Try on")
    at_home.see("#painter .painter-mask")
    assert at_home.mask_share() == pytest.approx(painted, abs=1e-3)
    at_home.window.click("#painter [data-do=reset]")
    at_home.see("text=Pink will be repainted")
    assert at_home.mask_share() < painted


def test_variations_are_chosen_and_made_again_alone(at_home):
    at_home.window.click("#options > button")
    at_home.window.fill("#seed input", "40")
    at_home.window.locator("#images input[type=number]").fill("4")
    at_home.window.locator("#images input[type=number]").press("Tab")
    at_home.run()
    at_home.see("#variations .strip-item >> nth=3").click()
    at_home.see("text=seed 43")
    assert (at_home.pixels("#png") == np.asarray(dressed(Image.open(PERSON), Image.open(SHIRT), 43))).all()
    at_home.window.click("#copy > button")
    command = at_home.see("#as-command pre").inner_text()
    assert "--seed 43" in command
    assert "num-images" not in command
    at_home.window.click("#copy > button")
    at_home.window.locator("#images input[type=number]").fill("1")
    at_home.window.locator("#images input[type=number]").press("Tab")


def test_a_garment_of_the_rack_is_tried_on_at_once(at_home):
    at_home.run()
    earlier = at_home.window.locator("#history .strip-item").count()
    at_home.window.click("#garment-change")
    at_home.put("garment", HOODIE)
    at_home.run("#garment-rack .strip-item >> nth=1")
    assert at_home.window.locator("#history .strip-item").count() == max(2, earlier + 1)


def test_nothing_comes_from_elsewhere(at_home, site):
    assert at_home.asked
    assert not [each for each in at_home.asked if not each.startswith((site.url, "data:", "blob:"))]


def test_a_reload_keeps_photos_choices_and_history_and_erasing_takes_them(visitors, site):
    visitor = visitors()
    visitor.put("person", PERSON)
    visitor.put("garment", SHIRT)
    visitor.window.get_by_label("Top", exact=True).click()
    visitor.see("text=the top will change")
    visitor.run()
    made = visitor.pixels("#png")
    visitor.window.reload()
    visitor.see("#history .strip-item").click()
    visitor.see("#slider img")
    assert (visitor.pixels("#png") == made).all()
    assert visitor.window.get_by_label("Top", exact=True).is_checked()
    visitor.see("#garment-picture img")
    visitor.see("#painter .painter-photo")
    visitor.run()  # with the photos of before
    photos = set(site.page.shelf.folder.iterdir())
    results = set(site.page.results.folder.iterdir())
    visitor.window.click("#erase")
    visitor.see("text=were erased")
    assert len(set(site.page.shelf.folder.iterdir())) == len(photos) - 2
    assert len(set(site.page.results.folder.iterdir())) < len(results)
    assert not site.page.service.desk.readings.of([digest(PERSON), digest(SHIRT)])
    assert not visitor.window.locator("#history .strip-item").count()


def test_of_two_people_one_is_chosen(visitors, couple):
    visitor = visitors()
    visitor.put("person", couple)
    visitor.see("text=2 people found")
    pins = visitor.window.locator(".painter-pin")
    assert pins.count() == 2
    first = visitor.mask_share()
    places = [visitor.window.evaluate(_MIDDLE)]
    shown = visitor.window.evaluate("document.querySelector('#painter [data-ready]').dataset.ready")
    pins.nth(1).click()
    visitor.window.wait_for_function(
        "shown => document.querySelector('#painter [data-ready]').dataset.ready !== shown", arg=shown
    )
    assert visitor.window.locator(".painter-pin").nth(1).get_attribute("aria-pressed") == "true"
    assert abs(visitor.mask_share() - first) < 0.1
    places.append(visitor.window.evaluate(_MIDDLE))
    assert abs(places[0] - places[1]) > 0.3


_MIDDLE = """() => { const c = document.querySelector('#painter .painter-mask');
const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0, s = 0;
for (let i = 3; i < d.length; i += 4) if (d[i] > 127) { n++; s += ((i - 3) / 4) % c.width; }
return s / n / c.width; }"""


def test_photos_that_cannot_be_used_are_told_beside_them(visitors, tmp_path):
    Image.new("RGB", (600, 800), (190, 190, 180)).save(tmp_path / "wall.jpg")
    (tmp_path / "x.jpg").write_text("no picture")
    visitor = visitors(390)
    visitor.window.set_input_files("#person-upload input[type=file]", str(tmp_path / "wall.jpg"))
    assert "Nobody was found" in visitor.see("#person-notes .note").inner_text()
    visitor.window.set_input_files("#garment-upload input[type=file]", str(tmp_path / "x.jpg"))
    assert "not a picture" in visitor.see("#garment-notes .note").inner_text()
    visitor.window.click("#run")
    visitor.see("#status .note")


def test_two_browsers_do_not_see_each_other(at_home, visitors):
    other = visitors(locale="de-DE")
    other.see("text=Umkleide")
    assert not other.window.locator(".painter-photo[src]").count()
    other.put("person", PERSON)
    other.put("garment", HOODIE)
    at_home.describe("sleep 20")
    at_home.window.click("#run")
    other.run()
    at_home.see("#slider img")
    first, second = at_home.pixels("#png"), other.pixels("#png")
    assert (first != second).any()


def test_an_outfit_is_put_on_in_one_go(at_home, tmp_path):
    at_home.tab("Outfit")
    shorts = tmp_path / "shorts.jpg"
    Image.new("RGB", (600, 800), (40, 120, 60)).save(shorts)
    for name, path in (("person", PERSON), ("top", SHIRT), ("bottom", shorts)):
        at_home.window.set_input_files(f"#outfit-{name} input[type=file]", str(path))
        at_home.see(f"#outfit-{name} img")
    at_home.run("#outfit-run", "#outfit-slider img")
    assert at_home.pixels("#outfit-png").shape == photo(PERSON).shape
    at_home.tab("Try on")


def test_many_become_a_table_and_a_zip(at_home, tmp_path):
    at_home.tab("Many at once")
    with zipfile.ZipFile(tmp_path / "garments.zip", "w") as archive:
        archive.write(SHIRT, "shop/shirt.jpg")
        archive.write(HOODIE, "shop/hoodie.jpg")
    at_home.window.set_input_files("#many-people input[type=file]", str(PERSON))
    at_home.window.set_input_files("#many-garments input[type=file]", str(tmp_path / "garments.zip"))
    at_home.see("#many-garments >> text=garments.zip")
    at_home.window.click("#many-run")
    at_home.see("#many-zip")
    at_home.see("#many-table tbody tr:nth-child(2) >> text=done")
    assert [each.split("\t")[2] for each in at_home.see("#many-table tbody").inner_text().splitlines()] == ["done"] * 2
    with zipfile.ZipFile(at_home.download("#many-zip")) as made:
        assert len(made.namelist()) == 2
        for name in made.namelist():
            Image.open(io.BytesIO(made.read(name))).verify()
    at_home.tab("Try on")


def test_somebody_and_a_garment_are_rendered(visitors, monkeypatch, site):
    monkeypatch.setattr("idmvton.web.studio._COUNT", 1)  # always the same
    visitor = visitors()
    visitor.window.click("#person-studio")
    visitor.see("#painter .painter-photo")
    visitor.see("text=1 person found")
    visitor.window.click("#garment-studio")
    visitor.see("#garment-picture img")
    visitor.run()
    assert visitor.pixels("#png").shape == (1024, 768, 3)
    assert not list((site.page.folder / "studio").iterdir())


def test_a_photo_is_taken_with_the_camera(visitors):
    visitor = visitors(390, permissions=["camera"])
    visitor.window.get_by_label("Capture from camera").first.click()
    visitor.window.get_by_text("Click to Access Webcam").click()
    visitor.window.wait_for_function(
        "() => [...document.querySelectorAll('video')].some((each) => each.currentTime > 0)"
    )
    visitor.window.get_by_label("capture photo").click()
    assert "Nobody was found" in visitor.see("#person-notes .note").inner_text()  # it shows a test picture
