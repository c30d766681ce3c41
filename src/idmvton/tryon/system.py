"""The parts of a checkpoint as one object: loaded, saved, moved and measured."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline
from torch import nn

from idmvton.checkpoint.adapter import read_adapter
from idmvton.checkpoint.adapter_record import AdapterRecord, adapter_name, find_adapter
from idmvton.checkpoint.published import POLICIES, load_checkpoint, save_checkpoint
from idmvton.devices import resolve_device, resolve_dtype
from idmvton.draft.drafter import Drafter
from idmvton.draft.warp_net import WarpNet
from idmvton.errors import ConfigError
from idmvton.images.framing import check_size, nearest_valid_size
from idmvton.models.changed_weights import ChangedWeights
from idmvton.models.garment_net import GarmentNet
from idmvton.models.kernels import SAGE, check_attention
from idmvton.models.latents import vae_dtype
from idmvton.models.tryon_net import TryonNet, check_channels
from idmvton.options import LEAST_SCALE, MOST_SCALE
from idmvton.quiet import without_log_notes
from idmvton.tryon.conditioning import check_policies
from idmvton.tryon.garment_cache import GarmentCache, fingerprint
from idmvton.tryon.garments import GarmentEncoder
from idmvton.tryon.graphs import Graphs
from idmvton.tryon.loras import LoraFile, Loras
from idmvton.tryon.memory import Placement, choose_mode
from idmvton.tryon.networks import Networks
from idmvton.tryon.schedulers import check_scheduler
from idmvton.types import VERSION, AttentionChoice, GarmentTimestep, MemoryMode, Size, TimeIds
from idmvton.weights import locate, locate_base, read_manifest, stamp

CONDITIONS_MAX_BYTES = 64 * 2**20
"""For some tens of garments: prompts, CLIP states and latents are about 2 MB each at full size."""
_ADAPTER = "adapter"


class LoadedAdapter(NamedTuple):
    """The adapter that is put on a pipeline, how much of it, and how it was made."""

    name: str
    scale: float
    record: AdapterRecord

    def __str__(self) -> str:
        return f"{self.name} at {self.record.short_digest}, scale {self.scale:g}"


class TryOnSystem(DiffusionPipeline):
    """What :class:`idmvton.tryon.pipeline.TryOnPipeline` is made of.

    Args:
        vae, text_encoder, text_encoder_2, tokenizer, tokenizer_2, image_encoder, unet, unet_encoder, scheduler:
            the parts of a checkpoint; ``unet`` is TryonNet, ``unet_encoder`` GarmentNet.
        warp_net: of checkpoints that have one: lays garments on people, for drafts (:mod:`idmvton.draft.drafter`).
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
        check_scheduler(scheduler)
        check_channels(unet, drafted=warp_net is not None)
        values = garment_timestep, time_ids, num_inference_steps, guidance_scale, match_colours
        policies = dict(zip(POLICIES, values, strict=True))
        check_policies(**policies)
        self.register_to_config(**policies)
        self.garment_cache = GarmentCache(CONDITIONS_MAX_BYTES)
        self.feature_cache = GarmentCache()
        self.graphs = Graphs()
        self.placement: Placement | None = None
        self._device_of_call: torch.device | None = None
        self.weights_name = "in memory"
        self.attention: AttentionChoice = "auto"
        self.changed_weights = ChangedWeights(self._changeable)
        self.loras = Loras(self.changed_weights)
        self.adapter: LoadedAdapter | None = None

    # ------------------------------------------------------------------------------------------ loading, saving

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        torch_dtype: torch.dtype | str | None = None,
        dtype: torch.dtype | str | None = None,
        device: str | torch.device = "auto",
        variant: str | None = None,
        memory: MemoryMode = "auto",
        attention: AttentionChoice = "auto",
        lora: Sequence[LoraFile] = (),
        adapter: str | Path | None = None,
        adapter_scale: float = 1.0,
    ) -> Self:
        """Loads a checkpoint in the published layout, from the disk: ``idmvton weights get`` fetches one.

        Args:
            model: a folder, a name of the catalogue (``idmvton weights list``), or a hub id that is on the disk.
            torch_dtype: precision of the networks: float32, bfloat16 or float16, as torch's or as text; "auto", as
                when not given: float32 on the CPU, half precision on GPUs.
            dtype: the same by its newer name.
            device: where to put them: "cpu", "cuda", "cuda:1", "mps"; "auto": an accelerator if there is one.
            variant: part of the weight files' names, such as "fp16"; the only one there is when not given.
            memory: what lies on a GPU, see :mod:`idmvton.tryon.memory`.
            attention: the kernel of self-attention, see :func:`idmvton.models.kernels.attending`.
            lora: files of which TryonNet gets the changes, each alone or with its scale, see :class:`Loras`.
            adapter, adapter_scale: what `idmvton customize` made of these weights, see :meth:`load_adapter`.

        Raises:
            WeightsError: the weights are not there, damaged, or do not fit.
            ConfigError: the device or dtype cannot be had.
            MissingExtraError: the attention that was asked for is not installed.
        """
        if torch_dtype is not None and dtype is not None:
            raise ConfigError("torch_dtype and dtype were given", expected="one of them: they are the same")
        where = resolve_device(device)
        check_attention(attention, where)
        precision = resolve_dtype(next((each for each in (torch_dtype, dtype) if each is not None), "auto"), where)
        folder = locate(model)
        pipe = cls(**load_checkpoint(folder, dtype=precision, variant=variant, base=locate_base(model)))
        manifest = read_manifest(folder)
        pipe.weights_name = f"{model} at {manifest.commit if manifest else stamp(folder)}"
        if adapter is not None:
            pipe.load_adapter(adapter, adapter_scale)
        pipe.loras.put_on_all(lora)
        mode = choose_mode(memory, where, pipe.components)
        if mode == "fast":
            pipe.to(where)
        if where.type == "cuda":
            pipe.place(mode, where)
        pipe.attention = attention
        return pipe

    def place(self, mode: MemoryMode, device: torch.device) -> None:
        """Puts the parts where a memory mode wants them, once; see :mod:`idmvton.tryon.memory`."""
        encoders = [self.warp_net, self.text_encoder, self.text_encoder_2, self.image_encoder]
        networks = [self.unet_encoder, self.unet]
        self.placement = Placement(mode, device, [each for each in encoders if each is not None], networks, self.vae)

    @property
    def _execution_device(self) -> torch.device:
        """Where the networks compute, wherever they wait."""
        if self._device_of_call is not None:
            return self._device_of_call
        if self.placement is None or self.placement.mode == "fast":
            inherited: torch.device = super()._execution_device
            return inherited
        return self.placement.device

    @contextlib.contextmanager
    def on_one_device(self) -> Iterator[None]:
        """Looks once for a whole call where the networks compute: diffusers walks all of their modules each time."""
        self._device_of_call = self._execution_device
        try:
            yield
        finally:
            self._device_of_call = None

    def load_adapter(self, adapter: str | os.PathLike[str], scale: float = 1.0) -> None:
        """Puts an adapter on, in place of the one that is on; see :mod:`idmvton.checkpoint.adapter`.

        Args:
            adapter: its folder or file.
            scale: how much of it; at 0 the weights are the checkpoint's, bit by bit.

        Raises:
            WeightsError: there is none, it is damaged, or was made for other weights.
            ConfigError: a scale that is out of range, or weights in 8 bits.
        """
        if not LEAST_SCALE <= scale <= MOST_SCALE:
            expected = f"a number from {LEAST_SCALE:g} to {MOST_SCALE:g}"
            raise ConfigError("the scale of the adapter is out of range", got=scale, expected=expected)
        self._refuse_placed("given an adapter", "name the adapter when it is loaded (--adapter, adapter=)")
        file = find_adapter(adapter)
        read = read_adapter(file)
        read.check_base(self.changed_weights.originals(), self.weights_name)
        self.changed_weights.put_on(_ADAPTER, read.differences, scale)
        self.adapter = LoadedAdapter(adapter_name(file), scale, read.record)

    def unload_adapter(self) -> None:
        """Takes the adapter off: every weight is what it was, bit by bit. Nothing happens where none is on.

        Raises:
            ConfigError: weights in 8 bits.
        """
        if self.adapter is not None:
            self._refuse_placed("freed of its adapter", "load it again without the adapter")
            self.changed_weights.take_off(_ADAPTER)
            self.adapter = None

    def _changeable(self) -> Mapping[str, nn.Module]:
        """The networks that adapters change."""
        return {"unet": self.unet} | ({} if self.warp_net is None else {"warp_net": self.warp_net})

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Writes the checkpoint, with the adapter that is on.

        See :func:`idmvton.checkpoint.published.save_checkpoint`.

        Raises:
            ConfigError: the weights were rounded to 8 bits.
        """
        self._refuse_placed("saved")
        save_checkpoint(self.components | {name: self.config[name] for name in POLICIES}, save_directory)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves and casts the networks; a VAE that half precision would spoil stays float32.

        Raises:
            ConfigError: a memory mode has placed them.
        """
        self._refuse_placed("moved or cast")
        self.placement = None
        vae, before = self.vae, self.unet.dtype
        object.__setattr__(self, "vae", None)  # not cast with the others: that would round its weights
        try:
            with without_log_notes("diffusers.models.modeling_utils", "There are modules in"):
                super().to(
                    *args, **kwargs
                )  # diffusers warns of modules to be kept in float32 also where there are none
        finally:
            object.__setattr__(self, "vae", vae)
        dtype = vae.dtype if self.unet.dtype == before else vae_dtype(vae.config, self.unet.dtype)
        nn.Module.to(vae, self.unet.device, dtype)
        return self

    def _refuse_placed(self, what: str, fix: str = "load it again with memory='fast'") -> None:
        if self.placement is not None and self.placement.mode != "fast":
            raise ConfigError(
                f"this pipeline cannot be {what}",
                got=f"memory={self.placement.mode!r}: its weights are in 8 bits",
                fix=fix,
            )

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

    @property
    def networks(self) -> Networks:
        """What the stages of a call work with."""
        return Networks(
            vae=self.vae,
            text_encoders=self.text_encoders,
            tokenizers=self.tokenizers,
            image_encoder=self.image_encoder,
            tryon_net=self.unet,
            garment_net=self.unet_encoder,
            device=self._execution_device,
            time_ids=self.config.time_ids,
            graphs=self.graphs,
        )

    @property
    def garment_encoder(self) -> GarmentEncoder:
        """Encodes garments; what was encoded is kept."""
        return GarmentEncoder(self.networks, self.garment_cache)

    @property
    def drafter(self) -> Drafter | None:
        """Where the checkpoint brings one: drafts results, which the networks then see."""
        return None if self.warp_net is None else Drafter(self.warp_net)

    def working_size(self, height: int | None = None, width: int | None = None) -> Size:
        """The size that a call works in.

        Raises:
            InputError: a size that the networks cannot work in; the message names the nearest that they can.
        """
        size = Size(height or self.default_size.height, width or self.default_size.width)
        check_size(size.height, size.width, self.size_multiple)
        return size

    def forget_other_weights(self) -> None:
        """Empties the caches, and forgets graphs, if they are of other weights."""
        state = fingerprint(part for part in self.components.values() if isinstance(part, nn.Module))
        self.garment_cache.match(state)
        self.feature_cache.match(state)
        self.graphs.match(self._execution_device, (self.unet, self.unet_encoder))

    def made_with(self) -> dict[str, str]:
        """Weights, device, precision and library versions, in words."""
        return {
            "weights": self.weights_name,
            "device": str(self._execution_device),
            "dtype": str(self.unet.dtype).removeprefix("torch."),
            "time_ids": self.config.time_ids,
            **({} if self.adapter is None else {"adapter": str(self.adapter)}),
            **({"lora": self.loras.about} if self.loras.about else {}),
            **({} if self.placement is None else {"memory": self.placement.about}),
            **({} if self.attention == "auto" else {"attention": SAGE}),
            "idmvton": VERSION,
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
        }
