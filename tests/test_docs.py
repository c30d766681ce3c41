"""What the documentation names is there: links, files, modules, commands with their options, recipes."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from idmvton.cli import app
from idmvton.training.recipe import find_recipe

ROOT = Path(__file__).parents[1]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
BLOCKS = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:^|[;&|(]|-m|\bdo\b|bin/)\s*(idmvton(?= )[^#;&|]*)")


def links(text):
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def code_lines(text):
    """Lines of code blocks, continued ones as one, and inline code."""
    blocks = [line for block in BLOCKS.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return blocks + INLINE.findall(BLOCKS.sub("", text))


def commands(text):
    return [found.strip(" )") for line in code_lines(text) for found in COMMAND.findall(line)]


def files(text):
    """Paths of this project's files in inline code, from the root or from the package."""
    named = INLINE.findall(BLOCKS.sub("", text))
    scripts = re.findall(r"python (tools/\S+\.py)", text)
    benchmarks = [f"benchmarks/{name}.py" for name in re.findall(r"python -m benchmarks\.(\w+)", text)]
    return scripts + benchmarks + [name for name in named if re.fullmatch(r"[\w./-]+/[\w.-]+\.(py|md|toml)", name)]


def names(text):
    return [name for name in INLINE.findall(BLOCKS.sub("", text)) if re.fullmatch(r"idmvton(\.\w+)+", name)]


def misfits(line):
    """What is wrong with a command line, in words; None if nothing is."""
    words = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app)
    while hasattr(command, "commands") and words:
        if words[0] not in command.commands and (usual := getattr(command, "usual_command", None)):
            command = command.commands[usual]
            break
        if words[0].startswith("-"):
            break
        choices = re.fullmatch(r"[a-z-]+(\|[a-z-]+)*", words[0].replace(" ", "")) and words[0].split("|")
        if missing := [each for each in choices or [words[0]] if each not in command.commands]:
            return f"no command {missing[0]!r}"
        command = command.commands[words.pop(0).split("|")[0]]
    known = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)} | {"--help"}
    flags = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    if unknown := flags - known:
        return f"no option {', '.join(sorted(unknown))}"
    if command.name == "train" and words and not words[0].startswith(("-", "$")):
        find_recipe(words[0])
    return None


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    assert [target for target in links(PAGES[page]) if not (folder / target.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_are_there(page):
    places = ROOT, ROOT / "src", ROOT / "src" / "idmvton"
    assert [name for name in files(PAGES[page]) if not any((place / name).exists() for place in places)] == []


@pytest.mark.parametrize("page", PAGES)
def test_names_can_be_imported(page):
    for name in names(PAGES[page]):
        module, rest = name.split("."), []
        while importlib.util.find_spec(".".join(module[:1])) and module:
            try:
                found = importlib.import_module(".".join(module))
                break
            except ModuleNotFoundError:
                rest.insert(0, module.pop())
        for part in rest:
            found = getattr(found, part)


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_their_options_exist(page):
    assert {line: wrong for line in commands(PAGES[page]) if (wrong := misfits(line))} == {}


def test_the_checks_see_what_is_wrong():
    text = (
        "A [link](docs/nowhere.md) and `idmvton/no/such.py`.\n\n"
        "```sh\nidmvton data pack DIR -o OUT --sise 64x48   # a comment\nfor each in a b; do idmvton draw $each; done\n"
        "idmvton train viton_hd --set train.steps=3 && idmvton weights list\n```\n`idmvton weights list | get`\n"
    )
    assert links(text) == ["docs/nowhere.md"]
    assert files(text) == ["idmvton/no/such.py"]
    found = commands(text)
    assert [misfits(line) for line in found] == ["no option --sise", "no command 'draw'", None, None, None]
    assert len([line for page in PAGES.values() for line in commands(page)]) > 30


def test_each_hook_is_a_check_of_make_test():
    """What runs before a commit and what `make test` runs is declared once, in the Makefile; nothing is fetched."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    targets = [hook["entry"].removeprefix("make ") for hook in hooks]
    makefile = (ROOT / "Makefile").read_text()
    tested = re.search(r"^test: (.*)$", makefile, re.MULTILINE).group(1).split()
    assert set(targets) == {"lint", "types", "spelling", "links"}
    assert set(targets) <= {*tested, "links"}  # the links' test is one of pytest's
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
