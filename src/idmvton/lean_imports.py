"""The command line and its processes start without what other libraries import and this one never calls.

Half of the seconds before a first picture went there: diffusers and transformers import torch's compiler, its sharded
tensors, peft and parts of scipy, gradio an SDK; and gradio writes a file of type hints beside each of its components.
Scipy's parts are imported when they are called after all. The others are for what no process of the command line does:
compile, shard a network, put adapters on through diffusers' own methods. Programs that import this library are left as
they are, and so are processes of a training on several GPUs.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final, TypeAlias

Around: TypeAlias = Callable[[Any], AbstractContextManager[None]]
"""Makes the context in which a module is executed."""


def import_less() -> None:
    """Has this process import less from now on; for processes of the command line."""
    if "RANK" not in os.environ and not _imports_less():
        sys.meta_path.insert(0, _Finder())


def without_compiler() -> AbstractContextManager[None]:
    """Where less is imported: networks are built without torch's compiler, which tensors without content would load."""
    return _in_place_of(_COMPILER) if _imports_less() else contextlib.nullcontext()


def _imports_less() -> bool:
    return any(isinstance(each, _Finder) for each in sys.meta_path)


class _Finder(MetaPathFinder):
    """Finds modules as Python does, and says for some in which context they are executed."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        around = _AROUND.get(name) or _AROUND.get(name.rpartition(".")[0] + ".*")
        spec = PathFinder.find_spec(name, path, target) if around else None
        if around and spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, around)
        return spec


class _Loader(Loader):
    """Executes a module in a context."""

    def __init__(self, loader: Loader, around: Around) -> None:
        self._loader, self._around = loader, around

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with self._around(module):
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _StandIn(ModuleType):
    """What is imported in the place of a module: it has some names, and gets others from the module itself."""

    def __init__(self, name: str, known: Mapping[str, Any]) -> None:
        super().__init__(name)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            self.__path__ = spec.submodule_search_locations  # modules in it can be imported
        vars(self).update(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def _in_place_of(modules: Mapping[str, Mapping[str, Any]], _module: Any = None) -> Iterator[None]:
    """Has imports of some modules find stand-ins with these names inside the block; what is loaded stays."""
    put: dict[str, _StandIn] = {}
    for name, known in modules.items():
        if name not in sys.modules:
            put[name] = sys.modules[name] = _StandIn(name, known)
    try:
        yield
    finally:
        for name, module in put.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


@contextlib.contextmanager
def _with(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Has an attribute another value inside the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _leave(function: Any = None, *_positional: Any, **_options: Any) -> Any:
    """A mark for torch's compiler, which means nothing where nothing is compiled."""
    return _leave if function is None else function


def _late(module: str, name: str) -> Callable[..., Any]:
    """A function that is imported when it is called."""
    return lambda *args, **options: getattr(importlib.import_module(module), name)(*args, **options)


_WRAPPED: Final = "torch._dynamo._trace_wrapped_higher_order_op"
_GETITEM: Final = "TransformGetItemToIndex"
_COMPILER: Final = {"torch._dynamo": dict.fromkeys(("allow_in_graph", "assume_constant_result", "disable"), _leave)}


@contextlib.contextmanager
def _without_marks(_module: Any) -> Iterator[None]:
    """Without marks that would load the compiler."""
    marks = importlib.import_module("torch.compiler")
    with _with(marks, "disable", _leave), _with(marks, "allow_in_graph", _leave):
        yield


@contextlib.contextmanager
def _without_question(torch_utils: Any) -> Iterator[None]:
    """What asks whether a module is compiled would load the compiler; before it is loaded nothing is."""
    with _in_place_of(_COMPILER):
        yield
    is_compiled = torch_utils.is_compiled_module
    torch_utils.is_compiled_module = lambda module: _is_loaded("torch._dynamo") and is_compiled(module)


def _is_loaded(name: str) -> bool:
    return name in sys.modules and not isinstance(sys.modules[name], _StandIn)


@contextlib.contextmanager
def _without_peft(module: Any) -> Iterator[None]:
    known = importlib.import_module("diffusers.utils.import_utils")
    with _with(known, "_peft_available", False), _without_marks(module):
        yield


@contextlib.contextmanager
def _without_peft_models(loading: Any) -> Iterator[None]:
    """What asks whether a network is one of peft's would load it; before it is loaded none is."""
    yield
    is_available = loading.is_peft_available
    loading.is_peft_available = lambda: _is_loaded("peft") and is_available()


@contextlib.contextmanager
def _without_peft_layers(peft_utils: Any) -> Iterator[None]:
    """Each call of a network would load peft to scale its layers; before it is loaded there are none."""
    yield
    for name in ("scale_lora_layers", "unscale_lora_layers"):
        setattr(peft_utils, name, partial(_if_loaded, "peft", getattr(peft_utils, name)))


def _if_loaded(module: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return function(*args, **options) if _is_loaded(module) else None


@contextlib.contextmanager
def _without_sharding(_module: Any) -> Iterator[None]:
    name = "is_torch_distributed_available"
    utils, more = (importlib.import_module(each) for each in ("transformers.utils", "transformers.utils.import_utils"))
    with _with(utils, name, lambda: False), _with(more, name, lambda: False):
        yield


@contextlib.contextmanager
def _without_hints(component_meta: Any) -> Iterator[None]:
    """Gradio would read the source of each component and write its type hints beside it."""
    yield
    component_meta.create_or_modify_pyi = lambda *_: None


@contextlib.contextmanager
def _without_mcp(_module: Any) -> Iterator[None]:
    """Gradio does without where this cannot be imported."""
    modules: dict[str, Any] = sys.modules
    if "mcp" in modules:
        yield
        return
    modules["mcp"] = None
    try:
        yield
    finally:
        del modules["mcp"]


_AROUND: Final[dict[str, Around]] = {
    "diffusers.utils.torch_utils": _without_question,
    "diffusers.utils.peft_utils": _without_peft_layers,
    "diffusers.hooks.layerwise_casting": _without_peft,
    "diffusers.loaders.lora_base": _without_peft,
    "diffusers.hooks.*": _without_marks,
    "diffusers.pipelines.pipeline_utils": _without_marks,
    "diffusers.pipelines.pipeline_loading_utils": _without_peft_models,
    "diffusers.schedulers.*": partial(_in_place_of, {"scipy.stats": {}, "scipy.integrate": {}}),
    "transformers.modeling_utils": _without_marks,
    "transformers.integrations.*": partial(_in_place_of, _COMPILER),
    "transformers.masking_utils": partial(_in_place_of, {**_COMPILER, _WRAPPED: {_GETITEM: _late(_WRAPPED, _GETITEM)}}),
    "transformers.distributed.*": _without_sharding,
    "transformers.loss.*": partial(
        _in_place_of, {"scipy.optimize": {"linear_sum_assignment": _late("scipy.optimize", "linear_sum_assignment")}}
    ),
    "gradio.component_meta": _without_hints,
    "gradio.mcp": _without_mcp,
}
