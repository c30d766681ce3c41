"""Files of flows: where a product picture shows each pixel of a worn garment.

A file is a 16-bit RGB PNG: red is x and green is y in 64ths of a pixel plus 1. 0 is where the garment is not seen,
65535 where the product picture does not show that spot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.errors import InputError

STEPS: Final = 64
HIDDEN: Final = 65535
LARGEST_FLOW: Final = 65534 // STEPS - 6  # pixels: of the longer side of a picture whose flow fits


def pack_flow(flow: NDArray[np.floating]) -> NDArray[np.uint16]:
    """The pixels of a flow's file.

    Args:
        flow: float (H, W, 2), see :class:`idmvton.data.TryOnSample`.

    Returns:
        uint16 (H, W, 3).
    """
    places = np.nan_to_num(np.round(np.abs(flow) * STEPS) + 1, nan=0.0, posinf=HIDDEN).astype(np.uint16)
    return np.concatenate([places, np.zeros_like(places[..., :1])], 2)


def encode_flow(flow: NDArray[np.floating]) -> bytes:
    """The file of a flow, float (H, W, 2).

    Raises:
        InputError: places beyond what 16 bits hold.
    """
    if max(flow.shape) > LARGEST_FLOW:
        raise InputError(
            "the flow is too large for its file", got=f"{flow.shape[:2]}", expected=f"at most {LARGEST_FLOW} pixels"
        )
    return cv2.imencode(".png", pack_flow(flow)[..., ::-1])[1].tobytes()


def read_flow(path: Path) -> NDArray[np.float32]:
    """Reads a flow: float32 (H, W, 2), see :class:`idmvton.data.TryOnSample`.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError("the file of a flow cannot be read", got=f"{path}: {error}") from error
    return decode_flow(content, str(path))


def decode_flow(content: bytes, where: str) -> NDArray[np.float32]:
    """A flow from the content of its file: float32 (H, W, 2).

    Raises:
        InputError: it is damaged.
    """
    try:
        packed = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise InputError("the file of a flow cannot be read", got=f"{where}: {error}") from error
    if packed is None or packed.dtype != np.uint16 or packed.ndim != 3:
        raise InputError("not the file of a flow", got=where, expected="a 16-bit RGB PNG")
    places = packed[..., 2:0:-1].astype(np.float32)
    flow = np.where(places > 0, (places - 1) / STEPS, np.float32(np.nan))
    return np.where(places == HIDDEN, np.float32(np.inf), flow)
