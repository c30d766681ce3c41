"""A result as a command, as Python, as a request."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from idmvton.cli import app
from idmvton.web.copy_as import Recipe, as_command, as_curl, as_python, changed

RECIPE = Recipe(
    "anna.jpg",
    "red shirt.jpg",
    "mini",
    changed({"seed": 7, "caption": "it's red", "category": "upper", "mask_grow": -4, "keep_hands": False,
             "num_images": 1, "quality": "best"}),
    has_mask=True,
)  # fmt: skip


def test_only_what_differs_from_the_defaults_is_said():
    assert RECIPE.options.keys() == {"seed", "caption", "category", "mask_grow", "keep_hands"}


def test_the_command_reads_back_as_the_same_words():
    words = shlex.split(as_command(RECIPE))
    assert words[:4] == ["idmvton", "try-on", "anna.jpg", "red shirt.jpg"]
    assert words[words.index("--caption") + 1] == "it's red"
    assert words[words.index("--mask") + 1] == "mask.png"
    assert "--no-keep-hands" in words


def test_the_command_line_knows_every_option_of_the_command():
    words = [word.split("=")[0] for word in shlex.split(as_command(RECIPE)) if word.startswith("--")]
    told = CliRunner().invoke(app, ["try-on", "--help"], env={"COLUMNS": "300", "TERM": "dumb"}).output
    assert not [word for word in words if word not in told]


def test_the_script_is_python():
    compile(as_python(RECIPE), "script", "exec")
    assert "mask='mask.png'" in as_python(RECIPE)


def test_the_request_holds_the_options_as_json():
    words = shlex.split(as_curl(RECIPE).replace("\\\n", " "))
    options = next(word for word in words if word.startswith("options="))
    assert json.loads(options.removeprefix("options=")) == RECIPE.options
    assert "mask=@mask.png" in words


@pytest.mark.parametrize("count", [1, 3])
def test_several_pictures_have_seeds_that_count_up(count):
    script = as_python(Recipe("a.jpg", "b.jpg", "mini", {"seed": 5, "num_images": count}))
    assert ("seed=[5, 6, 7]" in script) == (count == 3)
