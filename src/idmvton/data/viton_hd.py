"""VITON-HD as published, and studio folders, which have the same layout.

Assumed layout, ``SPLIT`` being ``train`` or ``test``::

    SPLIT_pairs.txt                        person.jpg garment.jpg; also SPLIT_pairs_{paired,unpaired}.txt
    SPLIT/image/NAME.jpg                   people
    SPLIT/cloth/NAME.jpg                   product pictures; NAME in paired order
    SPLIT/agnostic-mask/NAME_mask.png      white = repaint
    SPLIT/image-densepose/NAME.jpg         body parts in colours
    SPLIT/image-parse-v3/NAME.png          CIHP classes (ATR classes in studio folders)
    SPLIT/openpose_json/NAME_keypoints.json
    SPLIT/vitonhd_SPLIT_tagged.json        tags of the garments

Studio folders have besides: ``studio.json``, ``captions.json``, ``cloth-worn``, ``image-unpaired`` (the person in the
garment that the unpaired list names), and possibly ``garment-flow`` and ``garment-flow-unpaired``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from idmvton.data.file_dataset import PREPARED, FileDataset, SampleFiles
from idmvton.data.listing import pair_name, read_pairs, read_tags
from idmvton.data.name_lists import by_stem, or_namesake
from idmvton.errors import InputError
from idmvton.prepare.reading import read_json
from idmvton.types import Captions, Category, MissingCaption, Order

STUDIO_FILE: Final = "studio.json"

_CATEGORIES: Final[Mapping[str | None, Category]] = {
    "TOPS": "upper_body",
    "BOTTOMS": "lower_body",
    "DRESSES": "dresses",
}


class VitonHD(FileDataset):
    """VITON-HD, or a studio folder in its layout.

    Args:
        root: the folder that holds the lists of pairs.
        size: (height, width) of everything that is read, divisible by 8.
        split: ``train`` or ``test`` (studio: also ``wild``).
        order: ``paired``: people with their own garment; ``unpaired``: as the list says.
        captions: ``tags`` makes them as the published code does; ``detailed`` and ``naive`` are in studio folders.
        missing_caption, mask_threshold: see :class:`FileDataset`.

    Raises:
        InputError: a list, tags or captions that are missing or damaged, or a garment without a caption.
    """

    def __init__(
        self,
        root: Path | str,
        size: tuple[int, int],
        *,
        split: str = "train",
        order: Order = "paired",
        captions: Captions = "tags",
        missing_caption: MissingCaption = "error",
        mask_threshold: int | None = None,
    ) -> None:
        files = list_files(Path(root), split, order, captions)
        super().__init__(files, size, missing_caption=missing_caption, mask_threshold=mask_threshold)


def list_files(root: Path, split: str, order: Order, captions: Captions = "tags") -> list[SampleFiles]:
    """The files of each pair of a split; whether they exist is not looked at.

    Raises:
        InputError: a list, tags or captions that are missing or damaged.
    """
    folder = root / split
    pairs = read_pairs(root, split, order, own_garment=lambda person: person)
    tags_file = folder / f"vitonhd_{split}_tagged.json"
    tags = read_tags(tags_file) if tags_file.exists() else {}
    categories = by_stem({name: category for name, (_, category) in tags.items()})
    phrases = by_stem({name: phrase for name, (phrase, _) in tags.items()})
    if captions != "tags":
        phrases = by_stem(_written_captions(folder / "captions.json", captions))
    is_studio = (folder / STUDIO_FILE).exists()
    files = []
    for person, garment in pairs:
        name, worn = Path(person).stem, Path(garment).stem
        files.append(
            SampleFiles(
                name=pair_name(name, worn),
                person=folder / "image" / person,
                garment=folder / "cloth" / garment,
                mask=folder / "agnostic-mask" / f"{name}_mask.png",
                densepose=or_namesake(folder / "image-densepose" / person),
                category=_CATEGORIES.get(categories.get(worn), "upper_body"),
                caption=phrases.get(worn) or None,
                prepared=folder / PREPARED / name,
                labels=folder / "image-parse-v3" / f"{name}.png",
                keypoints=folder / "openpose_json" / f"{name}_keypoints.json",
                garment_worn=or_namesake(folder / "cloth-worn" / garment),
                unpaired_target=or_namesake(folder / "image-unpaired" / person) if order == "unpaired" else None,
                flow=folder / ("garment-flow" if order == "paired" else "garment-flow-unpaired") / f"{name}.png",
                label_classes="atr" if is_studio else "cihp",
            )
        )
    return files


def _written_captions(path: Path, kind: str) -> dict[str, str]:
    content = read_json(path, "file of captions")
    try:
        return {name: str(phrases[kind]) for name, phrases in content.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            "the file of captions has another form",
            got=f"{path}: {type(error).__name__} {error}",
            expected=f'{{"garment.jpg": {{"{kind}": "..."}}}}',
        ) from error
