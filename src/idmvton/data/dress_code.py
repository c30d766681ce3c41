"""DressCode as published: three categories, each with its own folder and lists of pairs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from idmvton.data.pairs import PairReader, PairSample, Size, read_labels, read_lines, read_photo, scaled_keypoints
from idmvton.errors import InputError
from idmvton.prepare.mask import RULES, Category, agnostic_mask

_KEYPOINT_SIZE: Final = (512, 384)  # what the published keypoints are measured in
_LISTS: Final = {
    ("train", True): "train_pairs.txt",
    ("test", True): "test_pairs_paired.txt",
    ("test", False): "test_pairs_unpaired.txt",
}
ARM_WIDTH: Final = 45


class DressCode(PairReader):
    """Reads ``root/<category>/{images,label_maps,keypoints,dense}`` and the category's lists of pairs.

    Args:
        root: the data set's folder. Captions are read from ``root/dc_caption.txt`` where it exists.
        split: ``train`` or ``test``; train has no unpaired list.
        categories: which of the three.
        paired: the person's own garment, or the unpaired list's.
        size: (height, width).
        transform: see :class:`PairReader`.

    Raises:
        InputError: unknown categories, or a list that is missing.
    """

    def __init__(
        self,
        root: Path | str,
        split: Literal["train", "test"] = "train",
        *,
        categories: tuple[Category, ...] = ("upper_body", "lower_body", "dresses"),
        paired: bool = True,
        size: Size = (1024, 768),
        transform: Callable[[PairSample], Any] | None = None,
    ) -> None:
        super().__init__(size, transform)
        self.root, self.paired = Path(root), paired
        unknown = [category for category in categories if category not in RULES]
        if unknown or (split, paired) not in _LISTS:
            raise InputError(
                "DressCode has no such part",
                got=f"categories {categories}, split {split}, paired {paired}",
                expected="categories of " + ", ".join(RULES) + "; train paired, test paired or unpaired",
            )
        self.pairs = [
            (category, person, garment)
            for category in categories
            for person, garment, *_ in read_lines(self.root / category / _LISTS[split, paired], 2)
        ]
        self._captions = _read_captions(self.root / "dc_caption.txt")

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int) -> PairSample:
        """Reads one pair; the mask comes from the label map and keypoints by the project's rules."""
        category, person, garment = self.pairs[index]
        folder, number = self.root / category, Path(person).stem.rsplit("_", 1)[0]
        parse, points = folder / "label_maps" / f"{number}_4.png", folder / "keypoints" / f"{number}_2.json"
        dense = folder / "image-densepose" / person
        photo = read_photo(folder / "images" / person, self.size)
        labels = read_labels(parse, self.size) if parse.exists() else None
        keypoints = self._keypoints(points) if points.exists() else None
        mask = None
        if labels is not None:
            known = keypoints if keypoints is not None else np.zeros((18, 2))
            mask = agnostic_mask(labels, known, category, arm_width=ARM_WIDTH)
        return PairSample(
            person=photo,
            garment=read_photo(folder / "images" / garment, self.size),
            mask=mask,
            densepose=read_photo(dense, self.size) if dense.exists() else None,
            labels=labels,
            keypoints=keypoints,
            truth=photo if self.paired else None,
            caption=self._captions.get(garment),
            category=category,
            person_name=person,
            garment_name=garment,
        )

    def _keypoints(self, path: Path) -> Any:
        try:
            points = json.loads(path.read_text())["keypoints"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("a keypoint file cannot be read", got=f"{path}: {error}") from error
        return scaled_keypoints(points, _KEYPOINT_SIZE, self.size)


def _read_captions(path: Path) -> dict[str, str]:
    """Lines of a file name and a caption."""
    if not path.exists():
        return {}
    lines = (line.strip().partition(" ") for line in path.read_text().splitlines())
    return {name: caption.strip() for name, _, caption in lines if name and caption.strip()}
