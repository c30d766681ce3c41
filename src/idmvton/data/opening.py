"""Which layout a folder has, and the data set of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from idmvton.data import dress_code, pairs_folder, viton_hd
from idmvton.data.file_dataset import FileDataset, SampleFiles
from idmvton.errors import InputError
from idmvton.types import MissingCaption, Order

Layout = Literal["viton-hd", "dress-code", "pairs"]
SPLITS: Final = ("train", "test", "wild")


def recognise(root: Path) -> Layout:
    """Which layout a folder has, by the files and folders that only this layout has.

    Raises:
        InputError: none.
    """
    if (root / pairs_folder.LIST_NAME).exists():
        return "pairs"
    if any((root / category / "images").is_dir() for category in dress_code.CATEGORIES):
        return "dress-code"
    if any((root / split / "image").is_dir() for split in SPLITS):
        return "viton-hd"
    raise InputError(
        "the folder holds no data set that can be read",
        got=root if root.is_dir() else f"{root}, which is not a folder",
        expected="pairs.csv; or upper_body/images (DressCode); or train/image, test/image (VITON-HD, studio)",
        fix="name the folder above the splits or categories",
    )


def splits_of(root: Path) -> list[str]:
    """The splits that a folder has lists of; a folder of own photos is one split, ``all``.

    Raises:
        InputError: no layout, or no lists.
    """
    layout = recognise(root)
    if layout == "pairs":
        return ["all"]
    folders = [root] if layout == "viton-hd" else [root / category for category in dress_code.CATEGORIES]
    found = [split for split in SPLITS if any(any(folder.glob(f"{split}_pairs*.txt")) for folder in folders)]
    if not found:
        raise InputError("the data set has no lists of pairs", got=root, expected="train_pairs.txt or test_pairs.txt")
    return found


def list_files(root: Path | str, split: str, order: Order = "paired") -> list[SampleFiles]:
    """The files of each pair of a split, whatever the layout is.

    Raises:
        InputError: no layout, or a list that is missing or damaged.
    """
    root = Path(root)
    layout = recognise(root)
    if layout == "pairs":
        return pairs_folder.list_files(root)
    return (viton_hd if layout == "viton-hd" else dress_code).list_files(root, split, order)


def open_dataset(
    root: Path | str,
    size: tuple[int, int],
    *,
    split: str = "train",
    order: Order = "paired",
    missing_caption: MissingCaption = "error",
    mask_threshold: int | None = None,
) -> FileDataset:
    """The data set in a folder, whatever the layout is; the arguments are those of the layouts' own classes.

    Raises:
        InputError: no layout, or what the layout's own class raises.
    """
    files = list_files(root, split, order)
    return FileDataset(files, size, missing_caption=missing_caption, mask_threshold=mask_threshold)
