"""Outfits with a learned garment: it helps the part that it is."""

from types import SimpleNamespace

import pytest

from idmvton.engine.service.views import Adapter
from idmvton.web.fitting import Step
from idmvton.web.outfits import Outfit, put_on
from idmvton.web.room import Room


class Orders:
    """Stands for the service: notes what is ordered; everything succeeds."""

    def __init__(self, *adapters):
        self.known, self.taken = list(adapters), []

    def adapters(self, visitor):
        return self.known

    def submit(self, order, terms):
        self.taken.append(order)
        return str(len(self.taken))

    def read(self, job, name):
        return f"picture {job}".encode()


def ordered(tmp_path, on, *adapters):
    """The orders, and what is said of each part."""
    service = Orders(*adapters)

    def follow(room, job):
        yield Step("drawing")
        yield Step("", view=SimpleNamespace(id=job, state="succeeded"))

    fitting = SimpleNamespace(page=SimpleNamespace(service=service), follow=follow)
    room = Room(adapter=on)
    steps = list(put_on(fitting, room, Outfit(tmp_path / "p.jpg", tmp_path / "trousers.jpg", tmp_path / "shirt.jpg")))
    return service.taken, [each.stage for each in steps if each.view is None]


def made(name, job, category):
    return Adapter(name, job, {"category": category, "caption": name})


@pytest.mark.parametrize(
    ("on", "expected"), [("12", [None, "12"]), ("34", ["34", None]), ("56", [None, None]), (None, [None, None])]
)
def test_a_learned_garment_helps_its_part(tmp_path, on, expected):
    known = made("shirt", "12", "upper_body"), made("trousers", "34", "lower_body"), made("gown", "56", "dresses")
    orders, told = ordered(tmp_path, on, *known)
    assert [each.adapter for each in orders] == expected
    assert [each.options["category"] for each in orders] == ["lower", "upper"]
    assert orders[1].files["person"] == b"picture 1"
    names = [name in words for words, name in zip(told, ("trousers", "shirt"), strict=True)]
    assert names == [each is not None for each in expected]


def test_one_that_was_deleted_is_left_out(tmp_path):
    assert [each.adapter for each in ordered(tmp_path, "12")[0]] == [None, None]
