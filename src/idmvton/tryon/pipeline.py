"""The try-on pipeline: person + garment + mask + body map + caption -> the person in the garment (section 3).

Stages, each usable alone: gather -> encode people -> encode garments -> timesteps -> initial latents -> denoise
-> decode -> paste back.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from idmvton.captions.templates import garment_prompt, tryon_prompt
from idmvton.draft.colours import match_colours
from idmvton.draft.detail import Laid
from idmvton.errors import (
    BodyMapWarning,
    CaptionTruncatedWarning,
    ConfigError,
    GuidanceWarning,
    InputError,
    MaskWarning,
)
from idmvton.images import from_vae_tensor, mask_to_tensor, to_vae_tensor
from idmvton.images.densepose import checked_parts
from idmvton.images.polarity import odd_mask
from idmvton.models.kernels import attending
from idmvton.models.latents import decode_latents, encode_latents
from idmvton.models.text import unread_notes
from idmvton.options import TryOnOptions
from idmvton.tryon.clock import Clock
from idmvton.tryon.compose import ParseResult, laid_garments
from idmvton.tryon.conditioning import PersonConditions, encode_person
from idmvton.tryon.denoising import Denoiser, initial_latents
from idmvton.tryon.garment_features import FeatureSource, GarmentRuns, feature_source
from idmvton.tryon.garments import GarmentConditions, PromptConditions
from idmvton.tryon.inputs import (
    Garments,
    Generators,
    Labels,
    Pairs,
    People,
    Person,
    Pictures,
    Request,
    Seeds,
    gather_pairs,
    match_generators,
    unpacked,
)
from idmvton.tryon.outputs import TryOnResult, finish
from idmvton.tryon.quality import about, is_exact, plan_steps, with_preset
from idmvton.tryon.schedulers import make_scheduler, set_timesteps
from idmvton.tryon.system import TryOnSystem
from idmvton.types import GarmentTimestep, KeepChoice, OutputType, Quality, SchedulerName, Size

DEFAULTS = TryOnOptions()
Notes: TypeAlias = "dict[str, type[Warning]]"
Callback: TypeAlias = "Callable[[TryOnPipeline, int, Tensor, dict[str, Any]], dict[str, Any] | None]"


class Conditions(NamedTuple):
    """What B pairs of a call are conditioned on.

    Attributes:
        people: B rows.
        garments: the distinct garments as GarmentNet sees them.
        rows: for each pair, which of them.
        unconditional: the other side of guidance; None without guidance.
        draft: float (B, 3, H, W) in [0, 1], where a drafter made one.
        laid: for each pair, how the garment lies there, likewise.
    """

    people: PersonConditions
    garments: list[GarmentConditions]
    rows: list[int]
    unconditional: PromptConditions | None
    draft: Tensor | None
    laid: list[Laid] | None


class TryOnPipeline(TryOnSystem):
    """Virtual try-on with IDM-VTON.

    :meth:`from_pretrained` loads one; calling it dresses people. The parts and policies of a checkpoint, which the
    constructor takes, are described in :class:`idmvton.tryon.system.TryOnSystem`.
    """

    @torch.no_grad()
    def __call__(
        self,
        person: People,
        garment: Garments | None = None,
        mask: Pictures | None = None,
        densepose: Pictures | None = None,
        caption: str | Sequence[str] | None = None,
        *,
        quality: Quality = DEFAULTS.quality,
        num_inference_steps: int | None = DEFAULTS.num_inference_steps,
        guidance_scale: float | None = DEFAULTS.guidance_scale,
        image_prompt_scale: float = DEFAULTS.image_prompt_scale,
        scheduler: SchedulerName | None = DEFAULTS.scheduler,
        seed: Seeds | None = DEFAULTS.seed,
        negative_prompt: str = DEFAULTS.negative_prompt,
        height: int | None = DEFAULTS.height,
        width: int | None = DEFAULTS.width,
        paste_back: bool = DEFAULTS.paste_back,
        keep: KeepChoice = DEFAULTS.keep,
        feather: int | None = DEFAULTS.feather,
        mask_threshold: int | None = DEFAULTS.mask_threshold,
        garment_timestep: int | None = DEFAULTS.garment_timestep,
        generator: Generators | None = None,
        latents: Tensor | None = None,
        output_type: OutputType = "pil",
        callback_on_step_end: Callback | None = None,
        labels: Labels | None = None,
        parse_result: ParseResult | None = None,
    ) -> TryOnResult:
        """Dresses people in garments.

        Pictures are paths, PIL images, uint8 HWC / float [0, 1] HWC arrays or uint8 CHW / float [0, 1] CHW
        tensors. Each of ``person``, ``garment`` and ``seed`` is one or a list; one goes with all of the others.
        The other options are described in :class:`idmvton.options.TryOnOptions`.

        Args:
            person: the photo of a person, of any size, or an :class:`idmvton.prepare.Prepared`.
            garment: the picture of a garment, of any size; may be left out where a person was prepared with one.
            mask: what to repaint: white (True, 255) on black, of the photo's size. A prepared person needs none.
            densepose: the body map, RGB, of the photo's size; likewise.
            caption: the phrase [V] that describes the garment, such as "short sleeve round neck t-shirts".
            seed: equal seeds give equal pictures, alone or in a batch.
            generator: instead of ``seed``; one for each pair, or one from which the pairs draw in turn.
            latents: float (pairs, C, h, w), the initial noise, instead of drawing it.
            output_type: "pil", "np" (float HWC), "pt" (float CHW), or "latent" (float CHW, as
                diffusers has it): nothing is decoded.
            callback_on_step_end: called as ``callback(pipe, step, timestep, {"latents": ...})`` after each step;
                may return ``{"latents": ...}`` to go on with.
            labels: for ``keep``, what the photo shows: uint8 of its size (:data:`idmvton.prepare.mask.ATR_LABELS`). A
                prepared person brings its own.
            parse_result: for ``keep`` without a drafter: called as ``parse_result(picture, person)`` with a result of
                the working size, returns its labels.

        Returns:
            Pictures at the photos' own sizes (at working size without ``paste_back``), and how they were made.

        Raises:
            InputError: a picture, mask, caption or number of them that cannot be used.
            ConfigError: an option out of range.
            NumericsError: the networks produced NaN.
        """
        options = TryOnOptions(
            quality=quality,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            image_prompt_scale=image_prompt_scale,
            scheduler=scheduler,
            seed=None if isinstance(seed, Sequence | np.ndarray) else seed,
            negative_prompt=negative_prompt,
            height=height,
            width=width,
            paste_back=paste_back,
            keep=keep,
            feather=feather,
            mask_threshold=mask_threshold,
            garment_timestep=garment_timestep,
        )
        request = Request(person, garment, mask, densepose, caption, seed, generator, latents, labels)
        with attending(self.attention), self.on_one_device():
            return self._dress(request, options, output_type, callback_on_step_end, parse_result)

    def _dress(
        self,
        request: Request,
        options: TryOnOptions,
        output_type: OutputType,
        callback: Callback | None,
        parse: ParseResult | None,
    ) -> TryOnResult:
        """The stages, in order."""
        if output_type not in get_args(OutputType):
            raise ConfigError("unknown output_type", got=repr(output_type), expected=", ".join(get_args(OutputType)))
        clock = Clock(self._execution_device)
        self.forget_other_weights()
        with clock("inputs"):
            size = self.working_size(options.height, options.width)
            options = with_preset(options, self.config.num_inference_steps)
            options = options.at(*size, self.config.num_inference_steps, self.config.guidance_scale)
            request = unpacked(request)
            pairs = gather_pairs(request, size, options.mask_threshold)
            generators = match_generators(request, pairs)
            notes = self._warn(pairs, options)
        conditions = self.encode(pairs, options, clock)
        with clock("noise"):
            sampler = make_scheduler(self.scheduler, options.scheduler)
            timesteps = set_timesteps(sampler, options.num_inference_steps or 0)
            noise = initial_latents(request.latents, self._shape(pairs, size), generators, self._execution_device)
        plan = plan_steps(options.quality, len(timesteps))
        with clock("denoising"), self.progress_bar(total=len(timesteps)) as bar:
            whole = [step for step, planned in zip(timesteps.tolist(), plan, strict=True) if not planned.reuses_deep]
            features = self._features(conditions.garments, options, whole)
            on_step = functools.partial(self._after_step, bar, callback)
            denoiser = self._denoiser(conditions, options, size)
            latents = denoiser.run(noise, sampler, timesteps, features, generators, on_step, plan)
            del denoiser, features
        images, decoded = list(latents), None
        if output_type != "latent":
            with clock("decoding"):
                decoded = from_vae_tensor(decode_latents(self.vae, latents))
                matched = self._match_colours(decoded, pairs)
            with clock("pasting back"):
                images = finish(matched, pairs, options, output_type, conditions.laid, parse)
        self.maybe_free_model_hooks()
        if self.placement is not None:
            self.placement.leave()
        told = about(options.quality, plan, self.config.num_inference_steps, is_guided=options.is_guided)
        if not is_exact(options.quality, plan, self.config.num_inference_steps):
            notes = [(*each, told) for each in notes]
        settings = {
            "scheduler": type(sampler).__name__,
            "garment_timestep": str(self._policy(options)),
            "quality": told,
        }
        return TryOnResult(
            images=images,
            latents=latents,
            seed=tuple(pairs.seeds) if request.generator is None else (None,) * len(pairs.seeds),
            options=options,
            captions=tuple(pairs.garments[row].caption for row in pairs.garment_rows),
            timings=clock.seconds,
            made_with=self.made_with() | settings,
            warnings_of=tuple(notes),
            repainted=None if decoded is None else decoded.cpu(),
            draft=None if conditions.draft is None else conditions.draft.cpu(),
        )

    # ------------------------------------------------------------------------------------------ the stages

    def encode(self, pairs: Pairs, options: TryOnOptions, clock: Clock | None = None) -> Conditions:
        """What the networks see of people and garments; where a checkpoint brings a drafter, of its drafts."""
        encoder, draft, clock = self.garment_encoder, None, clock or Clock(self._execution_device)
        with clock("people"):
            people = self.encode_people(pairs.people).rows(pairs.person_rows)
        with clock("garments"):
            if self.drafter is None:
                garments, rows = encoder.encode(pairs.garments), pairs.garment_rows
            else:
                draft, rows = self.drafter(*self._pixels(pairs)), pairs.distinct_rows
                garments = encoder.encode_drafted(pairs, draft.garment)
                people = people.with_draft(encode_latents(self.vae, draft.person)[rows])
            unconditional = encoder.encode_unconditional(options.negative_prompt) if options.is_guided else None
        shown = None if draft is None else from_vae_tensor(draft.whole)[rows]
        laid = None if draft is None else laid_garments(draft, pairs)
        return Conditions(people, garments, rows, unconditional, shown, laid)

    def encode_people(self, people: Sequence[Person]) -> PersonConditions:
        """Mask, masked picture and body map as latents; one row a person."""
        return encode_person(self.vae, *self._tensors(people), self.unet.dtype)

    def _warn(self, pairs: Pairs, options: TryOnOptions) -> list[tuple[str, ...]]:
        """Warns of odd masks, prompts that are cut, unfit guidance and strange body maps; returns the words by pair.

        Raises:
            InputError: a body map that shows nobody, or is in other colours, where a WarpNet reads its parts.
        """
        negative = [options.negative_prompt] if options.is_guided else []
        shared: Notes = dict.fromkeys(unread_notes(negative, self.tokenizers), CaptionTruncatedWarning)
        if options.is_guided and self.config.guidance_scale <= 1.0:
            given = f"guidance_scale={options.guidance_scale}"
            note = f"this checkpoint is meant to run without guidance (1.0); {given} makes it worse"
            shared[note] = GuidanceWarning
        of_people = [self._notes_of_person(each) for each in pairs.people]
        of_garments = []
        for each in pairs.garments:
            prompts = [tryon_prompt(each.caption), garment_prompt(each.caption)]
            of_garments.append(dict.fromkeys(unread_notes(prompts, self.tokenizers), CaptionTruncatedWarning))
        rows = zip(pairs.person_rows, pairs.garment_rows, strict=True)
        notes = [shared | of_garments[garment] | of_people[person] for person, garment in rows]
        for note, category in {note: kind for each in notes for note, kind in each.items()}.items():
            warnings.warn(note, category, stacklevel=5)  # the line that called the pipeline
        return [tuple(each) for each in notes]

    def _notes_of_person(self, person: Person) -> Notes:
        odd = odd_mask(person.mask, np.asarray(np.asarray(person.densepose).any(-1)))
        notes: Notes = {odd: MaskWarning} if odd else {}
        try:
            checked_parts(person.densepose)
        except InputError as error:
            if self.drafter is not None:  # reads the parts, not the picture
                raise
            notes[f"{error.what} ({error.got})"] = BodyMapWarning
        return notes

    def _tensors(self, people: Sequence[Person]) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures BCHW in [-1, 1], masks B1HW in {0, 1}, and body maps BCHW in [-1, 1], on the pipeline's device."""
        device = self._execution_device
        pictures = to_vae_tensor([each.image for each in people]).to(device)
        mask = mask_to_tensor([each.mask for each in people]).to(device)
        return pictures, mask, to_vae_tensor([each.densepose for each in people]).to(device)

    def _pixels(self, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """People as :meth:`_tensors` has them and product pictures BCHW in [-1, 1]; one row a distinct pair."""
        people = self._tensors([pairs.people[person] for person, _ in pairs.distinct])
        garments = to_vae_tensor([pairs.garments[garment].image for _, garment in pairs.distinct])
        return (*people, garments.to(self._execution_device))

    def _policy(self, options: TryOnOptions) -> GarmentTimestep:
        own: GarmentTimestep = self.config.garment_timestep
        return own if options.garment_timestep is None else options.garment_timestep

    def _features(
        self, garments: Sequence[GarmentConditions], options: TryOnOptions, timesteps: Sequence[float]
    ) -> FeatureSource:
        """GarmentNet's features; with offloading they are computed now and wait on the CPU."""
        offloads = hasattr(self.unet_encoder, "_hf_hook")
        is_tight = offloads or (self.placement is not None and self.placement.mode == "balanced")
        waits_on = torch.device("cpu") if is_tight else self._execution_device
        runs = GarmentRuns(self.networks, garments, self.feature_cache, waits_on)
        features = feature_source(runs, self._policy(options), timesteps)
        if offloads:
            features.compute_ahead(timesteps)
        return features

    def _denoiser(self, conditions: Conditions, options: TryOnOptions, size: Size) -> Denoiser:
        return Denoiser(
            self.networks,
            conditions.people,
            conditions.rows,
            [each.prompt for each in conditions.garments],
            conditions.unconditional,
            size=size,
            guidance_scale=options.guidance_scale or 1.0,
            image_prompt_scale=options.image_prompt_scale,
        )

    def _shape(self, pairs: Pairs, size: Size) -> tuple[int, ...]:
        """Of the latents: (pairs, C, h, w)."""
        return len(pairs.seeds), self.unet.latent_channels, *(side // self.vae_scale_factor for side in size)

    def _after_step(self, bar: Any, callback: Callback | None, step: int, timestep: Tensor, latents: Tensor) -> Tensor:
        """Tells the caller and the progress bar of a step."""
        changed = callback(self, step, timestep, {"latents": latents}) if callback is not None else None
        bar.update()
        result: Tensor = (changed or {}).get("latents", latents)
        return result

    def _match_colours(self, decoded: Tensor, pairs: Pairs) -> Tensor:
        """The decoded pictures, with the photos' colours around the mask where the checkpoint asks for it."""
        if not self.config.match_colours:
            return decoded
        pictures, mask, _ = self._tensors(pairs.persons)
        return match_colours(decoded, from_vae_tensor(pictures).to(decoded), mask.to(decoded))
