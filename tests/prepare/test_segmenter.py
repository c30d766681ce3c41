"""Labels by any segmentation network: tables of classes, sides, settings, files."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from golden_data import GOLDEN
from idmvton.errors import WeightsError
from idmvton.prepare.backends.segmenter.segmenter import Segmenter
from idmvton.prepare.backends.segmenter.settings import read_settings
from idmvton.prepare.backends.segmenter.sides import is_left
from idmvton.prepare.backends.segmenter.tables import NAMES, table_of

FASHN = (
    "background", "face", "hair", "top", "dress", "skirt", "pants", "belt", "bag", "hat", "scarf", "glasses", "arms",
    "hands", "legs", "feet", "torso", "jewelry",
)  # fmt: skip
CLOTHES = (
    "Background", "Hat", "Hair", "Sunglasses", "Upper-clothes", "Skirt", "Pants", "Dress", "Belt", "Left-shoe",
    "Right-shoe", "Face", "Left-leg", "Right-leg", "Left-arm", "Right-arm", "Bag", "Scarf",
)  # fmt: skip
NOBODY = np.zeros((18, 2))
PHOTO = np.random.default_rng(0).integers(0, 255, (96, 72, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny SegFormer with random weights and the classes of fashn-human-parser."""
    path = tmp_path_factory.mktemp("segformer")
    torch.manual_seed(0)
    config = SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[4, 2],
        hidden_sizes=[8, 16],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=16,
        id2label=dict(enumerate(FASHN)),
    )
    SegformerForSemanticSegmentation(config).save_pretrained(path)
    about = {
        "size": {"height": 64, "width": 48},
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.2, 0.1],
        "resample": 2,
    }
    (path / "preprocessor_config.json").write_text(json.dumps(about))
    (path / "README.md").write_text("---\nlicense: other\nlicense_name: nvidia-segformer\n---\n")
    return path


def test_classes_of_known_parsers_have_ours():
    table = table_of(CLOTHES, "config.json")
    assert table == NAMES[:-1]
    assert table_of(FASHN, "config.json")[-6:] == ("arms", "arms", "legs", "shoes", "neck", "bag")


def test_unknown_classes_are_named():
    with pytest.raises(WeightsError, match="not known here") as caught:
        table_of(("background", "tail"), "config.json")
    assert "tail" in str(caught.value)
    assert "labels.json" in str(caught.value)


def test_a_transformers_network_is_the_same_as_by_hand(folder):
    segmenter = Segmenter(folder, "cpu")
    model = SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    small = np.asarray(Image.fromarray(PHOTO).resize((48, 64), Image.Resampling.BILINEAR), np.float64) / 255
    values = (small - [0.5, 0.4, 0.3]) / [0.2, 0.2, 0.1]
    with torch.inference_mode():
        logits = model(torch.tensor(values.transpose(2, 0, 1)[None], dtype=torch.float32)).logits
    large = torch.nn.functional.interpolate(logits, (96, 72), mode="bilinear")
    classes = large[0].argmax(0).numpy()
    labels = segmenter(PHOTO, NOBODY)
    assert labels.shape == (96, 72)
    for name, ours in (("face", "head"), ("top", "upper_clothes"), ("torso", "neck"), ("pants", "pants")):
        assert np.array_equal(classes == FASHN.index(name), labels == NAMES.index(ours)), name
    arms = np.isin(classes, [FASHN.index("arms"), FASHN.index("hands")])
    assert np.array_equal(arms, np.isin(labels, [NAMES.index("left_arm"), NAMES.index("right_arm")]))
    assert len(np.unique(classes)) > 5


def test_the_licence_is_told(folder, tmp_path):
    assert Segmenter(folder).settings.licence == "nvidia-segformer"
    shutil.copy(folder / "config.json", tmp_path)
    assert "not known" in read_settings(tmp_path).licence


def test_an_onnx_network_with_a_table(tmp_path):
    shutil.copy(GOLDEN / "schp" / "parsing_atr.onnx", tmp_path / "model.onnx")
    with pytest.raises(WeightsError, match="not said what the classes"):
        Segmenter(tmp_path)
    (tmp_path / "labels.json").write_text(json.dumps(dict(enumerate(NAMES[:-1]))))
    by_folder, by_file = Segmenter(tmp_path), Segmenter(tmp_path / "model.onnx")
    assert by_folder.settings.size == (512, 512)
    labels = by_folder(PHOTO, NOBODY)
    assert labels.max() < 18
    assert np.array_equal(labels, by_file(PHOTO, NOBODY))


def test_a_table_that_does_not_fit_is_named(tmp_path):
    shutil.copy(GOLDEN / "schp" / "parsing_atr.onnx", tmp_path / "model.onnx")
    (tmp_path / "labels.json").write_text(json.dumps({"0": "background", "1": "hat"}))
    with pytest.raises(WeightsError, match="do not fit"):
        Segmenter(tmp_path)(PHOTO, NOBODY)
    (tmp_path / "labels.json").write_text(json.dumps({"0": "background", "2": "hat"}))
    with pytest.raises(WeightsError, match="classes of a parser cannot be read"):
        Segmenter(tmp_path)


@pytest.mark.parametrize("broken", [{}, {"model.safetensors": b"none"}])
def test_a_folder_without_a_network_is_named(folder, tmp_path, broken):
    shutil.copy(folder / "config.json", tmp_path)
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be loaded"):
        Segmenter(tmp_path)
    with pytest.raises(WeightsError, match="holds no segmentation network"):
        Segmenter(tmp_path / "nowhere")


def test_joints_tell_left_from_right():
    points = np.zeros((18, 2))
    points[[2, 3, 4]], points[[5, 6, 7]] = [[20, 20], [15, 50], [60, 80]], [[50, 20], [60, 50], [62, 60]]
    region = np.zeros((96, 72), bool)
    region[48:52, 14:17] = region[78:82, 55:60] = True  # the right elbow, and the right hand on the photo's right
    assert not is_left(region, "arms", points).any()
    region[:] = False
    region[48:52, 58:62] = True
    assert is_left(region, "arms", points).all()


def test_without_joints_the_photo_s_right_is_the_person_s_left():
    region = np.zeros((10, 20), bool)
    region[5, 2] = region[5, 17] = True
    assert is_left(region, "legs", np.zeros((18, 2))).tolist() == [False, True]
