"""Augmentation: pieces stay together, sides are swapped, colours are shared, nothing grey enters what is kept."""

from dataclasses import replace

import numpy as np
import pytest
from layouts import ATR, SIZE, draw, keypoints, mask, person
from PIL import Image

from idmvton.data import AugmentOptions, TryOnSample, augmented
from idmvton.data.augment import MIRRORED_KEYPOINTS, MIRRORED_LABELS, change_colours, flip, shift_and_scale
from idmvton.errors import ConfigError, InputError
from idmvton.images.densepose import OTHER_SIDE, colour_parts, part_colours, parts_of
from idmvton.prepare.mask import ATR_LABELS
from idmvton.types import Size

ALWAYS = AugmentOptions(flip=1.0, affine=1.0, colour=1.0)


@pytest.fixture
def sample():
    return TryOnSample(
        name="pair",
        person=person(),
        garment=person(shift=90),
        mask=mask(),
        densepose=colour_parts(draw({}, parts=True)),
        caption="a top",
        category="upper_body",
        labels=draw(ATR),
        keypoints=keypoints().astype(np.float32),
        unpaired_target=person(shift=50),
    )


def arrays(sample):
    names = ("person", "garment", "mask", "densepose", "labels", "keypoints", "unpaired_target")
    return {name: np.asarray(getattr(sample, name)) for name in names}


def same(first, second):
    return all(np.allclose(array, arrays(second)[name], atol=1e-4) for name, array in arrays(first).items())


class TestFlip:
    def test_twice_is_nothing(self, sample):
        assert not same(flip(sample), sample)
        assert same(flip(flip(sample)), sample)

    def test_the_garment_is_mirrored_with_the_person(self, sample):
        flipped = flip(sample)
        for piece in ("person", "garment", "unpaired_target"):
            assert np.array_equal(getattr(flipped, piece), np.asarray(getattr(sample, piece))[:, ::-1])

    def test_the_left_arm_is_still_on_the_left(self, sample):
        """The drawn left arm is shorter: after the mirror the *right* arm is, and it lies on the picture's left."""
        flipped = flip(sample)
        parts, strange = parts_of(flipped.densepose)
        assert strange == 0
        for name, part in (("left_arm", 17), ("right_arm", 16)):
            region = flipped.labels == ATR[name]
            assert (region.nonzero()[1].mean() > SIZE.width / 2) == (name == "left_arm")
            assert np.array_equal(region, parts == part)
        assert (flipped.labels == ATR["right_arm"]).sum() == (sample.labels == ATR["left_arm"]).sum()

    def test_keypoints_follow_their_limbs(self, sample):
        flipped = flip(sample)
        for number, name in ((4, "right_arm"), (7, "left_arm")):
            x, y = flipped.keypoints[number]
            assert flipped.labels[int(y), int(x)] == ATR[name]
        assert (flipped.keypoints == 0).all(1).sum() == (sample.keypoints == 0).all(1).sum()

    def test_tables_are_their_own_inverse_and_keep_the_middle(self):
        assert np.array_equal(MIRRORED_LABELS[MIRRORED_LABELS], np.arange(19))
        assert MIRRORED_LABELS[ATR_LABELS.index("left_shoe")] == ATR_LABELS.index("right_shoe")
        assert np.array_equal(OTHER_SIDE[OTHER_SIDE], np.arange(25))
        assert OTHER_SIDE[:5].tolist() == [0, 1, 2, 4, 3]
        assert [MIRRORED_KEYPOINTS[number] for number in MIRRORED_KEYPOINTS] == list(range(18))

    def test_noise_of_a_jpeg_body_map_stays_near_the_palette(self, sample, tmp_path):
        sample.densepose.save(tmp_path / "map.jpg", quality=90)
        noisy = replace(sample, densepose=Image.open(tmp_path / "map.jpg").convert("RGB"))
        exact, read = np.asarray(flip(sample).densepose), np.asarray(flip(noisy).densepose)
        assert np.abs(exact.astype(int) - read).mean() < 6

    def test_a_body_map_in_other_colours_is_refused(self, sample):
        other = np.asarray(sample.densepose)[..., ::-1].copy()
        with pytest.raises(InputError, match="cannot be mirrored"):
            flip(replace(sample, densepose=Image.fromarray(other)))


class TestShiftAndScale:
    @pytest.mark.parametrize(("down", "right", "zoom"), [(0.2, -0.2, 0.8), (-0.1, 0.15, 1.2), (0.0, 0.0, 0.8)])
    def test_all_maps_move_together(self, sample, down, right, zoom):
        moved = shift_and_scale(sample, down, right, zoom)
        parts, _ = parts_of(moved.densepose)
        assert np.array_equal(parts == 15, moved.labels == ATR["left_arm"])
        upper = moved.labels == ATR["upper_clothes"]
        assert moved.mask[upper].all()
        points = moved.keypoints[[4, 7]]
        for (x, y), name in zip(points, ("right_arm", "left_arm"), strict=True):
            if (x, y) != (0, 0):
                assert moved.labels[int(y), int(x)] == ATR[name]

    def test_directions(self, sample):
        def centre(moved):
            return np.array(moved.mask.nonzero()).mean(1)

        lower = centre(shift_and_scale(sample, 0.1, 0.0, 1.0)) - centre(sample)
        assert lower == pytest.approx([0.1 * SIZE.height, 0], abs=1)
        righter = centre(shift_and_scale(sample, 0.0, 0.1, 1.0)) - centre(sample)
        assert righter == pytest.approx([0, 0.1 * SIZE.width], abs=1)
        assert shift_and_scale(sample, 0, 0, 1.2).mask.sum() > 1.2 * sample.mask.sum()

    def test_no_grey_enters_what_is_kept(self, sample):
        white = replace(sample, person=Image.new("RGB", SIZE[::-1], (250, 251, 252)))
        moved = shift_and_scale(white, 0.2, 0.2, 0.8)
        assert (np.asarray(moved.person) == (250, 251, 252)).all()

    def test_what_lies_beyond_the_photo_is_kept_and_empty_in_the_maps(self, sample):
        moved = shift_and_scale(sample, 0.2, 0.0, 0.8)
        assert not moved.mask[:20].any()
        assert not moved.labels[:20].any()
        assert not np.asarray(moved.densepose)[:20].any()

    def test_points_outside_are_missing(self, sample):
        moved = shift_and_scale(sample, -0.4, 0.0, 1.2)
        assert not moved.keypoints[0].any()

    def test_something_is_always_left_to_repaint(self, sample):
        top = np.zeros(SIZE, bool)
        top[:4] = True
        assert shift_and_scale(replace(sample, mask=top), -0.3, 0, 1.2).mask.any()


class TestColours:
    def test_equal_colours_stay_equal_in_person_and_garment(self, sample):
        both = replace(sample, person=sample.garment, unpaired_target=sample.garment)
        changed = change_colours(both, 0.1, -0.1, 0.1, 10)
        assert np.array_equal(changed.person, changed.garment)
        assert np.array_equal(changed.person, changed.unpaired_target)
        assert not np.array_equal(changed.garment, sample.garment)

    def test_dark_stays_dark(self, sample):
        """The published code clamps normalised pictures: everything below middle grey became middle grey."""
        dark = replace(sample, person=Image.new("RGB", SIZE[::-1], (20, 25, 30)))
        pixels = np.asarray(change_colours(dark, 0.1, 0.1, 0.1, 10).person)
        assert pixels.max() < 60

    def test_maps_keep_their_colours(self, sample):
        changed = change_colours(sample, 0.2, 0.2, 0.2, 20)
        assert np.array_equal(changed.densepose, sample.densepose)
        assert np.array_equal(changed.labels, sample.labels)

    def test_each_change_does_what_it_is_called(self, sample):
        plain = replace(sample, person=Image.new("RGB", SIZE[::-1], (150, 100, 50)))

        def pixel(*amounts):
            return np.asarray(change_colours(plain, *amounts).person)[0, 0].astype(int).tolist()

        assert pixel(0, 0, 0, 0) == [150, 100, 50]
        assert pixel(0.2, 0, 0, 0) == [180, 120, 60]
        assert pixel(0, 0.2, 0, 0) == pytest.approx([154, 94, 34], abs=1)
        grey = pixel(0, 0, -1, 0)
        assert max(grey) - min(grey) <= 1
        red, green, blue = pixel(0, 0, 0, 120)
        assert max(red, green, blue) != red


class TestAugmented:
    def test_the_generator_decides_everything(self, sample):
        first, second = (augmented(sample, np.random.default_rng(5), ALWAYS) for _ in range(2))
        assert same(first, second)
        assert not same(first, augmented(sample, np.random.default_rng(6), ALWAYS))

    def test_draws_do_not_depend_on_the_options(self, sample):
        states = []
        for options in (ALWAYS, AugmentOptions(flip=0.0, affine=0.0, colour=0.0)):
            rng = np.random.default_rng(1)
            augmented(sample, rng, options)
            states.append(rng.random())
        assert states[0] == states[1]

    def test_nothing_wanted_nothing_done(self, sample):
        off = AugmentOptions(flip=0.0, affine=0.0, colour=0.0)
        assert same(augmented(sample, np.random.default_rng(0), off), sample)

    def test_size_and_names_stay(self, sample):
        for seed in range(12):
            made = augmented(sample, np.random.default_rng(seed))
            assert (made.size, made.name, made.caption) == (SIZE, "pair", "a top")

    def test_options_are_checked(self):
        with pytest.raises(ConfigError, match="shift"):
            AugmentOptions(shift=0.9)


def test_pieces_of_different_sizes_are_no_sample(sample):
    with pytest.raises(InputError, match="differ in size"):
        replace(sample, mask=mask(Size(64, 48)))


def test_the_palette_has_25_colours_far_enough_apart():
    colours = part_colours().astype(int)
    assert colours[0].tolist() == [0, 0, 0]
    assert len({tuple(colour) for colour in colours.tolist()}) == 25
    numbers = np.arange(25, dtype=np.uint8).repeat(20).reshape(25, 20)
    assert np.array_equal(parts_of(colour_parts(numbers))[0], numbers)
