"""Pictures as vectors: CLIP, DINO, and the Inception network whose features FID and KID compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from idmvton.checkpoint.parts import quiet_transformers
from idmvton.errors import WeightsError
from idmvton.evaluate.shown import Measure, Shown
from idmvton.images import clip_pixel_values
from idmvton.weights import locate

_INCEPTION_SIDE: Final = 299
_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)


def load_clip(reference: Literal["truth", "garment"]) -> Measure:
    """CLIP-I: the cosine of CLIP ViT-L/14 embeddings of the result and of the truth or the product picture.

    Raises:
        WeightsError: the CLIP is not on this machine.
    """
    with quiet_transformers():
        model: Any = _loaded(transformers.CLIPVisionModelWithProjection, locate("clip-vit-large-patch14"))

    def embed(picture: NDArray[np.uint8]) -> Tensor:
        pixels = clip_pixel_values([Image.fromarray(picture)], model.config.image_size)
        return model(pixels).image_embeds[0]

    return _cosine(embed, reference)


def load_dino() -> Measure:
    """DINO: the cosine of the class tokens of result and truth, shorter side 256, centre 224x224.

    Raises:
        WeightsError: the network is not on this machine.
    """
    model: Any = _loaded(transformers.ViTModel, locate("dino-vits16"))
    mean, deviation = (torch.tensor(each)[None, :, None, None] for each in (_IMAGENET_MEAN, _IMAGENET_DEVIATION))

    def embed(picture: NDArray[np.uint8]) -> Tensor:
        image = Image.fromarray(picture)
        scale = 256 / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        pixels = np.asarray(image.crop((left, top, left + 224, top + 224)))
        tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        return model((tensor - mean) / deviation).last_hidden_state[0, 0]

    return _cosine(embed, "truth")


def load_inception() -> Measure:
    """The features that FID and KID compare: float32 (2, 2048), of the result and of the reference.

    Raises:
        WeightsError: the TorchScript file is not on this machine, or is another network.
    """
    file = locate("inception-fid") / "inception-2015-12-05.pt"
    try:
        network: Any = torch.jit.load(str(file), map_location="cpu").eval()
    except RuntimeError as error:
        raise WeightsError(
            f"{file.name} cannot be read as a TorchScript network",
            got=str(error).splitlines()[0][:200],
            fix="run `idmvton weights get inception-fid` again",
        ) from error

    def embed(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Resized channel by channel in float, as the clean resize of Parmar et al. (2022) does it."""
        side = (_INCEPTION_SIDE, _INCEPTION_SIDE)
        channels = [
            np.asarray(Image.fromarray(picture[..., n].astype(np.float32)).resize(side, Image.Resampling.BICUBIC))
            for n in range(3)
        ]
        pixels = torch.from_numpy(np.stack(channels).clip(0, 255))[None]
        return network(pixels, return_features=True)[0].float().numpy()

    @torch.no_grad()
    def measure(shown: Shown) -> NDArray[np.float32]:
        assert shown.reference is not None
        return np.stack([embed(shown.candidate), embed(shown.reference)])

    return measure


def _loaded(kind: Any, folder: Path) -> Any:
    try:
        return kind.from_pretrained(folder, local_files_only=True).eval()
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot load {kind.__name__} from {folder}", got=str(error)[:300]) from error


def _cosine(embed: Callable[[NDArray[np.uint8]], Tensor], reference: Literal["truth", "garment"]) -> Measure:
    @torch.no_grad()
    def measure(shown: Shown) -> float:
        other = shown.truth if reference == "truth" else shown.garment
        assert other is not None
        return float(F.cosine_similarity(embed(shown.result), embed(other), dim=0))

    return measure
