"""Procedural surroundings, out of focus: studio paper, rooms, streets, parks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.studio.chance import choose
from idmvton.studio.fabrics import noise_texture

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
HEIGHT, WIDTH = 256, 192


def _canvas(top: Floats, bottom: Floats) -> Floats:
    share = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    return np.asarray(np.broadcast_to(top * (1 - share) + bottom * share, (HEIGHT, WIDTH, 3)).copy(), np.float32)


def _studio(rng: np.random.Generator, horizon: float) -> Floats:
    """Seamless paper: light, sometimes tinted, with a soft vignette."""
    base = rng.uniform(0.80, 0.97) + rng.normal(0, 0.012, 3)
    if rng.random() < 0.3:
        base = np.array([0.35, 0.35, 0.35]) + rng.uniform(0, 0.5, 3)
    picture = _canvas(base, base * rng.uniform(0.86, 0.98))
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    glow = ((x / WIDTH - rng.uniform(0.3, 0.7)) ** 2 + (y / HEIGHT - 0.4) ** 2)[..., None]
    return np.asarray(picture * (1.03 - 0.18 * glow), np.float32)


def _wall(rng: np.random.Generator, horizon: float) -> Floats:
    """A painted wall, a skirting board and a floor."""
    wall = rng.uniform(0.35, 0.9, 3) * 0.5 + rng.uniform(0.3, 0.45)
    picture = _canvas(wall, wall * 0.92)
    floor = np.array([0.48, 0.38, 0.30]) * rng.uniform(0.7, 1.5)
    line = int(np.clip(horizon, 0.3, 1.2) * HEIGHT)
    if line < HEIGHT:
        depth = np.linspace(0.85, 1.1, HEIGHT - line)[:, None, None]
        picture[line:] = floor * depth
        for k in range(-8, 9):
            x0, x1 = WIDTH / 2 + k * 10, WIDTH / 2 + k * 44
            cv2.line(picture, (int(x0), line), (int(x1), HEIGHT), (floor * 0.8).tolist(), 1, cv2.LINE_AA)
        cv2.rectangle(picture, (0, line - 6), (WIDTH, line), np.minimum(wall * 1.12, 1).tolist(), -1)
    if rng.random() < 0.6:
        _window(rng, picture, line)
    if rng.random() < 0.5:
        _frame(rng, picture, line)
    return picture


def _window(rng: np.random.Generator, picture: Floats, line: int) -> None:
    x, width = int(rng.integers(-20, WIDTH - 30)), int(rng.integers(35, 80))
    y, height = int(rng.integers(5, 40)), int(rng.integers(60, 110))
    cv2.rectangle(picture, (x - 3, y - 3), (x + width + 3, y + height + 3), (0.92, 0.92, 0.9), -1)
    sky = np.array([0.80, 0.89, 0.98]) * rng.uniform(0.9, 1.05)
    cv2.rectangle(picture, (x, y), (x + width, y + height), sky.tolist(), -1)
    cv2.line(picture, (x + width // 2, y), (x + width // 2, y + height), (0.9, 0.9, 0.88), 2)
    cv2.line(picture, (x, y + height // 2), (x + width, y + height // 2), (0.9, 0.9, 0.88), 2)


def _frame(rng: np.random.Generator, picture: Floats, line: int) -> None:
    x, width = int(rng.integers(0, WIDTH - 40)), int(rng.integers(25, 50))
    y, height = int(rng.integers(15, 60)), int(rng.integers(30, 60))
    cv2.rectangle(picture, (x, y), (x + width, y + height), (0.2, 0.17, 0.14), -1)
    cv2.rectangle(picture, (x + 3, y + 3), (x + width - 3, y + height - 3), rng.uniform(0.2, 0.9, 3).tolist(), -1)
    cv2.circle(picture, (x + width // 2, y + height // 2), width // 4, rng.uniform(0.2, 0.9, 3).tolist(), -1)


def _room(rng: np.random.Generator, horizon: float) -> Floats:
    """A room with furniture, shelves and a lamp."""
    picture = _wall(rng, horizon)
    line = int(np.clip(horizon, 0.3, 1.05) * HEIGHT)
    for _ in range(int(rng.integers(2, 5))):
        width, height = int(rng.integers(30, 80)), int(rng.integers(30, 110))
        x = int(rng.choice([rng.integers(-30, 30), rng.integers(WIDTH - 60, WIDTH)]))
        colour = rng.uniform(0.15, 0.75, 3) * np.array([1.0, 0.92, 0.82])
        cv2.rectangle(picture, (x, line - height), (x + width, line + 8), colour.tolist(), -1)
        for shelf in range(line - height + 10, line, 22):
            cv2.line(picture, (x, shelf), (x + width, shelf), (colour * 0.6).tolist(), 2)
            for book in range(x + 2, x + width - 3, int(rng.integers(4, 8))):
                top = int(shelf + rng.integers(4, 9))
                cv2.rectangle(picture, (book, top), (book + 3, shelf + 20), rng.uniform(0.1, 0.9, 3).tolist(), -1)
    if rng.random() < 0.5:
        spot = (int(rng.integers(0, WIDTH)), int(rng.integers(10, 70)))
        halo = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.circle(halo, spot, 9, 1.0, -1)
        halo = cv2.GaussianBlur(halo, (0, 0), 14) * 4 + cv2.GaussianBlur(halo, (0, 0), 3)
        picture = picture + halo[..., None] * np.array([0.5, 0.42, 0.28], np.float32)
    return picture


def _street(rng: np.random.Generator, horizon: float) -> Floats:
    """Facades with windows, a pavement, cars' lights as blurred discs."""
    sky = np.array([0.72, 0.82, 0.93]) * rng.uniform(0.8, 1.1)
    picture = _canvas(sky, np.minimum(sky * 1.1, 1))
    line = int(np.clip(horizon, 0.3, 1.1) * HEIGHT)
    x = -20
    while x < WIDTH:
        width, top = int(rng.integers(40, 95)), int(rng.integers(-60, 70))
        wall = rng.uniform(0.3, 0.8) * np.array([1.0, 0.93, 0.86]) * rng.uniform(0.85, 1.1, 3)
        cv2.rectangle(picture, (x, top), (x + width, line), wall.tolist(), -1)
        step = int(rng.integers(14, 24))
        for wx in range(x + 6, x + width - 8, step):
            for wy in range(top + 8, line - 14, step + 4):
                glass = (0.95, 0.86, 0.6) if rng.random() < 0.15 else (0.30, 0.36, 0.42)
                cv2.rectangle(picture, (wx, wy), (wx + step // 2, wy + step * 2 // 3), glass, -1)
        x += width
    if line < HEIGHT:
        picture[line:] = rng.uniform(0.35, 0.6) * np.linspace(0.9, 1.1, HEIGHT - line)[:, None, None]
    for _ in range(int(rng.integers(0, 9))):
        spot = (int(rng.integers(0, WIDTH)), int(line - rng.integers(-5, 40)))
        colour = [(1.0, 0.85, 0.5), (1.0, 0.3, 0.2), (0.95, 0.95, 1.0), (0.4, 0.8, 0.5)][int(rng.integers(4))]
        cv2.circle(picture, spot, int(rng.integers(3, 8)), colour, -1, cv2.LINE_AA)
    return picture


def _park(rng: np.random.Generator, horizon: float) -> Floats:
    """Sky, trees, grass."""
    sky = np.array([0.66, 0.81, 0.95]) * rng.uniform(0.85, 1.08)
    picture = _canvas(sky, np.minimum(sky * 1.2, 1))
    line = int(np.clip(horizon, 0.3, 1.1) * HEIGHT)
    noise = noise_texture()[:, :WIDTH] / np.float32(255)
    season = np.array([[0.24, 0.40, 0.15], [0.52, 0.40, 0.14], [0.16, 0.32, 0.20]])[int(rng.integers(3))]
    for _ in range(int(rng.integers(14, 30))):
        spot = (int(rng.integers(0, WIDTH)), int(line - rng.integers(0, 150)))
        leaf = season * rng.uniform(0.5, 1.5)
        cv2.circle(picture, spot, int(rng.integers(10, 38)), leaf.tolist(), -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(1, 5))):
        x = int(rng.integers(0, WIDTH))
        cv2.line(picture, (x, line), (x + int(rng.integers(-8, 8)), line - 110), (0.26, 0.20, 0.15), 6, cv2.LINE_AA)
    if line < HEIGHT:
        grass = season * rng.uniform(1.0, 1.5) if rng.random() < 0.6 else np.array([0.6, 0.56, 0.5])
        picture[line:] = grass * (0.75 + 0.5 * noise[line:, :, 2:3])
    picture[:line] *= 0.85 + 0.3 * noise[:line, :, :1]
    return picture


Maker = Callable[[np.random.Generator, float], Floats]
FASHION: Final[dict[str, tuple[Maker, float]]] = {
    "studio": (_studio, 7.0),
    "wall": (_wall, 2.0),
    "room": (_room, 1.0),
}
WILD: Final[dict[str, tuple[Maker, float]]] = {
    "studio": (_studio, 0.5),
    "wall": (_wall, 1.5),
    "room": (_room, 3.0),
    "street": (_street, 3.0),
    "park": (_park, 3.0),
}


def make_backdrop(rng: np.random.Generator, horizon: float, *, wild: bool) -> tuple[str, Bytes]:
    """Paints a backdrop.

    Args:
        rng: the random state.
        horizon: where the floor meets the wall, as a share of the height from the top.
        wild: whether to leave the photo studio.

    Returns:
        its name and uint8 (256, 192, 3).
    """
    choices = WILD if wild else FASHION
    name = choose(rng, list(choices), (entry[1] for entry in choices.values()))
    picture = choices[name][0](rng, horizon)
    if name != "studio":
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(1.2, 5.0)))
        picture *= 0.92 + 0.16 * noise_texture()[:, :WIDTH, :1] / np.float32(255)
    return name, (np.clip(picture, 0, 1) * 255).astype(np.uint8)
