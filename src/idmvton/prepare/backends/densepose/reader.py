"""DensePose on photos: who is there, and where on the body each pixel of one of them is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from idmvton.devices import resolve_device
from idmvton.errors import NoPersonError
from idmvton.prepare.backends.densepose.boxes import clip_boxes
from idmvton.prepare.backends.densepose.decoding import decode_box, place_in_picture, whole_pixels
from idmvton.prepare.backends.densepose.network import DensePoseNet
from idmvton.prepare.backends.loading import fill_network
from idmvton.weights import locate_file
from idmvton.weights.arrays_pickle import read_pickled_arrays

ENTRY: Final = "densepose-r50"
SHORT_SIDE: Final = 800
LONG_SIDE: Final = 1333
"""Pixels of the network's picture: its shorter side is 800, its longer one not above 1333."""
MIN_SCORE: Final = 0.8
"""Of a person that is taken as one, as in the published system."""
_CUDNN_LOCK: Final = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The people of a photo, the surest first.

    Attributes:
        boxes: float32 (N, 4), x0, y0, x1, y1, pixels of the photo.
        scores: float32 (N,), from 0 to 1.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class BodyReading:
    """One person.

    Attributes:
        parts: uint8 (H, W), the 24 body parts, 0 where the person is not.
        u, v: float32 (H, W), the place on the part's surface, about 0 to 1, 0 where the person is not.
        box: x0, y0, x1, y1, pixels of the photo.
        score: from 0 to 1.
    """

    parts: NDArray[np.uint8]
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    box: tuple[float, float, float, float]
    score: float


Choice = Callable[[People], int]
"""Which of the people is read; it is only asked where there are some."""


class DensePoseReader:
    """Reads photos. Loaded once, it is called for many.

    Args:
        file: ``model_final_162be9.pkl``; by default the catalogue's, from the cache.
        device: where the network runs; ``"auto"`` takes a GPU where there is one.
        min_score: people below or at this score, from 0 to 1, do not count.

    Raises:
        WeightsError: the file is not on this machine (the message holds the command that fetches it), or is another.
    """

    def __init__(self, file: Path | None = None, device: str = "auto", min_score: float = MIN_SCORE) -> None:
        self._device = resolve_device(device)
        self._min_score = min_score
        self._network = load_densepose(file or locate_file(ENTRY)).to(self._device)

    def people(self, photo: NDArray[np.uint8]) -> People:
        """Everybody in a photo, uint8 RGB (H, W, 3)."""
        with _exact(self._device):
            return self._look(photo)[2]

    def read(self, photo: NDArray[np.uint8], choose: Choice = lambda people: 0) -> BodyReading:
        """The body of one person.

        Args:
            photo: uint8 RGB (H, W, 3).
            choose: whose; by default the surest person's.

        Raises:
            NoPersonError: nobody is in the photo, as far as DensePose sees.
        """
        with _exact(self._device):
            levels, network_boxes, people = self._look(photo)
            if not len(people):
                raise NoPersonError(
                    "DensePose finds nobody in the photo",
                    got=f"no person with a score above {self._min_score:g}",
                    fix="use a photo in which the person is seen well, or another body backend",
                )
            chosen = choose(people)
            maps = self._network.roi_heads.body_maps(levels, network_boxes[chosen : chosen + 1])
        box = torch.from_numpy(people.boxes[chosen])
        left, top, width, height = whole_pixels(box)
        surface = place_in_picture(decode_box(maps, height, width), left, top, *photo.shape[:2])
        return BodyReading(
            surface.parts.numpy(),
            surface.u.numpy(),
            surface.v.numpy(),
            (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            float(people.scores[chosen]),
        )

    def _look(self, photo: NDArray[np.uint8]) -> tuple[dict[str, Tensor], Tensor, People]:
        """The features, the boxes in the network's picture, and the people with boxes in the photo."""
        picture = network_picture(photo).to(self._device)
        height, width = picture.shape[1:]
        levels = self._network.levels(picture)
        found = self._network.detect(levels, height, width, self._min_score)
        rows, columns = photo.shape[:2]
        scale = found.boxes.new_tensor([columns / width, rows / height] * 2)
        boxes = clip_boxes(found.boxes * scale, rows, columns)
        whole = (boxes[:, 2:] > boxes[:, :2]).all(1)
        people = People(boxes[whole].cpu().numpy(), found.scores[whole].cpu().numpy())
        return levels, found.boxes[whole], people


@contextlib.contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """No gradients, and on CUDA no convolutions in short floats, which would move boxes by tenths of a pixel.

    That setting is the whole process's, so only one reader works on a GPU at a time.
    """
    with torch.inference_mode():
        if device.type != "cuda":
            yield
            return
        with _CUDNN_LOCK, torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
            yield


def network_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the picture that the network reads of a photo."""
    scale = SHORT_SIDE / min(height, width)
    rows, columns = height * scale, width * scale
    if max(rows, columns) > LONG_SIDE:
        scale = LONG_SIDE / max(rows, columns)
        rows, columns = rows * scale, columns * scale
    return int(rows + 0.5), int(columns + 0.5)


def network_picture(photo: NDArray[np.uint8]) -> Tensor:
    """A photo, uint8 RGB (H, W, 3), as the network reads it: float BGR (3, H', W') from 0 to 255."""
    height, width = network_size(*photo.shape[:2])
    resized = np.asarray(Image.fromarray(photo[..., ::-1].copy()).resize((width, height), Image.Resampling.BILINEAR))
    return torch.from_numpy(resized.astype(np.float32)).permute(2, 0, 1)


def load_densepose(path: Path) -> DensePoseNet:
    """The network with the weights of a file, ready for use. Nothing in the file is run.

    Raises:
        WeightsError: no such file, another file, or other tensors than the network's.
    """
    arrays = read_pickled_arrays(path, inside="model")
    tensors = {name: _tensor(arrays.pop(name)) for name in list(arrays)}
    with torch.device("meta"):
        network = DensePoseNet()
    fill_network(network, tensors, path, "DensePose R50-FPN s1x", f"run `idmvton weights get {ENTRY}`")
    return network


def _tensor(array: NDArray[Any]) -> Tensor:
    """An array as floats; kernels channels last, with which narrow convolutions are quicker on a CPU."""
    tensor = torch.from_numpy(array.astype(np.float32))
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
