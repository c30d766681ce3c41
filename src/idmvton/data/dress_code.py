"""DressCode as published, with the body maps and captions that IDM-VTON adds.

Assumed layout, ``CATEGORY`` being ``upper_body``, ``lower_body`` or ``dresses``, each with its own lists::

    CATEGORY/train_pairs.txt               ID_0.jpg ID_1.jpg; also {train,test}_pairs_{paired,unpaired}.txt
    CATEGORY/images/ID_0.jpg               people; ID_1.jpg: product pictures
    CATEGORY/label_maps/ID_4.png           ATR classes, 18 for bare neck and trunk; possibly smaller than the photo
    CATEGORY/keypoints/ID_2.json           18 points in pixels of a picture 512 high and 384 wide
    CATEGORY/image-densepose/ID_0.jpg      body parts in colours (IDM-VTON), or
    CATEGORY/dense/ID_5.png                body parts as numbers 0 to 24 (DressCode)
    CATEGORY/dc_caption.txt                ID_1.jpg caption (IDM-VTON); also in the root
    CATEGORY/agnostic-mask/ID_0_mask.png   written by ``idmvton data prepare``: nobody publishes it

``skeletons`` and the UV coordinates in ``dense/*_uv.npz`` are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from idmvton.data.file_dataset import PREPARED, FileDataset, SampleFiles
from idmvton.data.listing import pair_name, read_caption_lines, read_pairs
from idmvton.data.name_lists import by_stem, or_namesake
from idmvton.errors import InputError
from idmvton.types import Category, MissingCaption, Order, Size

CATEGORIES: Final[tuple[Category, ...]] = ("upper_body", "lower_body", "dresses")
_KEYPOINTS_SIZE: Final = Size(512, 384)
_ARM_WIDTH: Final = 45


class DressCode(FileDataset):
    """DressCode: one category, or several one after the other.

    Args:
        root: the folder that holds the categories.
        size: (height, width) of everything that is read, divisible by 8.
        split: ``train`` or ``test``.
        order: ``paired``: people with their own garment; ``unpaired``: as the list says.
        categories: which; those whose folder exists when not given.
        missing_caption, mask_threshold: see :class:`FileDataset`.

    Raises:
        InputError: a category or list that is missing or damaged, or a garment without a caption.
    """

    def __init__(
        self,
        root: Path | str,
        size: tuple[int, int],
        *,
        split: str = "train",
        order: Order = "paired",
        categories: Sequence[Category] | None = None,
        missing_caption: MissingCaption = "error",
        mask_threshold: int | None = None,
    ) -> None:
        files = list_files(Path(root), split, order, categories)
        super().__init__(files, size, missing_caption=missing_caption, mask_threshold=mask_threshold)


def list_files(root: Path, split: str, order: Order, categories: Sequence[Category] | None = None) -> list[SampleFiles]:
    """The files of each pair of a split; of the body maps, those that IDM-VTON adds where their folder exists.

    Raises:
        InputError: a category or list that is missing or damaged.
    """
    wanted = categories or [category for category in CATEGORIES if (root / category).is_dir()]
    if unknown := [category for category in wanted if category not in CATEGORIES]:
        raise InputError("unknown category", got=", ".join(unknown), expected=", ".join(CATEGORIES))
    if not wanted:
        raise InputError("no category of DressCode is there", got=root, expected=" or ".join(CATEGORIES))
    return [each for category in wanted for each in _list_category(root, category, split, order)]


def _list_category(root: Path, category: Category, split: str, order: Order) -> list[SampleFiles]:
    folder = root / category
    found = next((path for path in (folder / "dc_caption.txt", root / "dc_caption.txt") if path.exists()), None)
    captions = by_stem(read_caption_lines(found)) if found else {}
    has_colours = (folder / "image-densepose").is_dir()
    files = []
    for person, garment in read_pairs(folder, split, order, own_garment=lambda name: f"{_number(name)}_1.jpg"):
        number = _number(person)
        files.append(
            SampleFiles(
                name=f"{category}_{pair_name(number, _number(garment))}",
                person=folder / "images" / person,
                garment=folder / "images" / garment,
                mask=folder / "agnostic-mask" / f"{Path(person).stem}_mask.png",
                densepose=or_namesake(folder / "image-densepose" / person)
                if has_colours
                else folder / "dense" / f"{number}_5.png",
                densepose_is_parts=not has_colours,
                category=category,
                caption=captions.get(Path(garment).stem),
                prepared=folder / PREPARED / number,
                labels=folder / "label_maps" / f"{number}_4.png",
                keypoints=folder / "keypoints" / f"{number}_2.json",
                keypoints_size=_KEYPOINTS_SIZE,
                arm_width=_ARM_WIDTH,
            )
        )
    return files


def _number(file_name: str) -> str:
    """``013563_0.jpg`` -> ``013563``."""
    return Path(file_name).stem.rpartition("_")[0] or Path(file_name).stem
