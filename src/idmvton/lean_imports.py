"""The command line and its processes start without what other libraries import and no command calls.

Diffusers and transformers import torch's compiler and its sharded tensors (4.5 s of CPU time with what these import),
and gradio writes a file of type hints beside each of its components (5.9 s). Where a version of theirs has other names,
it is left as it is; so are programs that import this library, and processes of a training on several GPUs.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

_COMPILER: Final = "torch._dynamo"
_GETITEM: Final = "torch._dynamo._trace_wrapped_higher_order_op", "TransformGetItemToIndex"


def import_less() -> None:
    """Has this process import less from now on; for processes of the command line."""
    if "RANK" not in os.environ and not _imports_less():
        sys.meta_path.insert(0, _Finder())


@contextlib.contextmanager
def without_compiler(_module: Any = None) -> Iterator[None]:
    """Where less is imported: marks for the compiler mean nothing inside the block, instead of loading it."""
    if not _imports_less() or _COMPILER in sys.modules:
        yield
        return
    module, name = _GETITEM
    marks = dict.fromkeys(("allow_in_graph", "assume_constant_result", "disable"), _leave)
    names: dict[str, Mapping[str, Any]] = {_COMPILER: marks, module: {name: lambda: _of(module, name)()}}
    put: dict[str, _StandIn] = {}
    try:
        for each, known in names.items():
            put[each] = sys.modules[each] = _StandIn(each, known)
        yield
    finally:
        for each, stand_in in put.items():
            if sys.modules.get(each) is stand_in:
                del sys.modules[each]


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
        return _of(self.__name__, name)


def _of(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _leave(function: Any = None, *_positional: Any, **_options: Any) -> Any:
    return _leave if function is None else function


def _is_loaded() -> bool:
    return _COMPILER in sys.modules and not isinstance(sys.modules[_COMPILER], _StandIn)


def _imports_less() -> bool:
    return any(isinstance(each, _Finder) for each in sys.meta_path)


@contextlib.contextmanager
def _diffusers_torch(torch_utils: Any) -> Iterator[None]:
    """To ask whether a network is compiled would load the compiler; before it is loaded none is."""
    with without_compiler():
        yield
    ask = getattr(torch_utils, "is_compiled_module", None)
    if ask is not None:
        torch_utils.is_compiled_module = lambda network: _is_loaded() and ask(network)


@contextlib.contextmanager
def _without_sharding(module: Any) -> Iterator[None]:
    """As transformers is where torch was built without it."""
    name = "is_torch_distributed_available"
    places = [importlib.import_module(each) for each in ("transformers.utils", "transformers.utils.import_utils")]
    before = [(place, getattr(place, name)) for place in places if hasattr(place, name)]
    try:
        for place, _ in before:
            setattr(place, name, lambda: False)
        yield
    finally:
        for place, function in before:
            setattr(place, name, function)


@contextlib.contextmanager
def _without_hints(component_meta: Any) -> Iterator[None]:
    yield
    if hasattr(component_meta, "create_or_modify_pyi"):
        component_meta.create_or_modify_pyi = lambda *_: None


_AROUND: Final[Mapping[str, Callable[[Any], contextlib.AbstractContextManager[None]]]] = {
    "diffusers.utils.torch_utils": _diffusers_torch,
    "diffusers.hooks.*": without_compiler,
    "diffusers.pipelines.pipeline_utils": without_compiler,
    "transformers.modeling_utils": without_compiler,
    "transformers.integrations.*": without_compiler,
    "transformers.masking_utils": without_compiler,
    "transformers.distributed.*": _without_sharding,
    "gradio.component_meta": _without_hints,
}
"""In what context modules are executed."""


class _Finder(MetaPathFinder):
    """Finds modules as Python does, and has some executed in a context."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        around = _AROUND.get(name) or _AROUND.get(name.rpartition(".")[0] + ".*")
        spec = PathFinder.find_spec(name, path, target) if around else None
        if around and spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module  # of a loader that was made for this module alone

            def inside(module: ModuleType) -> None:
                with around(module):
                    execute(module)

            spec.loader.exec_module = inside  # type: ignore[method-assign]
        return spec
