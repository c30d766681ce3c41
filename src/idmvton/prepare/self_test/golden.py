"""Where golden numbers lie, and the formulas of the weights that they were made with."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def golden_folder() -> Path:
    """Where the golden numbers of this library lie, in the package or the checkout."""
    packaged = Path(__file__).parent / "golden_numbers"
    return packaged if packaged.is_dir() else Path(__file__).parents[4] / "tests" / "golden"


def weights_formula(folder: Path, file: str) -> Callable[..., NDArray[np.float32]]:
    """The function ``value`` of a folder's file of Python, which is run; the library's own where there is none.

    Args:
        folder: of one network's golden numbers.
        file: for example ``"densepose_weights.py"``.
    """
    own = golden_folder() / folder.name / file
    value: Callable[..., NDArray[np.float32]] = runpy.run_path(
        str(folder / file if (folder / file).is_file() else own)
    )["value"]
    return value
