"""Contact sheets of the studio's folders."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.errors import InputError
from idmvton.studio.dataset import SETTINGS, encode, read_picture, write_whole

Bytes = NDArray[np.uint8]


def contact_sheet(
    folder: Path | str, output: Path | str, *, rows: int = 8, height: int = 192, quality: int = 92
) -> Path:
    """Draws samples of a split's folder side by side: person, garment, mask, maps, unpaired, worn.

    Args:
        folder: a split's folder, or the root of one.
        output: PNG or JPEG to write.
        rows: how many samples at most, spread over the folder.
        height: height of each picture in pixels.
        quality: of a JPEG.

    Raises:
        InputError: no samples, or a picture that cannot be read.
    """
    target = _find_split(Path(folder))
    names = sorted(path.stem for path in (target / "meta").glob("*.json"))
    if not names:
        raise InputError("no studio samples found", got=target, fix="make some with `idmvton studio make`")
    chosen = [names[int(i)] for i in np.linspace(0, len(names) - 1, min(rows, len(names)))]
    sheet = np.concatenate([_strip(target, name, height) for name in chosen])
    suffix = Path(output).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise InputError("the sheet's format is unknown", got=str(output), expected="a name ending in .png or .jpg")
    try:
        write_whole(Path(output), encode(sheet, ".png" if suffix == ".png" else ".jpg", quality))
    except OSError as error:
        raise InputError("the sheet cannot be written", got=f"{output}: {error}") from error
    return Path(output)


def _find_split(folder: Path) -> Path:
    if (folder / SETTINGS).exists():
        return folder
    found = sorted(path.parent for path in folder.glob(f"*/{SETTINGS}"))
    return found[0] if found else folder


def _strip(target: Path, name: str, height: int) -> Bytes:
    other = f"{name[:-2]}01"
    person = read_picture(target / "image" / f"{name}.jpg")
    mask = read_picture(target / "agnostic-mask" / f"{name}_mask.png")
    parse = read_picture(target / "image-parse-v3" / f"{name}.png", colour=False)
    pictures = [
        person,
        read_picture(target / "cloth" / f"{name}.jpg"),
        read_picture(target / "image-unpaired" / f"{name}.jpg"),
        read_picture(target / "cloth" / f"{other}.jpg"),
        read_picture(target / "cloth-worn" / f"{name}.jpg"),
        np.where(mask > 127, np.uint8(128), person),
        cv2.applyColorMap((parse * 13).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1],
        read_picture(target / "image-densepose" / f"{name}.jpg"),
    ]
    width = round(height * person.shape[1] / person.shape[0])
    resized = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in pictures]
    return np.concatenate(resized, 1)
