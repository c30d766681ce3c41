"""Renders for training, made by worker processes and kept in the memory of the device that trains."""

from __future__ import annotations

import multiprocessing
import queue
import tempfile
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from idmvton.images import clip_pixel_values, to_vae_tensor
from idmvton.prepare.densepose import parts_of
from idmvton.prepare.preparing import Preparer
from idmvton.training.masks import vary_mask
from idmvton.training.mini.shop_look import shop_look
from idmvton.training.options import MaskOptions
from idmvton.types import Size

Arrays = dict[str, NDArray[Any]]
_STEPS: Final = 64  # of a pixel, in which a flow is kept
_UNSEEN, _HIDDEN = -32768, -32767  # where the garment is not seen; where the product picture does not show the spot


def render(seed: int, index: int, size: Size, preparer: Any, clip_size: int) -> tuple[Arrays, tuple[str, str]]:
    """One sample of the studio: a person, and two garments that fit.

    Args:
        seed, index: of the studio's training stream.
        size: of the pictures.
        preparer: makes the prepared maps; where None, or nobody is found, the exact ones are taken twice.
        clip_size: side of the image encoder's pictures.

    Returns:
        Arrays: ``person``, ``target`` (in the other garment), ``garment`` (2), ``outline`` (2), ``flow`` (2), ``mask``
        (2: exact, prepared), ``varied`` (2), ``parts`` (2), ``clip`` (2); and the captions of both garments.
    """
    from idmvton.data.synthetic.sampling import sample
    from idmvton.warping import garment_outlines

    made = sample(seed, index, size=size, flow=True, worn=False)
    rng = np.random.default_rng([seed, index, 15])
    products = [
        shop_look(made.garment, made.garment_mask, made.attributes["neckline"], rng),
        shop_look(made.other_garment, made.other_garment_mask, made.other_attributes["neckline"], rng),
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


def _work(number: int, count: int, settings: Mapping[str, Any], results: Any, stop: Any) -> None:
    """Renders every ``count``-th sample until told to stop; files are handed over by name."""
    torch.set_num_threads(1)
    preparer = Preparer() if settings["prepared"] else None
    index = number
    while not stop.is_set():
        use = preparer if index // count % 2 == 0 else None
        try:
            arrays, captions = render(settings["seed"], index, settings["size"], use, settings["clip_size"])
            path = Path(settings["folder"]) / f"{index}.npz"
            np.savez(path, **arrays)
            results.put((str(path), captions, use is not None))
        except Exception:  # a process of its own: what went wrong is told to the one that reads
            results.put((None, traceback.format_exc(), False))
            preparer = None
        index += count


class Pool:
    """Samples on a device; grows while workers render.

    Args:
        capacity: the most samples that are kept.
        device: where.
        settings: ``seed``, ``size``, ``prepared``, ``clip_size``.
        workers: processes that render.
    """

    def __init__(self, capacity: int, device: torch.device, settings: Mapping[str, Any], workers: int) -> None:
        self.capacity, self.device, self.size = capacity, device, settings["size"]
        self.captions: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self.num_prepared = 0
        self._data: dict[str, Tensor] = {}
        shm = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None)
        context = multiprocessing.get_context("spawn")
        self._results, self._stop = context.Queue(maxsize=4 * workers), context.Event()
        told = dict(settings) | {"folder": self._folder.name}
        self._processes = [
            context.Process(target=_work, args=(each, workers, told, self._results, self._stop), daemon=True)
            for each in range(workers)
        ]
        for process in self._processes:
            process.start()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __len__(self) -> int:
        return len(self.captions)

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
                path, told, is_prepared = self._results.get(timeout=1)
            except queue.Empty:
                continue
            if path is None:
                self.errors.append(told)
                continue
            with np.load(path) as arrays:
                for name in arrays.files:
                    value = torch.from_numpy(arrays[name])
                    if name not in self._data:
                        self._data[name] = torch.empty(
                            (self.capacity, *value.shape), dtype=value.dtype, device=self.device
                        )
                    self._data[name][len(self)].copy_(value)
            Path(path).unlink()
            self.num_prepared += is_prepared
            self.captions.append(told)
        self._stop.set()
