"""Tools and benchmarks are run by hand, so what they import from this project is checked here."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = [*ROOT.glob("tools/*.py"), *ROOT.glob("benchmarks/*.py")]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_a_script_imports_is_there(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("idmvton", "benchmarks", "tests"):
            module = importlib.import_module(node.module)
            submodules = {each.name for each in pkgutil.iter_modules(getattr(module, "__path__", []))}
            assert [
                each.name for each in node.names if not hasattr(module, each.name) and each.name not in submodules
            ] == []
