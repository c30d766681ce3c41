"""Makes the maps that a data set lacks: label maps, keypoints, body maps by networks, agnostic masks by rules.

Or, beside those that it has, the mask and body map that a try-on's preparation makes of each photo: a TryonNet that is
trained on exact maps alone has never seen what it is given at inference.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.atomic import whole_file
from idmvton.data.file_dataset import PersonView, SampleFiles
from idmvton.data.opening import list_files
from idmvton.errors import InputError, PreparationError
from idmvton.images.densepose import colour_parts
from idmvton.images.framing import Framing
from idmvton.options import BackendOptions, PrepareOptions
from idmvton.prepare.maps import Given, frame_keypoints
from idmvton.prepare.mask import agnostic_mask
from idmvton.prepare.person_maps import PersonMaps
from idmvton.prepare.preparer import Preparer
from idmvton.prepare.reading import labels_as, read_densepose, read_keypoints, read_labels, read_photo
from idmvton.prepare.record_files import openpose_json
from idmvton.resume import Failure, Outcomes, Progress, work_through
from idmvton.types import Order, Size

MakePreparer = Callable[[], Preparer]


def unshared_preparer(options: BackendOptions | None = None) -> Preparer:
    """A preparer of one's own; a function, which Ray can send to other machines, as it cannot a method of a class."""
    return Preparer.unshared(options or BackendOptions())


WorkOn = Callable[[Sequence[SampleFiles], "MakeMaps"], Outcomes[SampleFiles]]
"""Works on people, here or elsewhere, and returns what became of each."""


@dataclass(frozen=True, slots=True)
class Made:
    """What :func:`prepare_dataset` did.

    Attributes:
        num_masks: how many masks the people of the split have now.
        num_new: how many of them this call made.
        num_maps: how many label maps, keypoints and body maps it made.
        num_elsewhere: people whom another run works on at this moment.
    """

    num_masks: int
    num_new: int
    num_maps: int = 0
    num_elsewhere: int = 0


def prepare_dataset(
    root: Path | str,
    *,
    split: str = "train",
    order: Order = "paired",
    workers: int = 2,
    beside: bool = False,
    progress: Progress | None = None,
    make_preparer: MakePreparer = unshared_preparer,
    work_on: WorkOn | None = None,
) -> Made:
    """Makes what is missing of each person's body map and mask, and the maps that these need; what is there is kept.

    Args:
        root: a folder in any of the layouts that can be read.
        split, order: which list of pairs.
        workers: threads.
        beside: make what a try-on's preparation makes of each photo (see :meth:`SampleFiles.as_prepared`) instead.
        progress: called with (done, total) after each person of whom something was made.
        make_preparer: makes the networks, once for each thread that needs them.
        work_on: does the work in place of threads of this process.

    Raises:
        InputError: a folder or list that cannot be read, a file that cannot be written, or, after the others were
            made, files that allow no maps. What was made before stays and is taken up by the next call.
        WeightsError: the networks' weights are not on the disk; what needs no network was made.
    """
    listed = list_files(root, split, order)
    people = list({each.mask: each for each in (each.as_prepared() if beside else each for each in listed)}.values())
    make = MakeMaps(beside, make_preparer)
    by_networks = [each for each in people if make.lacking(each)]
    by_rules = [each for each in people if not each.mask.exists() and not make.lacking(each)]
    without_mask = {each.mask for each in people if not each.mask.exists()}
    num_lacking = {each.mask: len(make.lacking(each)) for each in people}
    lacking_people = [*by_rules, *by_networks]
    if work_on is not None:
        outcomes = work_on(lacking_people, make)
    else:
        outcomes = work_through(lacking_people, make.is_done, make, progress, workers, place=lambda files: files.mask)
    if outcomes.failed:
        raise InputError(
            f"{len(outcomes.failed)} people could not be prepared",
            got=_named(outcomes.failed[0]),
            expected="one person on each photo, and files that can be read",
            fix="mend the files (`idmvton data check` names them all) and run this again",
        )
    made = [each.mask for each in outcomes.made]
    return Made(
        num_masks=sum(each.mask.exists() for each in people),
        num_new=len(without_mask.intersection(made)),
        num_maps=sum(num_lacking[mask] for mask in made),
        num_elsewhere=len(outcomes.elsewhere),
    )


class MakeMaps:
    """Makes what one person lacks; can be sent to another process.

    Args:
        beside: see :func:`prepare_dataset`.
        make_preparer: makes the networks, once for each thread that needs them.
    """

    def __init__(self, beside: bool, make_preparer: MakePreparer) -> None:
        self.beside, self.make_preparer = beside, make_preparer
        self._own = threading.local()

    def __reduce__(self) -> tuple[type[MakeMaps], tuple[bool, MakePreparer]]:
        return MakeMaps, (self.beside, self.make_preparer)

    def lacking(self, files: SampleFiles) -> tuple[str, ...]:
        """Which maps of a person only a network can make."""
        return _lacking_beside(files) if self.beside else _lacking(files)

    def is_done(self, files: SampleFiles) -> bool:
        """Whether everything is there, perhaps from another run."""
        return files.mask.exists() and not self.lacking(files)

    def __call__(self, files: SampleFiles) -> tuple[str, ...]:
        """Makes them; there are no notes."""
        if not self.lacking(files):
            if not files.mask.exists():
                _write_mask(files)
            return ()
        if not hasattr(self._own, "preparer"):
            self._own.preparer = self.make_preparer()
        if self.beside:
            _make_beside(files, self._own.preparer)
        else:
            _write_maps(files, find_maps(files, self._own.preparer))
            if not files.mask.exists():
                _write_mask(files)
        return ()


def _named(failure: Failure[SampleFiles]) -> str:
    """Why a person could not be prepared, with the file."""
    person = failure.item.person
    return failure.message if str(person.parent.parent) in failure.message else f"{person}: {failure.message}"


def _write_mask(files: SampleFiles) -> None:
    mask = make_mask(files)
    with whole_file(files.mask) as file:
        Image.fromarray(mask).save(file, "PNG")


def _make_beside(files: SampleFiles, preparer: Preparer) -> None:
    """Makes what a try-on would make of one person's photo, the mask last."""
    found = preparer(read_photo(files.person, "person"), options=PrepareOptions(category=files.category))
    parts = found.framing.invert_labels(found.parts)
    assert files.labels is not None
    for path, picture in (
        (files.labels, Image.fromarray(found.framing.invert_labels(found.labels))),
        (files.densepose, colour_parts(parts)),
        (files.mask, Image.fromarray(found.photo_mask.astype(np.uint8) * 255)),
    ):
        with whole_file(path) as file:
            picture.save(file, "PNG")


def find_maps(files: SampleFiles, preparer: Preparer) -> PersonMaps:
    """Finds a person's maps; those that lie there as files are taken from them.

    Raises:
        InputError: a file that cannot be read.
        PreparationError: nobody, or nobody usable, in the photo.
    """
    photo = read_photo(files.person, "person")
    size = Size(photo.height, photo.width)
    view = PersonView(files.person, size, size)
    labels, points, body_map = (_existing(path) for path in (files.labels, files.keypoints, files.densepose))
    given = Given(
        labels=view.labels(read_labels(labels, files.label_classes), labels) if labels else None,
        keypoints=view.keypoints(read_keypoints(points), files.keypoints_size) if points else None,
        densepose=view.densepose(read_densepose(body_map, is_parts=files.densepose_is_parts), body_map)
        if body_map
        else None,
    )
    return preparer.read_person(photo, given=given)


def _write_maps(files: SampleFiles, maps: PersonMaps) -> None:
    """Writes the maps whose files are not there, at the photo's size, in the form that the layout has."""
    framing = maps.framing
    if files.labels is not None and not files.labels.exists():
        labels = framing.invert_labels(labels_as(maps.labels, files.label_classes))
        with whole_file(files.labels) as file:
            Image.fromarray(labels).save(file, "PNG")
    if files.keypoints is not None and not files.keypoints.exists():
        points = framing.to_photo(maps.keypoints) * np.any(maps.keypoints != 0, axis=1, keepdims=True)
        if files.keypoints_size is not None:
            points = frame_keypoints(points, Framing.fit(framing.photo, files.keypoints_size))
        with whole_file(files.keypoints) as file:
            file.write(openpose_json(points).encode())
    if not files.densepose.exists():
        parts = framing.invert_labels(maps.parts)
        picture = Image.fromarray(parts) if files.densepose_is_parts else colour_parts(parts)
        is_jpeg = files.densepose.suffix.lower() in (".jpg", ".jpeg")
        with whole_file(files.densepose) as file:
            if is_jpeg:
                picture.save(file, "JPEG", quality=97, subsampling=0)
            else:
                picture.save(file, "PNG")


def make_mask(files: SampleFiles) -> NDArray[np.uint8]:
    """The agnostic mask of one sample, from its label map and keypoints.

    Returns:
        uint8 (H, W) of the photo's size: 255 is repainted, 0 is kept.

    Raises:
        InputError: a file that cannot be read, or nothing to repaint; the file is named.
        PreparationError: the layout has no label maps or keypoints.
    """
    if files.labels is None or files.keypoints is None:
        raise PreparationError("the layout has no label maps or keypoints", got=files.name)
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


def _lacking(files: SampleFiles) -> tuple[str, ...]:
    """Which maps only a network can make: the body map, and what a missing mask needs."""
    needed = ("densepose",) if files.mask.exists() else ("densepose", "labels", "keypoints")
    paths: dict[str, Path | None] = {kind: getattr(files, kind) for kind in needed}
    return tuple(kind for kind, path in paths.items() if path is None or not path.exists())


def _lacking_beside(files: SampleFiles) -> tuple[str, ...]:
    return () if files.mask.exists() else ("densepose",)


def _existing(path: Path | None) -> Path | None:
    return path if path is not None and path.exists() else None
