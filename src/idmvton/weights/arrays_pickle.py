"""Reads pickles of NumPy arrays without running anything that is in them.

A pickle is a program: it may name any function of any library and call it. This reader knows a dozen names, those
that arrays, their types and plain containers are written with, and builds their values by itself; nothing is looked
up in any module. Any other name is refused before it is called, and named.
"""

from __future__ import annotations

import math
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.errors import WeightsError
from idmvton.weights.sniff import check_not_a_stand_in

_KINDS: Final = "biufc?"  # bool, integers, floats, complex; no objects, records, text or dates
_NOT_NUMBERS: Final = "an array whose contents are not plain numbers"
_REFUSED_FIX: Final = "use the published file; a file that needs other programs' objects cannot be trusted"


class _RefusedError(Exception):
    """The pickle asks for something that arrays and containers do not need."""


class _Admitted:
    """A name that a pickle may call. It takes no state: its behaviour cannot be changed from the file."""

    __slots__ = ("_make", "_name")

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self._name, self._make = name, make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _RefusedError(f"a change of {self._name}")

    def __reduce__(self) -> str:
        return self._name


class _Type:
    """A NumPy type while it is read; made of its name and its byte order."""

    __slots__ = ("dtype",)

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or not name or name[0] not in _KINDS or not name[1:].isdigit():
            raise _RefusedError(f"the type {name!r:.60} (numbers are read alone)")
        try:
            self.dtype = np.dtype(name)
        except TypeError as error:
            raise _RefusedError(f"the type {name!r:.60} (numbers are read alone)") from error

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), "<" | ">" | "|" | "=" as order, None, None, None, int(), int(), int()):
                self.dtype = self.dtype.newbyteorder(order)
            case _:
                raise _RefusedError("a type with fields or other additions (numbers are read alone)")


class _Array:
    """A NumPy array while it is read: empty until its state comes."""

    __slots__ = ("values",)

    def __init__(self, *_: object) -> None:
        self.values: NDArray[Any] | None = None

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple() as shape, _Type() as kind, bool() | int() as is_fortran, bytes() | str() as data):
                raw = data if isinstance(data, bytes) else data.encode("latin1")
                self.values = _array(raw, kind, shape, "F" if is_fortran else "C")
            case _:
                raise _RefusedError(_NOT_NUMBERS)


def _array(raw: object, kind: object, shape: object, order: object) -> NDArray[Any]:
    if not (isinstance(raw, bytes | bytearray) and isinstance(kind, _Type) and isinstance(shape, tuple)):
        raise _RefusedError(_NOT_NUMBERS)
    if order not in ("C", "F") or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise _RefusedError(_NOT_NUMBERS)
    if math.prod(shape) * kind.dtype.itemsize != len(raw):
        raise ValueError(f"an array of shape {shape} with {len(raw)} bytes")
    return np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if order == "F" else "C")


def _from_buffer(raw: object, kind: object, shape: object, order: object) -> _Array:
    array = _Array()
    array.values = _array(raw, kind, shape, order)
    return array


def _scalar(kind: object, raw: object) -> Any:
    data = raw.encode("latin1") if isinstance(raw, str) else raw
    return _array(data, kind, (), "C")[()]


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise _RefusedError(f"_codecs.encode to {encoding!r:.40}")
    return text.encode("latin1")


def _bytes(*arguments: object) -> bytes:
    if arguments:
        raise _RefusedError("bytes() of something")
    return b""


_ARRAY_TYPE: Final = _Admitted("numpy.ndarray", _Array)
_ADMITTED: Final[Mapping[tuple[str, str], object]] = {
    ("collections", "OrderedDict"): _Admitted("collections.OrderedDict", OrderedDict),
    ("_codecs", "encode"): _Admitted("_codecs.encode", _encode),
    ("__builtin__", "bytes"): _Admitted("bytes", _bytes),
    ("builtins", "bytes"): _Admitted("bytes", _bytes),
    ("numpy", "ndarray"): _ARRAY_TYPE,
    ("numpy", "dtype"): _Admitted("numpy.dtype", _Type),
    **{
        (f"numpy.{core}.{module}", name): _Admitted(f"numpy.core.{module}.{name}", make)
        for core in ("core", "_core")
        for module, name, make in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}


class _ArrayUnpickler(pickle.Unpickler):
    """Knows the names of arrays, types and containers alone."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise _RefusedError(f"{module}.{name}")
        return _ADMITTED[module, name]

    def persistent_load(self, identifier: object) -> Any:
        raise _RefusedError(f"something outside the file ({identifier!r:.60})")


def read_pickled_arrays(path: str | Path, inside: str | None = None) -> dict[str, NDArray[Any]]:
    """Reads a pickle that holds arrays by name, without running anything in it.

    Args:
        path: a ``.pkl`` file.
        inside: the entry of the outermost dictionary that holds the arrays; ``None`` takes all of the file.

    Returns:
        Name -> array, in the file's order; nested dictionaries are joined with dots. The arrays are read-only views
        of what was read.

    Raises:
        WeightsError: no such file, a placeholder, a web page, a truncated file; anything but arrays, numbers, text,
            lists and dictionaries in it (the message names it); no entry of that name.
    """
    path = Path(path)
    check_not_a_stand_in(path)
    tree = _load(path)
    if inside is not None:
        if not isinstance(tree, dict) or inside not in tree:
            held = ", ".join(map(repr, list(tree)[:8])) if isinstance(tree, dict) else type(tree).__name__
            raise WeightsError(f"{path} does not hold {inside!r}", got=held, expected=f"a dictionary with {inside!r}")
        tree = tree[inside]
    arrays: dict[str, NDArray[Any]] = {}
    _collect(path, tree, "", arrays)
    return arrays


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="latin1").load()
    except _RefusedError as error:
        raise WeightsError(
            f"{path} is refused: it asks for more than arrays and plain containers; nothing in it was run",
            got=str(error),
            expected="NumPy arrays of numbers, lists, dictionaries, text and numbers",
            fix=_REFUSED_FIX,
        ) from error
    except (
        pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
        OverflowError, MemoryError, RecursionError, UnicodeError, struct.error, OSError,
    ) as error:  # fmt: skip
        raise WeightsError(
            f"{path} is truncated or damaged",
            got=f"{type(error).__name__}: {str(error)[:200]}",
            fix="download the file again, for catalogue weights with `idmvton weights get NAME`",
        ) from error


def _collect(path: Path, tree: object, name: str, arrays: dict[str, NDArray[Any]]) -> None:
    if isinstance(tree, _Array) and tree.values is not None and name:
        if name in arrays:
            raise WeightsError(f"{path} holds two arrays called {name!r}")
        arrays[name] = tree.values
    elif isinstance(tree, dict) and all(isinstance(key, str) for key in tree):
        for key, value in tree.items():
            _collect(path, value, f"{name}.{key}" if name else key, arrays)
    else:
        raise WeightsError(
            f"{path} holds something that is not an array",
            got=f"{name or 'the whole file'}: {type(tree).__name__.strip('_').lower()}",
            expected="a dictionary of arrays",
        )
