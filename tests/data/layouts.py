"""Small data sets in the published layouts: one person, drawn as boxes, in garments of plain colours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from idmvton.images.densepose import colour_parts
from idmvton.prepare.mask import ATR_LABELS
from idmvton.types import Size

SIZE = Size(128, 96)
CIHP = {"upper_clothes": 5, "pants": 9, "neck": 10, "head": 13, "left_arm": 14, "right_arm": 15}
ATR = {name: number for number, name in enumerate((*ATR_LABELS, "neck"))}
# What the picture shows: label, part, then top, bottom, left, right in shares of the picture. The person's left is
# the picture's right.
BOXES = (
    ("head", 24, 0.05, 0.20, 0.42, 0.58),
    ("neck", 2, 0.20, 0.25, 0.45, 0.55),
    ("upper_clothes", 2, 0.25, 0.60, 0.33, 0.67),
    ("pants", 9, 0.60, 0.95, 0.33, 0.67),
    ("right_arm", 18, 0.27, 0.55, 0.20, 0.32),
    ("left_arm", 15, 0.27, 0.50, 0.68, 0.80),
)
POINTS = {0: (0.5, 0.12), 1: (0.5, 0.24), 2: (0.30, 0.28), 3: (0.27, 0.40), 4: (0.25, 0.54), 5: (0.70, 0.28),
          6: (0.73, 0.38), 7: (0.75, 0.49), 8: (0.40, 0.60), 11: (0.60, 0.60)}  # fmt: skip


def draw(numbers: dict[str, int], size: Size = SIZE, *, parts: bool = False) -> np.ndarray:
    """The person as class numbers, or as part numbers."""
    canvas = np.zeros(size, np.uint8)
    for label, part, top, bottom, left, right in BOXES:
        rows = slice(round(top * size.height), round(bottom * size.height))
        columns = slice(round(left * size.width), round(right * size.width))
        canvas[rows, columns] = part if parts else numbers[label]
    return canvas


def keypoints(size: Size = SIZE) -> np.ndarray:
    """float (18, 2), x and y; (0, 0) is missing."""
    points = np.zeros((18, 2))
    for number, (x, y) in POINTS.items():
        points[number] = x * size.width, y * size.height
    return points


def person(size: Size = SIZE, shift: int = 0) -> Image.Image:
    """Every region in its own colour on a slope, so that geometry shows."""
    labels = draw(ATR, size).astype(int)
    rows, columns = np.mgrid[: size.height, : size.width]
    slope = (rows * 100 // size.height + columns * 50 // size.width)[..., None]
    colours = np.stack([labels * 13 % 140, labels * 29 % 140, (labels * 53 + shift) % 140], -1)
    return Image.fromarray((colours + slope).clip(0, 255).astype(np.uint8))


def garment(colour: tuple[int, int, int], size: Size = SIZE) -> Image.Image:
    picture = Image.new("RGB", (size.width, size.height), (255, 255, 255))
    picture.paste(colour, (size.width // 4, size.height // 4, 3 * size.width // 4, 3 * size.height // 4))
    return picture


def mask(size: Size = SIZE) -> np.ndarray:
    labels = draw(ATR, size)
    return np.isin(labels, [ATR[name] for name in ("upper_clothes", "left_arm", "right_arm")])


def save(picture: Image.Image | np.ndarray, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(path, **options)
    return path


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def tagged(name: str, **tags: str | None) -> dict[str, object]:
    return {
        "file_name": name,
        "category_name": "TOPS",
        "tag_info": [{"tag_name": tag, "tag_category": value} for tag, value in tags.items()],
    }


def viton_hd(root: Path, split: str = "test", names: tuple[str, ...] = ("00001_00", "00002_00", "00003_00")) -> Path:
    """VITON-HD: palette parse maps in CIHP classes, BODY_25 keypoints, body maps as JPEG; the third lacks a caption."""
    folder = root / split
    points = np.insert(keypoints(), 8, 1.0, axis=0)  # BODY_25 has the middle of the hips there
    points = np.concatenate([points, np.ones((6, 2))])
    flat = np.concatenate([points, np.ones((25, 1))], 1).ravel().tolist()
    for number, name in enumerate(names):
        save(person(shift=40 * number), folder / "image" / f"{name}.jpg", quality=97)
        save(garment((60 * number, 80, 160)), folder / "cloth" / f"{name}.jpg", quality=97)
        save(mask(), folder / "agnostic-mask" / f"{name}_mask.png")
        save(colour_parts(draw({}, parts=True)), folder / "image-densepose" / f"{name}.jpg", quality=97, subsampling=0)
        labels = Image.fromarray(draw(CIHP))
        labels.putpalette(bytes(range(60)) + bytes(708))
        save(labels, folder / "image-parse-v3" / f"{name}.png")
        write_json(folder / "openpose_json" / f"{name}_keypoints.json", {"people": [{"pose_keypoints_2d": flat}]})
    others = [*names[1:], names[0]]
    lines = "".join(f"{name}.jpg {other}.jpg\n" for name, other in zip(names, others, strict=True))
    (root / f"{split}_pairs.txt").write_text(lines)
    data = [
        tagged(f"{names[0]}.jpg", item="t-shirts", colors="blue", neckLine="round neck", sleeveLength="short sleeve"),
        tagged(f"{names[1]}.jpg", item="tank tops", neckLine=None, sleeveLength="sleeveless"),
    ]
    write_json(folder / f"vitonhd_{split}_tagged.json", {"data": data})
    return root


def dress_code(root: Path, *, colours: bool = True) -> Path:
    """DressCode, two categories: small label maps, keypoints at 512x384; ``colours``: with IDM-VTON's body maps."""
    small = Size(64, 48)
    for category, numbers in (("upper_body", ("000001", "000002")), ("lower_body", ("020001", "020002"))):
        folder = root / category
        for number in numbers:
            save(person(), folder / "images" / f"{number}_0.jpg", quality=97)
            save(garment((30, 90, 150)), folder / "images" / f"{number}_1.jpg", quality=97)
            save(draw(ATR, small), folder / "label_maps" / f"{number}_4.png")
            rows = np.concatenate([keypoints(Size(512, 384)), np.ones((18, 2))], 1)
            rows[17, :2] = -1
            write_json(folder / "keypoints" / f"{number}_2.json", {"keypoints": rows.tolist()})
            parts = draw({}, small, parts=True)
            save(parts, folder / "dense" / f"{number}_5.png")
            if colours:
                save(colour_parts(draw({}, parts=True)), folder / "image-densepose" / f"{number}_0.jpg", subsampling=0)
        first, second = numbers
        own = "".join(f"{number}_0.jpg\t{number}_1.jpg\n" for number in numbers)
        (folder / "train_pairs.txt").write_text(own)
        (folder / "test_pairs_paired.txt").write_text(own)
        (folder / "test_pairs_unpaired.txt").write_text(
            f"{first}_0.jpg\t{second}_1.jpg\n{second}_0.jpg\t{first}_1.jpg\n"
        )
        captions = f"{first}_1.jpg a striped long sleeve top\n{second}_1.jpg {category} in denim\n"
        (folder / "dc_caption.txt").write_text(captions)
    return root


def pairs_folder(root: Path) -> Path:
    """Own photos: a wide one with its mask in its own folder, and one that names only what it must."""
    wide = Size(96, 128)
    save(person(wide), root / "photos" / "anna.png")
    save(garment((200, 30, 30), Size(80, 80)), root / "shop" / "red.png")
    save(mask(wide), root / "masks" / "anna.png")
    save(colour_parts(draw({}, wide, parts=True)), root / "maps" / "anna.png")
    save(person(), root / "photos" / "ben.png")
    (root / "pairs.csv").write_text(
        "person,garment,mask,densepose,caption,category\n"
        'photos/anna.png,shop/red.png,masks/anna.png,maps/anna.png,"red top, plain",upper_body\n'
        "photos/ben.png,shop/red.png,,,,dresses\n",
        encoding="utf-8-sig",  # as spreadsheets save it
    )
    return root
