"""Recipes: typed, strict, and complete."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from idmvton.cli import app
from idmvton.errors import ConfigError, MissingExtraError
from idmvton.options import describe
from idmvton.training.optimization import make_optimizer
from idmvton.training.recipe import find_recipe, load_recipe, make_recipe, recipe_folder
from idmvton.training.sections import OptimizerOptions

ALL = sorted(path.stem for path in recipe_folder().rglob("*.toml"))
FULL_SIZE = ("viton_hd", "dress_code")


def test_the_recipes_are_there():
    assert ALL == [
        "dress_code",
        "mini_clip",
        "mini_text_to_image",
        "mini_tryon",
        "mini_vae",
        "mini_vae_decoder",
        "mini_warp",
        "tiny_cpu",
        "viton_hd",
    ]
    tasks = {load_recipe(name).task for name in ALL}
    assert tasks == {"tryon", "mini_tryon", "text_to_image", "autoencoder", "contrastive", "warp"}
    assert {path.parent.name for path in map(find_recipe, ALL)} == {"recipes", "mini"}
    assert {load_recipe(name).task for name in ALL if find_recipe(name).parent.name == "recipes"} == {"tryon"}


@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_recipes_are_the_published_training(name):
    recipe = load_recipe(name)
    train, optimizer, data, validation = (
        recipe.sections[each] for each in ("train", "optimizer", "data", "validation")
    )
    assert (train.batch_size, train.steps, train.precision, train.max_grad_norm) == (24, 63_000, "bfloat16", 1.0)
    assert (optimizer.name, optimizer.learning_rate, optimizer.weight_decay) == ("adamw", 1e-5, 1e-2)
    assert (data.height, data.width) == (1024, 768)
    assert (validation.num_inference_steps, validation.guidance_scale) == (30, 2.0)
    assert (recipe.sections["tryon"].init, recipe.sections["tryon"].time_ids) == ("parts", "height_width")
    assert recipe.sections["tryon"].garment_timestep is None
    assert recipe.sections["noise"].to_dict()["prediction_type"] == "epsilon"


@pytest.mark.parametrize("name", ALL)
def test_every_option_has_help(name):
    for section in load_recipe(name).sections.values():
        assert all(option.help.endswith(".") for option in describe(type(section)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task": "tryout"}, "one of tryon"),
        ({"tasks": "tryon"}, "'task'"),
        ({"trian": {}}, r"\[train\]\?"),
        ({"train": {"step": 3}}, "'steps'"),
        ({"train": {"steps": 0}}, r"\[train\]: steps is out of range"),
        ({"train": {"steps": "many"}}, "wrong type"),
        ({"train": 3}, "unknown option 'train'"),
        ({"unet": {"block_out_channels": 64}}, "a list, each int from 8"),
        ({"unet": {"block_out_channels": [64, 1]}}, "out of range"),
        ({"task": "autoencoder", "tryon": {}}, r"unknown section \[tryon\]"),
        ({"optimizer": {"name": "sgd"}}, "one of adamw, adamw_8bit"),
    ],
)
def test_unknown_and_wrong_values_are_errors(values, words):
    with pytest.raises(ConfigError, match=words):
        make_recipe(values)


def test_changes():
    recipe = load_recipe(
        "tiny_cpu",
        ["train.steps=7", "data.folder=some/where", "unet.block_out_channels=[32, 64, 64]", "train.max_minutes=2"],
    )
    assert recipe.sections["train"].steps == 7
    assert recipe.sections["train"].max_minutes == 2.0
    assert recipe.sections["data"].folder == "some/where"
    assert recipe.sections["unet"].block_out_channels == (32, 64, 64)
    for change, words in (
        ("train.steps", "section.name=value"),
        ("=3", "section.name=value"),
        ("train.stepz=3", "'steps'"),
        ("task.name=3", "names no section"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_recipe("tiny_cpu", [change])


def test_finding_recipes(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('task = "autoencoder"\n[train]\nsteps = 3\n')
    assert load_recipe(own).name == "own"
    with pytest.raises(ConfigError, match="tiny_cpu"):
        find_recipe("tiny_gpu")
    own.write_text("task = ")
    with pytest.raises(ConfigError, match="TOML"):
        load_recipe(own)


def test_a_recipe_survives_json():
    recipe = load_recipe("mini_tryon")
    again = make_recipe(json.loads(json.dumps(recipe.to_dict(), default=list)), "mini_tryon")
    assert again == recipe


def test_the_package_carries_the_recipes():
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"]["recipes"] == "idmvton/training/recipes"


def test_reading_recipes_loads_no_torch():
    load = "from idmvton.training.recipe import load_recipe; load_recipe('tiny_cpu')"
    code = f"{load}; import sys; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_the_command_explains_itself():
    runner = CliRunner()
    shown = runner.invoke(app, ["train", "tiny_cpu", "--set", "train.steps=3", "--show"])
    assert json.loads(shown.stdout)["train"]["steps"] == 3
    wrong = runner.invoke(app, ["train", "tiny_cpu", "--set", "train.stepz=3"])
    assert wrong.exit_code == 1
    assert "'steps'?" in wrong.output
    missing = runner.invoke(app, ["train", "nothing"])
    assert missing.exit_code == 1
    assert "tiny_cpu" in missing.output


def test_the_optimizer_in_eight_bits(monkeypatch):
    made = []
    module = SimpleNamespace(optim=SimpleNamespace(AdamW8bit=lambda *a, **k: made.append((a, k))))
    monkeypatch.setitem(sys.modules, "bitsandbytes", module)
    make_optimizer([], OptimizerOptions(name="adamw_8bit", learning_rate=0.5, weight_decay=0.25))
    assert made == [(([],), {"lr": 0.5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.25})]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("bitsandbytes", r"idmvton\[adam8bit\]"),
        ("peft", r"idmvton\[lora\]"),
        ("torch.utils.tensorboard", "tensorboard"),
    ],
)
def test_missing_extras_name_the_line_that_installs_them(monkeypatch, tmp_path, module, words):
    from idmvton.training.lora import _peft
    from idmvton.training.metrics import _tensorboard

    monkeypatch.setitem(sys.modules, module, None)
    calls = {
        "bitsandbytes": lambda: make_optimizer([], OptimizerOptions(name="adamw_8bit")),
        "peft": _peft,
        "torch.utils.tensorboard": lambda: _tensorboard(tmp_path),
    }
    with pytest.raises(MissingExtraError, match=words) as caught:
        calls[module]()
    assert "pip install" in str(caught.value)
