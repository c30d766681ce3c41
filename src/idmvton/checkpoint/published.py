"""The published folder layout <-> our modules, strict in both directions.

A checkpoint folder holds ``unet`` (TryonNet with the image-prompt layers), ``unet_encoder`` (GarmentNet), ``vae``,
``text_encoder``, ``text_encoder_2``, ``tokenizer``, ``tokenizer_2``, ``image_encoder``, ``scheduler`` and
``model_index.json``. What the published weights do not have is extra: policies (:data:`POLICIES`) are keys of
``model_index.json``, a ``warp_net`` is a folder beside the others.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from idmvton.checkpoint.folder import FOLDERS, UNET_STEM, find_parts, read_config
from idmvton.checkpoint.parts import (
    LIBRARY_CLASSES,
    WARP_NET,
    load_part,
    quiet_transformers,
    refuse_misfits,
)
from idmvton.errors import WeightsError
from idmvton.models.garment_net import GarmentNet
from idmvton.models.image_prompt import build_resampler, from_published, to_published
from idmvton.models.tryon_net import TryonNet, num_input_channels, widen_input
from idmvton.weights import find_weights, read_tensors, write_tensors

logger = logging.getLogger(__name__)

RESAMPLER = "encoder_hid_proj."
POLICIES = ("garment_timestep", "time_ids", "num_inference_steps", "guidance_scale", "match_colours")


def load_checkpoint(
    folder: str | os.PathLike[str],
    *,
    dtype: torch.dtype = torch.float32,
    variant: str | None = None,
    base: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Loads a folder in the published layout, on the CPU.

    Args:
        folder: the checkpoint.
        dtype: precision of the networks. The VAE stays float32 where half precision would spoil its pictures
            (:func:`idmvton.models.latents.vae_dtype`).
        variant: part of the weight files' names, as in ``diffusion_pytorch_model.fp16.safetensors``.
        base: a checkpoint that has the parts that ``folder`` lacks.

    Returns:
        The arguments of :class:`idmvton.tryon.pipeline.TryOnPipeline`: components and policies.

    Raises:
        WeightsError: something is missing, damaged or does not fit.
    """
    parts = find_parts(Path(folder), Path(base) if base else None)
    index = read_config(Path(folder), "model_index.json") if (Path(folder) / "model_index.json").exists() else {}
    components: dict[str, Any] = {
        "unet": load_tryon_net(parts["unet"], dtype=dtype, variant=variant),
        "unet_encoder": load_garment_net(parts["unet_encoder"], dtype=dtype, variant=variant),
        **_load_library_parts(parts, dtype=dtype, variant=variant),
        "image_encoder": load_part(parts["image_encoder"], "image_encoder", dtype=dtype, variant=variant),
    }
    if (Path(folder) / WARP_NET).is_dir():
        components[WARP_NET] = load_part(Path(folder) / WARP_NET, WARP_NET, variant=variant)
    return components | {name: index[name] for name in POLICIES if name in index}


def load_training_parts(
    inpainting: str | os.PathLike[str],
    garment: str | os.PathLike[str],
    ip_adapter: str | os.PathLike[str],
    image_encoder: str | os.PathLike[str],
    *,
    dtype: torch.dtype = torch.float32,
    variant: str | None = None,
) -> dict[str, Any]:
    """Assembles the untrained system from the parts that the paper starts from (section 4.1).

    Args:
        inpainting: an SDXL inpainting folder (unet, vae, text encoders, tokenizers, scheduler): TryonNet, whose
            input is widened with channels that start at zero.
        garment: an SDXL text-to-image folder: its ``unet`` becomes GarmentNet.
        ip_adapter: ``ip-adapter-plus_sdxl_vit-h.bin`` or ``.safetensors``: resampler and image-prompt attention.
        image_encoder: the folder of the CLIP vision encoder that the adapter was trained with.
        dtype: as in :func:`load_checkpoint`.
        variant: as in :func:`load_checkpoint`.

    Returns:
        The arguments of :class:`idmvton.tryon.pipeline.TryOnPipeline`.

    Raises:
        WeightsError: something is missing, damaged or does not fit.
    """
    inpainting, garment, image_encoder = Path(inpainting), Path(garment), Path(image_encoder)
    adapter = read_tensors(Path(ip_adapter), dtype=dtype)
    resampler = _below("image_proj.", adapter)
    attention = _below("ip_adapter.", adapter)

    net = _build_tryon_net(read_config(inpainting / "unet"), resampler)
    names = ip_adapter_names(net)
    tensors = _read_folder(inpainting / "unet", UNET_STEM, dtype, variant)
    tensors |= {RESAMPLER + name: tensor for name, tensor in resampler.items()}
    tensors |= {names.get(name, f"ip_adapter.{name}"): tensor for name, tensor in attention.items()}
    _load_strict(net, rename_resampler(tensors, from_published), "TryonNet from its parts")
    widen_input(net, num_input_channels(net.latent_channels))
    return {
        "unet": net.eval(),
        "unet_encoder": load_garment_net(garment / "unet", dtype=dtype, variant=variant),
        **_load_library_parts({name: inpainting / name for name in FOLDERS}, dtype=dtype, variant=variant),
        "image_encoder": load_part(image_encoder, "image_encoder", dtype=dtype),
    }


def load_tryon_net(folder: Path, *, dtype: torch.dtype = torch.float32, variant: str | None = None) -> TryonNet:
    """Loads TryonNet with its image-prompt layers from a ``unet`` folder."""
    tensors = _read_folder(folder, UNET_STEM, dtype, variant)
    net = _build_tryon_net(read_config(folder), _below(RESAMPLER, tensors))
    _load_strict(net, rename_resampler(tensors, from_published), f"TryonNet in {folder}")
    return net.eval()


def load_garment_net(folder: Path, *, dtype: torch.dtype = torch.float32, variant: str | None = None) -> GarmentNet:
    """Loads GarmentNet from a ``unet_encoder`` folder, or from any SDXL text-to-image ``unet``.

    GarmentNet has no added conditions: ``add_embedding.*`` tensors, which some files carry, are left out.
    """
    tensors = _read_folder(folder, UNET_STEM, dtype, variant)
    unused = [name for name in tensors if name.startswith("add_embedding.")]
    for name in unused:
        del tensors[name]
    if unused:
        logger.info("%s: %d unused add_embedding tensors left out", folder, len(unused))
    net = _build_garment_net(read_config(folder))
    _load_strict(net, tensors, f"GarmentNet in {folder}")
    return net.eval()


def save_checkpoint(components: Mapping[str, Any], folder: str | os.PathLike[str]) -> None:
    """Writes a checkpoint that :func:`load_checkpoint` and the published code read.

    Everything is written beside the folder first and then moved into it, a part at a time, ``model_index.json``
    last: a failure while writing leaves the folder as it was.

    Args:
        components: as :func:`load_checkpoint` returns them; compiled networks are saved as what they compile.
        folder: made if missing; parts of the same names are replaced whole.

    Raises:
        WeightsError: it cannot be written.
    """
    folder = Path(folder)
    whole = {name: getattr(part, "_orig_mod", part) for name, part in components.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
            _write_parts(whole, Path(beside) / "new")
            replaced = Path(beside) / "old"
            replaced.mkdir()
            for name in (*FOLDERS, WARP_NET, "model_index.json"):
                if (folder / name).exists():
                    (folder / name).rename(replaced / name)
                if (Path(beside) / "new" / name).exists():
                    (Path(beside) / "new" / name).rename(folder / name)
    except OSError as error:
        raise WeightsError(f"the checkpoint cannot be written to {folder}", got=error) from error


def _write_parts(components: Mapping[str, Any], folder: Path) -> None:
    unet, garment_net = components["unet"], components["unet_encoder"]
    resampler_width = unet.encoder_hid_proj.proj_in.in_features
    image_prompt = {"encoder_hid_dim": resampler_width, "encoder_hid_dim_type": "ip_image_proj"}
    _save_unet(unet, rename_resampler(unet.state_dict(), to_published), folder / "unet", image_prompt)
    _save_unet(garment_net, garment_net.state_dict(), folder / "unet_encoder", {})
    optional = [WARP_NET] if components.get(WARP_NET) is not None else []
    for name in (*LIBRARY_CLASSES, "scheduler", "tokenizer", "tokenizer_2", *optional):
        with quiet_transformers():
            components[name].save_pretrained(folder / name)
    for name in ("tokenizer", "tokenizer_2"):  # the files that slow tokenizers read
        components[name].backend_tokenizer.model.save(str(folder / name))
    _write_json(folder / "model_index.json", _model_index(components))


def ip_adapter_names(net: TryonNet) -> dict[str, str]:
    """Names inside an IP-Adapter file -> ours: ``"1.to_k_ip.weight"`` -> ``"down_blocks...to_k_ip.weight"``.

    The file numbers the attention processors of the stock UNet: down blocks, up blocks, mid block.
    """
    keys = list(net.attn_processors)
    numbered = [key for part in ("down_blocks", "up_blocks", "mid_block") for key in keys if key.startswith(part)]
    return {
        f"{number}.{tensor}.weight": f"{key}.{tensor}.weight"
        for number, key in enumerate(numbered)
        for tensor in ("to_k_ip", "to_v_ip")
        if ".attn2." in key
    }


def _build_tryon_net(config: dict[str, Any], resampler: Mapping[str, Tensor]) -> TryonNet:
    """TryonNet on the meta device, sized by the config and by the resampler's published tensors."""
    with torch.device("meta"):
        net = TryonNet.from_config(config | {"encoder_hid_dim": None, "encoder_hid_dim_type": None})
        net.install_processors(build_resampler(resampler))
    return net


def _build_garment_net(config: dict[str, Any]) -> GarmentNet:
    unused = {"addition_embed_type": None, "projection_class_embeddings_input_dim": None}
    with torch.device("meta"):
        net = GarmentNet.from_config(config | unused)
        net.install_processors()
    return net


def rename_resampler(
    tensors: Mapping[str, Tensor], rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """TryonNet's tensors with those of the resampler renamed: from_published or to_published."""
    unet = {name: tensor for name, tensor in tensors.items() if not name.startswith(RESAMPLER)}
    return unet | {RESAMPLER + name: tensor for name, tensor in rename(_below(RESAMPLER, tensors)).items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _load_strict(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Puts tensors into a module on the meta device, or says what does not fit."""
    expected = module.state_dict()
    both = expected.keys() & tensors.keys()
    shapes = [
        f"{name}: {list(tensors[name].shape)}, expected {list(expected[name].shape)}"
        for name in expected
        if name in both and tensors[name].shape != expected[name].shape
    ]
    refuse_misfits(
        what,
        {
            "missing": [name for name in expected if name not in both],
            "not known": [name for name in tensors if name not in both],
            "of the wrong shape": shapes,
        },
    )
    module.load_state_dict(tensors, strict=True, assign=True)


def _read_folder(folder: Path, stem: str, dtype: torch.dtype, variant: str | None) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in find_weights(folder, stem, variant):
        tensors |= read_tensors(path, dtype=dtype)
    return tensors


def _load_library_parts(folders: Mapping[str, Path], *, dtype: torch.dtype, variant: str | None) -> dict[str, Any]:
    """VAE, text encoders, tokenizers and scheduler."""
    names = ("vae", "text_encoder", "text_encoder_2", "scheduler", "tokenizer", "tokenizer_2")
    return {name: load_part(folders[name], name, dtype=dtype, variant=variant) for name in names}


def _save_unet(
    net: diffusers.UNet2DConditionModel, tensors: Mapping[str, Tensor], folder: Path, extra: dict[str, Any]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / f"{UNET_STEM}.safetensors")
    config = json.loads(net.to_json_string()) | {"_class_name": "UNet2DConditionModel"} | extra
    _write_json(folder / "config.json", config)


def _model_index(components: Mapping[str, Any]) -> dict[str, Any]:
    classes = {name: [part.__module__.split(".")[0], part.__name__] for name, part in LIBRARY_CLASSES.items()}
    return {
        "_class_name": "StableDiffusionXLInpaintPipeline",
        "_diffusers_version": diffusers.__version__,
        "feature_extractor": [None, None],
        "force_zeros_for_empty_prompt": True,
        "requires_aesthetics_score": False,
        "scheduler": ["diffusers", type(components["scheduler"]).__name__],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "unet_encoder": ["diffusers", "UNet2DConditionModel"],
        **classes,
        **{name: components[name] for name in POLICIES if components.get(name) is not None},
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
