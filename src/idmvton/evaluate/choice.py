"""Which pairs of a data set are made and scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from idmvton.data.file_dataset import SampleFiles
from idmvton.data.listing import read_two_columns
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
            --beside`` made, and only the pairs that have them; the garments are then cut out as in a try-on too.
        pairs: a list of some of the data set's pairs, PERSON.jpg GARMENT.jpg a line; ``None``: all.
    """

    root: Path
    split: str = "test"
    order: Order = "paired"
    count: int | None = None
    maps: Literal["given", "prepared"] = "given"
    pairs: Path | None = None

    def files(self, captions: Captions = "tags") -> list[SampleFiles]:
        """The files of each pair; of a studio folder with its detailed captions, unless naive ones are asked for.

        Raises:
            InputError: no layout, a list that is missing or damaged, pairs that the data set does not list, or no
                prepared maps.
        """
        files = self._listed(captions)[: self.count]
        if self.maps == "given":
            return files
        prepared = [each for each in map(SampleFiles.as_prepared, files) if each.mask.exists()]
        if not prepared:
            raise InputError(
                "the data set has no prepared maps", got=self.root, fix="make them: idmvton data prepare DIR --beside"
            )
        return prepared

    def _listed(self, captions: Captions) -> list[SampleFiles]:
        if recognise(self.root) == "viton-hd" and (self.root / self.split / STUDIO_FILE).exists():
            words: Captions = "detailed" if captions == "tags" else captions
            files = list_viton_hd(self.root, self.split, self.order, words)
        else:
            files = list_files(self.root, self.split, self.order)
        if self.pairs is None:
            return files
        known = {(each.person.name, each.garment.name): each for each in files}
        wanted = list(dict.fromkeys(read_two_columns(self.pairs)))
        if unknown := [" ".join(pair) for pair in wanted if pair not in known]:
            raise InputError(
                f"{len(unknown)} of {len(wanted)} pairs are not in the data set's {self.order} list",
                got=", ".join(unknown[:10]),
                expected="lines PERSON.jpg GARMENT.jpg of that list",
            )
        return [known[pair] for pair in wanted]
