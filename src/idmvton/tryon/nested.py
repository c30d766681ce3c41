"""Tensors in nested mappings, sequences and dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

_Nested = TypeVar("_Nested")


def tensors_in(nested: Any) -> Iterator[Tensor]:
    """Every tensor, in a fixed order; other values are passed over."""
    for leaf in _leaves(nested):
        if isinstance(leaf, Tensor):
            yield leaf


def num_bytes(nested: Any) -> int:
    """Bytes of the tensors."""
    return sum(each.numel() * each.element_size() for each in tensors_in(nested))


def signature(nested: Any) -> Hashable:
    """Equal for values of the same structure whose tensors have the same shapes, dtypes and devices."""
    return tuple(
        (leaf.shape, leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else leaf for leaf in _leaves(nested)
    )


def map_tensors(nested: _Nested, function: Callable[[Tensor], Tensor]) -> _Nested:
    """The same structure with ``function(tensor)`` for every tensor."""
    made: Any = nested
    if isinstance(nested, Tensor):
        made = function(nested)
    elif isinstance(nested, Mapping):
        made = {key: map_tensors(value, function) for key, value in nested.items()}
    elif dataclasses.is_dataclass(nested) and not isinstance(nested, type):
        changed = {item.name: map_tensors(getattr(nested, item.name), function) for item in dataclasses.fields(nested)}
        made = dataclasses.replace(nested, **changed)
    elif isinstance(nested, tuple) and hasattr(nested, "_fields"):
        made = type(nested)(*(map_tensors(value, function) for value in nested))
    elif isinstance(nested, list | tuple):
        made = type(nested)(map_tensors(value, function) for value in nested)
    return made


def copy_tensors(source: Any, target: Any) -> None:
    """Copies every tensor of ``source`` into that of ``target``, in few kernels; both have the same signature."""
    pairs = [
        (into, each) for into, each in zip(tensors_in(target), tensors_in(source), strict=True) if into is not each
    ]
    if pairs:
        into, each = map(list, zip(*pairs, strict=True))
        torch._foreach_copy_(into, each)


def _leaves(nested: Any) -> Iterator[Any]:
    if isinstance(nested, Tensor | str | bytes):
        yield nested
    elif isinstance(nested, Mapping):
        for key, value in nested.items():
            yield key
            yield from _leaves(value)
    elif dataclasses.is_dataclass(nested) and not isinstance(nested, type):
        for item in dataclasses.fields(nested):
            yield from _leaves(getattr(nested, item.name))
    elif isinstance(nested, Iterable):
        for value in nested:
            yield from _leaves(value)
    else:
        yield nested
