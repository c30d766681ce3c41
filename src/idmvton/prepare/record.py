"""A prepared photo: everything that a try-on needs of a person, and the framing that leads back to the photo."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import ConfigError, InputError
from idmvton.images.densepose import colour_parts, parts_of
from idmvton.images.framing import BLACK, Framing
from idmvton.options import PrepareOptions
from idmvton.prepare.category import CATEGORY_NAMES
from idmvton.prepare.mask_making import feather
from idmvton.prepare.overlay import coloured_labels, draw_overlay
from idmvton.prepare.reading import read_classes, read_keypoints, read_labels
from idmvton.prepare.record_files import (
    MASK,
    SUMMARY,
    changed_by_hand,
    check_target,
    current_options,
    read_own_mask,
    read_parts,
    read_picture,
    read_summary,
    write_folder,
)
from idmvton.types import Category, Size

_SAME: Final = 24  # grey levels: rounding and other resampling differ by less
_CHANGED: Final = 0.1  # share of person.png that a person may have retouched


BY_HAND: Final = "changed by hand"
"""The source of a mask that somebody changed in a prepared folder."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One person, framed, with every map; all maps have the framed picture's size (H, W).

    Attributes:
        photo: RGB, the upright photo as it was handed in, of any size.
        framing: photo -> framed picture.
        person: RGB, the framed picture.
        mask: bool (H, W), True = repaint.
        parts: uint8 (H, W), body parts 1 to 24, 0 elsewhere.
        labels: uint8 (H, W), the classes of :data:`idmvton.prepare.mask.ATR_LABELS`, 18 for bare neck and trunk.
        keypoints: float32 (18, 2), OpenPose points x, y in pixels of the framed picture; (0, 0) is missing.
        silhouette: uint8 (H, W), how much of each pixel is the person, 255 is all.
        category: what the mask is made for.
        options: how it was prepared.
        garment: RGB, the garment on white; ``None`` where no garment was given.
        garment_mask: bool, of the garment's size, True on the garment.
        warnings: what the caller should know, in words.
        sources: map -> the backend, with its model, that made it.
        timings: seconds of each stage, in order.
        body_map: RGB, the body map in colours where it is more than the parts' own: the published demo blends them.

    Raises:
        InputError: on construction, a map of another size.
    """

    photo: Image.Image
    framing: Framing
    person: Image.Image
    mask: NDArray[np.bool_]
    parts: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    silhouette: NDArray[np.uint8]
    category: Category
    options: PrepareOptions
    garment: Image.Image | None
    garment_mask: NDArray[np.bool_] | None
    warnings: tuple[str, ...]
    sources: Mapping[str, str]
    timings: Mapping[str, float]
    body_map: Image.Image | None = None

    def __post_init__(self) -> None:
        sizes = {
            "framing": tuple(self.framing.size),
            "person": (self.person.height, self.person.width),
            "mask": self.mask.shape,
            "parts": self.parts.shape,
            "labels": self.labels.shape,
            "silhouette": self.silhouette.shape,
        }
        if len(set(sizes.values())) > 1 or self.framing.photo != (self.photo.height, self.photo.width):
            raise InputError(
                "the maps of a prepared photo differ in size",
                got=", ".join(f"{name} {size}" for name, size in sizes.items()),
                expected=f"{self.framing.size} for all, and a photo of {self.framing.photo}",
            )

    @property
    def has_own_mask(self) -> bool:
        """Whether somebody drew the mask or changed it, so that all of it is meant to be repainted."""
        source = self.sources.get("mask", "")
        return source == BY_HAND or source.startswith("given")

    @property
    def size(self) -> Size:
        """The framed picture's size, pixels."""
        return self.framing.size

    @property
    def photo_mask(self) -> NDArray[np.bool_]:
        """The mask in the photo's own pixels: bool of the photo's size."""
        return self.framing.invert_labels(self.mask)

    @property
    def densepose(self) -> Image.Image:
        """The body map as networks and people see it: the parts in the published colours on black; RGB."""
        return colour_parts(self.parts) if self.body_map is None else self.body_map

    def overlay(self) -> Image.Image:
        """The framed picture with skeleton, parts and the mask's edge drawn on it; RGB."""
        return draw_overlay(np.asarray(self.person), self.labels, self.mask, self.keypoints)

    def save(
        self, folder: str | os.PathLike[str], about: Mapping[str, Any] | None = None, *, overwrite: bool = False
    ) -> Prepared:
        """Writes everything into a folder, which appears whole or not at all; :func:`read_prepared` reads it back.

        The files: ``photo.png`` (as handed in), ``person.png`` (framed), ``mask.png``, ``densepose.png``,
        ``labels.png`` (class numbers with a palette), ``silhouette.png``, ``keypoints.json`` (OpenPose),
        ``overlay.png``, ``prepared.json``, and ``garment.png`` and ``garment_mask.png`` where there is a garment.

        Args:
            folder: a new one, or one that a prepared photo was saved in before.
            about: plain values that are stored under ``"about"`` in ``prepared.json``.
            overwrite: whether files that a person changed in the folder are made anew; else they stay.

        Returns:
            What is in the folder now: this, with the files that a person changed in their place.

        Raises:
            InputError: a file that a person changed does not fit: it was made for another photo or framing.
            OutputError: the folder holds something else, or cannot be written.
        """
        folder = Path(folder)
        check_target(folder)
        kept = () if overwrite else changed_by_hand(folder)
        shown = self._with_hand_work(folder, kept) if kept else self
        pictures = self._pictures() | {"overlay": shown.overlay()}
        write_folder(folder, pictures, self.keypoints, shown._summary() | {"about": dict(about or {})}, kept)
        return shown

    def _with_hand_work(self, folder: Path, kept: tuple[str, ...]) -> Prepared:
        """With the files that a person changed instead of those that were made."""
        names = ", ".join(kept)
        try:
            before = read_prepared(folder)
            if np.asarray(before.photo).tobytes() != np.asarray(self.photo).tobytes():
                raise InputError("another photo")
            changed = {name.partition(".")[0] for name in kept}
            own = {name: getattr(before, name) for name in changed & {each.name for each in dataclasses.fields(self)}}
            if "densepose" in changed:
                own |= {"parts": before.parts, "body_map": before.body_map}
            note = f"changed by hand, so kept: {names}; --overwrite makes everything anew"
            notes = tuple(each for each in self.warnings if not each.startswith("changed by hand"))
            return dataclasses.replace(self, **own, warnings=(*notes, note))
        except InputError as error:
            raise InputError(
                "files that were changed by hand do not fit what is prepared now",
                got=f"{folder}: {names} ({error.what})",
                expected="the photo and framing that they were made for",
                fix="choose another folder, or --overwrite to lose these changes",
            ) from error

    def _pictures(self) -> dict[str, Image.Image]:
        pictures = {
            "photo": self.photo,
            "person": self.person,
            "mask": Image.fromarray(feather(self.mask, self.options.mask_feather)),
            "densepose": self.densepose,
            "labels": coloured_labels(self.labels),
            "silhouette": Image.fromarray(self.silhouette),
            "overlay": self.overlay(),
        }
        if self.garment is not None:
            pictures["garment"] = self.garment
        if self.garment_mask is not None:
            pictures["garment_mask"] = Image.fromarray(np.where(self.garment_mask, np.uint8(255), np.uint8(0)))
        return pictures

    def _summary(self) -> dict[str, Any]:
        framing = self.framing
        return {
            "category": self.category,
            "framing": {"photo": list(framing.photo), "box": list(framing.box), "size": list(framing.size)},
            "options": self.options.to_dict(),
            "warnings": list(self.warnings),
            "sources": dict(self.sources),
            "timings": {stage: round(seconds, 4) for stage, seconds in self.timings.items()},
        }


def read_prepared(folder: str | os.PathLike[str]) -> Prepared:
    """Reads what :meth:`Prepared.save` wrote; files that were changed by hand are used as they are.

    Args:
        folder: with all files; ``garment.png`` and ``garment_mask.png`` may be missing.

    Raises:
        InputError: a file that is missing, damaged or of another size than its neighbours.
    """
    folder = Path(folder)
    values = _summary_values(folder)
    if MASK in changed_by_hand(folder):
        values["sources"] = values["sources"] | {"mask": BY_HAND}
    garment, garment_mask = folder / "garment.png", folder / "garment_mask.png"
    photo, person = read_picture(folder / "photo.png", "photo"), read_picture(folder / "person.png", "person")
    body_map = None
    if values["options"].as_published:
        body_map = read_picture(folder / "densepose.png", "densepose", BLACK)
    else:
        _check_framing(folder, values["framing"], photo, person)
    return Prepared(
        photo=photo,
        person=person,
        mask=read_own_mask(folder / "mask.png", values["framing"].size),
        parts=read_parts(folder / "densepose.png") if body_map is None else parts_of(body_map)[0],
        labels=read_labels(folder / "labels.png", "atr"),
        keypoints=read_keypoints(folder / "keypoints.json"),
        silhouette=read_classes(folder / "silhouette.png", "silhouette", 255),
        garment=read_picture(garment, "garment") if garment.exists() else None,
        garment_mask=read_own_mask(garment_mask) if garment_mask.exists() else None,
        body_map=body_map,
        **values,
    )


def _check_framing(folder: Path, framing: Framing, photo: Image.Image, person: Image.Image) -> None:
    """Makes sure that the framed picture is what the framing shows of the photo, apart from smaller changes by hand.

    Raises:
        InputError: it is not: a result would be put into another place of the photo.
    """
    if framing.photo != (photo.height, photo.width) or framing.size != (person.height, person.width):
        return  # Prepared reports it
    shown = np.asarray(framing.apply(photo, resample="photo", fill="edge")).astype(np.int16)
    share = float((np.abs(shown - np.asarray(person)).max(-1) > _SAME).mean())
    if share > _CHANGED:
        raise InputError(
            f"{SUMMARY} and the pictures beside it do not belong together",
            got=f"{share:.0%} of person.png differs from what the framing {framing.box} shows of photo.png in {folder}",
            expected="a framing as it was written",
            fix="prepare the photo again",
        )


def _summary_values(folder: Path) -> dict[str, Any]:
    """What the summary says, as attributes of :class:`Prepared`."""
    summary = read_summary(folder)
    try:
        left, top, right, bottom = map(int, summary["framing"]["box"])
        photo, size = (Size(*map(int, summary["framing"][name])) for name in ("photo", "size"))
        return {
            "framing": Framing(photo, (left, top, right, bottom), size),
            "options": PrepareOptions.from_mapping(current_options(summary["options"])),
            "category": CATEGORY_NAMES[summary["category"]],
            "warnings": tuple(map(str, summary["warnings"])),
            "sources": {str(name): str(source) for name, source in summary["sources"].items()},
            "timings": {str(stage): float(seconds) for stage, seconds in summary["timings"].items()},
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError | ConfigError):
            raise
        raise InputError(
            "the summary of a prepared photo is damaged",
            got=f"{folder / SUMMARY}: {type(error).__name__} {error}",
            fix="prepare it again",
        ) from error
