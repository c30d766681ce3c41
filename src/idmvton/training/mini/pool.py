"""Renders for training, made by worker processes and kept in the memory of the device that trains."""

from __future__ import annotations

import multiprocessing
import queue
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from idmvton.images import clip_pixel_values, to_vae_tensor
from idmvton.images.densepose import parts_of
from idmvton.training.masks import vary_mask
from idmvton.training.mini.shop_look import shop_look
from idmvton.training.sections import MaskOptions
from idmvton.types import Size

Arrays = dict[str, NDArray[Any]]
Maker = Callable[[int], tuple[Arrays, list[Any]]]
_STEPS: Final = 64  # of a pixel, in which a flow is kept
_LIKE_SHOPS: Final = 0.5
_UNSEEN, _HIDDEN = -32768, -32767  # where the garment is not seen; where the product picture does not show the spot


def render(seed: int, index: int, size: Size, preparer: Any, clip_size: int) -> tuple[Arrays, tuple[str, str]]:
    """One sample of the studio: a person, and two garments that fit. Every fourth poses freely.

    Half of the product pictures look like those of shops (:mod:`idmvton.training.mini.shop_look`).

    Args:
        seed, index: of the studio's streams: ``train``, and ``wild`` for free poses; not those of the test splits.
        size: of the pictures.
        preparer: makes the prepared maps; where None, or nobody is found, the exact ones are taken twice.
        clip_size: side of the image encoder's pictures.

    Returns:
        Arrays: ``person``, ``target`` (in the other garment), ``garment`` (2), ``outline`` (2), ``flow`` (2), ``mask``
        (2: exact, prepared), ``varied`` (2), ``parts`` (2), ``clip`` (2); and the captions of both garments.
    """
    from idmvton.draft.warp import garment_outlines
    from idmvton.studio.sampling import sample

    made = sample(seed, index, "wild" if index % 4 == 3 else "train", size=size, flow=True, worn=False)
    rng = np.random.default_rng([seed, index, 15])
    products = [
        shop_look(picture, outline, attributes["neckline"], rng) if rng.random() < _LIKE_SHOPS else picture
        for picture, outline, attributes in (
            (made.garment, made.garment_mask, made.attributes),
            (made.other_garment, made.other_garment_mask, made.other_attributes),
        )
    ]
    pictures = [Image.fromarray(each) for each in products]
    masks, parts = [made.mask > 0] * 2, [made.iuv[..., 0]] * 2
    if preparer is not None:
        masks[1], parts[1] = _prepared(made, preparer, masks[1], parts[1])
    varied = [vary_mask(each, rng, MaskOptions(grown=0.7, box=0.3)) for each in masks]
    assert made.flow is not None
    assert made.unpaired_flow is not None
    arrays: Arrays = {
        "person": made.person,
        "target": made.unpaired,
        "garment": np.stack(products),
        "outline": garment_outlines(to_vae_tensor(pictures))[:, 0].numpy(),
        "flow": np.stack([_packed(each) for each in (made.flow, made.unpaired_flow)]),
        "mask": np.stack(masks),
        "varied": np.stack(varied),
        "parts": np.stack(parts),
        "clip": clip_pixel_values(pictures, clip_size).numpy().astype(np.float16),
    }
    return arrays, (made.caption, made.other_caption)


def _prepared(made: Any, preparer: Any, mask: NDArray[Any], parts: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mask and body parts as a try-on makes them of the photo."""
    from idmvton.errors import PreparationError
    from idmvton.options import PrepareOptions

    try:
        found = preparer(Image.fromarray(made.person), options=PrepareOptions(category=made.category))
    except PreparationError:
        return mask, parts
    return found.photo_mask, found.framing.invert_labels(parts_of(found.densepose)[0])


def _packed(flow: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    finite = np.isfinite(flow)
    whole = np.rint(np.where(finite, flow, 0) * _STEPS).clip(-32000, 32767)
    return np.where(finite, whole, np.where(np.isnan(flow), _UNSEEN, _HIDDEN)).astype(np.int16)


def unpacked(flow: Tensor, size: Size) -> tuple[Tensor, Tensor, Tensor]:
    """Places from -1 to 1 (B, 2, H, W), where they are known, and where the garment is seen (B, 1, H, W; bool)."""
    values = flow.permute(0, 3, 1, 2)
    known, seen = (values > _HIDDEN).all(1, keepdim=True), (values > _UNSEEN).all(1, keepdim=True)
    scale = torch.tensor([2 / size.width, 2 / size.height], device=flow.device)[:, None, None] / _STEPS
    return torch.where(known, values.float() * scale - 1, 0.0), known, seen


class People:
    """Makes one sample of people at a time; every second one with prepared maps.

    Args:
        seed, size, clip_size: see :func:`render`.
        with_prepared: whether prepared maps are made at all.
    """

    def __init__(self, seed: int, size: Size, clip_size: int, with_prepared: bool) -> None:
        self.seed, self.size, self.clip_size = seed, size, clip_size
        from idmvton.prepare.preparer import Preparer

        self.preparer = Preparer() if with_prepared else None
        self._turn = False

    def __call__(self, index: int) -> tuple[Arrays, list[Any]]:
        """Arrays with a leading dimension of one, and what is told about it: the captions."""
        self._turn = not self._turn
        preparer = self.preparer if self._turn else None
        arrays, captions = render(self.seed, index, self.size, preparer, self.clip_size)
        return {name: value[None] for name, value in arrays.items()}, [captions]


def _work(number: int, count: int, make: Callable[[], Maker], folder: str, results: Any, stop: Any) -> None:
    """Renders every ``count``-th piece until told to stop; files are handed over by name."""
    torch.set_num_threads(1)
    index, maker = number, make()
    parent = multiprocessing.parent_process()
    while not stop.is_set() and (parent is None or parent.is_alive()):
        try:
            arrays, told = maker(index)
            path = Path(folder) / f"{index}.npz"
            np.savez(path, allow_pickle=False, **arrays)
            results.put((str(path), told))
        except Exception:  # a process of its own: what went wrong is told to the one that reads
            results.put((None, traceback.format_exc()))
        index += count


class Pool:
    """Samples on a device; grows while workers render.

    Args:
        capacity: the most samples that are kept.
        device: where.
        make: makes a maker in each process: piece number -> arrays of some rows, and what is told of each.
        workers: processes that render.
    """

    def __init__(self, capacity: int, device: torch.device, make: Callable[[], Maker], workers: int) -> None:
        self.capacity, self.device = capacity, device
        self.told: list[Any] = []
        self.errors: list[str] = []
        self._data: dict[str, Tensor] = {}
        shm = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None)
        context = multiprocessing.get_context("spawn")
        self._results, self._stop = context.Queue(maxsize=4 * workers), context.Event()
        shared = make, self._folder.name, self._results, self._stop
        self._processes = [
            context.Process(target=_work, args=(each, workers, *shared), daemon=True) for each in range(workers)
        ]
        for process in self._processes:
            process.start()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return len(self.told)

    def __getitem__(self, name: str) -> Tensor:
        """All samples of a kind, (N, ...)."""
        return self._data[name][: len(self)]

    def close(self) -> None:
        """Ends the workers; what is there stays."""
        self._stop.set()
        for process in self._processes:
            process.terminate()

    def _read(self) -> None:
        while not self._stop.is_set() and len(self) < self.capacity:
            try:
                path, told = self._results.get(timeout=1)
            except queue.Empty:
                continue
            if path is None:
                self.errors.append(told)
                continue
            rows = told[: self.capacity - len(self)]
            with np.load(path) as arrays:
                for name in arrays.files:
                    values = torch.from_numpy(arrays[name])
                    if name not in self._data:
                        shape = (self.capacity, *values.shape[1:])
                        self._data[name] = torch.empty(shape, dtype=values.dtype, device=self.device)
                    self._data[name][len(self) : len(self) + len(rows)].copy_(values[: len(rows)])
            Path(path).unlink()
            self.told += rows
        self._stop.set()
