"""What a lane does with torch: try-ons, preparations, garments, corrected masks; what jobs share is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from idmvton.engine.adapters import PhotoPair
from idmvton.engine.describer import Described
from idmvton.engine.job import Settings, TryOn
from idmvton.engine.loading import load_pipeline
from idmvton.engine.ready import Ready, joined, make_ready, with_prepared
from idmvton.engine.service.lane_adapters import Wardrobe, learn
from idmvton.engine.service.lane_process import JobError, LaneSetup, Tell
from idmvton.engine.service.orders import part_of
from idmvton.engine.service.store import Store
from idmvton.engine.service.views import Problem, about_record
from idmvton.errors import IdmVtonError, InputError, NoPersonError, UnusablePersonError
from idmvton.images import load_image, save_png
from idmvton.images.densepose import colour_parts
from idmvton.options import JobOptions, PrepareOptions, TryOnOptions
from idmvton.prepare.category import expected_category
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.maps import Given
from idmvton.prepare.person_maps import PersonMaps
from idmvton.prepare.preparer import Preparer, preparer_for
from idmvton.prepare.record import Prepared, read_prepared
from idmvton.types import Category, CategoryChoice

_KEPT: Final = 16
"""People, garments and prepared photos that stay in memory from one job to the next."""
_MAPS: Final = ("mask", "densepose", "labels", "keypoints")


@dataclass(frozen=True, slots=True)
class _File:
    """A stored file; two with the same content are equal."""

    sha256: str
    key: str = field(compare=False)


class TryOnWorker:
    """Does the work of a lane with one pipeline.

    Args:
        setup: of the lane.

    Raises:
        WeightsError: weights that are missing or damaged.
        ConfigError: a device or precision that this machine does not have.
    """

    def __init__(self, setup: LaneSetup) -> None:
        torch.set_num_threads(setup.threads)
        model = setup.model
        if model.device in ("auto", "cuda") and torch.cuda.device_count() > 1:
            model = dataclasses.replace(model, device=f"cuda:{setup.number % torch.cuda.device_count()}")
        self.model, self.store = dataclasses.replace(model, threads=setup.threads), Store(setup.store)
        self._wardrobe = Wardrobe(self.store, setup.adapters, model)
        self._load()
        self._people = functools.lru_cache(_KEPT)(self._read_person)
        self._garments = functools.lru_cache(_KEPT)(self._read_garment)
        self._prepared = functools.lru_cache(_KEPT)(self._read_prepared)
        self._described = functools.lru_cache(_KEPT)(self._describe)

    def _load(self) -> None:
        self.pipe = load_pipeline(self.model)
        self.describe = TryOn(self.pipe, self._preparer(PrepareOptions())).describe
        self._wardrobe.forget()

    def about(self) -> dict[str, Any]:
        """What is loaded."""
        size = self.pipe.default_size
        return {
            "model": self.model.model,
            "weights": self.pipe.weights_name,
            "device": str(self.pipe.networks.device),
            "height": size.height,
            "width": size.width,
            "steps": self.pipe.config.num_inference_steps,
        }

    def warm_up(self) -> None:
        """Loads the networks of the preparation and makes a picture of nobody, at the checkpoint's size."""
        preparer = self._preparer(PrepareOptions())
        for network in (preparer.pose, preparer.outline, preparer.labels, preparer.body):
            assert callable(network)
        size = self.pipe.default_size
        draws = np.random.default_rng(0)
        person, garment = (draws.integers(0, 256, (size.height, size.width, 3), np.uint8) for _ in range(2))
        mask = np.zeros((size.height, size.width), np.bool_)
        mask[size.height // 4 : size.height // 2] = True
        body = colour_parts(np.where(mask, np.uint8(2), np.uint8(0)))
        self.describe(Image.fromarray(garment), None)
        self.pipe(person, garment, mask, body, "shirt", seed=0, paste_back=False)
        self.pipe.garment_cache.clear()
        self.pipe.feature_cache.clear()

    def __call__(self, job: str, asked: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """Does a piece of work; see :class:`idmvton.engine.service.lane_process.Worker`."""
        work = {
            "try_on": self._try_on,
            "prepare": self._prepare,
            "garment": self._cut_out,
            "mask": self._put_mask,
            "adapter": self._learn,
        }
        with _about(None):
            return work[asked["kind"]](job, asked, tell)

    # ------------------------------------------------------------------------------------------- kinds of work

    def _try_on(self, job: str, asked: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        job_options, options, prepare = split(asked["options"])
        preparer = self._preparer(prepare)
        tell("preparing", 0, None)
        ready, garment = self._ready(preparer, asked, prepare)
        tell("describing the garment", 0, None)
        described = self._described(garment, ready.category, job_options.caption, ready)
        with _about("adapter"):
            self._wardrobe.put_on(self.pipe, asked.get("adapter"))
        with _about(None):
            outcome = TryOn(self.pipe, preparer).dress(ready, described, Settings(job_options, options), tell)
        tell("writing", 0, None)
        outputs = []
        with tempfile.TemporaryDirectory(prefix="idmvton-") as scratch:
            for number, (picture, provenance) in enumerate(zip(outcome.images, outcome.provenance, strict=True)):
                file = Path(scratch) / f"{number}.png"
                save_png(picture, file, provenance)
                outputs.append(self._write(job, file.name, file, picture.size))
        return {
            "outputs": outputs,
            "warnings": list(outcome.warnings),
            "timings": {name: round(seconds, 4) for name, seconds in outcome.timings.items()},
            "provenance": [dict(each) for each in outcome.provenance],
            "about": {"caption": described.caption, "category": ready.category, **described.about()},
        }

    def _prepare(self, job: str, asked: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        _, _, options = split(asked["options"])
        preparer = self._preparer(options)
        tell("preparing", 0, None)
        with self._given(asked) as given, self._named(asked, "person", "garment") as places:
            prepared = preparer(places["person"], places.get("garment"), given=given, options=options)
        tell("writing", 0, None)
        return self._write_prepared(job, prepared)

    def _cut_out(self, job: str, asked: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        job_options, _, options = split(asked["options"])
        preparer = self._preparer(options)
        tell("reading the garment", 0, None)
        picture = self._garments(_file(asked, "garment"), _Choice(preparer, options.category, options.garment_number))
        tell("describing the garment", 0, None)
        described = self.describe(picture.image, picture.category, job_options.caption)
        with tempfile.TemporaryDirectory(prefix="idmvton-") as scratch:
            file = Path(scratch) / "garment.png"
            picture.image.save(file)
            outputs = [self._write(job, file.name, file, picture.image.size)]
        about = {"caption": described.caption, "category": picture.category, **described.about()}
        return {"outputs": outputs, "warnings": [*picture.warnings, *described.warnings], "about": about}

    def _put_mask(self, job: str, asked: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """A corrected mask in the place of the one that was made; the picture to look at is drawn anew."""
        target = asked["prepared"]
        tell("reading the mask", 0, None)
        with self.store.local(self.store.job_key(target)) as folder, self._named(asked, "mask") as places:
            before = read_prepared(folder)
            mask = load_image(places["mask"], what="mask").convert("L")
            if mask.size != before.person.size:
                raise InputError(
                    "the mask has another size than the prepared person",
                    got=f"{mask.height}x{mask.width} (height x width)",
                    expected=f"{before.size}",
                    fix="change the mask.png that was made, and keep its size",
                )
            with tempfile.TemporaryDirectory(prefix="idmvton-") as scratch:
                file = Path(scratch) / "mask.png"
                mask.save(file)
                changed = self._write(target, "mask.png", file, mask.size)
        with (
            self.store.local(self.store.job_key(target)) as folder,
            tempfile.TemporaryDirectory(prefix="idmvton-") as scratch,
        ):
            overlay = Path(scratch) / "overlay.png"
            after = read_prepared(folder)
            after.overlay().save(overlay)
            outputs = [changed, self._write(target, "overlay.png", overlay, after.person.size)]
        return {"changed": outputs, "outputs": [], "about": {"prepared": target}}

    def _learn(self, job: str, asked: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """Makes an adapter, with the memory that the pipeline had."""
        with (
            self._named(asked, "person", "garment") as places,
            self._prepared_folder(asked) as folder,
            tempfile.TemporaryDirectory(prefix="idmvton-") as scratch,
            self._unloaded(),
        ):
            pair = PhotoPair(folder or places["person"], places.get("garment"))
            made, files = learn(asked, pair, self.model, Path(scratch) / asked["adapter"]["name"], tell)
            tell("writing", 0, None)
            outputs = [self._write(job, file.name, file, _size_of(file)) for file in files]
        assert made.learned.record is not None
        about = {"name": asked["adapter"]["name"], **about_record(made.learned.record)}
        return {"outputs": outputs, "warnings": list(made.warnings), "about": about}

    @contextlib.contextmanager
    def _unloaded(self) -> Iterator[None]:
        """Without the pipeline in memory; it is loaded again after that."""
        del self.pipe, self.describe
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            yield
        finally:
            self._load()

    @contextlib.contextmanager
    def _prepared_folder(self, asked: Mapping[str, Any]) -> Iterator[Path | None]:
        if not asked.get("prepared"):
            yield None
            return
        with self.store.local(self.store.job_key(asked["prepared"])) as folder, _about("prepared", {str(folder): "it"}):
            yield folder

    # ------------------------------------------------------------------------------------------------- reading

    def _ready(self, preparer: Preparer, asked: Mapping[str, Any], options: PrepareOptions) -> tuple[Ready, str]:
        """Person and garment as the pipeline takes them, and a key of the garment's picture."""
        choice = _Choice(preparer, options.category, options.garment_number)
        if asked.get("prepared"):
            with _about("prepared"):
                prepared = self._prepared(asked["prepared"], asked.get("version", ""))
            if "garment" not in asked["files"]:
                if prepared.garment is None:
                    error = InputError("no garment was given", got="a person who was prepared without one")
                    raise JobError(Problem.of(error, field="garment"))
                return with_prepared(prepared, None), f"own of {asked['prepared']}"
            picture = self._garments(_file(asked, "garment"), dataclasses.replace(choice, category=prepared.category))
            ready = with_prepared(prepared, picture)
        elif any(role in asked["files"] for role in _MAPS):
            with self._given(asked) as given, self._named(asked, "person", "garment") as places:
                ready = make_ready(preparer, places["person"], places["garment"], given, options)
        else:
            picture = self._garments(_file(asked, "garment"), choice)
            expected = expected_category(options.category, picture.category)
            maps = self._people(_file(asked, "person"), preparer, options.person_number, expected)
            with _about("person"):
                ready = joined(preparer, maps, picture, options)
        return ready, hashlib.sha256(ready.garment.tobytes()).hexdigest()

    def _read_person(self, file: _File, preparer: Preparer, number: int, category: Category | None) -> PersonMaps:
        with self._place(file.key, "person") as path:
            return preparer.read_person(path, number=number, category=category)

    def _read_garment(self, file: _File, choice: _Choice) -> GarmentPicture:
        with self._place(file.key, "garment") as path:
            return choice.preparer.read_garment(path, category=choice.category, number=choice.number)

    def _read_prepared(self, prepared: str, version: str) -> Prepared:
        """Of a prepared photo; its version changes with its mask."""
        with self.store.local(self.store.job_key(prepared)) as folder:
            return read_prepared(folder)

    def _describe(self, key: str, category: Category | None, caption: str | None, ready: Any) -> Described:
        with _about("garment"):
            return self.describe(ready.garment, category, caption)

    @functools.lru_cache(maxsize=8)  # noqa: B019 - a lane has one worker, as long as it lives
    def _preparer(self, options: PrepareOptions) -> Preparer:
        return preparer_for(options, self.model.model)

    @contextlib.contextmanager
    def _place(self, key: str, role: str) -> Iterator[Path]:
        with self.store.local(key) as path, _about(role, {str(path): f"the file {role!r}"}):
            yield path

    @contextlib.contextmanager
    def _named(self, asked: Mapping[str, Any], *roles: str) -> Iterator[dict[str, Path]]:
        """The paths of those files that an order brings; errors tell which of them they are about."""
        with contextlib.ExitStack() as stack:
            places = {
                role: stack.enter_context(self.store.local(asked["files"][role]["key"]))
                for role in roles
                if role in asked["files"]
            }
            stack.enter_context(_telling(places))
            yield places

    @contextlib.contextmanager
    def _given(self, asked: Mapping[str, Any]) -> Iterator[Given]:
        with self._named(asked, *_MAPS) as places:
            yield Given(**places)

    # ------------------------------------------------------------------------------------------------- writing

    def _write(self, job: str, name: str, file: Path, size: tuple[int, int] | None = None) -> dict[str, Any]:
        with _about(None):
            sha, count = self.store.put(self.store.job_key(job, name), file)
        width, height = size or (None, None)
        return {"name": name, "sha256": sha, "bytes": count, "width": width, "height": height}

    def _write_prepared(self, job: str, prepared: Prepared) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="idmvton-") as scratch:
            folder = Path(scratch) / "prepared"
            prepared.save(folder)
            outputs = [self._write(job, file.name, file, _size_of(file)) for file in sorted(folder.iterdir())]
        return {
            "outputs": outputs,
            "warnings": list(prepared.warnings),
            "timings": {name: round(seconds, 4) for name, seconds in prepared.timings.items()},
            "about": {"category": prepared.category, "sources": dict(prepared.sources)},
        }


@dataclass(frozen=True, slots=True)
class _Choice:
    """How a garment's photo is read."""

    preparer: Preparer
    category: CategoryChoice
    number: int | None


def split(options: Mapping[str, Any]) -> tuple[JobOptions, TryOnOptions, PrepareOptions]:
    """The options of an order, by class."""
    return part_of(options, JobOptions), part_of(options, TryOnOptions), part_of(options, PrepareOptions)


def _size_of(file: Path) -> tuple[int, int] | None:
    """Width and height of a picture that was made."""
    if file.suffix != ".png":
        return None
    with Image.open(file) as opened:
        return opened.size


def _file(asked: Mapping[str, Any], role: str) -> _File:
    file = asked["files"][role]
    return _File(file["sha256"], file["key"])


@contextlib.contextmanager
def _about(field: str | None, names: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turns the library's errors into problems of the job.

    Args:
        field: the file that they are about.
        names: paths of this machine -> the words to put in their place.
    """
    try:
        yield
    except IdmVtonError as error:
        raise JobError(Problem.of(error, field=field, names=names)) from error


@contextlib.contextmanager
def _telling(places: Mapping[str, Path]) -> Iterator[None]:
    """The same for work on several files: by their paths in an error it tells which one it is about."""
    names = {str(path): f"the file {role!r}" for role, path in places.items()}
    try:
        yield
    except IdmVtonError as error:
        role = next((role for role, path in places.items() if str(path) in str(error)), None)
        if role is None and isinstance(error, NoPersonError | UnusablePersonError) and "person" in places:
            role = "person"
        raise JobError(Problem.of(error, field=role, names=names)) from error
