"""Weight files as people have them: one variant only, and what training scripts wrap around a state dict."""

import shutil
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline
from idmvton.checkpoint.folder import find_parts
from idmvton.errors import NameWarning, WeightsError
from idmvton.weights import find_weights, locate, read_tensors

NETWORK = {"conv.weight": torch.ones(2, 2), "conv.bias": torch.zeros(2)}


@pytest.fixture
def half(tmp_path):
    """The golden checkpoint with files of the variant fp16 only."""
    folder = tmp_path / "half"
    shutil.copytree(CHECKPOINT, folder)
    for path in folder.rglob("*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))
    return folder


def test_the_only_variant_is_taken(half, one_call, pipe):
    loaded = TryOnPipeline.from_pretrained(half, device="cpu")
    loaded.set_progress_bar_config(disable=True)
    assert torch.equal(loaded(**one_call).latents, pipe(**one_call).latents)


def test_the_command_line_has_the_option(half, photos, cli):
    call = ("try-on", photos / "anna.png", photos / "shirt.png", "--model", half, "--steps", "1")
    assert cli(*call, "-o", photos / "a.png").exit_code == 0
    assert cli(*call, "-o", photos / "b.png", "--variant", "fp16").exit_code == 0
    result = cli(*call, "-o", photos / "c.png", "--variant", "bf16")
    assert result.exit_code == 1
    assert "fp16" in result.stderr


def test_of_several_one_must_be_chosen(tmp_path):
    for variant in ("fp16", "ema"):
        save_file(NETWORK, tmp_path / f"model.{variant}.safetensors")
    with pytest.raises(WeightsError, match="ema, fp16"):
        find_weights(tmp_path, "model")
    assert [path.name for path in find_weights(tmp_path, "model", "ema")] == ["model.ema.safetensors"]


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "state_dict.module."])
def test_names_of_wrappers_are_dropped(tmp_path, prefix):
    save_file({prefix + name: tensor for name, tensor in NETWORK.items()}, tmp_path / "model.safetensors")
    assert read_tensors(tmp_path / "model.safetensors").keys() == NETWORK.keys()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda network: {"state_dict": network, "global_step": 3, "optimizer": {"state": {}}},
        lambda network: {"epoch": 1, "model": {f"module.{name}": tensor for name, tensor in network.items()}},
    ],
)
def test_training_scripts_dictionaries_are_unwrapped(tmp_path, wrap):
    torch.save(wrap(NETWORK), tmp_path / "model.bin")
    assert read_tensors(tmp_path / "model.bin").keys() == NETWORK.keys()


def test_what_cannot_be_unwrapped_is_named(tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(CHECKPOINT, folder)
    file = next((folder / "vae").glob("*.safetensors"))
    tensors = {f"net.{name}": tensor for name, tensor in read_tensors(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="all start with 'net'"):
        TryOnPipeline.from_pretrained(folder, device="cpu")


class TestAFolderOfTheSameName:
    """Where the working directory has a folder ``mini``, the name still means the weights."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("idmvton.weights.local.__warningregistry__", {}, raising=False)
        for number in range(30):
            (tmp_path / "mini" / f"photo-{number:02}").mkdir(parents=True)
        return tmp_path / "mini"

    def test_the_name_wins_and_that_is_said_once(self, folder):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("default")
            found = [locate("mini") for _ in range(2)]
        assert all((each / "unet").is_dir() for each in found)
        assert [each.category for each in told] == [NameWarning]
        assert "./mini" in str(told[0].message)

    def test_a_path_means_the_folder(self, folder):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert locate("./mini").samefile(folder)
            assert locate(Path("mini")).samefile(folder)
        with pytest.raises(WeightsError, match="not an IDM-VTON checkpoint") as raised:
            find_parts(locate("./mini"))
        assert "photo-07 and 22 more" in str(raised.value)

    def test_missing_weights_name_the_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "idm-vton").mkdir()
        with pytest.warns(NameWarning), pytest.raises(WeightsError, match=r"\./idm-vton"):
            locate("idm-vton", cache_dir=tmp_path)
