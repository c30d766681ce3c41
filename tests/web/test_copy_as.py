"""A result as a command, as Python, as a request."""

import json
import shlex

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


def test_one_of_several_pictures_is_made_alone_with_its_own_seed():
    one = Recipe("a.jpg", "b.jpg", "mini", {"seed": 5, "num_images": 3}).one(7)
    assert one.options == {"seed": 7}
    assert "seed=7" in as_python(one)


def test_what_was_learned_is_named_everywhere():
    recipe = Recipe("a.jpg", "b.jpg", "mini", {"seed": 5}, adapter="my jacket")
    words = shlex.split(as_command(recipe))
    assert words[words.index("--adapter") + 1] == "my jacket"
    assert "pipe.load_adapter('my jacket')" in as_python(recipe)
    assert "adapter=my jacket" in shlex.split(as_curl(recipe).replace("\\\n", " "))
