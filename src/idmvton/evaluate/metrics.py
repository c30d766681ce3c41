"""Every metric by name: what it reads, what it needs, how it is computed, and which way is better.

A metric looks at one result at a time. It gives a number (``pair``), or a vector of the result and one of the
reference, from which one number is computed for the whole set (``set``: FID and KID). What a metric needs and does
not find is told with the command that fetches it; nothing takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Literal

from idmvton.errors import ConfigError
from idmvton.evaluate import embeddings, pictures, texts
from idmvton.evaluate.perceptual import PerceptualDistance
from idmvton.evaluate.shown import Measure, Piece, Shown
from idmvton.types import Size
from idmvton.weights import locate

ST_LPIPS_SIZE: Final = Size(256, 192)
"""ST-LPIPS sees pictures shrunk to this size: its first layer works at the pictures' own resolution."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: in the report.
        title: for people, with its unit.
        better: ``higher`` or ``lower``.
        reads: the pieces of a case without which it cannot be computed.
        how: the implementation in words.
        load: reads weights and gives the function that measures; it may raise ``WeightsError``.
        needs: the entry of the weights catalogue that holds them.
        scope: ``pair``: a number a picture; ``set``: vectors a picture.
    """

    name: str
    title: str
    better: Literal["higher", "lower"]
    reads: tuple[Piece, ...]
    how: str
    load: Callable[[], Measure]
    needs: str | None = None
    scope: Literal["pair", "set"] = "pair"


def _plain(measure: Measure) -> Callable[[], Measure]:
    return lambda: measure


def _ms_ssim(shown: Shown) -> float | None:
    return None if min(shown.size) < pictures.MS_SSIM_SIDE else pictures.ms_ssim(shown.result, _truth(shown))


def _psnr(shown: Shown) -> float:
    return min(pictures.psnr(shown.result, _truth(shown), shown.region), pictures.EQUAL_DB)


def _colour(shown: Shown) -> float | None:
    where = shown.mask if shown.region is None else shown.region
    return pictures.colour_difference(shown.result, _truth(shown), where)


def _identity(index: int) -> Measure:
    def measure(shown: Shown) -> float:
        assert shown.mask is not None
        assert shown.photo is not None
        return pictures.change(shown.result, shown.photo, ~pictures.with_feather(shown.mask))[index]

    return measure


def _lpips(name: Literal["alex", "vgg", "squeeze"]) -> Callable[[], Measure]:
    def load() -> Measure:
        entry = f"backbone-{name}"
        file = next(locate(entry).glob("*.pth"))
        network = PerceptualDistance.lpips(name, file)
        return lambda shown: network.compare(shown.result, _truth(shown), shown.protocol.perceptual_size)

    return load


def _st_lpips() -> Measure:
    network = PerceptualDistance.shift_tolerant("alex", locate("st-lpips") / "alex_shift_tolerant.pth")
    return lambda shown: network.compare(shown.result, _truth(shown), ST_LPIPS_SIZE)


def _truth(shown: Shown) -> pictures.Bytes:
    assert shown.truth is not None
    return shown.truth


_TORCHMETRICS: Final = f"torchmetrics {version('torchmetrics')}"
_HEADS: Final = f"heads of {_TORCHMETRICS}, backbone of the public model zoo, RGB in [-1, 1]"
_METRICS: Final = (
    Metric(
        "ssim",
        "SSIM",
        "higher",
        ("truth",),
        f"{_TORCHMETRICS}, RGB, gaussian window of 11 pixels, sigma 1.5",
        _plain(lambda shown: pictures.ssim(shown.result, _truth(shown), shown.region)),
    ),
    Metric(
        "ssim_grey",
        "SSIM (grey)",
        "higher",
        ("truth",),
        f"scikit-image {version('scikit-image')}, grey, gaussian weights of sigma 1.5",
        _plain(lambda shown: pictures.ssim_grey(shown.result, _truth(shown))),
    ),
    Metric(
        "ms_ssim",
        "MS-SSIM",
        "higher",
        ("truth",),
        f"{_TORCHMETRICS}, RGB, five scales; pictures with a side under {pictures.MS_SSIM_SIDE} pixels do not count",
        _plain(_ms_ssim),
    ),
    Metric(
        "psnr",
        "PSNR (dB)",
        "higher",
        ("truth",),
        f"10 log10(255^2 / mean squared error), a picture at a time; equal pictures count as {pictures.EQUAL_DB:g} dB",
        _plain(_psnr),
    ),
    Metric(
        "st_lpips",
        "ST-LPIPS",
        "lower",
        ("truth",),
        "shift-tolerant LPIPS (Ghildyal and Liu 2022), AlexNet, pictures shrunk to {}x{}; it is not LPIPS".format(
            *ST_LPIPS_SIZE
        ),
        _st_lpips,
        needs="st-lpips",
    ),
    *(
        Metric(
            f"lpips_{name}",
            f"LPIPS ({name})",
            "lower",
            ("truth",),
            f"LPIPS 0.1, {name}, {_HEADS}",
            _lpips(name),
            needs=f"backbone-{name}",
        )
        for name in ("alex", "vgg", "squeeze")
    ),
    Metric(
        "colour",
        "colour difference (CIEDE2000)",
        "lower",
        ("truth", "mask"),
        f"between the mean colours of the repainted region, scikit-image {version('scikit-image')}",
        _plain(_colour),
    ),
    Metric(
        "identity_max",
        "largest change outside the mask (0-255)",
        "lower",
        ("photo", "mask"),
        f"outside the mask and {pictures.FEATHER} pixels around it, result against photo",
        _plain(_identity(0)),
    ),
    Metric(
        "identity_mean",
        "mean change outside the mask (0-255)",
        "lower",
        ("photo", "mask"),
        f"outside the mask and {pictures.FEATHER} pixels around it, result against photo",
        _plain(_identity(1)),
    ),
    Metric(
        "text_kept",
        "text kept",
        "higher",
        ("garment",),
        "share of the characters that PP-OCRv4 reads on the product picture and reads again on the result; "
        "pictures of garments without text do not count",
        texts.load,
        needs="pp-ocr",
    ),
    Metric(
        "clip_i",
        "CLIP-I",
        "higher",
        ("truth",),
        "cosine of the CLIP ViT-L/14 image embeddings of result and truth",
        embeddings.load_clip,
        needs="clip-vit-large-patch14",
    ),
    Metric(
        "dino",
        "DINO",
        "higher",
        ("truth",),
        "cosine of the DINO ViT-S/16 class tokens of result and truth",
        embeddings.load_dino,
        needs="dino-vits16",
    ),
    *(
        Metric(
            name,
            title,
            "lower",
            ("photo",),
            f"{_TORCHMETRICS} on features of the TorchScript Inception of 2015-12-05, pictures resized to 299x299 by "
            "Pillow's bicubic filter, results against the photos",
            embeddings.load_inception,
            needs="inception-fid",
            scope="set",
        )
        for name, title in (("fid", "FID"), ("kid", "KID"))
    ),
)
METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _METRICS}


def find_metric(name: str) -> Metric:
    """The metric of a name.

    Raises:
        ConfigError: there is none; the names are listed.
    """
    if name not in METRICS:
        raise ConfigError("unknown metric", got=repr(name), expected="one of " + ", ".join(METRICS))
    return METRICS[name]
