"""The try-on pipeline: person + garment + mask + body map + caption -> the person in the garment (section 3).

Stages, each usable alone: gather -> encode garments -> encode people -> timesteps -> initial latents -> denoise
-> decode -> paste back.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import diffusers
import numpy as np
import torch
import transformers
from diffusers import DiffusionPipeline
from torch import Tensor, nn

import idmvton
from idmvton.checkpoint import POLICIES, load_checkpoint, save_checkpoint
from idmvton.clock import Clock
from idmvton.conditioning import PersonConditions, check_policies, encode_person
from idmvton.denoising import Callback, Denoiser, initial_latents
from idmvton.devices import resolve_device, resolve_dtype
from idmvton.drafting import Draft, make_drafts
from idmvton.errors import CaptionTruncatedWarning, ConfigError, GuidanceWarning
from idmvton.framing import check_size, nearest_valid_size
from idmvton.garment_cache import GarmentCache, fingerprint
from idmvton.garment_encoding import GarmentEncoder, GarmentSteps
from idmvton.images import from_vae_tensor, mask_to_tensor, to_vae_tensor
from idmvton.inputs import Pairs, Person, gather_pairs, match_generators
from idmvton.models.garment_net import GarmentNet
from idmvton.models.latents import decode_latents, encode_latents, vae_dtype
from idmvton.models.text import unread_notes
from idmvton.models.tryon_net import TryonNet, check_channels
from idmvton.models.warp_net import WarpNet
from idmvton.options import TryOnOptions
from idmvton.outputs import TryOnResult, finish, match_colours
from idmvton.prepare.caption import garment_prompt, tryon_prompt
from idmvton.schedulers import make_scheduler, set_timesteps
from idmvton.types import GarmentTimestep, OutputType, SchedulerName, Size, TimeIds
from idmvton.weights import locate, locate_base, read_manifest, stamp

DEFAULTS = TryOnOptions()
CONDITIONS_MAX_BYTES = 64 * 2**20
"""For some tens of garments: prompts, CLIP states and latents are about 2 MB each at full size."""


class TryOnPipeline(DiffusionPipeline):
    """Virtual try-on with IDM-VTON.

    Args:
        vae, text_encoder, text_encoder_2, tokenizer, tokenizer_2, image_encoder, unet, unet_encoder, scheduler:
            the parts of a checkpoint; ``unet`` is TryonNet, ``unet_encoder`` GarmentNet.
        warp_net: of checkpoints that have one: lays the garment on the person, for a draft (:mod:`idmvton.drafting`).
        garment_timestep: what GarmentNet is fed. ``each_step``: the current timestep (the published weights).
            A number: always this one, for weights trained that way; features then serve all steps.
        time_ids: ``height_width``, or ``height_height`` for weights trained with (H, H).
        num_inference_steps, guidance_scale: of a call that does not say.
        match_colours: whether the repainted region follows the photo's colours around it, for VAEs that shift them.
    """

    model_cpu_offload_seq = "warp_net->text_encoder->text_encoder_2->image_encoder->unet_encoder->unet->vae"
    _optional_components: ClassVar[list[str]] = ["warp_net"]

    vae: Any
    text_encoder: Any
    text_encoder_2: Any
    tokenizer: Any
    tokenizer_2: Any
    image_encoder: Any
    scheduler: Any
    unet: TryonNet
    unet_encoder: GarmentNet
    warp_net: WarpNet | None

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        text_encoder_2: Any,
        tokenizer: Any,
        tokenizer_2: Any,
        image_encoder: Any,
        unet: TryonNet,
        unet_encoder: GarmentNet,
        scheduler: Any,
        warp_net: WarpNet | None = None,
        garment_timestep: GarmentTimestep = "each_step",
        time_ids: TimeIds = "height_width",
        num_inference_steps: int = 30,
        guidance_scale: float = 2.0,
        match_colours: bool = False,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            text_encoder_2=text_encoder_2,
            tokenizer=tokenizer,
            tokenizer_2=tokenizer_2,
            image_encoder=image_encoder,
            unet=unet,
            unet_encoder=unet_encoder,
            scheduler=scheduler,
            warp_net=warp_net,
        )
        check_channels(unet, drafted=warp_net is not None)
        values = garment_timestep, time_ids, num_inference_steps, guidance_scale, match_colours
        policies = dict(zip(POLICIES, values, strict=True))
        check_policies(**policies)
        self.register_to_config(**policies)
        self.garment_cache = GarmentCache(CONDITIONS_MAX_BYTES)
        self.feature_cache = GarmentCache()
        self.weights_name = "in memory"

    # ------------------------------------------------------------------------------------------ loading, saving

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        torch_dtype: torch.dtype | str = "auto",
        device: str = "auto",
        variant: str | None = None,
    ) -> Self:
        """Loads a checkpoint in the published layout, from the disk: ``idmvton weights get`` fetches one.

        Args:
            model: a folder, a name of the catalogue (``idmvton weights list``), or a hub id that is on the disk.
            torch_dtype: precision of the networks; "auto": float32 on the CPU, half precision on GPUs.
            device: where to put them: "cpu", "cuda", "cuda:1", "mps"; "auto": an accelerator if there is one.
            variant: part of the weight files' names, such as "fp16".

        Raises:
            WeightsError: the weights are not there, damaged, or do not fit.
            ConfigError: the device or dtype cannot be had.
        """
        where = resolve_device(device)
        precision = torch_dtype if isinstance(torch_dtype, torch.dtype) else resolve_dtype(torch_dtype, where)
        folder = locate(model)
        pipe = cls(**load_checkpoint(folder, dtype=precision, variant=variant, base=locate_base(model)))
        manifest = read_manifest(folder)
        pipe.weights_name = f"{model} at {manifest.commit if manifest else stamp(folder)}"
        return pipe.to(where)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Writes the checkpoint in the published layout; see :func:`idmvton.checkpoint.save_checkpoint`."""
        save_checkpoint(self.components | {name: self.config[name] for name in POLICIES}, save_directory)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves and casts the networks; a VAE that half precision would spoil stays float32."""
        vae, before = self.vae, self.unet.dtype
        object.__setattr__(self, "vae", None)  # not cast with the others: that would round its weights
        try:
            super().to(*args, **kwargs)
        finally:
            object.__setattr__(self, "vae", vae)
        is_cast = self.unet.dtype != before
        vae.to(self.unet.device, vae_dtype(vae.config, self.unet.dtype) if is_cast else vae.dtype)
        return self

    def enable_vae_slicing(self) -> None:
        """Decodes one picture at a time: less memory for batches."""
        self.vae.enable_slicing()

    def disable_vae_slicing(self) -> None:
        """The opposite of :meth:`enable_vae_slicing`."""
        self.vae.disable_slicing()

    def enable_vae_tiling(self) -> None:
        """Encodes and decodes in overlapping tiles: less memory for large pictures, slightly other pixels."""
        self.vae.enable_tiling()

    def disable_vae_tiling(self) -> None:
        """The opposite of :meth:`enable_vae_tiling`."""
        self.vae.disable_tiling()

    # ------------------------------------------------------------------------------------------ sizes and parts

    @property
    def tokenizers(self) -> tuple[Any, Any]:
        """Both tokenizers, in the order of the text encoders."""
        return self.tokenizer, self.tokenizer_2

    @property
    def text_encoders(self) -> tuple[Any, Any]:
        """Both text encoders; the second one pools."""
        return self.text_encoder, self.text_encoder_2

    @property
    def vae_scale_factor(self) -> int:
        """Pixels of a picture to one of the latents, along each side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def size_multiple(self) -> int:
        """Working height and width are multiples of this: the VAE's factor times the UNet's."""
        return int(self.vae_scale_factor * 2 ** (len(self.unet.config.block_out_channels) - 1))

    @property
    def default_size(self) -> Size:
        """The checkpoint's working size: its ``sample_size`` high, 3/4 as wide (1024x768 for the published one)."""
        height = self.unet.config.sample_size * self.vae_scale_factor
        return nearest_valid_size(height, round(height * 3 / 4), self.size_multiple)

    # ------------------------------------------------------------------------------------------ the call

    @torch.no_grad()
    def __call__(
        self,
        person: Any,
        garment: Any,
        mask: Any = None,
        densepose: Any = None,
        caption: str | Sequence[str] | None = None,
        *,
        num_inference_steps: int | None = DEFAULTS.num_inference_steps,
        guidance_scale: float | None = DEFAULTS.guidance_scale,
        image_prompt_scale: float = DEFAULTS.image_prompt_scale,
        scheduler: SchedulerName | None = DEFAULTS.scheduler,
        seed: int | Sequence[int] | None = DEFAULTS.seed,
        negative_prompt: str = DEFAULTS.negative_prompt,
        height: int | None = DEFAULTS.height,
        width: int | None = DEFAULTS.width,
        paste_back: bool = DEFAULTS.paste_back,
        feather: int | None = DEFAULTS.feather,
        mask_threshold: int | None = DEFAULTS.mask_threshold,
        garment_timestep: int | None = DEFAULTS.garment_timestep,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        latents: Tensor | None = None,
        output_type: OutputType = "pil",
        callback_on_step_end: Callback | None = None,
    ) -> TryOnResult:
        """Dresses people in garments.

        Pictures are paths, PIL images, uint8 HWC / float [0, 1] HWC arrays or uint8 CHW / float [0, 1] CHW
        tensors. Each of ``person``, ``garment`` and ``seed`` is one or a list; one goes with all of the others.
        The other options are described in :class:`idmvton.options.TryOnOptions`.

        Args:
            person: the photo of a person, of any size, or an :class:`idmvton.prepare.Prepared`.
            garment: the picture of a garment, of any size.
            mask: what to repaint: white (True, 255) on black, of the photo's size. A prepared person needs none.
            densepose: the body map, RGB, of the photo's size; likewise.
            caption: the phrase [V] that describes the garment, such as "short sleeve round neck t-shirts".
            seed: equal seeds give equal pictures, alone or in a batch.
            generator: instead of ``seed``; one for each pair, or one from which the pairs draw in turn.
            latents: float (pairs, C, h, w), the initial noise, instead of drawing it.
            output_type: "pil", "np" (float HWC), "pt" (float CHW), or "latent": nothing is decoded.
            callback_on_step_end: called as ``callback(pipe, step, timestep, {"latents": ...})`` after each step;
                may return ``{"latents": ...}`` to go on with.

        Returns:
            Pictures at the photos' own sizes (at working size without ``paste_back``), and how they were made.

        Raises:
            InputError: a picture, mask, caption or number of them that cannot be used.
            ConfigError: an option out of range.
            NumericsError: the networks produced NaN.
        """
        if output_type not in get_args(OutputType):
            raise ConfigError("unknown output_type", got=repr(output_type), expected=", ".join(get_args(OutputType)))
        values = locals()
        options = TryOnOptions.from_mapping(
            {name: values[name] for name in DEFAULTS.to_dict() if name != "seed"}
            | {"seed": None if isinstance(seed, Sequence | np.ndarray) else seed}
        )
        clock = Clock(self._execution_device)
        state = fingerprint(part for part in self.components.values() if isinstance(part, nn.Module))
        self.garment_cache.match(state)
        self.feature_cache.match(state)

        with clock("inputs"):
            size = self.working_size(height, width)
            options = options.at(*size, self.config.num_inference_steps, self.config.guidance_scale)
            pairs = gather_pairs(person, garment, mask, densepose, caption, seed, size, options)
            generators = match_generators(generator, seed, pairs)
            guidance_scale = options.guidance_scale or 1.0
            is_guided = guidance_scale > 1.0
            notes = self.warn_of_long_prompts(pairs, [negative_prompt] if is_guided else [])
            notes += self.warn_of_guidance(guidance_scale)
        with clock("garments"):
            encoder = GarmentEncoder(self)
            garments = encoder.encode(pairs.garments)
            unconditional = encoder.encode_unconditional(negative_prompt) if is_guided else None
        with clock("people"):
            people = self.encode_people(pairs.people).rows(pairs.person_rows)
            if self.warp_net is not None:
                shown, laid = self.encode_drafts(self.make_drafts(self.warp_net, pairs))
                people = dataclasses.replace(people, draft_latents=shown[pairs.distinct_rows])
                lying = zip(pairs.distinct, laid.split(1), strict=True)
                garments = [garments[garment].on(person, latents) for (person, garment), latents in lying]
        with clock("noise"):
            sampler = make_scheduler(self.scheduler, scheduler)
            timesteps = set_timesteps(sampler, options.num_inference_steps or 0)
            shape = (len(pairs.seeds), self.unet.latent_channels, *(side // self.vae_scale_factor for side in size))
            noise = initial_latents(latents, shape, generators, self._execution_device)
        with clock("denoising"):
            policy = self.config.garment_timestep if options.garment_timestep is None else options.garment_timestep
            offloads = hasattr(self.unet_encoder, "_hf_hook")
            wait_on = torch.device("cpu") if offloads else self._execution_device
            features = GarmentSteps(self, garments, policy, wait_on)
            if offloads:
                features.compute_ahead(timesteps.tolist())
            denoiser = Denoiser(
                self,
                people,
                pairs.garment_rows if self.warp_net is None else pairs.distinct_rows,
                [each.prompt for each in garments],
                unconditional,
                size=size,
                guidance_scale=guidance_scale,
                image_prompt_scale=options.image_prompt_scale,
            )
            final = denoiser.run(noise, sampler, timesteps, features, generators, callback_on_step_end)
        images = []
        if output_type != "latent":
            with clock("decoding"):
                pictures = from_vae_tensor(decode_latents(self.vae, final))
                if self.config.match_colours:
                    pictures = match_colours(pictures, pairs)
            with clock("pasting back"):
                images = finish(pictures, pairs, options, output_type)
        self.maybe_free_model_hooks()
        return TryOnResult(
            images=images,
            latents=final,
            seed=tuple(pairs.seeds) if generator is None else (None,) * len(pairs.seeds),
            options=options,
            timings=clock.seconds,
            captions=tuple(pairs.garments[row].caption for row in pairs.garment_rows),
            made_with=self.made_with() | {"scheduler": type(sampler).__name__, "garment_timestep": str(policy)},
            warnings=notes,
        )

    # ------------------------------------------------------------------------------------------ the stages

    def working_size(self, height: int | None = None, width: int | None = None) -> Size:
        """The size that a call works in.

        Raises:
            InputError: a size that the networks cannot work in; the message names the nearest that they can.
        """
        size = Size(height or self.default_size.height, width or self.default_size.width)
        check_size(size.height, size.width, self.size_multiple)
        return size

    def warn_of_long_prompts(self, pairs: Pairs, others: Sequence[str]) -> tuple[str, ...]:
        """Warns of every prompt that the text encoders read only in part, and returns the words."""
        prompts = [*others, *(make(each.caption) for make in (tryon_prompt, garment_prompt) for each in pairs.garments)]
        notes = unread_notes(prompts, self.tokenizers)
        for note in notes:
            warnings.warn(note, CaptionTruncatedWarning, stacklevel=4)
        return notes

    def warn_of_guidance(self, guidance_scale: float) -> tuple[str, ...]:
        """Warns of guidance for a checkpoint that takes none by itself, and returns the words."""
        if guidance_scale <= 1.0 or self.config.guidance_scale > 1.0:
            return ()
        note = f"this checkpoint is meant to run without guidance (1.0); guidance_scale={guidance_scale} makes it worse"
        warnings.warn(note, GuidanceWarning, stacklevel=3)
        return (note,)

    def encode_people(self, people: Sequence[Person]) -> PersonConditions:
        """Mask, masked picture and body map as latents; one row a person."""
        return encode_person(self.vae, *self._tensors(people), self.unet.dtype)

    def make_drafts(self, net: WarpNet, pairs: Pairs) -> Draft:
        """Drafts, with the garments laid on the people by ``net``; one row a distinct pair."""
        people = self._tensors([pairs.people[person] for person, _ in pairs.distinct])
        garments = to_vae_tensor([pairs.garments[garment].image for _, garment in pairs.distinct])
        return make_drafts(net, *people, garments.to(self._execution_device))

    def encode_drafts(self, drafts: Draft) -> tuple[Tensor, Tensor]:
        """Latents of what TryonNet sees of drafts, and of what GarmentNet sees: float (D, C, h, w) each."""
        person, garment = (encode_latents(self.vae, each) for each in drafts)
        return person.to(self.unet.dtype), garment.to(self.unet_encoder.dtype)

    def _tensors(self, people: Sequence[Person]) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures BCHW in [-1, 1], masks B1HW in {0, 1}, and body maps BCHW in [-1, 1], on the pipeline's device."""
        device = self._execution_device
        pictures = to_vae_tensor([each.image for each in people]).to(device)
        mask = mask_to_tensor([each.mask for each in people]).to(device)
        return pictures, mask, to_vae_tensor([each.densepose for each in people]).to(device)

    def made_with(self) -> dict[str, str]:
        """Weights, device, precision and library versions, in words."""
        return {
            "weights": self.weights_name,
            "device": str(self._execution_device),
            "dtype": str(self.unet.dtype).removeprefix("torch."),
            "time_ids": self.config.time_ids,
            "idmvton": idmvton.__version__,
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
        }
