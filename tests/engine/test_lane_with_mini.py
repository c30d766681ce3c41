"""A lane with mini: what it makes is what the Python API makes, and what it cannot read it says."""

import io

import numpy as np
import pytest
from PIL import Image
from tests.engine.test_service import EXAMPLES

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline
from idmvton.engine.job import Settings, TryOn
from idmvton.engine.service import Order, Service
from idmvton.options import JobOptions, ModelOptions, PrepareOptions, ServiceOptions, TryOnOptions
from idmvton.prepare.preparer import preparer_for


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The example's person and garment, half as large: preparing them takes a quarter of the time."""
    made = {}
    for role, name in (("person", "person.jpg"), ("garment", "checked_shirt.jpg")):
        made[role] = tmp_path_factory.mktemp("photos") / name
        Image.open(EXAMPLES / name).resize((384, 512), Image.Resampling.LANCZOS).save(made[role], quality=95)
    return made


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    options = ServiceOptions(state=str(tmp_path_factory.mktemp("lane") / "state"), warm_up=False)
    with Service(options, ModelOptions(model=str(CHECKPOINT), threads=1)) as running:
        running.wait_ready(180)
        yield running


def pixels(service, view, name="0.png"):
    return np.asarray(Image.open(io.BytesIO(service.read(view.id, name))).convert("RGB"))


def test_the_picture_is_that_of_the_python_api_with_photos_and_with_what_was_prepared_of_them(service, photos):
    options = {"seed": 3, "caption": "vest", "num_inference_steps": 1}
    done = service.wait(service.submit(Order(files=photos, options=options)), 180)
    assert (done.state, done.error) == ("succeeded", None)
    pipe = TryOnPipeline.from_pretrained(CHECKPOINT, device="cpu")
    pipe.set_progress_bar_config(disable=True)
    settings = Settings(JobOptions(caption="vest"), TryOnOptions(num_inference_steps=1, seed=3))
    alone = TryOn(pipe, preparer_for(PrepareOptions()))(photos["person"], photos["garment"], settings)
    assert np.array_equal(pixels(service, done), np.asarray(alone.images[0]))
    assert done.about["category"] == alone.prepared.category
    assert done.provenance[0]["seed"] == 3
    prepared = service.wait(service.submit(Order("prepare", photos)), 180)
    again = service.wait(service.submit(Order(prepared=prepared.id, options=options)), 180)
    assert np.array_equal(pixels(service, again), pixels(service, done))
    mask = pixels(service, prepared, "mask.png")
    box = np.zeros_like(mask)
    box[mask.shape[0] // 2 :] = 255
    stored = io.BytesIO()
    Image.fromarray(box).save(stored, "PNG")
    assert service.put_mask(prepared.id, stored.getvalue(), seconds=120).state == "succeeded"
    changed = service.wait(service.submit(Order(prepared=prepared.id, options=options)), 180)
    photo = np.asarray(Image.open(photos["person"]).convert("RGB"))
    top = slice(0, mask.shape[0] // 2 - 40)
    assert np.array_equal(pixels(service, changed)[top], photo[top])
    small = service.put_mask(prepared.id, b"\x89PNG not a picture", seconds=120)
    assert (small.state, small.error.code, small.error.field) == ("failed", "bad_input", "mask")


def test_an_adapter_is_learned_and_worn_and_taken_off_again(service, photos, tmp_path):
    small = {"steps": 2, "batch_size": 1, "layers": "up_attention", "learning_rate": 1e-3, "check_every": 2}
    options = {"seed": 3, "caption": "vest", "num_inference_steps": 1}
    before = pixels(service, service.wait(service.submit(Order(files=photos, options=options)), 180))
    files = {"person": photos["person"]}
    job = service.submit(Order("adapter", files, adapter="vest", options=small | {"caption": "vest"}))
    stages = [(view.stage, view.done) for view in service.events(job)]
    made = service.view(job)
    assert (made.state, made.error) == ("succeeded", None)
    assert ("training", 1) in stages
    assert made.about | {"caption": "vest", "layers": "up_attention", "name": "vest"} == made.about
    assert Image.open(io.BytesIO(service.read(job, "before-after.png"))).width > 100
    worn, again, half = (
        service.wait(service.submit(Order(files=photos, options=options, adapter="vest", adapter_scale=scale)), 180)
        for scale in (1.0, 1.0, 0.5)
    )
    assert worn.provenance[0]["made_with"]["adapter"].startswith("vest")
    assert np.array_equal(pixels(service, worn), pixels(service, again))
    assert not np.array_equal(pixels(service, worn), before)
    assert not np.array_equal(pixels(service, worn), pixels(service, half))
    file = tmp_path / "adapter.safetensors"
    file.write_bytes(service.read(job, file.name))
    pipe = TryOnPipeline.from_pretrained(CHECKPOINT, device="cpu")
    pipe.set_progress_bar_config(disable=True)
    pipe.load_adapter(file)
    settings = Settings(JobOptions(caption="vest"), TryOnOptions(num_inference_steps=1, seed=3))
    alone = TryOn(pipe, preparer_for(PrepareOptions()))(photos["person"], photos["garment"], settings)
    assert np.array_equal(pixels(service, worn), np.asarray(alone.images[0]))
    off = service.wait(service.submit(Order(files=photos, options=options)), 180)
    assert np.array_equal(pixels(service, off), before)


def test_half_a_file_and_a_photo_of_nobody_are_told_without_paths(service, photos):
    half = photos["person"].read_bytes()
    for person, code in ((half[: len(half) // 2], "bad_input"), (photos["garment"], "no_person")):
        done = service.wait(service.submit(Order(files=photos | {"person": person})), 180)
        assert (done.state, done.error.code, done.error.field) == ("failed", code, "person")
        assert "/" not in f"{done.error.what} {done.error.got}"


def test_an_error_tells_which_of_two_photos_it_is_about(service, photos):
    half = photos["person"].read_bytes()[:5000]
    for role, photo, code in (("person", photos["garment"], "no_person"), ("person", half, "bad_input"),
                              ("garment", half, "bad_input")):  # fmt: skip
        done = service.wait(service.submit(Order("prepare", photos | {role: photo})), 180)
        assert (done.error.code, done.error.field) == (code, role)
        assert "/" not in f"{done.error.what} {done.error.got}"


def test_two_people_are_refused_until_the_order_says_who_is_meant(service, photos):
    one = Image.open(photos["person"]).convert("RGB")
    both = Image.new("RGB", (2 * one.width, one.height))
    both.paste(one, (0, 0))
    both.paste(one, (one.width, 0))
    stored = io.BytesIO()
    both.save(stored, "PNG")
    photo = {"person": stored.getvalue()}
    done = service.wait(service.submit(Order("prepare", photo, options={"person_number": 0})), 180)
    assert (done.error.code, done.error.field) == ("several_people", "person")
    assert service.wait(service.submit(Order("prepare", photo, options={"person_number": 2})), 180).state == "succeeded"
