"""Whatever a caller hands in -> PIL RGB pictures and bool masks."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, ImageCms

from idmvton.errors import InputError
from idmvton.images.files import SAVE_AS, check_dimensions, decode, decode_as_stored, open_picture, reduce, turn_of
from idmvton.images.tensors import array_to_pil, check_unit_range
from idmvton.types import Size

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

ImageInput: TypeAlias = "str | os.PathLike[str] | Image.Image | NDArray[Any] | torch.Tensor"


def load_image(
    source: ImageInput,
    *,
    what: str = "person",
    background: tuple[int, int, int] = (255, 255, 255),
    least_side: int | None = None,
) -> Image.Image:
    """Reads a picture into the one form used between the steps.

    EXIF orientation is applied once. An embedded ICC profile is converted to sRGB (a damaged one is ignored).
    CMYK, palette, grey, 1-bit and 16-bit pictures become 8-bit RGB, 16 bit by scaling; PIL's mode ``I``
    counts as 16 bit and ``F`` as [0, 1]. Transparency is composited onto ``background``. Of an animation the
    first frame is used (of an open PIL picture: the current one).

    Args:
        source: a path, a PIL picture, a uint8 array in 0..255 or a float array in [0, 1]: numpy HWC or HW,
            torch CHW or HW, with 1, 3 (RGB) or 4 (RGBA) channels.
        what: the picture's role, for messages.
        background: RGB 0..255 behind transparent pixels.
        least_side: where fewer pixels do: a JPEG file may be decoded at a half, a quarter or an eighth of its
            size, as long as its longer side keeps this many.

    Returns:
        A new PIL picture, RGB 8 bit, upright, without metadata.

    Raises:
        InputError: the source is missing, unreadable, truncated, too small, too large, or outside the
            conventions above.
        MissingExtraError: a HEIC photo, and pillow-heif is not installed.
    """
    rgb, alpha = load_layers(source, what=what, least_side=least_side)
    if alpha is not None:
        flat = Image.new("RGB", rgb.size, background)
        flat.paste(rgb, mask=Image.fromarray(alpha))
        rgb = flat
    return rgb


def load_layers(
    source: ImageInput, *, what: str = "person", least_side: int | None = None
) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """As :func:`load_image`, with the transparency beside the colours instead of composited.

    Returns:
        The picture, RGB, with whatever colours transparent pixels have; and uint8 (H, W), 255 is opaque, or ``None``
        where everything is.

    Raises:
        InputError: as :func:`load_image`.
        MissingExtraError: likewise.
    """
    image = _read(source, what, least_side)
    profile = image.info.get("icc_profile")
    image = _to_8_bit(image, what)
    alpha = None
    try:
        if image.has_transparency_data:
            is_grey = image.mode == "LA"  # its profile, if any, is one for grey
            image = image if is_grey else image.convert("RGBA")
            alpha = np.array(image.getchannel("A"))
            image = image.convert("L" if is_grey else "RGB")
        rgb = _to_srgb(image, profile)
    except (ValueError, OSError) as error:
        raise InputError(
            f"the {what} picture cannot be converted to RGB", got=f"mode {image.mode}: {error}", fix=SAVE_AS
        ) from error
    if alpha is not None and not alpha.any():
        raise InputError(
            f"the {what} picture is fully transparent", got=f"{_origin(source)}, alpha 0 everywhere", fix=SAVE_AS
        )
    rgb.info = {}
    return rgb, None if alpha is None or alpha.min() == 255 else alpha


def _origin(source: ImageInput) -> str:
    return str(source) if isinstance(source, str | os.PathLike) else type(source).__name__


def load_as_stored(source: ImageInput, *, what: str = "person") -> tuple[Image.Image, Image.Transpose | None]:
    """Reads a picture as programs do that look at its pixels only: not turned, transparency and profile ignored.

    Args:
        source: as in :func:`load_image`.
        what: the picture's role, for messages.

    Returns:
        A new PIL picture, RGB 8 bit, without metadata, and what would turn it upright.

    Raises:
        InputError: see :func:`load_image`.
    """
    if isinstance(source, str | os.PathLike):
        with open_picture(Path(source), what) as opened:
            decode_as_stored(opened, what, Path(source))
            image = opened.copy()
    elif isinstance(source, Image.Image):
        check_dimensions(Size(source.height, source.width), what, "a PIL picture")
        decode_as_stored(source, what)
        image = source
    else:
        image = _read(source, what)
    turn = turn_of(image)
    rgb = _to_8_bit(image, what).convert("RGB")
    rgb.info = {}
    return rgb, turn


def load_mask(
    source: ImageInput, *, size: Size | None = None, threshold: int | None = None, what: str = "mask"
) -> NDArray[np.bool_]:
    """Reads a mask; white = repaint.

    Grey, 1-bit, palette and RGB pictures with equal channels are read by brightness. In a picture with
    transparency, transparent means keep; if all that is visible has one colour, opaque means repaint whatever
    that colour is (a painted layer). Arrays and tensors may be bool, uint8 in {0, 255} or float in {0, 1}.

    Args:
        source: as in :func:`load_image`, and bool arrays; numpy HW or HWC, torch HW or CHW.
        size: the size that the mask must have, that of the photo.
        threshold: 1..255 on the 8-bit scale; values from it on are repainted. Without it the mask must be
            binary already.
        what: its role, for messages.

    Returns:
        bool (H, W), True = repaint.

    Raises:
        InputError: unreadable, coloured, another size than ``size``, not binary, or nothing to repaint;
            ``threshold`` out of range.
    """
    if threshold is not None and not 1 <= threshold <= 255:
        raise InputError("the mask threshold is out of range", got=threshold, expected="1 to 255")
    values = _mask_values(source, what)
    found = Size(*values.shape)
    if size is not None and found != size:
        raise InputError(
            f"the {what} and the photo differ in size",
            got=f"mask {found}, photo {size}",
            expected="a mask drawn on the upright photo, pixel on pixel",
            fix=f"draw it again on the photo, or resize it to width {size.width}, height {size.height} "
            "with a nearest filter",
        )
    if threshold is None or values.max() == 1:
        _check_binary(values, what)
        threshold = 255
    mask: NDArray[np.bool_] = values >= threshold
    if not mask.any():
        raise InputError(
            f"the {what} is empty: there is nothing to repaint",
            got=f"no value from {threshold} on; the highest is {values.max():g}",
            expected="white (255) where the garment goes, black (0) elsewhere",
            fix="check the polarity (white = repaint)",
        )
    return mask


def _read(source: ImageInput, what: str, least_side: int | None = None) -> Image.Image:
    """Any accepted source as a decoded, upright PIL picture in its own mode."""
    if isinstance(source, str | os.PathLike):
        with open_picture(Path(source), what) as opened:
            if least_side is not None:
                reduce(opened, least_side)
            return decode(opened, what, Path(source))
    if isinstance(source, Image.Image):
        check_dimensions(Size(source.height, source.width), what, "a PIL picture")
        return decode(source, what)
    array = _as_hwc(source, what)
    if array.dtype == np.bool_:
        raise InputError(
            f"the {what} picture is a bool array",
            got=f"shape {array.shape}",
            expected="uint8 in 0..255 or float in [0, 1]",
            fix="give the picture; a mask goes in as the mask",
        )
    return array_to_pil(array)


def _to_8_bit(image: Image.Image, what: str) -> Image.Image:
    """16-bit and float greys scaled to 8 bit; other modes as they are."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode == "F":
        return array_to_pil(check_unit_range(values, what)[..., None])
    if values.min() < 0 or values.max() > 65535:
        raise InputError(
            f"the {what} picture's grey values are outside 16 bit",
            got=f"{values.min()} to {values.max()}",
            expected="0 to 65535",
            fix=SAVE_AS,
        )
    return Image.fromarray(np.round(values / 257.0).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB; a profile that is damaged, or made for other channels, is ignored.

    A profile that calls itself sRGB is not converted, so that the pixels stay exactly the file's.
    """
    if image.mode == "P":
        image = image.convert("RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if not ImageCms.getProfileDescription(source).startswith("sRGB"):
                target = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError):
            pass
    return image.convert("RGB")


def _as_hwc(source: Any, what: str) -> NDArray[Any]:
    """An array or tensor as HWC: bool, uint8 in 0..255 or float32 checked to be in [0, 1]."""
    torch = sys.modules.get("torch")
    layout = "numpy HWC or HW"
    if torch is not None and isinstance(source, torch.Tensor):
        tensor = source.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
        layout = "torch CHW or HW"
    elif isinstance(source, np.ndarray):
        array = source
    else:
        raise InputError(
            f"the {what} picture is of a type that cannot be read",
            got=type(source).__name__,
            expected="a path, a PIL picture, a numpy array or a torch tensor",
        )
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4):
        raise InputError(
            f"the {what} picture has the wrong shape",
            got=tuple(source.shape),
            expected=f"one picture, {layout}, with 1, 3 (RGB) or 4 (RGBA) channels",
            fix="transpose the channels, or take one picture of the batch",
        )
    check_dimensions(Size(array.shape[0], array.shape[1]), what, f"an array of shape {tuple(source.shape)}")
    if np.issubdtype(array.dtype, np.floating):
        return check_unit_range(array, what)
    if array.dtype not in (np.dtype(np.uint8), np.dtype(np.bool_)):
        raise InputError(
            f"the {what} picture has a dtype without a range",
            got=array.dtype,
            expected="uint8 in 0..255 or float in [0, 1]",
            fix="convert it to uint8",
        )
    return array


def _mask_values(source: ImageInput, what: str) -> NDArray[Any]:
    """A mask's brightness (H, W) on the 8-bit scale; floats keep their fraction."""
    if isinstance(source, str | os.PathLike | Image.Image):
        image = _to_8_bit(_read(source, what), what)
    else:
        array = _as_hwc(source, what)
        if np.issubdtype(array.dtype, np.floating):
            return _grey(array, what) * 255
        image = array_to_pil(array.astype(np.uint8) * 255 if array.dtype == np.bool_ else array)
    if not image.has_transparency_data:
        return _grey(np.asarray(image if image.mode == "L" else image.convert("RGB")), what)
    rgba = np.asarray(image.convert("RGBA"))
    alpha = rgba[..., 3]
    visible = rgba[alpha > 0][:, :3]
    if alpha.min() < 255 and len(visible) and (visible == visible[0]).all():
        levels = np.unique(alpha)  # a layer painted at one opacity is whole where it is painted
        return np.where(alpha > 0, np.uint8(255), np.uint8(0)) if len(levels) == 2 and levels[0] == 0 else alpha
    return _grey((rgba[..., :3] * (alpha[..., None] / 255.0)).round(), what)


def _grey(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.ndim == 2:
        return array
    if (array[..., :1] != array[..., :3]).any():
        raise InputError(
            f"the {what} is a coloured picture",
            got=f"{float((array[..., :1] != array[..., :3]).any(-1).mean()):.1%} of its pixels are not grey",
            expected="white (255) where the garment goes, black (0) elsewhere",
            fix="check that it is the mask and not the photo, a parsing map or a densepose",
        )
    return array[..., 0]


def _check_binary(values: NDArray[Any], what: str) -> None:
    grey = (values != 0) & (values != 255)
    if not grey.any():
        return
    if values.max() == 1:
        raise InputError(
            f"the {what} holds 0 and 1 on a scale of 0 to 255",
            got="highest value 1",
            expected="0 and 255 in 8 bit, or a bool array, or floats 0.0 and 1.0",
            fix="multiply it by 255, or convert it to bool",
        )
    raise InputError(
        f"the {what} is not binary",
        got=f"{grey.mean():.2%} of its pixels are grey",
        expected="only black (0, keep) and white (255, repaint)",
        fix="pass mask_threshold=128 (--mask-threshold 128), and save masks as PNG, not JPEG",
    )
