"""Every metric by name: what it reads, what it needs, how it is computed, and whether more or less is better.

A metric looks at one result at a time. It gives a number (``pair``), or a vector of the result and one of the
reference, from which one number is computed for the whole set (``set``: FID and KID). A metric whose
weights are missing is reported with the command that fetches them; no other metric takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from idmvton.errors import ConfigError
from idmvton.evaluate import pictures, texts
from idmvton.evaluate.extra import named, require
from idmvton.evaluate.protocols import Protocol
from idmvton.evaluate.shown import Measure, Piece, Shown
from idmvton.evaluate.similarity import SMALLEST_SIDE, multi_scale_similarity
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
        load: reads weights and gives the function that measures; it may raise ``WeightsError`` or
            ``MissingExtraError``.
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


def _plain(measure: Measure, module: str | None = None) -> Callable[[], Measure]:
    """A metric without weights; ``module`` is what it cannot do without."""

    def load() -> Measure:
        if module is not None:
            require(module)
        return measure

    return load


def _ms_ssim(shown: Shown) -> float | None:
    return None if min(shown.size) < SMALLEST_SIDE else multi_scale_similarity(shown.result, _truth(shown))


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


def _identity_face(shown: Shown) -> float | None:
    assert shown.keypoints is not None
    assert shown.photo is not None
    assert shown.mask is not None
    face = pictures.face(shown.keypoints, shown.size)
    if face is None or not (kept := face & ~pictures.with_feather(shown.mask)).any():
        return None
    return pictures.change(shown.result, shown.photo, kept)[1]


def _lpips(name: Literal["alex", "vgg", "squeeze"]) -> Callable[[], Measure]:
    def load() -> Measure:
        from idmvton.evaluate.perceptual import PerceptualDistance

        network = PerceptualDistance.lpips(name, next(locate(f"backbone-{name}").glob("*.pth")))

        def measure(shown: Shown) -> float:
            see = shown.protocol.seen_by_lpips
            return network.compare(see(shown.result), see(_truth(shown)))

        return measure

    return load


def _st_lpips() -> Measure:
    from idmvton.evaluate.perceptual import PerceptualDistance

    network = PerceptualDistance.shift_tolerant("alex", locate("st-lpips") / "alex_shift_tolerant.pth")
    return lambda shown: network.compare(shown.result, _truth(shown), ST_LPIPS_SIZE)


def _embedding(loader: str, *arguments: str) -> Callable[[], Measure]:
    """A loader of the networks of ``embeddings``, which take seconds to import."""

    def load() -> Measure:
        from idmvton.evaluate import embeddings

        made: Any = getattr(embeddings, loader)(*arguments)
        return made

    return load


def _truth(shown: Shown) -> pictures.Bytes:
    assert shown.truth is not None
    return shown.truth


_TORCHMETRICS: Final = named("torchmetrics")
_SKIMAGE: Final = named("scikit-image")
_HEADS: Final = f"heads of {_TORCHMETRICS}, backbone of the public model zoo, RGB in [-1, 1]"
_OUTSIDE: Final = f"outside the mask and {pictures.FEATHER} pixels around it, result against photo"
_FULL_REFERENCE: Final = (
    Metric(
        "ssim",
        "SSIM",
        "higher",
        ("truth",),
        "as torchmetrics 1.9 defines it, to 1e-6: RGB, gaussian window of 11 pixels, sigma 1.5, reflected edges",
        _plain(lambda shown: pictures.ssim(shown.result, _truth(shown), shown.region)),
    ),
    Metric(
        "ssim_grey",
        "SSIM (grey)",
        "higher",
        ("truth",),
        f"{_SKIMAGE}, grey, gaussian weights of sigma 1.5",
        _plain(lambda shown: pictures.ssim_grey(shown.result, _truth(shown)), "skimage.metrics"),
    ),
    Metric(
        "ms_ssim",
        "MS-SSIM",
        "higher",
        ("truth",),
        "as torchmetrics 1.9 defines it, to 1e-6: RGB, five scales; "
        f"pictures with a side under {SMALLEST_SIDE} pixels do not count",
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
        f"between the mean colours of the repainted region, {_SKIMAGE}",
        _plain(_colour, "skimage.color"),
    ),
)
_KEPT: Final = (
    Metric(
        "identity_max",
        "largest change outside the mask (0-255)",
        "lower",
        ("photo", "mask"),
        _OUTSIDE,
        _plain(_identity(0)),
    ),
    Metric(
        "identity_mean",
        "mean change outside the mask (0-255)",
        "lower",
        ("photo", "mask"),
        _OUTSIDE,
        _plain(_identity(1)),
    ),
    Metric(
        "identity_face",
        "mean change of the face (0-255)",
        "lower",
        ("photo", "mask", "keypoints"),
        f"in a disc around nose, eyes and ears, {_OUTSIDE}; people with fewer than two of these do not count",
        _plain(_identity_face),
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
)
_EMBEDDED: Final = (
    Metric(
        "clip_i",
        "CLIP-I (truth)",
        "higher",
        ("truth",),
        "cosine of the CLIP ViT-L/14 image embeddings of result and truth",
        _embedding("load_clip", "truth"),
        needs="clip-vit-large-patch14",
    ),
    Metric(
        "clip_i_garment",
        "CLIP-I (garment)",
        "higher",
        ("garment",),
        "cosine of the CLIP ViT-L/14 image embeddings of result and product picture: for pairs without a truth",
        _embedding("load_clip", "garment"),
        needs="clip-vit-large-patch14",
    ),
    Metric(
        "dino",
        "DINO",
        "higher",
        ("truth",),
        "cosine of the DINO ViT-S/16 class tokens of result and truth",
        _embedding("load_dino"),
        needs="dino-vits16",
    ),
    *(
        Metric(
            name,
            title,
            "lower",
            ("reference",),
            f"{_TORCHMETRICS} on features of the TorchScript Inception of 2015-12-05, pictures resized to 299x299 by "
            "Pillow's bicubic filter, results against the photos, or against the truths where no photos are known",
            _embedding("load_inception"),
            needs="inception-fid",
            scope="set",
        )
        for name, title in (("fid", "FID"), ("kid", "KID"))
    ),
)
METRICS: Final[Mapping[str, Metric]] = {each.name: each for each in (*_FULL_REFERENCE, *_KEPT, *_EMBEDDED)}


def find_metric(name: str) -> Metric:
    """The metric of a name.

    Raises:
        ConfigError: there is none; the names are listed.
    """
    if name not in METRICS:
        raise ConfigError("unknown metric", got=repr(name), expected="one of " + ", ".join(METRICS))
    return METRICS[name]


def with_metrics(protocol: Protocol, names: Sequence[str]) -> Protocol:
    """A protocol with other metrics; everything else of it stays.

    Raises:
        ConfigError: an unknown metric, or none.
    """
    if not names:
        raise ConfigError("no metric is named", expected="some of " + ", ".join(METRICS))
    return replace(protocol, metrics=tuple(find_metric(name).name for name in dict.fromkeys(names)))
