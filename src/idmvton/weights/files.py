"""Weight files: finding them in a component folder, reading their tensors, writing tensors safely."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from idmvton.errors import WeightsError, some_of
from idmvton.weights.sniff import ACCEPTED_SUFFIXES, check_file

if TYPE_CHECKING:
    import torch

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "ema", "weights")
_PREFIXES = ("state_dict.", "module.", "_orig_mod.")
_GET = "fetch the weights with `idmvton weights get NAME`"


def find_weights(folder: str | Path, stem: str, variant: str | None = None) -> list[Path]:
    """The weight file or files of one component folder, as diffusers and transformers lay them out.

    In this order: ``STEM.safetensors``, the shards that ``STEM.safetensors.index.json`` lists, ``STEM.bin``,
    the shards that ``STEM.bin.index.json`` lists. The ``.bin`` files of a ``"model"`` are called
    ``pytorch_model``, so these are looked for too.

    Args:
        folder: the component's folder, for example ``.../unet``.
        stem: ``"diffusion_pytorch_model"``, ``"model"`` or ``"pytorch_model"``.
        variant: the part of the name between stem and suffix, for example ``"fp16"``; ``None`` takes the
            files without one, or the only variant where there are none.

    Returns:
        One file, or the shards in the order of their names.

    Raises:
        WeightsError: no such folder, nothing to load in it, a damaged index, or a missing shard.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise WeightsError(f"there is no folder {folder}", expected=f"a folder with {stem} weights", fix=_GET)
    candidates = list(_candidates(stem, variant))
    for single, indexes in candidates:
        if (folder / single).exists() or (folder / single).is_symlink():
            return [folder / single]
        for index in indexes:
            if (folder / index).is_file():
                return read_shard_index(folder / index)
    others = _variants(folder, stem)
    if variant is None and len(others) == 1:
        return find_weights(folder, stem, others[0])
    held = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    raise WeightsError(
        f"{folder} holds no weights to load" + (f" of the variant {variant!r}" if variant else ""),
        got=some_of(held) or "an empty folder",
        expected=" or ".join(single for single, _ in candidates) + ", or an index with its shards",
        fix=f"choose one of its variants: {', '.join(others)} (--variant, variant=)" if others else _GET,
    )


def _variants(folder: Path, stem: str) -> list[str]:
    """The variants of which a folder holds files."""
    stems = (stem, "pytorch_model") if stem == "model" else (stem,)
    found = set()
    for entry in folder.iterdir():
        for each in stems:
            match = re.fullmatch(
                re.escape(each) + r"(?:\.([\w-]+)(?:-\d+-of-\d+)?\.(?:safetensors|bin)|"
                r"\.(?:safetensors|bin)\.index\.([\w-]+)\.json)",
                entry.name,
            )
            if match:
                found.add(re.sub(r"-\d+-of-\d+$", "", match[1] or match[2]))
    return sorted(found)


def variant_of(path: Path, stem: str) -> str | None:
    """The variant that a weight file's name has."""
    middle = path.name.removeprefix(stem).removeprefix("pytorch_model").lstrip(".").rpartition(".")[0]
    return re.sub(r"-?\d+-of-\d+$", "", middle) or None


def _candidates(stem: str, variant: str | None) -> Iterator[tuple[str, list[str]]]:
    part = f".{variant}" if variant else ""
    names = [(stem, "safetensors"), (stem, "bin")] + ([("pytorch_model", "bin")] if stem == "model" else [])
    for name, suffix in names:
        yield (
            f"{name}{part}.{suffix}",
            [f"{name}.{suffix}.index{part}.json", f"{name}{part}.{suffix}.index.json"][: 2 if part else 1],
        )


def read_shard_index(index: Path) -> list[Path]:
    """The shards that an index file lists, in the order of their names.

    Raises:
        WeightsError: a damaged index, a name that leads out of the folder, or a shard that is not there.
    """
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        plain = bool(names) and all(PurePosixPath(name).name == name and "\\" not in name for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{index} cannot be read as a list of shards",
            got=f"{type(error).__name__}: {error}",
            expected='{"weight_map": {tensor name: file name}}',
            fix=_GET,
        ) from error
    if not plain:
        raise WeightsError(
            f"{index} lists something that is not a file beside it", got=names, expected="plain file names"
        )
    missing = [name for name in names if not (index.parent / name).exists()]
    if missing:
        raise WeightsError(
            f"{len(missing)} of the {len(names)} shards that {index} lists are missing",
            got="no " + ", ".join(missing[:5]),
            fix=_GET,
        )
    return [index.parent / name for name in names]


def read_tensors(
    path: str | Path,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    *,
    suffixes: tuple[str, ...] = ACCEPTED_SUFFIXES,
) -> dict[str, torch.Tensor]:
    """Reads the tensors of one weight file, without ever running code from it.

    Memory-light: a safetensors file is read tensor by tensor and a ``.bin`` is memory-mapped, so no second
    copy of the whole file is held. Nested dictionaries (image-prompt files: ``{"image_proj": {...},
    "ip_adapter": {...}}``)
    are flattened with dots: ``"image_proj.latents"``.

    Args:
        path: a ``.safetensors`` or ``.bin`` file.
        dtype: the type of the floating tensors that are returned; ``None`` keeps each as it is. Integer and
            boolean tensors are never converted.
        device: where the tensors are put, as torch spells it.
        suffixes: those that the file may have; see :func:`check_file`.

    Returns:
        Name -> tensor, in the file's order, any shapes.

    Raises:
        WeightsError: what :func:`check_file` raises; a pickle with anything but tensors; a damaged file.
    """
    path = Path(path)
    layout = check_file(path, suffixes)
    if layout == "safetensors":
        return without_wrappers(_read_safetensors(path, dtype, device))
    tensors: dict[str, torch.Tensor] = {}
    content = _unwrapped(_load_pickle(path, mmap=layout == "torch zip"))
    for name, tensor in _leaves(path, content, ()):
        if name in tensors:
            raise WeightsError(f"{path} holds two tensors called {name!r}")
        tensors[name] = _placed(tensor, dtype, device)
    return without_wrappers(tensors)


def _unwrapped(content: Any) -> Any:
    """The state dict itself, where a training script saved it among its step and optimizer."""
    for name in _WRAPPERS:
        inner = content.get(name) if isinstance(content, Mapping) else None
        if isinstance(inner, Mapping) and inner:
            return _unwrapped(inner)
    return content


def without_wrappers(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors by the names of the network itself, without what wraps it in parallel training and compilation."""
    found = dict(tensors)
    while found and (prefix := next((each for each in _PREFIXES if all(map(_starts(each), found))), None)):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def _starts(prefix: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(prefix)


def _placed(tensor: torch.Tensor, dtype: torch.dtype | None, device: str) -> torch.Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)


def _read_safetensors(path: Path, dtype: torch.dtype | None, device: str) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=device) as file:
            names = file.keys()
            return {name: _placed(file.get_tensor(name), dtype, device) for name in names}
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged", got=error, fix=_GET) from error


def _load_pickle(path: Path, *, mmap: bool) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is refused: it holds more than tensors, or is damaged; its code was not run",
            got=str(error).strip().splitlines()[-1][:300],
            expected="tensors only, best as safetensors",
            fix="fetch the safetensors file, or convert this one with the program that wrote it",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is damaged", got=str(error)[:300], fix=_GET) from error


def _leaves(path: Path, value: Any, names: tuple[str, ...]) -> Iterator[tuple[str, torch.Tensor]]:
    import torch

    if isinstance(value, torch.Tensor) and names:
        yield ".".join(names), value.detach()
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise WeightsError(
                    f"{path} holds an entry whose name is not text", got=repr(name), expected="tensor names"
                )
            yield from _leaves(path, inner, (*names, name))
    else:
        raise WeightsError(
            f"{path} holds something that is not a tensor",
            got=f"{'.'.join(names) or 'the whole file'}: {type(value).__name__}",
            expected="a dictionary of tensors",
            fix="save the model's state dict alone, without optimizer, step or settings",
        )


def read_notes(path: str | Path) -> dict[str, str]:
    """The texts that a safetensors file has beside its tensors; no tensor is read.

    Raises:
        WeightsError: what :func:`check_file` raises, or a damaged file.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    check_file(path, (".safetensors",))
    try:
        with safe_open(path, framework="np") as file:  # loads no torch
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged", got=error, fix=_GET) from error


def write_tensors(
    tensors: Mapping[str, torch.Tensor], path: str | Path, notes: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Writes tensors as a safetensors file that is either whole or not there.

    The file is written under a temporary name in the same folder, flushed to the disk, and renamed over
    ``path``; whatever interrupts it, no partial file stays behind and an older file stays as it was.

    Args:
        tensors: name -> tensor, any shapes, types and devices. Tensors that share memory are written each in
            full.
        path: a file name ending in ``.safetensors``; missing folders are made.
        notes: texts that the file has beside them.

    Raises:
        WeightsError: another suffix, something that is not a tensor, or a disk that cannot take the file.
    """
    import torch

    path = Path(path)
    if path.suffix != ".safetensors":
        raise WeightsError(f"{path.name} cannot be written", got=repr(path.suffix), expected=".safetensors")
    wrong = [name for name, value in tensors.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise WeightsError("only tensors can be written", got=f"{wrong[0]}: {type(tensors[wrong[0]]).__name__}")
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode  # what the umask gives; save_file would make it private
        save_file(_separate(tensors), temporary, metadata={"format": "pt", **notes})
        temporary.chmod(mode)
        _flush(temporary)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path} could not be written", got=error, fix="check the folder's free space and permissions"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # renamed, or never made
            temporary.unlink()
    with contextlib.suppress(OSError):  # not every system can flush a folder
        _flush(path.parent)


def _separate(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors on the CPU, contiguous, none overlapping another: what the format can hold."""
    spans: dict[int, list[tuple[int, int]]] = {}
    separate = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        first, last = plain.data_ptr(), plain.data_ptr() + plain.numel() * plain.element_size()
        storage = spans.setdefault(plain.untyped_storage().data_ptr(), [])
        if any(first < other_last and other_first < last for other_first, other_last in storage):
            plain = plain.clone()
        else:
            storage.append((first, last))
        separate[name] = plain
    return separate


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
