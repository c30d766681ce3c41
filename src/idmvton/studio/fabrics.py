"""Fabrics, drawn as small pictures: one period of a pattern.

A fabric's alpha channel says how raised the thread is (knit, lace); it shapes the light, not the colour.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.studio.chance import choose
from idmvton.studio.colours import Colour, pick_colour
from idmvton.studio.prints import draw_print

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

SIZE: Final = 256


@dataclass(frozen=True, slots=True)
class Fabric:
    """A fabric.

    Attributes:
        name: the word for it in captions.
        colour: the word for its main colour.
        weaving: key of :data:`FABRICS`, how the tile is drawn; ``seed``: from which random state.
        period: size of the tile in metres.
        print_seed: random state of a placed print, or ``None``.
        main, accent: the colours used.
        sheen, shine, gloss: how it takes the light.
        weave: strength of the fine structure.
    """

    name: str
    colour: str
    weaving: str
    seed: int
    period: float
    print_seed: int | None
    main: Colour
    accent: Colour
    sheen: float = 0.05
    shine: float = 0.02
    gloss: float = 12.0
    weave: float = 0.6

    @property
    def tile(self) -> Bytes:
        """One period: uint8 (256, 256, 4), read-only; drawn when it is first asked for."""
        return _draw_tile(self.weaving, self.seed, self.main, self.accent)

    @property
    def print_(self) -> Bytes | None:
        """The placed print: uint8 (128, 256, 4), read-only, or ``None``."""
        return None if self.print_seed is None else draw_print(self.print_seed, self.accent)[0]

    @property
    def print_size(self) -> tuple[float, float]:
        """Width and height of the placed print, metres."""
        return (0.0, 0.0) if self.print_seed is None else draw_print(self.print_seed, self.accent)[1]


@functools.lru_cache(maxsize=1)
def noise_texture() -> Bytes:
    """Smooth noise that repeats, uint8 (256, 256, 4): broad, ridged, fine, very fine. Read-only."""
    rng = np.random.default_rng(7)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIZE) * SIZE, np.fft.fftfreq(SIZE) * SIZE))
    layers = []
    for cutoff in (5.0, 7.0, 44.0, 90.0):
        spectrum = np.fft.fft2(rng.normal(size=(SIZE, SIZE)))
        layer = np.real(np.fft.ifft2(spectrum * np.exp(-((frequency / cutoff) ** 2)) * np.sqrt(frequency)))
        layers.append(np.clip(layer / layer.std() * 0.18 + 0.5, 0, 1) * 255)
    texture = np.stack(layers, 2).astype(np.uint8)
    texture.flags.writeable = False
    return texture


def _flat(colour: Colour, alpha: float = 0.5) -> Floats:
    """A tile as planes: red, green, blue, thread; float32 (4, 256, 256)."""
    tile = np.empty((4, SIZE, SIZE), np.float32)
    for plane, value in zip(tile, (*colour, alpha), strict=True):
        plane.fill(value)
    return tile


def _paint(tile: Floats, where: Floats, colour: Colour) -> Floats:
    share = np.asarray(np.clip(where, 0, 1), np.float32)
    for plane, value in zip(tile[:3], colour, strict=True):
        plane += share * (np.float32(value) - plane)
    return tile


def _canvas(colour: Colour) -> Bytes:
    """A picture (256, 256, 3) to draw shapes on."""
    return np.full((SIZE, SIZE, 3), (np.array(colour) * 255).astype(np.uint8))


def _from_canvas(canvas: Bytes) -> Floats:
    tile = _flat((0.0, 0.0, 0.0))
    tile[:3] = canvas.transpose(2, 0, 1) * np.float32(1 / 255)
    return tile


def _axis() -> tuple[Floats, Floats]:
    grid = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
    return np.meshgrid(grid, grid)


def _soft(value: Floats, edge: float = 0.008) -> Floats:
    return np.asarray(np.clip(value / edge + 0.5, 0, 1), np.float32)


def _plain(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    return _flat(main)


def _heather(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    tile = _flat(main)
    fleck = cv2.GaussianBlur(rng.normal(size=(SIZE, SIZE)).astype(np.float32), (0, 0), 2.2, sigmaY=0.7)
    lighter = tuple(0.5 * c + 0.45 for c in main)
    return _paint(tile, fleck * 1.6 + 0.25, (lighter[0], lighter[1], lighter[2]))


def _stripes(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    _, y = _axis()
    count, share = int(rng.integers(1, 4)), float(rng.uniform(0.2, 0.55))
    return _paint(_flat(main), _soft(share / 2 - np.abs((y * count) % 1 - 0.5), 0.02), accent)


def _pinstripes(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    x, _ = _axis()
    count, share = int(rng.integers(2, 5)), float(rng.uniform(0.06, 0.4))
    return _paint(_flat(main), _soft(share / 2 - np.abs((x * count) % 1 - 0.5), 0.03), accent)


def _checks(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    x, y = _axis()
    tile, share = _flat(main), float(rng.uniform(0.3, 0.5))
    bands = [_soft(share / 2 - np.abs(axis - 0.5), 0.012) for axis in (x, y)]
    tile = _paint(tile, 0.55 * bands[0], accent)
    tile = _paint(tile, 0.55 * bands[1], accent)
    if rng.random() < 0.6:
        line: Colour = (0.95, 0.93, 0.88) if sum(main) < 1.6 else (0.12, 0.1, 0.12)
        for axis in (x, y):
            tile = _paint(tile, 0.8 * _soft(0.012 - np.abs(axis - 0.08), 0.008), line)
    return tile


def _dots(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    x, y = _axis()
    radius = float(rng.uniform(0.08, 0.2))
    offset = np.where(np.floor(y * 2) % 2 > 0, 0.25, 0.0)
    px, py = ((x + offset) * 2) % 1 - 0.5, (y * 2) % 1 - 0.5
    return _paint(_flat(main), _soft(radius * 2 - np.hypot(px, py), 0.03), accent)


def _scatter(rng: np.random.Generator, canvas: Bytes, draw: Callable[[float, float, float], None], n: int) -> None:
    """Calls ``draw`` at random places, repeated across the borders so that the tile stays seamless."""
    for _ in range(n):
        x, y, turn = (float(rng.uniform(0, high)) for high in (SIZE, SIZE, 2 * np.pi))
        for dx in (-SIZE, 0, SIZE):
            for dy in (-SIZE, 0, SIZE):
                if -60 < x + dx < SIZE + 60 and -60 < y + dy < SIZE + 60:
                    draw(x + dx, y + dy, turn)


def _floral(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    canvas = _canvas(main)
    _, leaf = pick_colour(rng)
    leaf = (leaf[0] * 0.4, 0.25 + leaf[1] * 0.3, leaf[2] * 0.35)
    hearts = [accent, pick_colour(rng)[1]]
    petals, size = int(rng.integers(4, 7)), float(rng.uniform(9, 17))

    def blade(x: float, y: float, turn: float) -> None:
        cv2.ellipse(
            canvas, (int(x), int(y)), (int(size * 1.3), int(size * 0.4)), np.degrees(turn), 0, 360,
            [c * 255 for c in leaf], -1, cv2.LINE_AA,
        )  # fmt: skip

    def flower(x: float, y: float, turn: float) -> None:
        colour = [c * 255 for c in hearts[int(turn * 7) % 2]]
        for petal in range(petals):
            angle = turn + 2 * np.pi * petal / petals
            spot = (int(x + np.cos(angle) * size * 0.75), int(y + np.sin(angle) * size * 0.75))
            cv2.ellipse(
                canvas,
                spot,
                (int(size * 0.62), int(size * 0.42)),
                np.degrees(angle),
                0,
                360,
                colour,
                -1,
                cv2.LINE_AA,
            )
        cv2.circle(canvas, (int(x), int(y)), int(size * 0.35), (240, 200, 70), -1, cv2.LINE_AA)

    _scatter(rng, canvas, blade, 16)
    _scatter(rng, canvas, flower, 11)
    return _from_canvas(canvas)


def _camouflage(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    tile = _flat(main)
    noise = noise_texture()
    for index, share in enumerate((0.55, 0.62, 0.68)):
        field = np.roll(noise[..., index % 2], tuple(rng.integers(0, SIZE, 2)), (0, 1)) / 255
        shade = (np.array(main) * (0.45 + 0.35 * index) + np.array(accent) * 0.25 * index).clip(0.02, 0.95)
        tile = _paint(tile, _soft(field - share + 0.08, 0.015), (shade[0], shade[1], shade[2]))
    return tile


def _shapes(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    canvas = _canvas(main)
    palette = [accent, pick_colour(rng)[1], pick_colour(rng)[1]]

    def shape(x: float, y: float, turn: float) -> None:
        colour = [c * 255 for c in palette[int(turn * 10) % 3]]
        size = 14 + 22 * ((turn * 3.3) % 1)
        corners = 3 + int(turn * 5) % 4
        points = [
            (
                x + size * np.cos(turn + 2 * np.pi * k / corners),
                y + size * np.sin(turn + 2 * np.pi * k / corners),
            )
            for k in range(corners)
        ]
        if corners == 6:
            cv2.circle(canvas, (int(x), int(y)), int(size), colour, -1, cv2.LINE_AA)
        else:
            cv2.fillPoly(canvas, [np.array(points, np.int32)], colour, cv2.LINE_AA)

    _scatter(rng, canvas, shape, 12)
    return _from_canvas(canvas)


def _lace(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    x, y = _axis()
    px, py = (x * 4) % 1 - 0.5, (y * 4 + np.floor(x * 4) * 0.5) % 1 - 0.5
    angle, radius = np.arctan2(py, px), np.hypot(px, py)
    flower = _soft(0.32 + 0.10 * np.cos(6 * angle) - radius, 0.05)
    net = _soft(0.16 - np.abs(((x + y) * 16) % 1 - 0.5), 0.2) + _soft(0.16 - np.abs(((x - y) * 16) % 1 - 0.5), 0.2)
    thread = np.clip(flower + net, 0, 1)
    dark = tuple(0.55 * c for c in main)
    tile = _paint(_flat((dark[0], dark[1], dark[2])), thread, main)
    tile[3] = thread
    return tile


def _knit(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    x, y = _axis()
    wale = np.abs((x * 10) % 1 - 0.5) * 2
    stitch = np.abs((y * 14 + wale * 0.9) % 1 - 0.5) * 2
    raised = (1 - wale**2) * (0.35 + 0.65 * stitch)
    dark = tuple(0.55 * c for c in main)
    tile = _paint(_flat((dark[0], dark[1], dark[2])), 0.25 + 0.75 * raised, main)
    tile[3] = raised
    return tile


def _denim(rng: np.random.Generator, main: Colour, accent: Colour) -> Floats:
    x, y = _axis()
    base = np.array([(0.16, 0.24, 0.42), (0.30, 0.42, 0.60), (0.10, 0.12, 0.18), (0.55, 0.65, 0.78)])
    shade = base[int(rng.integers(len(base)))]
    twill = ((x + y) * 64) % 1
    mottled = noise_texture()[..., 2] / 255 - 0.5
    tile = _flat((float(shade[0]), float(shade[1]), float(shade[2])))
    tile[:3] *= 0.88 + 0.2 * _soft(twill - 0.5, 0.4) + 0.35 * mottled
    return tile


Maker = Callable[[np.random.Generator, Colour, Colour], Floats]
# name -> (maker, period range in metres, odds)
FABRICS: Final[dict[str, tuple[Maker, tuple[float, float], float]]] = {
    "plain": (_plain, (0.2, 0.2), 5.0),
    "heather": (_heather, (0.16, 0.22), 1.4),
    "striped": (_stripes, (0.05, 0.16), 2.4),
    "pinstriped": (_pinstripes, (0.05, 0.14), 1.4),
    "checked": (_checks, (0.05, 0.16), 2.0),
    "dotted": (_dots, (0.05, 0.14), 1.6),
    "floral": (_floral, (0.16, 0.40), 2.4),
    "camouflage": (_camouflage, (0.28, 0.45), 0.9),
    "geometric": (_shapes, (0.22, 0.45), 1.4),
    "lace": (_lace, (0.10, 0.18), 0.8),
    "knit": (_knit, (0.06, 0.10), 1.4),
    "denim": (_denim, (0.10, 0.12), 1.0),
}


def make_fabric(rng: np.random.Generator, kinds: tuple[str, ...] | None = None, printed: float = 0.0) -> Fabric:
    """Chooses a fabric; what it looks like is drawn when it is needed.

    Args:
        rng: the random state.
        kinds: names of :data:`FABRICS` to draw from; all by default.
        printed: how likely a placed print (logo, words, large shape) is on a calm fabric.
    """
    names = list(kinds or FABRICS)
    name = choose(rng, names, (FABRICS[name][2] for name in names))
    _, (shortest, longest), _ = FABRICS[name]
    colour, main = pick_colour(rng)
    _, accent = pick_colour(rng, avoid=colour)
    while abs(sum(accent) - sum(main)) < 0.35:
        _, accent = pick_colour(rng, avoid=colour)
    seed, print_seed = (int(number) for number in rng.integers(2**62, size=2))
    stamped = name in ("plain", "heather") and rng.random() < printed
    satin = name in ("plain", "floral") and rng.random() < 0.2
    return Fabric(
        name="satin" if satin and name == "plain" else name,
        colour="blue" if name == "denim" else colour,
        weaving=name,
        seed=seed,
        period=float(rng.uniform(shortest, longest)),
        print_seed=print_seed if stamped else None,
        main=main,
        accent=accent,
        sheen=0.12 if satin or name in ("knit", "heather") else 0.05,
        shine=0.17 if satin else float(rng.uniform(0.0, 0.05)),
        gloss=11.0 if satin else 10.0,
        weave=0.15 if satin else float(rng.uniform(0.4, 1.0)),
    )


@functools.lru_cache(maxsize=32)
def _draw_tile(weaving: str, seed: int, main: Colour, accent: Colour) -> Bytes:
    planes = FABRICS[weaving][0](np.random.default_rng(seed), main, accent)
    pixels = (np.clip(planes, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    tile = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    tile.flags.writeable = False
    return tile
