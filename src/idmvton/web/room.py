"""One visitor's fitting room: what is chosen, what was understood, what was made."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from idmvton.engine.service import Order
from idmvton.engine.service.orders import Content
from idmvton.options import PrepareOptions
from idmvton.prepare.garment import GarmentPicture
from idmvton.web.copy_as import Recipe, changed
from idmvton.web.many import Pair
from idmvton.web.masks import Edits
from idmvton.web.shelf import Photo
from idmvton.web.understand import Understood
from idmvton.web.words import Language


@dataclass(eq=False)
class Room:
    """What a visitor has chosen; lives as long as the page is open.

    Attributes:
        visitor: nobody can guess it; only this visitor sees what it ordered.
        language: of the page.
        person, garment: what is on.
        people, garments: ids of photos that were used, the newest first.
        prepare: options of the preparation.
        edits: what was painted and erased in the mask.
        understood: of person and garment.
        picture: the garment, cut out.
        caption: proposed for the garment.
        trouble: why a photo cannot be used, in the page's words.
        results: job and recipe, the newest first.
        job: what is being made.
        shown: id and number of the picture that is shown.
        version: grows whenever the person's picture must be drawn anew.
        many: pairs of the third tab that are being made.
        lesson: what is being learned on the fourth tab.
        adapter: what was learned and is on, as an order calls it.
    """

    visitor: str = field(default_factory=lambda: secrets.token_hex(16))
    language: Language = "en"
    person: Photo | None = None
    garment: Photo | None = None
    people: list[str] = field(default_factory=list)
    garments: list[str] = field(default_factory=list)
    prepare: PrepareOptions = field(default_factory=PrepareOptions)
    edits: Edits | None = None
    understood: Understood | None = None
    picture: GarmentPicture | None = None
    caption: str | None = None
    trouble: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"person": (), "garment": ()})
    results: list[tuple[str, Recipe]] = field(default_factory=list)
    job: str | None = None
    shown: tuple[str, int] | None = None
    version: int = 0
    many: list[Pair] = field(default_factory=list)
    lesson: str | None = None
    adapter: str | None = None

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        """Held by the action that works on the room; no field, because gradio reads those as plain values."""

    def __deepcopy__(self, _memo: Any) -> Room:
        """A room for another visitor: gradio copies the first one for each."""
        return Room()

    def order(
        self, model: str, choices: dict[str, Any], mask: Content | None, adapter: str | None
    ) -> tuple[Order, Recipe]:
        """What is ordered for this person and garment.

        Args:
            model: name of the model.
            choices: options of the job and the try-on.
            mask: PNG of the corrected mask, if there is one.
            adapter: name of what is on.
        """
        assert self.person is not None
        assert self.garment is not None
        options = changed(self.prepare.to_dict() | choices)
        if self.understood is not None and len(self.understood.people) > 1:
            options["person_number"] = self.prepare.person_number  # a server asks which of several is meant
        files: dict[str, Content] = {"person": self.person.path, "garment": self.garment.path}
        if mask is not None:
            files["mask"] = mask
        person, garment = self.person.name, self.garment.name
        if person == garment:
            garment = f"garment_{garment}"
        order = Order(files=files, options=options, adapter=None if adapter is None else self.adapter)
        return order, Recipe(person, garment, model, options, mask is not None, adapter)

    def remember(self, photos: list[str], photo: Photo) -> None:
        """Puts a photo to the front of a rack."""
        if photo.id in photos:
            photos.remove(photo.id)
        photos.insert(0, photo.id)
        del photos[12:]
