"""Anybody's own photos: a folder with a `pairs.csv`."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from idmvton.data.pairs import PairReader, PairSample, Size, read_labels, read_mask, read_photo
from idmvton.errors import InputError
from idmvton.prepare.mask import RULES, Category

COLUMNS: Final = ("person", "garment", "mask", "densepose", "labels", "truth", "caption", "category")


class PairsFolder(PairReader):
    """Reads ``root/pairs.csv``: columns ``person`` and ``garment``, and any of the other :data:`COLUMNS`.

    Paths are relative to the folder; an empty cell is something that is not known; ``category`` is ``upper_body``
    where it is not given.

    Raises:
        InputError: no list, an unknown or missing column, an unknown category.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        size: Size = (1024, 768),
        transform: Callable[[PairSample], Any] | None = None,
    ) -> None:
        super().__init__(size, transform)
        self.root = Path(root)
        path = self.root / "pairs.csv"
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                columns = list(reader.fieldnames or [])
                self.rows = list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError("the list of pairs cannot be read", got=f"{path}: {error}") from error
        unknown = [name for name in columns if name not in COLUMNS]
        missing = [name for name in COLUMNS[:2] if name not in columns]
        if unknown or missing:
            raise InputError(
                "the columns of pairs.csv cannot be used",
                got=", ".join(columns) or "an empty file",
                expected="person, garment, and any of " + ", ".join(COLUMNS[2:]),
            )
        for number, row in enumerate(self.rows, 2):
            if not row["person"] or not row["garment"] or (row.get("category") or "upper_body") not in RULES:
                raise InputError(
                    "a line of pairs.csv cannot be used",
                    got=f"line {number}: {row}",
                    expected="person and garment filled in, category one of " + ", ".join(RULES),
                )

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> PairSample:
        """Reads one pair."""
        row = self.rows[index]

        def place(column: str) -> Path | None:
            return self.root / row[column] if row.get(column) else None

        mask, dense, labels, truth = (place(name) for name in ("mask", "densepose", "labels", "truth"))
        return PairSample(
            person=read_photo(self.root / row["person"], self.size),
            garment=read_photo(self.root / row["garment"], self.size),
            mask=read_mask(mask, self.size) if mask else None,
            densepose=read_photo(dense, self.size) if dense else None,
            labels=read_labels(labels, self.size) if labels else None,
            keypoints=None,
            truth=read_photo(truth, self.size) if truth else None,
            caption=row.get("caption") or None,
            category=cast(Category, row.get("category") or "upper_body"),
            person_name=row["person"],
            garment_name=row["garment"],
        )
