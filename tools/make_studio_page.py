"""Renders the 24 samples of docs/studio.md and writes their captions into it.

python tools/make_studio_page.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from idmvton.studio.dataset import make_dataset, stem
from idmvton.studio.sample_sheet import contact_sheet
from idmvton.studio.sampling import CATEGORIES, Split

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- samples -->", "<!-- end of samples -->"
SPLITS: dict[str, Split] = {"upper_body": "train", "lower_body": "test", "dresses": "wild"}
TITLES = {"upper_body": "Upper body (train)", "lower_body": "Lower body (test)", "dresses": "Dresses (wild)"}


def main() -> None:
    """Entry point."""
    parts = []
    for category in CATEGORIES:
        with tempfile.TemporaryDirectory() as folder:
            made = make_dataset(folder, pairs=8, size=(512, 384), split=SPLITS[category], category=category, seed=5)
            picture = DOCS / "images" / f"studio_{category}.jpg"
            contact_sheet(made.folder, picture, rows=8, height=144, quality=82)
            metas = [json.loads((made.folder / "meta" / f"{stem(i)}.json").read_text()) for i in range(8)]
        rows = [f"| {i + 1} | {meta['caption']} | {meta['other_caption']} |" for i, meta in enumerate(metas)]
        head = ["", "| row | garment | other garment |", "|---|---|---|"]
        parts += [f"\n### {TITLES[category]}\n", f"![{TITLES[category]}](images/{picture.name})", *head, *rows]
    page = DOCS / "studio.md"
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(before + BEGIN + "\n" + "\n".join(parts) + "\n\n" + END + after)


if __name__ == "__main__":
    main()
