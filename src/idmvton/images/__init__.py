"""Pictures in and out: the only place that knows ranges and polarities.

Outside, a picture is a file, a PIL picture, a uint8 array in 0..255 or a float array in [0, 1]; numpy arrays
are HWC (or HW), torch tensors CHW (or HW), colours are RGB. The dtype alone decides the range; it is never
guessed from values. Between the steps there is one representation: PIL RGB, 8 bit. Inside the model, pictures
are float32 BCHW in [-1, 1]; masks are float32 B1HW in {0, 1} with 1 = repaint, drawn white in files.
"""

from idmvton.images.files import MAX_ASPECT, MAX_PIXELS, MIN_SIDE
from idmvton.images.reading import ImageInput, load_as_stored, load_image, load_layers, load_mask
from idmvton.images.tensors import (
    bytes_tensor,
    bytes_to_vae_tensor,
    clip_pixel_values,
    from_vae_tensor,
    mask_to_tensor,
    to_numpy,
    to_pil,
    to_vae_tensor,
)
from idmvton.images.writing import PROVENANCE_KEY, check_output_path, read_provenance, save_png

__all__ = [
    "MAX_ASPECT",
    "MAX_PIXELS",
    "MIN_SIDE",
    "PROVENANCE_KEY",
    "ImageInput",
    "bytes_tensor",
    "bytes_to_vae_tensor",
    "check_output_path",
    "clip_pixel_values",
    "from_vae_tensor",
    "load_as_stored",
    "load_image",
    "load_layers",
    "load_mask",
    "mask_to_tensor",
    "read_provenance",
    "save_png",
    "to_numpy",
    "to_pil",
    "to_vae_tensor",
]
