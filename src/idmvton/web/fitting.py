"""What happens in a fitting room: photos come and go, are understood, and are tried on. No browser is needed for it."""

from __future__ import annotations

import dataclasses
import functools
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeAlias, TypeVar

from idmvton.engine.service import Order, Terms, View
from idmvton.errors import IdmVtonError, InputError
from idmvton.web.copy_as import Recipe
from idmvton.web.learned import put_on
from idmvton.web.masks import edits_of, mask_of_layer
from idmvton.web.page import Page
from idmvton.web.room import Room
from idmvton.web.words import failure, said, said_all, say

Role = Literal["person", "garment"]
P = ParamSpec("P")
R = TypeVar("R")
Action: TypeAlias = Callable[Concatenate["Fitting", Room, P], R]
FOLLOWED: Final = 3600.0
"""Seconds that a run is followed."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is.

    Attributes:
        stage, more: in words.
        share: from 0 to 1; None where it is not known.
        view: the finished job, at the end.
    """

    stage: str
    more: str = ""
    share: float | None = None
    view: View | None = None


def alone(action: Action[P, R]) -> Action[P, R]:
    """Has the actions in one room wait for each other: a run begins when the photo before it was understood."""

    @functools.wraps(action)
    def act(fitting: Fitting, room: Room, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with room.lock:
            return action(fitting, room, *args, **kwargs)

    return act


class Fitting:
    """The actions of a visitor.

    Args:
        page: what all visitors share.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    # ------------------------------------------------------------------------------------------------ photos

    @alone
    def take(self, room: Room, role: Role, path: str | Path, name: str | None = None) -> None:
        """Puts a new photo on."""
        room.trouble = {**room.trouble, role: ()}
        try:
            photo = self.page.shelf.add(path, role, name, room.visitor)
        except IdmVtonError as error:
            room.trouble[role] = (failure(room.language, error),)
            return
        self._put(room, role, photo.id)

    @alone
    def pick(self, room: Room, role: Role, id: str) -> None:
        """Puts a photo of the rack on again."""
        rack = room.people if role == "person" else room.garments
        if id in rack:
            self._put(room, role, id)

    @alone
    def remove(self, room: Room, role: Role, id: str) -> None:
        """Takes a photo off the rack and erases it."""
        rack = room.people if role == "person" else room.garments
        if id not in rack:
            return
        rack.remove(id)
        self.page.erase_photo(id)
        on = room.person if role == "person" else room.garment
        if on is not None and on.id == id:
            self.leave(room, role)

    @alone
    def leave(self, room: Room, role: Role) -> None:
        """Takes a photo off."""
        room.trouble = {**room.trouble, role: ()}
        if role == "person":
            room.person, room.understood, room.edits = None, None, None
            room.prepare = dataclasses.replace(room.prepare, person_number=1)
        else:
            room.garment, room.picture = None, None
        self.understand(room)

    def _put(self, room: Room, role: Role, id: str) -> None:
        try:
            photo = self.page.shelf.get(id)
        except InputError as error:
            rack = room.people if role == "person" else room.garments
            rack[:] = [each for each in rack if each != id]
            room.trouble = {**room.trouble, role: (failure(room.language, error),)}
            return
        if role == "person":
            room.person, room.edits = photo, None
            room.prepare = dataclasses.replace(room.prepare, person_number=1)
            room.remember(room.people, photo)
        else:
            room.garment = photo
            room.remember(room.garments, photo)
        self.understand(room)

    @alone
    def return_to(self, room: Room, earlier: Room) -> None:
        """Puts on what was on before the page was loaded again; what was erased meanwhile is left out."""

        def is_there(photo: str) -> bool:
            try:
                self.page.shelf.get(photo)
            except InputError:
                return False
            return True

        for name in ("person", "garment"):
            photo = getattr(earlier, name)
            setattr(room, name, photo if photo is not None and is_there(photo.id) else None)
        room.people, room.garments = (list(filter(is_there, each)) for each in (earlier.people, earlier.garments))
        room.prepare, room.edits, room.adapter = earlier.prepare, earlier.edits, earlier.adapter
        if room.person is None:
            room.edits, room.prepare = None, dataclasses.replace(room.prepare, person_number=1)

    # --------------------------------------------------------------------------------------------- settings

    @alone
    def choose(self, room: Room, /, **options: Any) -> None:
        """Sets options of the preparation: which person, what changes, the mask."""
        if room.prepare.to_dict() | options == room.prepare.to_dict():
            return
        if "person_number" in options:
            room.edits = None
        room.prepare = dataclasses.replace(room.prepare, **options)
        self.understand(room)

    @alone
    def paint(self, room: Room, layer: str) -> None:
        """Takes the mask as the visitor painted it."""
        if room.understood is None:
            return
        shown = room.understood.mask
        painted = mask_of_layer(layer, (shown.shape[1], shown.shape[0]))
        room.edits = edits_of(painted, shown, room.edits)

    @alone
    def clear(self, room: Room) -> None:
        """Back to the mask that was found."""
        room.edits = None
        room.version += 1

    # ------------------------------------------------------------------------------------------ understanding

    @alone
    def understand(self, room: Room) -> None:
        """Reads what is on; what speaks against it lands in ``room.trouble``."""
        trouble: dict[str, tuple[str, ...]] = {"person": (), "garment": ()}
        room.version += 1
        room.understood, room.picture = None, None
        if room.garment is not None:
            try:
                room.picture = self.page.reader.garment(room.garment.path, room.prepare)
                room.caption = self.page.reader.caption(room.garment.path, room.prepare, room.picture.category)
            except IdmVtonError as error:
                trouble["garment"] = (failure(room.language, error),)
        if room.person is not None:
            garment = room.garment.path if room.garment is not None and room.picture is not None else None
            try:
                room.understood = self.page.reader.person(room.person.path, garment, room.prepare)
            except IdmVtonError as error:
                trouble["person"] = (failure(room.language, error),)
        if room.understood is not None and room.garment is not None and room.picture is not None:
            category = room.understood.category
            room.caption = self.page.reader.caption(room.garment.path, room.prepare, category)
        room.trouble = trouble

    @staticmethod
    def warnings(room: Room) -> dict[Role, list[str]]:
        """What the visitor should know about each photo."""
        person = room.understood.about_person if room.understood else ()
        garment = room.picture.warnings if room.picture else ()
        return {"person": said_all(room.language, person), "garment": said_all(room.language, garment)}

    # -------------------------------------------------------------------------------------------------- runs

    @alone
    def missing(self, room: Room) -> str | None:
        """What must be chosen before a run, in words."""
        for role, photo in (("person", room.person), ("garment", room.garment)):
            if photo is None:
                return say(room.language, f"run.need_{role}")
            if room.trouble[role]:
                return room.trouble[role][0]
        return None

    def run(self, room: Room, choices: dict[str, Any]) -> Iterator[Step]:
        """Orders the picture and follows it to its end.

        Args:
            room: with a person and a garment.
            choices: options of the job and the try-on.

        Raises:
            IdmVtonError: the order was not taken.
        """
        order, recipe = self._order(room, choices)
        room.job = self.page.service.submit(order, Terms(caller=room.visitor))
        try:
            for view in self.page.service.events(room.job, room.visitor, FOLLOWED):
                if view.state == "succeeded":
                    room.results.insert(0, (view.id, seeded(recipe, view)))
                    room.shown = (view.id, 0)
                yield self.step(room, view)
        finally:
            room.job = None

    @alone
    def _order(self, room: Room, choices: dict[str, Any]) -> tuple[Order, Recipe]:
        mask = None
        if room.understood is not None and room.edits is not None:
            file = io.BytesIO()
            room.understood.photo_mask(room.edits).save(file, "PNG")
            mask = file.getvalue()
        adapter = put_on(self.page, room)
        return room.order(self.page.model.model, choices, mask, adapter.name if adapter else None)

    def follow(self, room: Room, job: str) -> Iterator[Step]:
        """A job that was ordered, to its end."""
        for view in self.page.service.events(job, room.visitor, FOLLOWED):
            yield self.step(room, view)

    def step(self, room: Room, view: View) -> Step:
        """How far a job is."""
        language = room.language
        if view.is_finished:
            return Step("", view=view)
        seconds = view.seconds_left
        left = say(language, "run.left", seconds=max(1, round(seconds))) if seconds else ""
        if view.state == "queued":
            if not self.page.service.is_ready:
                return Step(say(language, "run.loading"))
            place = view.place or 1
            return Step(say(language, "run.place", place=place), left if place > 1 else "")
        share = None
        spent = time.time() - (view.started or time.time())
        if seconds is not None and spent + seconds > 0:
            share = min(0.97, spent / (spent + seconds))
        return Step(stage_words(room, view), left, share)

    def stop(self, room: Room) -> None:
        """Ends what is being made."""
        if room.job is not None:
            self.page.service.cancel(room.job, room.visitor)

    @alone
    def forget(self, room: Room) -> None:
        """Erases everything of this visitor."""
        self.stop(room)
        self.page.shelf.erase_all(room.visitor)
        for view in self.page.service.newest("try_on", room.visitor, 1000):
            self.page.service.erase(view.id, room.visitor)
            self.page.results.erase(view.id)
        self.page.results.erase(room.visitor)
        for path in self.page.uploads.pop(room.visitor, []):
            Path(path).unlink(missing_ok=True)
        self.page.forget_readings()
        fresh = Room(visitor=room.visitor, language=room.language, version=room.version + 1)
        for each in dataclasses.fields(Room):
            setattr(room, each.name, getattr(fresh, each.name))


def seeded(recipe: Recipe, view: View) -> Recipe:
    """With the seed and the caption that were used, so that it makes the same picture again."""
    told = {"seed": int(view.provenance[0]["seed"]), "caption": view.about.get("caption")}
    return dataclasses.replace(recipe, options={**recipe.options, **{k: v for k, v in told.items() if v is not None}})


def stage_words(room: Room, view: View) -> str:
    """The stage of a job, in words."""
    stage = view.stage or "started"
    for start in ("preparing", "describing", "encoding", "denoising", "decoding", "writing"):
        if stage.startswith(start):
            return say(room.language, f"stage.{start}", done=view.done, total=view.total or "?")
    return say(room.language, "stage.started")


def problem_of(room: Room, view: View) -> tuple[Role | None, str]:
    """Which photo a failed job is about, and what to say."""
    error = view.error
    if error is None:
        return None, say(room.language, "note.failed", what=view.state)
    known = said(room.language, error.what)
    plain = error.what[:1].upper() + error.what[1:]
    words = known if known and known != plain else say(room.language, "note.failed", what=error.what)
    role: Role | None = "person" if error.field == "person" else "garment" if error.field == "garment" else None
    return role, words
