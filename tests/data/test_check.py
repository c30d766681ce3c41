"""The check: a good data set has no findings; every kind of damage is found, and named by its file."""

import shutil

import numpy as np
import pytest
from layouts import SIZE, draw, dress_code, garment, mask, pairs_folder, person, save, viton_hd
from PIL import Image

from idmvton.data import check_dataset
from idmvton.data.finding_sheet import draw_sheet
from idmvton.errors import InputError
from idmvton.types import Size

NAME = "00001_00"


@pytest.fixture
def root(tmp_path):
    return viton_hd(tmp_path / "data")


def findings(root, **options):
    """(severity, problem, file name) of all but the caption that the small data set lacks."""
    report = check_dataset(root, split="test", **options)
    return [(each.severity, each.problem, each.path.name) for each in report.findings if each.problem != "caption"]


def test_a_good_data_set(root):
    report = check_dataset(root, split="test")
    assert [(each.severity, each.problem, each.sample) for each in report.findings] == [
        ("warning", "caption", "00003_00")
    ]
    assert report.is_good
    assert report.counts() == {"caption": 1}


@pytest.mark.parametrize("kind", ["image", "cloth", "agnostic-mask", "image-densepose"])
def test_missing_partners(root, kind):
    path = next((root / "test" / kind).glob(f"{NAME}*"))
    path.unlink()
    assert findings(root) == [("error", "missing", path.name)]


@pytest.mark.parametrize("kind", ["image", "cloth", "agnostic-mask", "image-densepose", "image-parse-v3"])
def test_truncated_pictures(root, kind):
    path = next((root / "test" / kind).glob(f"{NAME}*"))
    path.write_bytes(path.read_bytes()[:-60])
    assert findings(root) == [("error", "unreadable", path.name)]


def test_unreadable_keypoints(root):
    (root / "test" / "openpose_json" / f"{NAME}_keypoints.json").write_text("{")
    assert findings(root) == [("error", "unreadable", f"{NAME}_keypoints.json")]


def test_a_grey_mask_unless_a_threshold_is_given(root):
    save(Image.fromarray(np.where(mask(), 200, 4).astype(np.uint8)), root / "test/agnostic-mask" / f"{NAME}_mask.png")
    assert findings(root) == [("error", "grey mask", f"{NAME}_mask.png")]
    assert findings(root, mask_threshold=128) == []


def test_an_empty_mask(root):
    save(np.zeros(SIZE, np.uint8), root / "test" / "agnostic-mask" / f"{NAME}_mask.png")
    report = check_dataset(root, split="test")
    assert "the mask is empty" in report.findings[0].detail
    assert str(root) not in report.findings[0].detail, "the row names the file already"


@pytest.mark.parametrize("with_body_map", [True, False])
def test_an_inverted_mask(root, with_body_map):
    save(~mask(), root / "test" / "agnostic-mask" / f"{NAME}_mask.png")
    expected = [("error", "inverted mask", f"{NAME}_mask.png")]
    if not with_body_map:
        (root / "test" / "image-densepose" / f"{NAME}.jpg").unlink()
        expected.insert(0, ("error", "missing", f"{NAME}.jpg"))
    assert findings(root) == expected


@pytest.mark.parametrize("everything", [True, False])
def test_a_generous_mask_is_not_inverted(root, everything):
    generous = np.ones(SIZE, bool) if everything else draw({}, parts=True) > 0
    save(generous, root / "test" / "agnostic-mask" / f"{NAME}_mask.png")
    assert findings(root) == []


def test_sizes_that_differ(root):
    save(mask(Size(128, 128)), root / "test" / "agnostic-mask" / f"{NAME}_mask.png")
    assert findings(root) == [("error", "size", f"{NAME}_mask.png")]
    save(mask(Size(64, 48)), root / "test" / "agnostic-mask" / f"{NAME}_mask.png")
    assert findings(root) == [("warning", "scaled map", f"{NAME}_mask.png")]


@pytest.mark.parametrize("colours", ["bgr", "photo", "numbers"])
def test_a_body_map_in_other_colours(root, colours):
    path = root / "test" / "image-densepose" / f"{NAME}.jpg"
    wrong = {
        "bgr": np.asarray(Image.open(path))[..., ::-1].copy(),
        "photo": person(),
        "numbers": np.repeat(draw({}, parts=True)[..., None] * 10, 3, 2),
    }[colours]
    save(wrong, path, quality=97, subsampling=0)
    assert findings(root) == [("error", "palette", path.name)]


def test_an_empty_body_map_is_a_warning(root):
    save(np.zeros((*SIZE, 3), np.uint8), root / "test" / "image-densepose" / f"{NAME}.jpg")
    assert findings(root) == [("warning", "empty body map", f"{NAME}.jpg")]


def test_files_that_share_a_stem(root):
    shutil.copy(root / "test" / "cloth" / f"{NAME}.jpg", root / "test" / "cloth" / f"{NAME}.png")
    report = check_dataset(root, split="test")
    assert (report.findings[0].problem, report.findings[0].sample) == ("duplicate", NAME)
    assert f"{NAME}.jpg, {NAME}.png" in report.findings[0].detail


def test_pairs_that_are_listed_twice(root):
    with (root / "test_pairs.txt").open("a") as file:
        file.write(f"{NAME}.jpg {NAME}.jpg\n")
    assert ("error", "duplicate", f"{NAME}.jpg") in findings(root)


def test_pictures_that_no_list_names(root):
    save(garment((1, 2, 3)), root / "test" / "cloth" / "stray.jpg")
    assert findings(root) == [("warning", "not listed", "stray.jpg")]


def test_splits_of_one_folder_do_not_count_as_strangers(tmp_path):
    root = dress_code(tmp_path)
    for name, number in (("train_pairs", 1), ("test_pairs_paired", 2), ("test_pairs_unpaired", 2)):
        (root / "upper_body" / f"{name}.txt").write_text(f"00000{number}_0.jpg 00000{number}_1.jpg\n")
    assert {each.problem for each in check_dataset(root).findings} == {"missing"}, "only the masks, which nobody ships"


def test_own_photos(tmp_path):
    report = check_dataset(pairs_folder(tmp_path))
    assert sorted(each.problem for each in report.findings) == ["caption", "missing", "missing"]
    assert not report.is_good


def test_a_folder_without_a_layout(tmp_path):
    with pytest.raises(InputError, match="no data set"):
        check_dataset(tmp_path)


def test_threads_do_not_change_the_report(root):
    save(~mask(), root / "test" / "agnostic-mask" / f"{NAME}_mask.png")
    calls = []
    alone = check_dataset(root, split="test", workers=1, progress=lambda *at: calls.append(at))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert alone == check_dataset(root, split="test", workers=4)


class TestSheet:
    def test_the_worst_come_first(self, root, tmp_path):
        (root / "test" / "image" / "00002_00.jpg").unlink()
        (root / "test" / "cloth" / "00002_00.jpg").unlink()
        save(~mask(), root / "test" / "agnostic-mask" / f"{NAME}_mask.png")
        report = check_dataset(root, split="test")
        assert [files.name for files, _ in report.worst(5)] == ["00002_00", NAME, "00003_00"]
        sheet = np.asarray(Image.open(draw_sheet(report, tmp_path / "worst.png", rows=2)))
        assert sheet.shape == (2 * (192 + 44), 4 * 144, 3)
        assert (sheet[44:236, :288] == 225).all(), "grey where pictures are missing"
        assert (sheet[:44] < 128).any(), "words above"

    def test_nothing_to_draw(self, root, tmp_path):
        (root / "test_pairs.txt").write_text("00001_00.jpg 00001_00.jpg\n")
        report = check_dataset(root, split="test")
        with pytest.raises(InputError, match="nothing wrong"):
            draw_sheet(report, tmp_path / "worst.png")

    def test_only_png(self, root, tmp_path):
        with pytest.raises(InputError, match="PNG only"):
            draw_sheet(check_dataset(root, split="test"), tmp_path / "worst.jpg")
