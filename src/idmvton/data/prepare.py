"""Makes the maps that a data set lacks and that follow from what it has: the agnostic masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.data.files import PersonView, SampleFiles
from idmvton.data.listing import Order
from idmvton.data.opening import list_files
from idmvton.data.parallel import in_threads
from idmvton.errors import InputError, PreparationError
from idmvton.images.whole import whole_file
from idmvton.prepare.mask import agnostic_mask
from idmvton.prepare.reading import read_keypoints, read_labels, read_photo
from idmvton.types import Size

_MAPS: Final = {"labels": "parse maps", "keypoints": "keypoints", "densepose": "body maps"}
_BY_HAND: Final = "this version has no network that makes them: put the files there that the data set came with"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What :func:`prepare_dataset` did.

    Attributes:
        num_masks: how many masks the people of the split have now.
        num_new: how many of them this call made.
    """

    num_masks: int
    num_new: int


def prepare_dataset(
    root: Path | str,
    *,
    split: str = "train",
    order: Order = "paired",
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Makes the agnostic masks that are missing, from parse maps and keypoints; what is there is kept.

    Args:
        root: a folder in any of the layouts that can be read.
        split, order: which list of pairs.
        workers: threads.
        progress: called with (done, total) after each new mask.

    Raises:
        InputError: a folder or list that cannot be read, a mask that cannot be written, or, after the others were
            made, files that allow no mask.
            What was made before stays and is taken up by the next call.
        PreparationError: after every possible mask was made: maps are missing that only a network can make.
    """
    people = list({each.mask: each for each in list_files(root, split, order)}.values())
    missing = [each for each in people if not each.mask.exists()]
    possible = [each for each in missing if not _lacking(each, "labels", "keypoints")]
    failures = []
    for done, failure in enumerate(in_threads(_try_mask, possible, workers), 1):
        failures += [failure] if failure else []
        if progress is not None:
            progress(done, len(possible))
    num_new = len(possible) - len(failures)
    if failures:
        raise InputError(
            f"{len(failures)} masks could not be made",
            got=failures[0],
            fix="mend the files (`idmvton data check` names them all) and run this again",
        )
    _refuse_networks(people, num_new)
    return Prepared(len(people), num_new)


def _try_mask(files: SampleFiles) -> InputError | None:
    """Makes one mask, or says why its files do not allow it; what prevents writing stops everything."""
    try:
        mask = make_mask(files)
    except InputError as error:
        return error
    with whole_file(files.mask) as file:
        Image.fromarray(mask).save(file, "PNG")
    return None


def make_mask(files: SampleFiles) -> NDArray[np.uint8]:
    """The agnostic mask of one sample.

    Returns:
        uint8 (H, W) of the photo's size: 255 is repainted, 0 is kept.

    Raises:
        InputError: a file that cannot be read, or nothing to repaint; the file is named.
        PreparationError: no parse map or keypoints.
    """
    if files.labels is None or files.keypoints is None:
        raise PreparationError("the layout has no parse maps or keypoints", got=files.name, fix=_BY_HAND)
    photo = read_photo(files.person, "person")
    size = Size(photo.height, photo.width)
    view = PersonView(files.person, size, size)
    labels = view.labels(read_labels(files.labels, files.label_classes), files.labels)
    points = view.keypoints(read_keypoints(files.keypoints), files.keypoints_size)
    mask = agnostic_mask(labels, points, files.category, files.arm_width)
    if not mask.any():
        raise InputError(
            "there is nothing to repaint", got=files.labels, expected=f"a garment of {files.category} on the label map"
        )
    return mask


def _refuse_networks(people: list[SampleFiles], num_new: int) -> None:
    """Raises for maps that are needed, are missing, and do not follow from other maps."""
    needed = {each.name: [*_lacking(each, "densepose")] for each in people}
    for each in people:
        needed[each.name] += _lacking(each, "labels", "keypoints") if not each.mask.exists() else ()
    counts = Counter(kind for kinds in needed.values() for kind in kinds)
    if not counts:
        return
    first = next(each for each in people if needed[each.name])
    raise PreparationError(
        "maps are missing that only a network can make: "
        + ", ".join(f"{count} {_MAPS[kind]}" for kind, count in counts.items()),
        got=f"no {getattr(first, needed[first.name][0])}; {num_new} masks were made",
        expected="parse maps and keypoints for each person without a mask, and a body map for each person",
        fix=_BY_HAND,
    )


def _lacking(files: SampleFiles, *kinds: str) -> tuple[str, ...]:
    """Which of these maps are not there."""
    paths: dict[str, Path | None] = {kind: getattr(files, kind) for kind in kinds}
    return tuple(kind for kind, path in paths.items() if path is None or not path.exists())
