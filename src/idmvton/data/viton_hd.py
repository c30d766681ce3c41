"""VITON-HD as published, and the studio's folders, which have the same layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from idmvton.data.pairs import (
    PairReader,
    PairSample,
    Size,
    read_labels,
    read_lines,
    read_mask,
    read_photo,
    scaled_keypoints,
)
from idmvton.errors import InputError
from idmvton.prepare.mask import Category

_TAGS: Final = ("sleeveLength", "neckLine", "item")
_CATEGORIES: Final[dict[str, Category]] = {"TOPS": "upper_body", "BOTTOMS": "lower_body", "DRESSES": "dresses"}


class VitonHd(PairReader):
    """Reads ``root/<split>/{image,cloth,agnostic-mask,image-densepose,...}`` and ``root/<split>_pairs.txt``.

    Args:
        root: the data set's folder.
        split: ``train``, ``test`` (or ``wild``, in the studio's folders).
        paired: the person's own garment, whose photo is the truth; else the list's other garment.
        size: (height, width).
        transform: see :class:`PairReader`.

    Raises:
        InputError: no list of pairs, or damaged captions.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        *,
        paired: bool = True,
        size: Size = (1024, 768),
        transform: Callable[[PairSample], Any] | None = None,
    ) -> None:
        super().__init__(size, transform)
        self.folder, self.paired = Path(root) / split, paired
        pairs = read_lines(Path(root) / f"{split}_pairs.txt", 2)
        self.pairs = [(person, person if paired else garment) for person, garment, *_ in pairs]
        self._tagged = _read_json(self.folder / f"vitonhd_{split}_tagged.json")
        self._captions = _read_json(self.folder / "captions.json")
        entries = self._tagged.get("data", [])
        self._entries = {entry["file_name"]: entry for entry in entries if "file_name" in entry}

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int) -> PairSample:
        """Reads one pair; maps that the folder does not have are ``None``."""
        person, garment = self.pairs[index]
        name = Path(person).stem
        photo = read_photo(self.folder / "image" / person, self.size)
        mask = self._first("agnostic-mask", f"{name}_mask.png", f"{name}.png")
        dense = self._first("image-densepose", f"{name}.jpg", f"{name}.png")
        parse = self._first("image-parse-v3", f"{name}.png")
        points = self._first("openpose_json", f"{name}_keypoints.json")
        return PairSample(
            person=photo,
            garment=read_photo(self.folder / "cloth" / garment, self.size),
            mask=read_mask(mask, self.size) if mask else None,
            densepose=read_photo(dense, self.size) if dense else None,
            labels=read_labels(parse, self.size) if parse else None,
            keypoints=self._keypoints(points, person) if points else None,
            truth=photo if self.paired else self._unpaired_truth(person, garment),
            caption=self.caption(garment),
            category=_CATEGORIES.get(self._entries.get(garment, {}).get("category_name", "TOPS"), "upper_body"),
            person_name=person,
            garment_name=garment,
        )

    def caption(self, garment: str) -> str | None:
        """The garment in words: from captions.json, else the tags in the published order, else nothing."""
        if garment in self._captions:
            return str(self._captions[garment]["detailed"])
        tags = {tag["tag_name"]: tag["tag_category"] for tag in self._entries.get(garment, {}).get("tag_info", [])}
        words = [str(tags[name]) for name in _TAGS if tags.get(name)]
        return " ".join(words).lower() or None

    def _first(self, folder: str, *names: str) -> Path | None:
        return next((path for name in names if (path := self.folder / folder / name).exists()), None)

    def _unpaired_truth(self, person: str, garment: str) -> Any:
        """The studio's exact answer, where the other garment is the person's own other one."""
        path = self.folder / "image-unpaired" / person
        same = Path(person).stem.rsplit("_", 1)[0] == Path(garment).stem.rsplit("_", 1)[0]
        return read_photo(path, self.size) if same and path.exists() else None

    def _keypoints(self, path: Path, person: str) -> Any:
        from PIL import Image

        try:
            flat = json.loads(path.read_text())["people"][0]["pose_keypoints_2d"]
            triples = [flat[start : start + 3] for start in range(0, len(flat), 3)]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise InputError("an OpenPose file cannot be read", got=f"{path}: {error}") from error
        if len(triples) == 25:  # BODY_25 has the pelvis as point 8 and six points on the feet
            triples = [*triples[:8], *triples[9:19]]
        with Image.open(self.folder / "image" / person) as picture:
            source = (picture.height, picture.width)
        return scaled_keypoints(triples, source, self.size)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values: Any = json.loads(path.read_text())
    except ValueError as error:
        raise InputError("a caption file is damaged", got=f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise InputError("a caption file has an unknown form", got=path, expected="a JSON object")
    return values
