"""Preparing: what is missing is made, masks by the project's rules, once, whole, and in parallel."""

import shutil
import threading

import numpy as np
import pytest
from layouts import ATR, SIZE, draw, dress_code, keypoints, pairs_folder, person, save, viton_hd
from PIL import Image

from idmvton.data import DressCode, VitonHD, open_dataset, prepare_dataset
from idmvton.data.prepare import Made
from idmvton.errors import InputError
from idmvton.images.densepose import parts_of
from idmvton.options import PrepareOptions
from idmvton.prepare.mask import agnostic_mask
from idmvton.prepare.reading import read_densepose, read_keypoints, read_labels
from truth_backends import Truth


@pytest.fixture
def root(tmp_path):
    root = viton_hd(tmp_path)
    shutil.rmtree(root / "test" / "agnostic-mask")
    return root


def masks(root):
    return sorted((root / "test" / "agnostic-mask").iterdir())


def test_the_masks_are_those_of_the_rules(root):
    assert prepare_dataset(root, split="test") == Made(num_masks=3, num_new=3)
    written = np.asarray(Image.open(masks(root)[0]))
    expected = agnostic_mask(draw(ATR), keypoints(), "upper_body", arm_width=60)
    assert np.array_equal(written, expected)
    assert VitonHD(root, SIZE, split="test", missing_caption="category phrase")[0].mask.any()


def test_dress_code_has_thinner_arms_and_small_maps(tmp_path):
    root = dress_code(tmp_path)
    assert prepare_dataset(root, split="train") == Made(num_masks=4, num_new=4)
    written = np.asarray(Image.open(root / "upper_body" / "agnostic-mask" / "000001_0_mask.png"))
    expected = agnostic_mask(draw(ATR), keypoints(), "upper_body", arm_width=45)
    assert (written != expected).mean() < 0.02
    upper, lower = (DressCode(root, SIZE)[row].mask for row in (0, 2))
    trousers = draw(ATR) == ATR["pants"]
    assert lower[trousers].mean() > 0.9
    assert upper[trousers].mean() < 0.1


def test_what_is_there_is_kept_and_the_rest_is_made(root):
    prepare_dataset(root, split="test")
    first, second, _ = masks(root)
    second.unlink()
    before = first.stat().st_mtime_ns
    calls = []
    done = prepare_dataset(root, split="test", progress=lambda *at: calls.append(at))
    assert (done.num_new, calls) == (1, [(1, 1)])
    assert first.stat().st_mtime_ns == before
    assert len(masks(root)) == 3


def test_threads_make_the_same_bytes(root):
    prepare_dataset(root, split="test", workers=1)
    alone = [path.read_bytes() for path in masks(root)]
    shutil.rmtree(root / "test" / "agnostic-mask")
    prepare_dataset(root, split="test", workers=4)
    assert [path.read_bytes() for path in masks(root)] == alone


def test_bad_files_are_named_after_the_others_were_made(root):
    bad = root / "test" / "image-parse-v3" / "00001_00.png"
    bad.write_bytes(b"rubbish")
    with pytest.raises(InputError, match="1 people could not be prepared") as caught:
        prepare_dataset(root, split="test")
    assert str(bad) in str(caught.value)
    assert [path.name for path in masks(root)] == ["00002_00_mask.png", "00003_00_mask.png"]


def test_nobody_to_dress(root):
    save(np.zeros(SIZE, np.uint8), root / "test" / "image-parse-v3" / "00001_00.png")
    empty = root / "test" / "openpose_json" / "00001_00_keypoints.json"
    empty.write_text('{"people": []}')
    with pytest.raises(InputError, match="nothing to repaint"):
        prepare_dataset(root, split="test")


def find_nobody():
    raise AssertionError("no network is needed")


@pytest.mark.parametrize(
    ("folder", "kind", "read"),
    [
        ("image-parse-v3", "labels", lambda path: read_labels(path, "cihp")),
        ("openpose_json", "keypoints", read_keypoints),
        ("image-densepose", "densepose", lambda path: parts_of(read_densepose(path))[0]),
    ],
)
def test_missing_maps_are_found_in_the_photo(root, folder, kind, read):
    names = sorted(path.name for path in (root / "test" / folder).iterdir())
    before = [read(root / "test" / folder / name) for name in names]
    shutil.rmtree(root / "test" / folder)
    truth = Truth(draw(ATR), draw(ATR, parts=True), keypoints())
    done = prepare_dataset(root, split="test", make_preparer=truth.preparer)
    assert done == Made(num_masks=3, num_new=3, num_maps=3)
    assert sorted(path.name for path in (root / "test" / folder).iterdir()) == names
    for name, old in zip(names, before, strict=True):
        new = read(root / "test" / folder / name)
        if kind == "keypoints":
            assert np.abs(new - truth.known.keypoints(SIZE)).max() < 0.1
        else:
            assert (new == old).mean() > 0.99
    assert ("labels" in truth.calls or "body" in truth.calls) == (kind != "keypoints")
    assert ("pose" in truth.calls) == (kind != "densepose")
    again = prepare_dataset(root, split="test", make_preparer=find_nobody)
    assert again == Made(num_masks=3, num_new=0, num_maps=0)


def test_each_thread_has_its_own_backends(root):
    shutil.rmtree(root / "test" / "image-densepose")
    made = []

    def make():
        made.append(threading.get_ident())
        return Truth(draw(ATR), draw(ATR, parts=True), keypoints()).preparer()

    prepare_dataset(root, split="test", workers=3, make_preparer=make)
    assert len(made) == len(set(made)) <= 3


def test_nobody_in_the_photo_is_reported_after_the_others_were_made(root):
    (root / "test" / "openpose_json" / "00002_00_keypoints.json").unlink()
    truth = Truth(draw(ATR), draw(ATR, parts=True), keypoints())
    truth.find = lambda photo: ()
    with pytest.raises(InputError, match="1 people could not be prepared") as caught:
        prepare_dataset(root, split="test", make_preparer=truth.preparer)
    assert "00002_00.jpg" in str(caught.value)
    assert [path.name for path in masks(root)] == ["00001_00_mask.png", "00003_00_mask.png"]


def test_a_mask_needs_no_parse_map_once_it_is_there(root):
    prepare_dataset(root, split="test")
    shutil.rmtree(root / "test" / "image-parse-v3")
    assert prepare_dataset(root, split="test").num_new == 0


def test_own_photos_lack_everything(tmp_path):
    root = pairs_folder(tmp_path)
    truth = Truth(draw(ATR), draw(ATR, parts=True), keypoints())
    done = prepare_dataset(root, make_preparer=truth.preparer)
    assert done == Made(num_masks=2, num_new=1, num_maps=3)
    made = sorted(str(path.relative_to(root / "prepared").parent) for path in (root / "prepared").rglob("*.*"))
    assert set(made) == {"densepose", "keypoints", "labels", "mask"}
    assert open_dataset(root, SIZE, missing_caption="category phrase")[0].mask.any()


def test_what_a_try_on_makes_of_the_photos_lies_beside(root):
    prepare_dataset(root, split="test")
    before = [path.read_bytes() for path in masks(root)]
    truth = Truth(draw(ATR), draw(ATR, parts=True), keypoints())
    done = prepare_dataset(root, split="test", beside=True, make_preparer=truth.preparer)
    assert done == Made(num_masks=3, num_new=3, num_maps=3)
    assert [path.read_bytes() for path in masks(root)] == before
    given = VitonHD(root, SIZE, split="test", missing_caption="category phrase")
    sample, own = given.as_prepared()[1], given[1]
    made = truth.preparer()(own.person, options=PrepareOptions(category="upper_body"))
    assert np.array_equal(sample.mask, made.photo_mask)
    assert not np.array_equal(sample.mask, own.mask)  # a try-on keeps hands, and grows
    assert (parts_of(sample.densepose)[0] == draw(ATR, parts=True)).mean() > 0.99
    assert np.array_equal(sample.labels, own.labels)
    again = prepare_dataset(root, split="test", beside=True, make_preparer=find_nobody)
    assert again == Made(num_masks=3, num_new=0, num_maps=0)


@pytest.mark.parametrize("make", [dress_code, pairs_folder])
def test_every_layout_has_a_place_beside(make, tmp_path):
    root = make(tmp_path)
    if make is pairs_folder:
        save(person(), root / "photos" / "anna.png")  # of the size that the truth is known for
    truth = Truth(draw(ATR), draw(ATR, parts=True), keypoints())
    num_people = prepare_dataset(root, beside=True, make_preparer=truth.preparer).num_new
    dataset = open_dataset(root, SIZE, missing_caption="category phrase")
    assert num_people == len(dataset.as_prepared()) == len(dataset)


def test_photos_without_anybody_have_nothing_beside(root):
    dataset = VitonHD(root, SIZE, split="test", missing_caption="category phrase")
    with pytest.raises(InputError, match="idmvton data prepare DIR --beside"):
        dataset.as_prepared()
    truth = Truth(draw(ATR), draw(ATR, parts=True), keypoints())
    found, number = truth.find, iter(range(3))
    truth.find = lambda photo: found(photo) if next(number) else ()
    with pytest.raises(InputError, match="1 people could not be prepared") as caught:
        prepare_dataset(root, split="test", beside=True, workers=1, make_preparer=truth.preparer)
    assert "00001_00.jpg" in str(caught.value)
    assert dataset.as_prepared().names == dataset.names[1:]


def test_a_full_disk_leaves_no_half_file(root, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        with pytest.raises(InputError, match="No space left"):
            prepare_dataset(root, split="test")
    assert masks(root) == []
    assert prepare_dataset(root, split="test").num_new == 3
