"""The shape of the code: imports point one way, importing is free, files stay short."""

import ast
import importlib.metadata
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "idmvton"
LAYERS = [
    {"errors"},
    {"types"},
    {"declared", "devices", "atomic", "quiet"},
    {"options"},
    {"resume"},
    {"images"},
    {"weights"},
    {"models"},
    {"draft"},
    {"checkpoint"},
    {"captions"},
    {"prepare"},
    {"tryon"},
    {"data"},
    {"studio"},
    {"training"},
    {"customize"},
    {"evaluate"},
    {"engine"},
    {"mcp", "server", "web"},
    {"cli", "client"},
]
LAYER = {name: number for number, layer in enumerate(LAYERS) for name in layer}
ENTRY_POINTS = {"__init__", "__main__"}


def modules():
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).with_suffix("").parts[0], path


def imports_of(path):
    """Every name of the package that a file imports, inside functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("idmvton.") for name in names if name.startswith("idmvton."))


def files():
    """Module -> path, below the package; a folder's ``__init__`` goes by the folder's name."""
    paths = [path for _, path in modules() if path.parent != SOURCE or path.stem not in ENTRY_POINTS]
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def arrows(paths):
    """Module -> the modules that it imports; a name in a module stands for the module."""

    def module_of(name):
        return name if name in paths else name.rpartition(".")[0]

    return {
        module: {module_of(name) for name in imports_of(path)} & paths.keys() - {module}
        for module, path in paths.items()
    }


def circle_in(arrows):
    """A list of modules that import one another in turn; empty where there is none."""
    left = dict(arrows)
    while free := {module for module, imported in left.items() if not imported & left.keys()}:
        left = {module: imported for module, imported in left.items() if module not in free}
    path = list(left)[:1]
    while path and path[-1] not in path[:-1]:
        path.append(next(iter(sorted(left[path[-1]] & left.keys()))))
    return path[path.index(path[-1]) :] if path else []


def test_every_module_has_its_layer():
    assert {name for name, _ in modules()} - ENTRY_POINTS <= LAYER.keys()


@pytest.mark.parametrize("module", sorted({name for name, _ in modules()} - ENTRY_POINTS))
def test_imports_point_one_way(module):
    for name, path in modules():
        if name != module:
            continue
        for imported in {name.split(".")[0] for name in imports_of(path)} - {module, "__version__"}:
            assert LAYER[imported] < LAYER[module], f"{path.relative_to(SOURCE)} imports {imported}"


def test_no_file_imports_itself_by_way_of_others():
    assert not circle_in(arrows(files()))


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    from idmvton.tryon.pipeline import TryOnPipeline\n",
        "if TYPE_CHECKING:\n    from idmvton.tryon.pipeline import TryOnPipeline\n",
    ],
)
def test_the_check_sees_imports_inside_functions_and_for_type_checkers(tmp_path, text):
    (tmp_path / "module.py").write_text(text)
    assert list(imports_of(tmp_path / "module.py")) == ["tryon.pipeline.TryOnPipeline"]


def test_the_check_sees_circles_inside_a_folder(tmp_path):
    (tmp_path / "one.py").write_text("from idmvton.prepare.two import b\n")
    (tmp_path / "two.py").write_text("def f():\n    from idmvton.prepare import three\n")
    (tmp_path / "three.py").write_text("from idmvton.prepare.one import a\n")
    (tmp_path / "four.py").write_text("from idmvton.prepare import one\n")
    paths = {f"prepare.{path.stem}": path for path in tmp_path.iterdir()}
    assert set(circle_in(arrows(paths))) == {"prepare.one", "prepare.two", "prepare.three"}
    del paths["prepare.two"]
    assert not circle_in(arrows(paths))


def test_no_private_or_heavy_imports():
    for _, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(alias.name for alias in node.names)]
                library = node.module.split(".")[0]
                assert library != "torchvision"
                if library in ("diffusers", "transformers"):
                    assert not any(part.startswith("_") for name in names for part in name.split(".")), path


def test_files_stay_short():
    long = [path.name for _, path in modules() if len(path.read_text().splitlines()) > 420]
    assert not long


def run(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("names", ["idmvton", "idmvton.cli", "idmvton.weights, idmvton.images"])
def test_importing_loads_no_torch(names):
    heavy = ("torch", "diffusers", "transformers", "cv2", "huggingface_hub")
    code = f"import {names}; import sys; print([name for name in {heavy} if name in sys.modules])"
    assert run(sys.executable, "-c", code).strip() == "[]"


def cpu_seconds(code):
    """Processor time of the quickest of three runs: what other programs do on the machine matters little."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(sys.executable, "-c", code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def test_help_loads_no_torch_and_costs_little_more_than_typer():
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\n"
        "sys.argv = ['idmvton', '--help']\n"
        "from idmvton.cli import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "try-on" in result.stdout
    assert result.stderr.strip() == "False"
    alone = "import typer.testing, rich.table, rich.progress"
    assert cpu_seconds(code) < 3 * cpu_seconds(alone)


def test_public_names_are_there():
    import idmvton

    for name in idmvton.__all__:
        assert getattr(idmvton, name).__doc__
    assert set(idmvton.__all__) <= set(dir(idmvton))
    assert idmvton.__version__ == importlib.metadata.version("idmvton")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = idmvton.nothing
