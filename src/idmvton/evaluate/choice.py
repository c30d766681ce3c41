"""Which pairs of a data set are made and scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from idmvton.data.file_dataset import SampleFiles
from idmvton.data.opening import list_files, recognise
from idmvton.data.viton_hd import STUDIO_FILE
from idmvton.data.viton_hd import list_files as list_viton_hd
from idmvton.errors import InputError
from idmvton.types import Captions, Order


@dataclass(frozen=True, slots=True)
class DataChoice:
    """Some pairs of a data set.

    Attributes:
        root: its folder.
        split: of it.
        order: paired or unpaired.
        count: the first so many pairs; ``None``: all.
        maps: ``given``: the data set's own masks and body maps; ``prepared``: those that ``idmvton data prepare
            --beside`` made, and only the pairs that have them.
    """

    root: Path
    split: str = "test"
    order: Order = "paired"
    count: int | None = None
    maps: Literal["given", "prepared"] = "given"

    def files(self, captions: Captions = "tags") -> list[SampleFiles]:
        """The files of each pair; of a studio folder with its detailed captions, unless naive ones are asked for.

        Raises:
            InputError: no layout, a list that is missing or damaged, or no prepared maps.
        """
        if recognise(self.root) == "viton-hd" and (self.root / self.split / STUDIO_FILE).exists():
            words: Captions = "detailed" if captions == "tags" else captions
            files = list_viton_hd(self.root, self.split, self.order, words)[: self.count]
        else:
            files = list_files(self.root, self.split, self.order)[: self.count]
        if self.maps == "given":
            return files
        prepared = [each for each in map(SampleFiles.as_prepared, files) if each.mask.exists()]
        if not prepared:
            raise InputError(
                "the data set has no prepared maps", got=self.root, fix="make them: idmvton data prepare DIR --beside"
            )
        return prepared
