"""What the server's process has read, for its lanes."""

from idmvton.engine.service.readings import Readings, garment_key, has_default_backends, person_key
from idmvton.options import PrepareOptions


def test_a_lane_gets_what_was_read_of_its_photos_and_nothing_else():
    readings = Readings()
    readings.offer(person_key("a", 1, None), "one")
    readings.offer(person_key("a", 2, None), "two")
    readings.offer(garment_key("b", "auto", None), "shirt")
    readings.offer(garment_key("c", "auto", None), "another")
    assert sorted(readings.of(["a", "b"]).values()) == ["one", "shirt", "two"]


def test_what_was_read_of_a_photo_goes_with_it():
    readings = Readings()
    readings.offer(person_key("a", 1, None), "one")
    readings.offer(garment_key("b", "auto", None), "shirt")
    readings.forget(["a"])
    assert list(readings.of(["a", "b"]).values()) == ["shirt"]
    readings.forget()
    assert not readings.of(["a", "b"])


def test_only_the_newest_are_kept():
    readings = Readings()
    for number in range(20):
        readings.offer(garment_key("a", "auto", number), number)
    assert sorted(readings.of(["a"]).values()) == list(range(12, 20))


def test_with_other_backends_a_photo_is_read_again():
    assert has_default_backends(PrepareOptions(category="upper", mask_grow=8, person_number=2))
    assert not has_default_backends(PrepareOptions(pose_backend="openpose"))
    assert not has_default_backends(PrepareOptions(as_published=True))
