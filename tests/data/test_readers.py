"""Readers: the published layouts give one kind of sample, whose pieces share a geometry; errors name the file."""

import json
import shutil

import numpy as np
import pytest
from layouts import (
    ATR,
    SIZE,
    draw,
    dress_code,
    garment,
    keypoints,
    mask,
    pairs_folder,
    person,
    save,
    viton_hd,
    write_json,
)
from PIL import Image

from idmvton.data import DressCode, PairsFolder, VitonHD, open_dataset
from idmvton.errors import InputError
from idmvton.images.densepose import colour_parts, parts_of
from idmvton.types import Size

PHRASE = {"missing_caption": "category phrase"}


@pytest.fixture
def viton(tmp_path):
    return viton_hd(tmp_path)


@pytest.fixture
def dress(tmp_path):
    return dress_code(tmp_path)


def difference(image, other):
    return np.abs(np.asarray(image).astype(int) - np.asarray(other).astype(int)).mean()


class TestVitonHD:
    def test_a_sample_is_what_the_files_say(self, viton):
        data = VitonHD(viton, SIZE, split="test", **PHRASE)
        assert data.names == ("00001_00", "00002_00", "00003_00")
        assert len(data) == 3
        sample = data[0]
        assert difference(sample.person, person()) < 2
        assert difference(sample.garment, garment((0, 80, 160))) < 2
        assert np.array_equal(sample.mask, mask())
        assert np.array_equal(sample.labels, draw(ATR))
        assert np.allclose(sample.keypoints, keypoints(), atol=1e-4)
        parts, strange = parts_of(sample.densepose)
        assert (parts == draw({}, parts=True)).mean() > 0.99
        assert strange < 0.1
        assert (sample.caption, sample.category) == ("short sleeve round neck t-shirts", "upper_body")
        assert sample.unpaired_target is None

    def test_captions_leave_out_what_is_unknown(self, viton):
        assert VitonHD(viton, SIZE, split="test", **PHRASE)[1].caption == "sleeveless tank tops"

    def test_a_missing_caption_is_an_error_with_its_count(self, viton):
        with pytest.raises(InputError, match="1 garments have no caption") as caught:
            VitonHD(viton, SIZE, split="test")
        assert "00003_00.jpg" in str(caught.value)

    def test_a_missing_caption_can_be_the_category(self, viton):
        data = VitonHD(viton, SIZE, split="test", **PHRASE)
        assert data.missing_captions == ("00003_00.jpg",)
        assert data[2].caption == "upper body clothes"

    def test_unpaired_takes_the_listed_garment_and_its_caption(self, viton):
        data = VitonHD(viton, SIZE, split="test", order="unpaired", **PHRASE)
        assert data.names[0] == "00001_00__00002_00"
        assert difference(data[0].garment, garment((60, 80, 160))) < 2
        assert data[0].caption == "sleeveless tank tops"
        assert difference(data[0].person, person()) < 2

    def test_an_exact_list_goes_before_the_general_one(self, viton):
        (viton / "test_pairs_paired.txt").write_text("00002_00.jpg 00002_00.jpg\n\n")
        assert VitonHD(viton, SIZE, split="test").names == ("00002_00",)

    @pytest.mark.parametrize("size", [(64, 48), (192, 144), (128, 128), (96, 128)])
    def test_every_piece_has_the_asked_size_and_one_geometry(self, viton, size):
        sample = VitonHD(viton, size, split="test", **PHRASE)[0]
        assert sample.size == Size(*size)
        assert sample.mask.shape == sample.labels.shape == size
        body = np.isin(sample.labels, [ATR[name] for name in ("upper_clothes", "left_arm", "right_arm")])
        parts, _ = parts_of(sample.densepose)
        shown = np.isin(parts, [15, 18])
        assert (sample.mask & body).sum() / (sample.mask | body).sum() > 0.85
        assert sample.mask[shown].mean() > 0.9
        x, y = sample.keypoints[4].astype(int)
        assert sample.labels[y, x] == ATR["right_arm"]

    def test_no_square_garment_is_squashed(self, viton):
        save(garment((10, 20, 200), Size(128, 128)), viton / "test" / "cloth" / "00001_00.jpg", quality=97)
        picture = np.asarray(VitonHD(viton, SIZE, split="test", **PHRASE)[0].garment)
        inside = (picture[..., 0] < 100).nonzero()
        height, width = (int(np.ptp(axis)) + 1 for axis in inside)
        assert abs(height - width) <= 2
        assert (picture[:10] > 245).all()

    @pytest.mark.parametrize(
        "victim", ["image/00001_00.jpg", "cloth/00001_00.jpg", "agnostic-mask/00001_00_mask.png",
                   "image-densepose/00001_00.jpg"]
    )  # fmt: skip
    @pytest.mark.parametrize("damage", ["missing", "rubbish"])
    def test_bad_files_are_named(self, viton, victim, damage):
        path = viton / "test" / victim
        path.unlink() if damage == "missing" else path.write_bytes(b"rubbish")
        with pytest.raises(InputError) as caught:
            VitonHD(viton, SIZE, split="test", **PHRASE)[0]
        assert str(path) in str(caught.value)

    def test_a_grey_mask_is_named_and_a_threshold_reads_it(self, viton):
        path = save(Image.fromarray(np.where(mask(), 200, 3).astype(np.uint8)),
                    viton / "test" / "agnostic-mask" / "00001_00_mask.png")  # fmt: skip
        with pytest.raises(InputError, match="not binary") as caught:
            VitonHD(viton, SIZE, split="test", **PHRASE)[0]
        assert str(path) in str(caught.value)
        sample = VitonHD(viton, SIZE, split="test", mask_threshold=128, **PHRASE)[0]
        assert np.array_equal(sample.mask, mask())

    def test_a_map_of_another_aspect_is_refused(self, viton):
        path = save(mask(Size(96, 96)), viton / "test" / "agnostic-mask" / "00001_00_mask.png")
        with pytest.raises(InputError, match="aspect") as caught:
            VitonHD(viton, SIZE, split="test", **PHRASE)[0]
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("openpose_json/00001_00_keypoints.json", "{", "keypoints cannot be read"),
            ("openpose_json/00001_00_keypoints.json", '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "1 points"),
            ("openpose_json/00001_00_keypoints.json", "[]", "keypoints cannot be read"),
        ],
    )
    def test_bad_keypoints_are_named(self, viton, name, content, words):
        (viton / "test" / name).write_text(content)
        with pytest.raises(InputError, match=words) as caught:
            VitonHD(viton, SIZE, split="test", **PHRASE)[0]
        assert name in str(caught.value)

    def test_nobody_found_means_no_points(self, viton):
        write_json(viton / "test" / "openpose_json" / "00001_00_keypoints.json", {"people": []})
        assert not VitonHD(viton, SIZE, split="test", **PHRASE)[0].keypoints.any()

    def test_a_coloured_label_map_is_refused(self, viton):
        path = save(person(), viton / "test" / "image-parse-v3" / "00001_00.png")
        with pytest.raises(InputError, match="colours instead of class numbers") as caught:
            VitonHD(viton, SIZE, split="test", **PHRASE)[0]
        assert str(path) in str(caught.value)

    def test_unknown_classes_are_refused(self, viton):
        save(np.full(SIZE, 20, np.uint8), viton / "test" / "image-parse-v3" / "00001_00.png")
        with pytest.raises(InputError, match="unknown classes"):
            VitonHD(viton, SIZE, split="test", **PHRASE)[0]

    def test_maps_that_nobody_needs_may_be_missing(self, viton):
        shutil.rmtree(viton / "test" / "image-parse-v3")
        shutil.rmtree(viton / "test" / "openpose_json")
        sample = VitonHD(viton, SIZE, split="test", **PHRASE)[0]
        assert sample.labels is None
        assert sample.keypoints is None

    @pytest.mark.parametrize("content", ["{", "[]", '{"data": [{"file_name": "a.jpg"}]}', '{"data": 3}'])
    def test_bad_tags_are_named(self, viton, content):
        path = viton / "test" / "vitonhd_test_tagged.json"
        path.write_text(content)
        with pytest.raises(InputError, match="tags") as caught:
            VitonHD(viton, SIZE, split="test")
        assert str(path) in str(caught.value)

    def test_a_damaged_list_names_its_line(self, viton):
        (viton / "test_pairs.txt").write_text("00001_00.jpg 00002_00.jpg\nhalf\n")
        with pytest.raises(InputError, match="line 2"):
            VitonHD(viton, SIZE, split="test", **PHRASE)

    def test_a_missing_list_says_which(self, viton):
        with pytest.raises(InputError, match=r"train_pairs\.txt"):
            VitonHD(viton, SIZE, split="train", **PHRASE)

    @pytest.mark.parametrize(("content", "words"), [("", "is empty"), ("a.jpg a.jpg\na.jpg a.jpg\n", "occur twice")])
    def test_empty_and_doubled_lists(self, viton, content, words):
        (viton / "test_pairs.txt").write_text(content)
        with pytest.raises(InputError, match=words):
            VitonHD(viton, SIZE, split="test", **PHRASE)

    def test_a_size_must_fit_the_model(self, viton):
        with pytest.raises(InputError, match="multiples of 8"):
            VitonHD(viton, (100, 75), split="test", **PHRASE)


class TestDressCode:
    def test_categories_follow_one_another(self, dress):
        data = DressCode(dress, SIZE)
        assert data.names == ("upper_body_000001", "upper_body_000002", "lower_body_020001", "lower_body_020002")
        assert [files.category for files in data.files] == ["upper_body"] * 2 + ["lower_body"] * 2
        assert DressCode(dress, SIZE, categories=["lower_body"]).names == data.names[2:]

    def test_unpaired_list_and_captions(self, dress):
        data = DressCode(dress, SIZE, split="test", order="unpaired")
        assert data.names[0] == "upper_body_000001__000002"
        assert data.files[0].caption == "upper_body in denim"
        assert data.files[1].caption == "a striped long sleeve top"

    @pytest.mark.parametrize("colours", [True, False])
    def test_small_maps_and_scaled_keypoints_fit_the_photo(self, tmp_path, colours):
        root = dress_code(tmp_path, colours=colours)
        save(mask(), root / "upper_body" / "agnostic-mask" / "000001_0_mask.png")
        sample = DressCode(root, SIZE)[0]
        assert np.allclose(sample.keypoints, keypoints(), atol=1e-4)
        assert not sample.keypoints[17].any()
        assert (sample.labels == draw(ATR)).mean() > 0.98
        parts, _ = parts_of(sample.densepose)
        assert (parts == draw({}, parts=True)).mean() > 0.97

    def test_without_a_mask_the_error_names_it(self, dress):
        with pytest.raises(InputError, match="000001_0_mask"):
            DressCode(dress, SIZE)[0]

    def test_captions_may_lie_in_the_root(self, dress):
        for category in ("upper_body", "lower_body"):
            (dress / category / "dc_caption.txt").unlink()
        (dress / "dc_caption.txt").write_text("upper_body/images/000001_1.jpg a vest\n")
        data = DressCode(dress, SIZE, categories=["upper_body"], **PHRASE)
        assert data.files[0].caption == "a vest"
        assert data.missing_captions == ("000002_1.jpg",)

    def test_unknown_and_absent_categories(self, dress, tmp_path):
        with pytest.raises(InputError, match="unknown category"):
            DressCode(dress, SIZE, categories=["hats"])
        with pytest.raises(InputError, match="no category"):
            DressCode(tmp_path / "nothing", SIZE)


class TestPairsFolder:
    def test_a_wide_photo_keeps_its_shape(self, tmp_path):
        data = PairsFolder(pairs_folder(tmp_path), (128, 96))
        sample = data[0]
        assert (sample.caption, sample.category) == ("red top, plain", "upper_body")
        assert data.names == ("photos_anna__shop_red", "photos_ben__shop_red")
        ys, xs = sample.mask.nonzero()
        shown = mask(Size(96, 128)).nonzero()
        assert np.ptp(xs) / np.ptp(ys) == pytest.approx(np.ptp(shown[1]) / np.ptp(shown[0]), rel=0.05)
        edge = np.asarray(sample.person)[0]
        assert edge.std(0).max() > 3, "beyond the photo its border is repeated, not one colour"

    def test_captions_are_optional_and_counted(self, tmp_path):
        data = PairsFolder(pairs_folder(tmp_path), SIZE)
        assert data.missing_captions == ("red.png",)
        assert data.files[1].category == "dresses"
        with pytest.raises(InputError, match="no caption"):
            PairsFolder(tmp_path, SIZE, missing_caption="error")

    def test_maps_that_are_not_named_are_looked_for_where_prepare_writes(self, tmp_path):
        root = pairs_folder(tmp_path)
        save(mask(), root / "prepared" / "mask" / "photos_ben_dresses.png")
        save(colour_parts(draw({}, parts=True)), root / "prepared" / "densepose" / "photos_ben.png")
        assert np.array_equal(PairsFolder(root, SIZE)[1].mask, mask())

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "lacks a column"),
            ("person,cloth\n", "unknown column 'cloth'"),
            ("person,garmet\n", "'garment'?"),
            ("person,mask\n", "lacks a column"),
            ("person,garment\na.png\n", "line 2"),
            ("person,garment\na.png,b.png,c.png\n", "wrong number of cells"),
            ("person,garment\na.png,\n", "names no garment"),
            ("person,garment,category\na.png,b.png,hat\n", "line 2: 'hat'"),
            ('person,garment\n"a.png,b.png\n', "cannot be read"),
            ("person,garment\n", "is empty"),
        ],
    )
    def test_bad_lists(self, tmp_path, content, words):
        (tmp_path / "pairs.csv").write_text(content)
        with pytest.raises(InputError) as caught:
            PairsFolder(tmp_path, SIZE)
        assert words in str(caught.value)

    def test_no_list(self, tmp_path):
        with pytest.raises(InputError, match=r"pairs\.csv"):
            PairsFolder(tmp_path, SIZE)


class TestOpening:
    def test_each_layout_is_recognised(self, tmp_path):
        assert open_dataset(viton_hd(tmp_path / "v"), SIZE, split="test", **PHRASE)[0].size == SIZE
        assert len(open_dataset(dress_code(tmp_path / "d"), SIZE)) == 4
        assert len(open_dataset(pairs_folder(tmp_path / "p"), SIZE, **PHRASE)) == 2

    def test_anything_else_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="no data set"):
            open_dataset(tmp_path, SIZE)
        with pytest.raises(InputError, match="not a folder"):
            open_dataset(tmp_path / "nothing", SIZE)


def test_written_captions_of_both_kinds(viton):
    path = write_json(viton / "test" / "captions.json", {"00001_00.jpg": {"detailed": "a blue tee", "naive": "tee"}})
    for kind, caption in (("detailed", "a blue tee"), ("naive", "tee")):
        assert VitonHD(viton, SIZE, split="test", captions=kind, **PHRASE)[0].caption == caption
    path.write_text(json.dumps({"00001_00.jpg": "a blue tee"}))
    with pytest.raises(InputError, match="another form"):
        VitonHD(viton, SIZE, split="test", captions="naive")
