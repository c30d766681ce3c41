"""Where the golden data lies, and what tests do with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from idmvton import TryOnPipeline

GOLDEN = Path(__file__).parent / "golden"
CHECKPOINT = GOLDEN / "dev" / "pipeline"


def golden_pictures(what: str) -> list[Path]:
    """The two golden pictures of a kind: person, garment, mask or densepose."""
    return [GOLDEN / "dev" / "pipeline_inputs" / f"{what}_{index}.png" for index in range(2)]


def forget(pipe: TryOnPipeline) -> None:
    """Empties both caches."""
    pipe.garment_cache.clear()
    pipe.feature_cache.clear()
