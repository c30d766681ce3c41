"""A folder as training reads it: one order of its pairs or both, its own maps or prepared ones or either."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from idmvton.data.file_dataset import FileDataset
from idmvton.data.opening import open_dataset, recognise
from idmvton.data.sample import TryOnSample
from idmvton.data.viton_hd import VitonHD
from idmvton.errors import ConfigError, InputError
from idmvton.types import Captions, MapsOfPeople, MissingCaption, Order, Orders

logger = logging.getLogger(__name__)
ORDERS: Final[dict[Orders, tuple[Order, ...]]] = {
    "paired": ("paired",),
    "unpaired": ("unpaired",),
    "both": ("paired", "unpaired"),
}


@dataclass(frozen=True, slots=True)
class FolderView:
    """What is read of a folder.

    Attributes:
        order: people in their own garment, with another one, or each with both, which is for training: the person in
            the other garment must then be there.
        maps: the folder's masks and body maps, those that ``idmvton data prepare --beside`` made, or each sample with
            either.
        captions: which phrases; ``detailed`` and ``naive`` are in studio folders only.
        missing_caption, mask_threshold: see :class:`idmvton.data.file_dataset.FileDataset`.
    """

    order: Orders = "paired"
    maps: MapsOfPeople = "given"
    captions: Captions = "tags"
    missing_caption: MissingCaption = "error"
    mask_threshold: int | None = None


class _Part(NamedTuple):
    """Samples of one order with one kind of maps; the suffix tells them from those of another kind."""

    dataset: FileDataset
    order: Order
    suffix: str = ""


class FolderDataset:
    """The first samples of a folder, all orders and maps of one before the next.

    Args:
        root: the folder, in any layout.
        size: (height, width) of everything that is read.
        split: which list of pairs.
        view: which orders, maps and captions.
        num_samples: at most so many; all when not given.

    Attributes:
        names: the samples' names, in order.
        missing_captions: names of the garment files that nobody described.

    Raises:
        ConfigError: captions that the layout does not have.
        InputError: a folder that cannot be read, or prepared maps that were not made.
    """

    def __init__(
        self,
        root: Path | str,
        size: tuple[int, int],
        split: str,
        view: FolderView | None = None,
        num_samples: int | None = None,
    ) -> None:
        self.view = view = view or FolderView()
        self.parts = [part for order in ORDERS[view.order] for part in _parts(Path(root), size, split, order, view)]
        longest = max(len(part.dataset) for part in self.parts)
        places = [(part, index) for index in range(longest) for part in self.parts if index < len(part.dataset)]
        self.places = places[:num_samples]
        self.names: Sequence[str] = [part.dataset.names[index] + part.suffix for part, index in self.places]
        self.missing_captions = self.parts[0].dataset.missing_captions

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> TryOnSample:
        part, row = self.places[index]
        sample = part.dataset[row]
        return with_truth(sample) if part.order == "unpaired" and self.view.order == "both" else sample

    def captions(self) -> list[str]:
        """The phrases of all garments that somebody described."""
        return [each.caption for part in self.parts for each in part.dataset.files if each.caption]

    def order(self, index: int) -> Order:
        """Of which order a sample is."""
        return self.places[index][0].order


def with_truth(sample: TryOnSample) -> TryOnSample:
    """An unpaired sample.

    Raises:
        InputError: nobody knows how it should look.
    """
    if sample.unpaired_target is None:
        raise InputError(
            f"nobody knows how sample {sample.name} should look",
            got="no picture of the person in the other garment",
            expected="that picture, as the studio makes it",
            fix="take the paired order",
        )
    return sample


def _parts(root: Path, size: tuple[int, int], split: str, order: Order, view: FolderView) -> list[_Part]:
    """The samples of one order, with each kind of maps that is wanted."""
    dataset, parts = _open(root, size, split, order, view), []
    if view.maps != "prepared":
        parts.append(_Part(dataset, order))
    if view.maps != "given":
        prepared = dataset.as_prepared()
        if missing := len(dataset) - len(prepared):
            logger.warning("%d of %d %s samples have no prepared maps", missing, len(dataset), order)
        parts.append(_Part(prepared, order, " (prepared maps)"))
    return parts


def _open(root: Path, size: tuple[int, int], split: str, order: Order, view: FolderView) -> FileDataset:
    missing, threshold = view.missing_caption, view.mask_threshold
    if view.captions == "tags":
        return open_dataset(root, size, split=split, order=order, missing_caption=missing, mask_threshold=threshold)
    if recognise(root) != "viton-hd":
        raise ConfigError("this data set has no such captions", got=f"captions={view.captions!r}", expected="tags")
    return VitonHD(
        root, size, split=split, order=order, captions=view.captions, missing_caption=missing, mask_threshold=threshold
    )
