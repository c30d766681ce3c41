"""Protocols: how pictures are resized, stored, cropped and compared.

Scores of one checkpoint differ between papers that do this differently. A :class:`Protocol` has all of it in one
record, and :func:`explain` puts it into words. A new protocol
is one more record in ``_PROTOCOLS``.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import ConfigError
from idmvton.types import Size

Filter = Literal["lanczos", "bicubic", "bilinear", "area"]
Region = Literal["whole", "inside", "outside"]

_FILTERS: Final[Mapping[Filter, Image.Resampling]] = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
}


@dataclass(frozen=True, slots=True)
class Protocol:
    """How pictures are brought together and which metrics are taken.

    Attributes:
        name: in the report and on the command line.
        source: whose way of scoring it is.
        size: height and width of both pictures before scoring; None: as the results are.
        resize: the filter for pictures of another size.
        truth_jpeg: the quality at which a truth that was resized is stored as JPEG, as if it were a file that
            somebody saved; None: it is not.
        region: which pixels count for the metrics that can be restricted.
        metrics: names of metrics, as in the report.
        perceptual_size: height and width of the pictures that LPIPS sees; None: as above.
        sets_as_stored: distances of sets see results and photos as they are stored, not as above.
        kid_scale: what KID is multiplied by in the report.
    """

    name: str
    source: str
    metrics: tuple[str, ...]
    size: Size | None = None
    resize: Filter = "lanczos"
    truth_jpeg: int | None = None
    region: Region = "whole"
    perceptual_size: Size | None = None
    sets_as_stored: bool = False
    kid_scale: float = 1.0

    def result(self, picture: Image.Image) -> Image.Image:
        """A result as it is scored: RGB, of the protocol's size."""
        return picture if self.size is None else _resized(picture, self.size, self.resize)

    def truth(self, picture: Image.Image, size: Size) -> Image.Image:
        """The truth as it is scored.

        Args:
            picture: RGB.
            size: of the result that it is compared with.
        """
        resized = _resized(picture, self.size or size, self.resize)
        if self.truth_jpeg is None or resized is picture:
            return resized
        return stored_as_jpeg(resized, self.truth_jpeg)

    def seen_by_lpips(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What LPIPS sees of a picture, uint8 (H, W, 3)."""
        if self.perceptual_size is None:
            return picture
        return np.array(_resized(Image.fromarray(picture), self.perceptual_size, self.resize))


_PAIRED: Final = ("ssim", "ms_ssim", "psnr", "st_lpips", "lpips_alex", "lpips_vgg", "lpips_squeeze")
_OURS: Final = (
    *("colour", "identity_max", "identity_mean", "identity_face", "text_kept"),
    *("clip_i", "clip_i_garment", "dino", "fid", "kid"),
)
_PROTOCOLS: Final = (
    Protocol("idmvton", "this library", (*_PAIRED, *_OURS), kid_scale=1000.0),
    Protocol(
        "idmvton-mask",
        "this library, inside the repainted region alone",
        ("ssim", "psnr", "colour"),
        region="inside",
    ),
    Protocol(
        "catvton",
        "the published evaluation of CatVTON and FastFit (eval.py)",
        ("ssim", "lpips_squeeze", "fid", "kid"),
        truth_jpeg=75,
        kid_scale=1000.0,
    ),
    Protocol(
        "ladi",
        "the published evaluation of LaDI-VTON (src/utils/val_metrics.py), which OOTDiffusion reuses",
        ("ssim", "lpips_alex", "fid", "kid"),
        size=Size(512, 384),
        resize="bilinear",
        sets_as_stored=True,
    ),
    Protocol(
        "hr-viton",
        "the published evaluation of HR-VITON (evaluate.py)",
        ("ssim_grey", "lpips_alex"),
        resize="bilinear",
        perceptual_size=Size(128, 128),
    ),
)
PROTOCOLS: Final[Mapping[str, Protocol]] = {protocol.name: protocol for protocol in _PROTOCOLS}


def find_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        ConfigError: there is none; the names are listed.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    near = difflib.get_close_matches(name, PROTOCOLS, n=1)
    hint = f"{near[0]!r}? " if near else ""
    raise ConfigError("unknown protocol", got=repr(name), expected=hint + "one of " + ", ".join(PROTOCOLS))


def explain(protocol: Protocol) -> str:
    """The protocol in words, a sentence a line."""
    size = "at the results' own size" if protocol.size is None else "at {}x{}".format(*protocol.size)
    where = {
        "whole": "over the whole picture",
        "inside": "inside the repainted region",
        "outside": "outside the repainted region",
    }[protocol.region]
    lines = [
        f"{protocol.name}: {protocol.source}.",
        f"Pictures are compared {size}, {where}.",
        f"Pictures of another size are resized with the {protocol.resize} filter of Pillow.",
        f"A truth that was resized is stored as JPEG of quality {protocol.truth_jpeg} before it is compared."
        if protocol.truth_jpeg is not None
        else "The truth is not compressed again.",
    ]
    if protocol.perceptual_size is not None:
        lines.append("LPIPS sees pictures shrunk to {}x{}.".format(*protocol.perceptual_size))
    if protocol.sets_as_stored:
        lines.append("FID and KID see results and photos as they are stored, of whatever size.")
    lines.append(f"Metrics: {', '.join(protocol.metrics)}.")
    if "kid" in protocol.metrics and protocol.kid_scale != 1:
        lines.append(f"KID is multiplied by {protocol.kid_scale:g}.")
    return "\n".join(lines)


def _resized(picture: Image.Image, size: Size, resize: Filter) -> Image.Image:
    if (picture.height, picture.width) == tuple(size):
        return picture
    return picture.resize((size.width, size.height), _FILTERS[resize])


def stored_as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """A picture as it comes back from a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as stored:
        return stored.convert("RGB")
