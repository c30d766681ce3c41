"""One map between photo and working size: exact where it can be, complete everywhere, undone by its inverse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from idmvton.errors import InputError
from idmvton.images.framing import Framing, check_size, nearest_valid_size
from idmvton.images.paste import paste_back
from idmvton.types import Size

PHOTOS = [Size(1200, 80), Size(80, 1200), Size(30, 20), Size(150, 100), Size(90, 160), Size(517, 301)]
WORKING = [Size(64, 48), Size(256, 192), Size(100, 200)]


def gradient(size: Size) -> Image.Image:
    """Smooth in both directions, different in each channel."""
    y, x = np.mgrid[0 : size.height, 0 : size.width]
    y, x = y / size.height, x / size.width
    return Image.fromarray((np.stack([x, y, (x + 1 - y) / 2], -1) * 200 + 30).astype(np.uint8))


def noise(size: Size, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def naive(image: Image.Image, framing: Framing, fill: str | tuple[int, int, int]) -> np.ndarray:
    """The definition: pad to the whole box, cut the box out, resize it."""
    left, top, right, bottom = framing.box
    around = ((max(0, -top), max(0, bottom - image.height)), (max(0, -left), max(0, right - image.width)))
    planes = []
    for channel in range(3):
        plane = np.asarray(image)[..., channel]
        options = {"mode": "edge"} if fill == "edge" else {"constant_values": fill[channel]}
        planes.append(np.pad(plane, around, **options))
    top, left = max(top, 0), max(left, 0)
    boxed = np.stack(planes, -1)[top : top + bottom - framing.box[1], left : left + right - framing.box[0]]
    size = (framing.size.width, framing.size.height)
    return pixels(Image.fromarray(boxed).resize(size, Image.Resampling.LANCZOS))


def ellipse(size: Size, share: float = 0.25) -> np.ndarray:
    y, x = np.mgrid[0 : size.height, 0 : size.width]
    return np.hypot((y / size.height - 0.5), (x / size.width - 0.5)) < share


# ---------------------------------------------------------------------------------------------------- sizes


def test_nearest_valid_size():
    assert nearest_valid_size(1024, 768, 8) == Size(1024, 768)
    assert nearest_valid_size(1020, 771, 8) == Size(1024, 768)
    assert nearest_valid_size(1, 3, 64) == Size(64, 64)


def test_check_size_names_the_nearest():
    check_size(256, 192, 64)
    with pytest.raises(InputError, match="height 256, width 192"):
        check_size(250, 200, 64)
    with pytest.raises(InputError, match="height 8, width 8"):
        check_size(0, 8, 8)


# ------------------------------------------------------------------------------------------------------ fit


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("size", WORKING)
def test_fit_shows_the_whole_photo_in_the_smallest_box_of_the_working_aspect(photo, size):
    left, top, right, bottom = Framing.fit(photo, size).box
    width, height = right - left, bottom - top
    assert left <= 0 <= photo.width <= right
    assert top <= 0 <= photo.height <= bottom
    assert width == photo.width or height == photo.height
    assert min(abs(width - height * size.width / size.height), abs(height - width * size.height / size.width)) <= 0.5
    assert abs(-left - (right - photo.width)) <= 1
    assert abs(-top - (bottom - photo.height)) <= 1


def test_a_framing_must_show_something():
    for box in ((100, 0, 200, 100), (-50, 0, 0, 100), (10, 10, 10, 20)):
        with pytest.raises(InputError, match="shows nothing"):
            Framing(Size(100, 100), box, Size(64, 48))


def test_a_photo_of_the_working_size_is_not_touched():
    photo = noise(Size(64, 48))
    framing = Framing.fit(Size(64, 48), Size(64, 48))
    assert framing.is_identity
    mask = np.random.default_rng(1).random((64, 48)) < 0.3
    for resample in ("photo", "labels"):
        assert (pixels(framing.apply(photo, resample=resample, fill="edge")) == pixels(photo)).all()
    assert (pixels(framing.invert(photo)) == pixels(photo)).all()
    assert (framing.apply_mask(mask) == mask).all()


# ---------------------------------------------------------------------------------------------------- apply


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("fill", ["edge", (255, 0, 9)])
def test_apply_equals_padding_the_whole_box_and_resizing(photo, fill):
    image = gradient(photo)
    for size in WORKING:
        framing = Framing.fit(photo, size)
        framed = framing.apply(image, resample="photo", fill=fill)
        assert framed.size == (size.width, size.height)
        assert np.abs(pixels(framed) - naive(image, framing, fill)).max() <= 2


@pytest.mark.parametrize("box", [(10, 20, 70, 100), (-30, 40, 60, 160), (-5, -5, 105, 155), (50, 100, 200, 300)])
def test_apply_with_any_box(box):
    image = gradient(Size(150, 100))
    framing = Framing(Size(150, 100), box, Size(64, 48))
    for fill in ("edge", (0, 200, 0)):
        framed = framing.apply(image, resample="photo", fill=fill)
        assert np.abs(pixels(framed) - naive(image, framing, fill)).max() <= 2


def test_moving_without_scaling_is_exact():
    image = noise(Size(64, 40))
    framing = Framing.fit(Size(64, 40), Size(64, 48))
    framed = pixels(framing.apply(image, resample="photo", fill=(255, 255, 255)))
    assert (framed[:, 4:44] == pixels(image)).all()
    assert (framed[:, :4] == 255).all()
    assert (framed[:, 44:] == 255).all()
    assert (pixels(framing.invert(Image.fromarray(framed.astype(np.uint8)))) == pixels(image)).all()


@pytest.mark.parametrize("photo", PHOTOS)
def test_labels_get_no_new_values(photo):
    labels = Image.fromarray(np.random.default_rng(0).choice([0, 40, 200], (*photo, 1)).repeat(3, -1).astype(np.uint8))
    framing = Framing.fit(photo, Size(64, 48))
    framed = framing.apply(labels, resample="labels", fill=(0, 0, 0))
    assert set(np.unique(pixels(framed))) <= {0, 40, 200}
    assert len(np.unique(pixels(framed))) == 3
    grey = framing.apply(labels.convert("L"), resample="labels", fill=(7, 0, 0))
    assert grey.mode == "L"
    assert set(np.unique(pixels(grey))) <= {0, 7, 40, 200}


def test_edge_padding_repeats_the_border():
    image = Image.new("RGB", (40, 20), (10, 20, 30))
    framed = Framing.fit(Size(20, 40), Size(64, 48)).apply(image, resample="photo", fill="edge")
    assert (pixels(framed) == (10, 20, 30)).all()


def test_pictures_of_another_size_are_refused():
    framing = Framing.fit(Size(100, 80), Size(64, 48))
    with pytest.raises(InputError, match="100x80"):
        framing.apply(noise(Size(80, 100)), resample="photo", fill="edge")
    with pytest.raises(InputError, match="64x48"):
        framing.invert(noise(Size(48, 64)))
    with pytest.raises(InputError, match="100x80"):
        framing.apply_mask(np.zeros((80, 100), bool))
    with pytest.raises(InputError, match="RGB"):
        framing.apply(Image.new("CMYK", (80, 100)), resample="photo", fill="edge")


# ---------------------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("size", WORKING)
def test_a_repainted_pixel_is_never_lost_and_nothing_else_is_repainted(photo, size):
    """Checked pixel by pixel against the definition: a working pixel shows a marked photo pixel, or it does not."""
    random = np.random.default_rng(3)
    framing = Framing.fit(photo, size)
    left, top, right, bottom = framing.box
    mask = np.zeros(photo, bool)
    mask[random.integers(photo.height, size=5), random.integers(photo.width, size=5)] = True
    expected = np.zeros(size, bool)
    for row, column in np.argwhere(mask):
        scale_y, scale_x = size.height / (bottom - top), size.width / (right - left)
        rows = slice(math.floor((row - top) * scale_y + 1e-9), math.ceil((row + 1 - top) * scale_y - 1e-9))
        columns = slice(math.floor((column - left) * scale_x + 1e-9), math.ceil((column + 1 - left) * scale_x - 1e-9))
        expected[rows, columns] = True
    assert (framing.apply_mask(mask) == expected).all()


def test_padding_is_never_repainted():
    framed = Framing.fit(Size(64, 24), Size(64, 48)).apply_mask(np.ones((64, 24), bool))
    assert framed[:, 12:36].all()
    assert framed.sum() == 64 * 24


def test_whole_multiples_of_a_mask_are_exact():
    mask = ellipse(Size(32, 24))
    assert (Framing.fit(Size(32, 24), Size(64, 48)).apply_mask(mask) == mask.repeat(2, 0).repeat(2, 1)).all()
    large = mask.repeat(3, 0).repeat(3, 1)
    assert (Framing.fit(Size(96, 72), Size(32, 24)).apply_mask(large) == mask).all()


# --------------------------------------------------------------------------------------------------- invert


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("size", WORKING)
def test_framing_and_back_gives_the_photo(photo, size):
    image = gradient(photo)
    framing = Framing.fit(photo, size)
    back = framing.invert(framing.apply(image, resample="photo", fill="edge"))
    assert back.size == image.size
    # A working pixel holds at most this change of the gradient; Lanczos rings a little at the border.
    step = 200 * framing.scale / min(photo)
    error = np.abs(pixels(back) - pixels(image))
    assert error.max() <= 4 + step
    assert error.mean() <= 1 + step / 3


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("size", WORKING)
def test_padding_never_shines_in(photo, size):
    """The photo part in one colour, everything beyond it in another: only the first may come back."""
    framing = Framing.fit(photo, size)
    on_photo = framing.apply(
        Image.new("RGB", (photo.width, photo.height), (255,) * 3), resample="labels", fill=(0, 0, 0)
    )
    if not pixels(on_photo).any():
        pytest.fail("the photo is not visible at this working size")
    colours = np.where(pixels(on_photo) > 0, (90, 100, 110), (255, 0, 255)).astype(np.uint8)
    assert (pixels(framing.invert(Image.fromarray(colours))) == (90, 100, 110)).all()


def test_outside_a_cropping_box_the_inverse_is_black():
    framing = Framing(Size(100, 80), (20, 10, 60, 70), Size(60, 40))
    working = noise(Size(60, 40))
    back = pixels(framing.invert(working))
    assert (back[10:70, 20:60] == pixels(working)).all()
    back[10:70, 20:60] = 0
    assert not back.any()


# ----------------------------------------------------------------------------------------------- paste back


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("size", WORKING)
@pytest.mark.parametrize("feather", [0, 3])
def test_pixels_beyond_mask_and_feather_are_bit_identical(photo, size, feather):
    image, framing, mask = noise(photo), Framing.fit(photo, size), ellipse(photo)
    result = noise(size, seed=1)
    pasted = pixels(paste_back(result, image, mask, framing, feather))
    marked = np.argwhere(mask & ~_eroded(mask))
    reach = feather * framing.scale
    outside = ~mask
    for row, column in np.argwhere(~mask)[:: max(1, (~mask).sum() // 100)]:
        distance = np.hypot(*(marked - (row, column)).T).min()
        if distance >= reach:
            assert (pasted[row, column] == pixels(image)[row, column]).all()
    if feather == 0:
        assert (pasted[outside] == pixels(image)[outside]).all()
    assert (pasted[mask] == pixels(framing.invert(result))[mask]).all()


def _eroded(mask: np.ndarray) -> np.ndarray:
    inner = np.pad(mask, 1)
    return inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]


def test_the_feather_is_a_raised_cosine_of_the_distance():
    size = Size(40, 60)
    mask = np.zeros(size, bool)
    mask[18, 25] = True
    photo, result = Image.new("RGB", (60, 40), (0, 0, 0)), Image.new("RGB", (60, 40), (200, 200, 200))
    pasted = pixels(paste_back(result, photo, mask, Framing.fit(size, size), 10))
    y, x = np.mgrid[0:40, 0:60]
    distance = np.minimum(np.hypot(y - 18, x - 25), 10)
    assert (pasted[..., 1] == np.round(200 * (0.5 + 0.5 * np.cos(np.pi * distance / 10)))).all()


def test_the_feather_is_measured_in_working_pixels():
    photo, size = Size(160, 120), Size(40, 30)
    mask = np.zeros(photo, bool)
    mask[:, :40] = True
    white = Image.new("RGB", (30, 40), (255,) * 3)
    row = pixels(paste_back(white, Image.new("RGB", (120, 160)), mask, Framing.fit(photo, size), 5))[80, :, 0]
    assert row[57] > 0
    assert (row[59:] == 0).all()
    assert (np.diff(row) <= 0).all()


def test_an_equal_result_changes_nothing():
    photo = noise(Size(64, 48))
    mask = ellipse(Size(64, 48))
    framing = Framing.fit(Size(64, 48), Size(64, 48))
    assert (pixels(paste_back(photo, photo, mask, framing, 8)) == pixels(photo)).all()


def test_pasting_stays_within_a_cropping_box_and_leaves_its_inputs_alone():
    photo = noise(Size(100, 80))
    before = pixels(photo)
    framing = Framing(Size(100, 80), (20, 10, 60, 70), Size(60, 40))
    pasted = pixels(paste_back(noise(Size(60, 40), 1), photo, np.ones((100, 80), bool), framing, 4))
    assert (pasted[10:70, 20:60] != before[10:70, 20:60]).mean() > 0.9
    pasted[10:70, 20:60] = before[10:70, 20:60]
    assert (pasted == before).all()
    assert (pixels(photo) == before).all()


def test_masks_outside_the_box_or_empty_change_nothing():
    photo = noise(Size(100, 80))
    framing = Framing(Size(100, 80), (20, 10, 60, 70), Size(60, 40))
    corner = np.zeros((100, 80), bool)
    corner[95:, 75:] = True
    for mask in (np.zeros((100, 80), bool), corner):
        for feather in (0, 4, 40):
            pasted = paste_back(noise(Size(60, 40), 1), photo, mask, framing, feather)
            assert (pixels(pasted) == pixels(photo)).all()


def test_paste_back_refuses_what_does_not_belong():
    photo, result = noise(Size(100, 80)), noise(Size(64, 48))
    framing, mask = Framing.fit(Size(100, 80), Size(64, 48)), np.ones((100, 80), bool)
    with pytest.raises(InputError, match="100x80"):
        paste_back(result, noise(Size(64, 48)), mask, framing, 4)
    with pytest.raises(InputError, match="100x80"):
        paste_back(result, photo, np.ones((64, 48), bool), framing, 4)
    with pytest.raises(InputError, match="64x48"):
        paste_back(photo, photo, mask, framing, 4)
    with pytest.raises(InputError, match="negative"):
        paste_back(result, photo, mask, framing, -1)
