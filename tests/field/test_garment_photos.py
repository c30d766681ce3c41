"""Garment photos as people take them: cut out, filling the frame, several, turned, on a hanger, with a banner."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from idmvton.errors import PreparationError
from idmvton.prepare import orientation
from idmvton.prepare.garment import prepare_garment
from idmvton.prepare.maps import pose_of_keypoints
from idmvton.prepare.mask import ATR_LABELS

SHIRT = [(60, 60), (120, 40), (135, 52), (165, 52), (180, 40), (240, 60), (280, 150), (235, 170), (225, 120),
         (225, 340), (75, 340), (75, 120), (65, 170), (20, 150)]  # fmt: skip
TROUSERS = [(80, 40), (220, 40), (240, 360), (175, 360), (150, 140), (125, 360), (60, 360)]
SIZE = (300, 400)


def drawn(outline=SHIRT, colour=(30, 60, 130), background=(255, 255, 255), size=SIZE, at=(0, 0)):
    picture = Image.new("RGB", size, background)
    ImageDraw.Draw(picture).polygon([(x + at[0], y + at[1]) for x, y in outline], fill=colour)
    return picture


def outline_of(outline=SHIRT):
    return np.asarray(drawn(outline, (255,) * 3, (0,) * 3))[..., 0] > 0


def nobody(_):
    return ()


def no_parser(*_):
    raise AssertionError("nobody wears this")


def made(photo, choice="auto", **more):
    return prepare_garment(photo, choice, nobody, no_parser, **more)


def overlap(first, second):
    first = np.asarray(Image.fromarray(first).resize(second.shape[::-1]))
    return (first & second).sum() / (first | second).sum()


class TestTransparency:
    @pytest.mark.parametrize("value", [252, 254, 255])
    def test_an_alpha_channel_is_the_cut_out_however_pale_the_cloth(self, value):
        alpha = np.where(outline_of(), np.uint8(255), np.uint8(0))
        found = made(Image.new("RGB", SIZE, (value,) * 3), alpha=alpha)
        right = made(drawn())
        assert found.kind == "cut-out"
        assert found.category == "upper_body"
        assert overlap(found.mask, right.mask) > 0.98
        assert np.abs(np.asarray(found.image)[found.mask].astype(int) - value).max() <= 3

    def test_hidden_colours_do_not_shine_through(self):
        alpha = np.where(outline_of(), np.uint8(255), np.uint8(0))
        found = made(drawn(colour=(200, 180, 40), background=(0, 0, 0)), alpha=alpha)
        assert np.asarray(found.image).min(2)[~found.mask].min() > 100

    def test_a_soft_shadow_is_no_cloth(self):
        alpha = np.where(outline_of(), np.uint8(255), np.uint8(0))
        alpha[300:390] = np.maximum(alpha[300:390], 70)
        assert overlap(made(drawn(background=(0, 0, 0)), alpha=alpha).mask, made(drawn()).mask) > 0.97

    def test_a_photo_on_a_transparent_canvas_is_cut_out_by_its_background(self):
        alpha = np.full(SIZE[::-1], 255, np.uint8)
        alpha[:6] = alpha[:, :6] = 0
        assert made(drawn(background=(230, 230, 230)), alpha=alpha).kind == "plain background"


class TestFillsTheFrame:
    @pytest.fixture
    def close_up(self):
        """Woven cloth with a print, without an edge in the photo."""
        noise = np.random.default_rng(1).normal(0, 6, (400, 300, 1))
        cloth = np.clip(np.array([70, 90, 120]) + noise + 6 * np.sin(np.arange(300) / 40)[None, :, None], 0, 255)
        photo = Image.fromarray(cloth.astype(np.uint8))
        ImageDraw.Draw(photo).text((40, 120), "SALLY", fill=(250, 220, 40), font=ImageFont.load_default(70))
        return photo

    def test_auto_does_not_decide(self, close_up):
        with pytest.raises(PreparationError, match=r"not clear(.|\n)*--category"):
            made(close_up)

    def test_a_named_category_takes_it_whole(self, close_up):
        assert made(close_up, "upper").category == "upper_body"

    def test_cloth_that_goes_on_beyond_two_borders(self):
        photo = drawn([(0, 60), (300, 60), (300, 400), (0, 400)])
        with pytest.raises(PreparationError, match="not clear"):
            made(photo)


class TestSeveral:
    @pytest.fixture
    def front_and_back(self):
        photo = drawn(size=(620, 400))
        back = drawn(colour=(150, 40, 40), size=(620, 400), at=(310, 0))
        return Image.fromarray(np.minimum(np.asarray(photo), np.asarray(back)))

    def test_the_first_is_taken_and_told(self, front_and_back):
        found = made(front_and_back)
        assert overlap(found.mask, made(drawn()).mask) > 0.97
        assert "2 garments" in found.warnings[0]
        assert "--garment-number" in found.warnings[0]
        assert np.asarray(found.image)[found.mask].mean(0)[2] > 100

    def test_by_number(self, front_and_back):
        found = made(front_and_back, number=2)
        assert np.asarray(found.image)[found.mask].mean(0)[0] > 120
        with pytest.raises(PreparationError, match="no garment 3"):
            made(front_and_back, number=3)

    def test_of_a_set_the_category_chooses(self):
        photo = drawn(size=(620, 400))
        lower = drawn(TROUSERS, (150, 40, 40), size=(620, 400), at=(310, 0))
        photo = Image.fromarray(np.minimum(np.asarray(photo), np.asarray(lower)))
        assert np.asarray(made(photo, "lower").image)[made(photo, "lower").mask].mean(0)[0] > 120
        assert np.asarray(made(photo, "upper").image)[made(photo, "upper").mask].mean(0)[2] > 100

    def test_two_halves_of_an_open_jacket_are_one(self):
        photo = drawn()
        ImageDraw.Draw(photo).polygon([(140, 0), (160, 0), (165, 400), (135, 400)], fill=(255, 255, 255))
        found = made(photo)
        assert not found.warnings or "garments" not in found.warnings[0]


class TestNoCloth:
    def test_banners_letters_and_frames(self):
        photo = drawn(size=(300, 500), at=(0, 90))
        draw = ImageDraw.Draw(photo)
        draw.text((20, 15), "SUMMER SALE", fill=(200, 0, 0), font=ImageFont.load_default(40))
        draw.rectangle([10, 68, 290, 88], fill=(20, 20, 20))
        draw.rectangle([2, 2, 297, 497], outline=(0, 0, 0), width=3)
        assert overlap(made(photo).mask, made(drawn()).mask) > 0.96

    def test_a_hangers_hook(self):
        photo = drawn(size=(300, 460), at=(0, 60))
        draw = ImageDraw.Draw(photo)
        draw.line([(150, 115), (150, 40)], fill=(60, 60, 60), width=4)
        draw.arc([150, 14, 180, 50], 180, 360, fill=(60, 60, 60), width=4)
        assert overlap(made(photo).mask, made(drawn()).mask) > 0.95

    def test_thin_straps_stay(self):
        top = [(80, 120), (120, 130), (180, 130), (220, 120), (225, 340), (75, 340)]
        photo = drawn(top)
        draw = ImageDraw.Draw(photo)
        for x in (90, 210):
            draw.line([(x, 125), (x + (150 - x) // 4, 40)], fill=(30, 60, 130), width=4)
        found = made(photo)
        rows = np.flatnonzero(found.mask.any(1))
        assert np.ptp(rows) > 0.75 * found.mask.shape[0]


class TestTurned:
    @pytest.mark.parametrize("outline", [SHIRT, TROUSERS])
    @pytest.mark.parametrize("turns", [1, 2, 3])
    def test_it_is_set_upright_and_told(self, outline, turns):
        upright = made(drawn(outline))
        turned = made(Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(drawn(outline)), turns))))
        assert turned.category == upright.category
        assert overlap(turned.mask, upright.mask) > 0.95
        assert "not stand upright" in " ".join(turned.warnings)

    def test_upright_ones_are_left_alone(self):
        for outline in (SHIRT, TROUSERS, [(110, 40), (190, 40), (250, 360), (50, 360)]):
            assert made(drawn(outline)).warnings == ()

    def test_on_its_side_with_ends_that_do_not_tell_is_refused(self, monkeypatch):
        monkeypatch.setattr(orientation, "is_upside_down", lambda _outline: False)
        tube = [(20, 150), (60, 120), (340, 105), (380, 100), (380, 250), (340, 245), (60, 230), (20, 200)]
        with pytest.raises(PreparationError, match="lies on its side"):
            made(drawn([*tube], size=(400, 350)))


class TestWholeOutfit:
    @pytest.fixture
    def worn(self):
        """Somebody in a top and larger trousers, seen by a pose backend and a parser that know."""
        labels = np.zeros((400, 300), np.uint8)
        labels[40:90, 125:175] = ATR_LABELS.index("head")
        labels[100:190, 100:200] = ATR_LABELS.index("upper_clothes")
        labels[190:380, 100:200] = ATR_LABELS.index("pants")
        photo = np.full((400, 300, 3), 240, np.uint8)
        for name, colour in (("head", (224, 172, 140)), ("upper_clothes", (180, 30, 40)), ("pants", (30, 40, 90))):
            photo[labels == ATR_LABELS.index(name)] = colour
        points = np.zeros((18, 2), np.float32)
        points[[0, 14, 15, 2, 5, 8, 11]] = [
            (150, 65),
            (140, 55),
            (160, 55),
            (105, 105),
            (195, 105),
            (120, 200),
            (180, 200),
        ]
        pose = pose_of_keypoints(points, "drawn", (labels > 0).astype(np.float32))
        return lambda choice: prepare_garment(Image.fromarray(photo), choice, lambda _: (pose,), lambda *_: labels)

    def test_the_upper_garment_is_taken_and_the_other_told(self, worn):
        found = worn("auto")
        assert found.category == "upper_body"
        assert np.asarray(found.image)[found.mask].mean(0)[0] > 150
        assert "--category lower" in " ".join(found.warnings)

    def test_the_other_by_name(self, worn):
        found = worn("lower")
        assert found.category == "lower_body"
        assert np.asarray(found.image)[found.mask].mean(0)[2] > 70
