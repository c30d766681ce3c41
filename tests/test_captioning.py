"""The captioner, with encoders whose embeddings are sums of word vectors: what it should say is then known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton.captions import templates as words
from idmvton.captions.captioner import Captioner
from idmvton.cli import app
from idmvton.errors import ConfigError, WeightsError
from idmvton.studio import colours, wardrobe

WIDTH = 1024


def word_vector(word):
    return torch.from_numpy(np.random.default_rng(list(word.encode())).normal(size=WIDTH)).float()


def phrase_vector(phrase):
    return torch.stack([word_vector(word) for word in phrase.split()]).sum(0)


class Tokenizer:
    def __call__(self, texts, **_):
        self.texts = texts
        return SimpleNamespace(input_ids=torch.arange(len(texts)))


class TextEncoder:
    config = SimpleNamespace(projection_dim=WIDTH)
    device = torch.device("cpu")
    calls = 0

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def __call__(self, ids):
        self.calls += 1
        return SimpleNamespace(text_embeds=torch.stack([phrase_vector(self.tokenizer.texts[n]) for n in ids]))


class ImageEncoder:
    config = SimpleNamespace(projection_dim=WIDTH, image_size=32)
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, phrase):
        self.phrase = phrase

    def __call__(self, pixels):
        assert pixels.shape == (1, 3, 32, 32)
        return SimpleNamespace(image_embeds=phrase_vector(f"a photo of {self.phrase}")[None])


def captioner_seeing(phrase):
    tokenizer = Tokenizer()
    return Captioner(ImageEncoder(phrase), TextEncoder(tokenizer), tokenizer)


PICTURE = Image.new("RGB", (30, 40), "red")


@pytest.mark.parametrize(
    "phrase",
    ["red striped short sleeve v neck t-shirt", "navy floral long sleeve round neck maxi dress", "blue denim shorts"],
)
def test_says_what_the_encoders_see(phrase):
    proposal = captioner_seeing(phrase)(PICTURE)
    assert proposal.caption == phrase
    assert proposal.category == words.ITEMS[proposal.words["item"][0]]
    assert all(0 < confidence <= 1 for _, confidence in proposal.words.values())


def test_lower_garments_have_no_sleeves():
    assert captioner_seeing("blue denim shorts")(PICTURE).words.keys() == {"item", "colour", "pattern"}


def test_a_category_narrows_the_items():
    proposal = captioner_seeing("red mini dress")(PICTURE, "lower_body")
    assert words.ITEMS[proposal.words["item"][0]] == "lower_body"


def test_unsure_words_are_left_out():
    captioner = captioner_seeing("t-shirt")
    captioner.logit_scale = 1e-6
    proposal = captioner(PICTURE)
    assert proposal.caption == proposal.words["item"][0]
    assert max(confidence for _, confidence in proposal.words.values()) < 0.4


def test_texts_are_embedded_once():
    captioner = captioner_seeing("red t-shirt")
    captioner(PICTURE)
    calls = captioner.text_encoder.calls
    captioner(PICTURE)
    assert captioner.text_encoder.calls == calls


def test_encoders_of_two_clips_are_refused(loaded):
    with pytest.raises(ConfigError, match="not trained together"):
        Captioner.from_pipeline(loaded)


@pytest.fixture
def clip_folder(tmp_path):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=sizes | {"vocab_size": 49408}, vision_config=sizes | {"image_size": 32, "patch_size": 16}
    )
    folder = tmp_path / "clip"
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPTokenizer.from_pretrained(CHECKPOINT / "tokenizer").save_pretrained(folder)
    return folder


def test_a_whole_clip_from_a_folder(clip_folder):
    captioner = Captioner.from_pretrained(clip_folder)
    clip = transformers.CLIPModel.from_pretrained(clip_folder)
    tokens = captioner.tokenizer(["a photo of jeans"], padding="max_length", return_tensors="pt")
    with torch.no_grad():
        embedding = clip.get_text_features(**tokens).pooler_output
    ours = captioner._embed_texts(("a photo of jeans",))
    assert torch.allclose(ours, torch.nn.functional.normalize(embedding, dim=-1), atol=1e-6)
    with pytest.raises(WeightsError, match="cannot load a CLIP"):
        Captioner.from_clip(clip_folder / "nowhere")


@pytest.mark.parametrize("name", ["captions.json", "captions.txt"])
def test_the_command_writes_what_it_prints(clip_folder, tmp_path, name):
    PICTURE.save(tmp_path / "one.png")
    arguments = ["caption", str(tmp_path), "--model", str(clip_folder), "-o", str(tmp_path / name), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (printed,) = json.loads(result.stdout).values()
    written = (tmp_path / name).read_text()
    assert printed["caption"] in written
    assert "one.png" in written
    assert printed["item"][0] in words.ITEMS


@pytest.mark.parametrize(("place", "message"), [("nowhere.png", "no such picture"), ("empty", "no pictures")])
def test_the_command_says_what_is_missing(tmp_path, place, message):
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(app, ["caption", str(tmp_path / place)])
    assert result.exit_code == 1
    assert message in result.stderr


def test_the_studio_speaks_the_same_words():
    assert {name: model.category for name, model in wardrobe.MODELS.items()} == words.ITEMS
    assert set(colours.COLOURS) <= set(words.COLOURS)
    spoken = {"collar": "collared", "hood": "hooded"}
    assert {spoken.get(name, name) for name in wardrobe.NECKLINES} == set(words.NECKLINES)
    assert set(wardrobe.SLEEVES) == set(words.SLEEVES)
    kinds = {kind for model in wardrobe.MODELS.values() for kind in model.fabrics or ()}
    assert kinds <= set(words.PATTERNS)
