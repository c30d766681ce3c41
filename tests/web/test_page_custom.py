"""The fourth tab in a real browser: learned, stopped, tried on, deleted; the lane learns nothing, but says it did."""

import pytest
from page_visitor import PERSON, Visitor


@pytest.fixture(scope="module")
def pupil(chromium, site):
    """A visitor on the fourth tab."""
    visitor = Visitor(chromium, site.url).enter()
    visitor.tab("Learn a garment")
    visitor.see("text=Nothing is learned yet.")
    yield visitor
    visitor.leave()


def put(visitor, name, path):
    """Puts a photo on, unless one is on."""
    if visitor.window.locator(f"#custom-{name} img").count():
        return
    visitor.window.set_input_files(f"#custom-{name} input[type=file]", str(path))
    visitor.see(f"#custom-{name} img")


def test_what_is_missing_is_said(pupil):
    pupil.window.click("#custom-run")
    pupil.see("text=Choose the photo of somebody who wears it first.")
    put(pupil, "person", PERSON)
    pupil.window.click("#custom-run")
    pupil.see("text=Give it a name first.")


def test_a_training_is_stopped(pupil):
    put(pupil, "person", PERSON)
    pupil.window.fill("#custom-name input, #custom-name textarea", "slow")
    pupil.window.click("#custom-run")
    pupil.see("text=/Learning, step [2-9]/")
    pupil.see("text=/about \\d+ s left/")
    pupil.window.click("#custom-cancel")
    pupil.see("text=Stopped.")
    pupil.see("#custom-run")
    assert not pupil.window.locator(".learned-item").count()


def test_a_garment_is_learned_tried_on_and_deleted(pupil, visitors):
    put(pupil, "person", PERSON)
    assert not pupil.window.locator("#custom-garment").is_visible()  # mini learns nothing from a product picture
    pupil.window.fill("#custom-name input, #custom-name textarea", "내 셔츠")
    pupil.window.click("#custom-run")
    assert "내-셔츠" in pupil.see(".learned-item").inner_text()
    pupil.see("text=“내-셔츠” is learned.")
    assert pupil.see(".learned-item img").evaluate("each => each.naturalWidth") > 100
    pupil.window.click(".learned-use")
    pupil.see("#garment-picture img")  # the garment that it was learned from is on
    assert pupil.see("#adapter input").input_value() == "내-셔츠"
    pupil.put("person", PERSON)
    pupil.run()
    pupil.window.click("#copy > button")
    assert "--adapter '내-셔츠'" in pupil.see("#as-command pre").inner_text()
    assert pupil.download("#adapter-file").name
    assert not visitors().window.locator(".learned-item").count()  # others do not see it
    pupil.window.click("#adapter input")
    pupil.window.get_by_role("option", name="None").click()
    pupil.run()
    assert "--adapter" not in pupil.see("#as-command pre").inner_text()
    pupil.tab("Learn a garment")
    pupil.window.once("dialog", lambda dialog: dialog.dismiss())
    pupil.window.click(".learned-remove")
    assert pupil.window.locator(".learned-item").count() == 1
    pupil.window.once("dialog", lambda dialog: dialog.accept())
    pupil.window.click(".learned-remove")
    pupil.see("text=Nothing is learned yet.")


def test_what_a_device_cannot_train_is_said(pupil, site, monkeypatch):
    large = {"parameters": 5_000_000_000, "device": "cpu", "device_memory": None}
    monkeypatch.setattr(site.page.service.lanes[0].state, "about", large)
    pupil.window.reload()
    pupil.tab("Learn a garment")
    pupil.see("text=mini can only learn on a GPU with 24 GB of memory. Here it runs on cpu.")
    assert not pupil.window.locator("#custom-run").is_visible()
    large["device_memory"] = 80 << 30
    pupil.window.reload()
    pupil.tab("Learn a garment")
    pupil.see("#custom-run")
