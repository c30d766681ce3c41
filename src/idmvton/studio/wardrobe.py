"""Garments as choices: every choice is an attribute, and the caption states the attributes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from idmvton.studio.chance import choose
from idmvton.studio.colours import Colour, pick_colour
from idmvton.studio.fabrics import Fabric, make_fabric
from idmvton.studio.shells import WAISTBAND, Fit, Skirt
from idmvton.types import Category

Floats = NDArray[np.floating[Any]]
Kind = Literal["top", "bottom", "skirt", "dress"]

# Neckline -> shader type, half width, depth in front, depth behind (metres on the mean body).
NECKLINES: Final[dict[str, tuple[float, float, float, float]]] = {
    "round neck": (0, 0.084, 0.085, 0.022),
    "scoop neck": (0, 0.108, 0.150, 0.045),
    "boat neck": (0, 0.140, 0.060, 0.030),
    "v neck": (1, 0.088, 0.190, 0.024),
    "square neck": (2, 0.112, 0.135, 0.050),
    "turtleneck": (3, 0.0, 0.0, 0.0),
    "off-shoulder": (4, 0.0, 0.0, 0.0),
    "collar": (1, 0.070, 0.105, 0.012),
    "hood": (1, 0.078, 0.100, 0.012),
}
# Sleeve -> where it ends (0 shoulder, 1 elbow, 2 wrist); negative: no sleeve, cut at the armhole.
SLEEVES: Final[dict[str, tuple[float, float]]] = {
    "sleeveless": (-1.0, -1.0),
    "short sleeve": (0.45, 0.75),
    "elbow sleeve": (0.95, 1.15),
    "long sleeve": (1.92, 2.02),
}
FITS: Final[dict[str, tuple[Fit, float]]] = {
    "tight": (Fit(offset=0.007, drape=0.25, fall=0.0, sleeve=0.0, leg=0.0), 0.40),
    "regular": (Fit(offset=0.009, drape=0.65, fall=0.40, sleeve=0.009, leg=0.020), 0.85),
    "loose": (Fit(offset=0.012, drape=1.0, fall=0.85, sleeve=0.024, leg=0.050), 1.25),
}


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of garment: what may be chosen for it.

    Attributes:
        kind: which geometry.
        category: which part of the body it dresses.
        necklines, sleeves, fits, fabrics: the choices.
        hem: range of the hem's height (tops) or of its end along the leg (others).
        collar: ``shirt``, ``hood``, ``turtle`` or nothing.
        closing: ``buttons``, ``zip`` or nothing.
        printed: how likely a placed print is.
        opening: half width of an open front at the top and at the hem.
        odds: how often it is drawn, for women and men.
    """

    kind: Kind
    category: Category
    necklines: tuple[str, ...] = ()
    sleeves: tuple[str, ...] = ()
    fits: tuple[str, ...] = ("tight", "regular", "loose")
    fabrics: tuple[str, ...] | None = None
    hem: tuple[float, float] = (0.10, 0.17)
    collar: str = ""
    closing: str = ""
    printed: float = 0.0
    opening: tuple[float, float] = (0.0, 0.0)
    odds: tuple[float, float] = (1.0, 1.0)


ALL_SLEEVES: Final = tuple(SLEEVES)
CLOTH: Final = ("plain", "striped", "pinstriped", "checked", "dotted", "floral", "geometric", "denim")
WARM: Final = ("plain", "heather", "knit", "striped", "camouflage", "geometric")
MODELS: Final[dict[str, Model]] = {
    "t-shirt": Model("top", "upper_body", ("round neck", "v neck", "scoop neck"), ("short sleeve",), printed=0.6,
                     odds=(2.5, 4)),
    "jersey top": Model("top", "upper_body", ("round neck", "v neck", "boat neck", "turtleneck"),
                             ("long sleeve", "elbow sleeve"), printed=0.3, odds=(1.5, 2)),
    "tank top": Model("top", "upper_body", ("round neck", "scoop neck", "v neck", "square neck"), ("sleeveless",),
                      printed=0.3, odds=(1.5, 0.8)),
    "crop top": Model("top", "upper_body", ("round neck", "scoop neck", "square neck", "off-shoulder"), ALL_SLEEVES,
                      ("tight", "regular"), hem=(0.31, 0.37), odds=(1.2, 0)),
    "off-shoulder top": Model("top", "upper_body", ("off-shoulder",), ("short sleeve", "elbow sleeve", "long sleeve"),
                              ("tight", "regular"), odds=(0.8, 0)),
    "shirt": Model("top", "upper_body", ("collar",), ("short sleeve", "long sleeve"), ("regular", "loose"), CLOTH,
                   collar="shirt", closing="buttons", odds=(1.2, 2.5)),
    "blouse": Model("top", "upper_body", ("collar", "v neck"), ("elbow sleeve", "long sleeve"), ("regular", "loose"),
                    ("plain", "floral", "dotted", "lace", "striped"), collar="shirt", closing="buttons", odds=(1.4, 0)),
    "sweater": Model("top", "upper_body", ("round neck", "v neck", "turtleneck"), ("long sleeve",),
                     ("regular", "loose"), ("knit", "striped", "heather"), odds=(1.2, 1.2)),
    "hoodie": Model("top", "upper_body", ("hood",), ("long sleeve",), ("regular", "loose"), WARM, hem=(0.09, 0.14),
                    collar="hood", printed=0.6, odds=(0.9, 1.6)),
    "jacket": Model("top", "upper_body", ("collar",), ("long sleeve",), ("regular", "loose"),
                    ("plain", "denim", "checked", "camouflage"), hem=(0.09, 0.15), collar="shirt",
                    opening=(0.045, 0.065), odds=(1.0, 1.2)),
    "trousers": Model("bottom", "lower_body", fabrics=("plain", "pinstriped", "checked", "denim", "camouflage"),
                      hem=(1.80, 1.93), odds=(2, 3)),
    "jeans": Model("bottom", "lower_body", fabrics=("denim",), hem=(1.75, 1.93), odds=(2, 2.5)),
    "shorts": Model("bottom", "lower_body", fabrics=CLOTH, hem=(0.35, 0.85), odds=(1.2, 1.5)),
    "mini skirt": Model("skirt", "lower_body", hem=(0.30, 0.50), odds=(1.2, 0)),
    "midi skirt": Model("skirt", "lower_body", hem=(0.95, 1.35), odds=(1.2, 0)),
    "maxi skirt": Model("skirt", "lower_body", hem=(1.60, 1.80), odds=(0.8, 0)),
    "mini dress": Model("dress", "dresses", ("round neck", "v neck", "square neck", "off-shoulder"), ALL_SLEEVES,
                        hem=(0.35, 0.60), odds=(1.3, 0)),
    "midi dress": Model("dress", "dresses", ("round neck", "v neck", "square neck", "boat neck"), ALL_SLEEVES,
                        hem=(0.95, 1.35), odds=(1.3, 0)),
    "maxi dress": Model("dress", "dresses", ("round neck", "v neck", "scoop neck", "off-shoulder"), ALL_SLEEVES,
                        hem=(1.55, 1.80), odds=(0.9, 0)),
    "shirt dress": Model("dress", "dresses", ("collar",), ("short sleeve", "long sleeve"), ("regular", "loose"),
                         CLOTH, hem=(0.55, 1.10), collar="shirt", closing="buttons", odds=(0.8, 0)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clothing:
    """One garment, fully chosen.

    Attributes:
        item, category, kind: what it is.
        neckline, sleeve, fit: words, empty where they do not apply.
        cut: float (3, 4), what the shader cuts by (see ``garment_cut.glsl``).
        fit_shape: geometry of the fit. ``skirt``: the tube of skirts and dresses.
        fabric: what it is made of.
        collar, closing: see :class:`Model`. ``opening``: half width of the open front.
        trim: widths of neck band, cuffs, hem, and strength of ribs. ``trim_colour``: their colour.
        block: 0 none, 1 sleeves, 2 lower part, 3 yoke, 4 gradient; height; softness. ``block_colour``: its colour.
        folds: strength, two offsets, size.
        tucked: whether a top goes into the lower garment.
    """

    item: str
    category: Category
    kind: Kind
    neckline: str
    sleeve: str
    fit: str
    cut: Floats
    fit_shape: Fit
    skirt: Skirt | None
    fabric: Fabric
    collar: str
    closing: str
    opening: float
    trim: tuple[float, float, float, float]
    trim_colour: Colour
    block: tuple[float, float, float, float]
    block_colour: Colour
    block_name: str
    folds: tuple[float, float, float, float]
    wobble: tuple[float, float, float, float]
    tucked: bool = False

    def attributes(self) -> dict[str, Any]:
        """Every choice as plain words and numbers."""
        fabric = self.fabric
        return {
            "item": self.item,
            "category": self.category,
            "sleeve": self.sleeve,
            "neckline": self.neckline,
            "fit": self.fit,
            "fabric": fabric.name,
            "colour": fabric.colour,
            "print": fabric.print_seed is not None,
            "colour_block": self.block_name,
            "closing": self.closing,
            "open": self.opening > 0,
            "hem": round(float(self.cut[0][0] if self.kind == "top" else self.length), 4),
            "sleeve_end": round(float(self.cut[0][3]), 4),
        }

    @property
    def length(self) -> float:
        """Where the lower hem lies along the leg (0 hip, 1 knee, 2 ankle)."""
        return self.skirt.end if self.skirt else float(self.cut[0][2])

    def caption(self, *, detailed: bool = True) -> str:
        """What a person would call it: all the attributes, or the item alone."""
        if not detailed:
            return self.item
        sleeve = "" if self.sleeve and self.sleeve in self.item else self.sleeve
        neckline = {"hood": "hooded", "collar": "collared"}.get(self.neckline, self.neckline)
        neckline = "" if neckline and neckline in self.item else neckline
        words = [self.fit, self.fabric.colour]
        words += [] if self.fabric.name in ("plain",) or self.item == "jeans" else [self.fabric.name]
        words += ["open"] if self.opening > 0 else []
        words += [sleeve, neckline, self.item]
        text = " ".join(word for word in words if word)
        extras = ["a print"] if self.fabric.print_seed is not None else []
        extras += [self.block_name] if self.block_name else []
        extras += [{"buttons": "buttons", "zip": "a zip"}[self.closing]] if self.closing else []
        return text + (" with " + " and ".join(extras) if extras else "")

    def tags(self) -> str:
        """The published form: sleeve length, neckline, item."""
        return " ".join(word for word in (self.sleeve, self.neckline, self.item) if word)


def sample_garment(rng: np.random.Generator, category: Category, *, female: bool) -> Clothing:
    """Draws a garment for a part of the body; dresses are drawn for women only."""
    column = 0 if female or category == "dresses" else 1
    names = [name for name, model in MODELS.items() if model.category == category and model.odds[column] > 0]
    return make_garment(rng, choose(rng, names, (MODELS[name].odds[column] for name in names)))


def make_garment(rng: np.random.Generator, item: str, *, calm: bool = False) -> Clothing:
    """Draws everything that is left open about an item; ``calm``: a plain companion without prints."""
    model = MODELS[item]
    pick = [choose(rng, choices) if choices else "" for choices in (model.necklines, model.sleeves, model.fits)]
    neckline, sleeve, fit_name = pick
    sleeve_range = SLEEVES.get(sleeve, (0.0, 0.0))
    sleeve_end = float(rng.uniform(*sleeve_range))
    end = float(rng.uniform(*model.hem))
    fit, fold_strength = FITS[fit_name]
    if model.kind == "dress":  # the waist seam holds the bodice
        fit = replace(fit, drape=0.3 * fit.drape, fall=0.0)
    armhole = float(rng.uniform(-0.035, -0.004)) if sleeve == "sleeveless" else 0.0
    kinds = ("plain", "denim", "heather") if calm and model.fabrics is None else model.fabrics
    fabric = make_fabric(rng, kinds, 0.0 if calm else model.printed)
    collar = model.collar if neckline in ("collar", "hood") else ("turtle" if neckline == "turtleneck" else "")
    closing = model.closing if collar == "shirt" else ""
    if item == "hoodie" and rng.random() < 0.4:
        closing, fabric = "zip", replace(fabric, print_seed=None)
    trim = _trim(rng, item)
    block, block_name, block_colour = _block(rng, model, fabric, calm)
    trim_colour = fabric.accent if rng.random() < 0.25 else fabric.main
    fold_u, fold_v, fold_size = (float(rng.uniform(low, high)) for low, high in ((0, 1), (0, 1), (0.85, 1.5)))
    folds = (fold_strength * float(rng.uniform(0.8, 1.2)), fold_u, fold_v, fold_size)
    return Clothing(
        item=item, category=model.category, kind=model.kind, neckline=neckline, sleeve=sleeve, fit=fit_name,
        cut=_cut(rng, model, neckline, sleeve_end, armhole, end), fit_shape=fit,
        skirt=_skirt(rng, model, fit_name, fit, end), fabric=fabric, collar=collar, closing=closing,
        opening=model.opening[0], trim=trim, trim_colour=trim_colour, block=block, block_colour=block_colour,
        block_name=block_name, folds=folds, wobble=tuple(rng.uniform(0, 6.28, 4).tolist()),
        tucked=model.kind == "top" and item in ("shirt", "blouse", "tank top", "t-shirt") and rng.random() < 0.3,
    )  # fmt: skip


def _cut(
    rng: np.random.Generator, model: Model, neckline: str, sleeve_end: float, armhole: float, end: float
) -> Floats:
    if model.kind in ("bottom", "skirt"):
        waist = float(rng.uniform(0.22, 0.31))
        return np.array([[0, waist, end, -1], [0, 0, 0, 0], [2, 0, 0, 0]], np.float32)
    hem = end if model.kind == "top" else 0.255
    neck = np.array(NECKLINES[neckline])
    neck[1:] *= rng.uniform(0.93, 1.07)
    shape = [1.0, armhole, *model.opening]
    return np.array([[hem, 0, 0, sleeve_end], neck, shape], np.float32)


def _skirt(rng: np.random.Generator, model: Model, fit_name: str, fit: Fit, end: float) -> Skirt | None:
    if model.kind not in ("skirt", "dress"):
        return None
    flare = {"tight": (0.0, 0.05), "regular": (0.10, 0.28), "loose": (0.28, 0.55)}[fit_name]
    wide = float(rng.uniform(*flare))
    return Skirt(
        top=0.29 if model.kind == "dress" else float(rng.uniform(0.25, 0.31)),
        end=end,
        flare=wide,
        offset=fit.offset + 0.006 if model.kind == "dress" else WAISTBAND,
        pleats=int(rng.integers(7, 13)),
        depth=0.004 + 0.045 * wide,
        phase=float(rng.uniform(0, 6.28)),
    )


def _trim(rng: np.random.Generator, item: str) -> tuple[float, float, float, float]:
    if item in ("sweater", "hoodie"):
        return (0.018, 0.055, 0.050, 1.0)
    if item in ("t-shirt", "jersey top", "tank top", "crop top"):
        return (0.018, 0.0, 0.0, 0.6)
    if item in ("trousers", "jeans", "shorts", "mini skirt", "midi skirt", "maxi skirt"):
        return (0.0, 0.0, 0.035, 0.0)
    return (0.0, 0.05 if item in ("shirt", "blouse", "jacket") else 0.0, 0.0, 0.0)


def _block(
    rng: np.random.Generator, model: Model, fabric: Fabric, calm: bool
) -> tuple[tuple[float, float, float, float], str, Colour]:
    name, colour = pick_colour(rng, avoid=fabric.colour)
    draw = rng.random()
    plain = fabric.name in ("plain", "heather", "knit", "satin") and not calm
    if not plain or fabric.print_seed is not None or draw > 0.3:
        return (0.0, 0.0, 0.0, 0.0), "", colour
    if model.kind == "top" and draw < 0.08:
        return (1.0, 0.0, 0.0, 0.0), f"{name} sleeves", colour
    if model.kind == "top" and draw < 0.15:
        return (2.0, float(rng.uniform(0.28, 0.45)), 0.0008, 0.0), f"a {name} lower half", colour
    if model.kind == "top" and draw < 0.20:
        return (3.0, float(rng.uniform(0.50, 0.58)), 0.0008, 0.0), f"a {name} yoke", colour
    middle = {"top": 0.40, "dress": 0.1, "bottom": -0.2, "skirt": 0.1}[model.kind]
    return (4.0, middle, 0.25, 0.0), f"a gradient to {name}", colour


def recolour(garment: Clothing, rng: np.random.Generator) -> Clothing:
    """The same cut in another fabric."""
    fabric = make_fabric(rng, MODELS[garment.item].fabrics, MODELS[garment.item].printed)
    while fabric.colour == garment.fabric.colour and fabric.name == garment.fabric.name:
        fabric = make_fabric(rng, None, MODELS[garment.item].printed)
    return replace(garment, fabric=fabric, trim_colour=fabric.main, block=(0.0, 0.0, 0.0, 0.0), block_name="")


def sample_within(rng: np.random.Generator, target: Clothing, *, female: bool) -> Clothing:
    """Draws another garment whose outline stays, by and large, within the region that the target's mask repaints."""
    for _ in range(40):
        other = sample_garment(rng, target.category, female=female)
        if _stays_within(other, target):
            return other
    return recolour(target, rng)


def sample_inner(rng: np.random.Generator) -> Clothing:
    """Draws the top that is worn under an open jacket: plain, close to the body, tucked in."""
    fit, strength = FITS["tight"]
    garment = make_garment(rng, "t-shirt", calm=True)
    return replace(garment, fit="tight", fit_shape=fit, folds=(strength, *garment.folds[1:]), tucked=True)


def _stays_within(other: Clothing, target: Clothing) -> bool:
    sizes = list(FITS)
    wider = sizes.index(other.fit) - sizes.index(target.fit)
    if wider > (target.kind != "dress"):
        return False
    if target.kind == "top":
        high = other.neckline in ("turtleneck", "hood")  # may push hair aside
        if high and target.neckline not in ("turtleneck", "hood", "collar"):
            return False
        hem = min(float(target.cut[0][0]), 0.27) + 0.010 * max(wider, 0)
        reaches = other.tucked or float(other.cut[0][0]) >= hem
        if target.opening > 0:  # what shows between its fronts is kept
            return reaches and (other.opening > 0 or other.tucked)
        return reaches and other.tucked == target.tucked
    if other.skirt is None:
        return target.skirt is None or target.length > 0.4
    if target.skirt is None:
        return other.skirt.flare < 0.08
    longer = other.skirt.end > target.skirt.end + 0.05
    return other.skirt.flare <= target.skirt.flare + 0.03 and not (longer and target.kind == "dress")
