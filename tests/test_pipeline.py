"""What callers of the pipeline rely on: pairing, seeds, batches, guidance, schedulers, policies, results."""

from typing import get_args

import diffusers
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler

from golden_data import CHECKPOINT, forget
from idmvton import TryOnPipeline, load_checkpoint
from idmvton.errors import ConfigError
from idmvton.options import NEGATIVE_PROMPT
from idmvton.tryon.conditioning import make_time_ids, tryon_input
from idmvton.tryon.denoising import Denoiser
from idmvton.tryon.garment_features import GarmentRuns, feature_source
from idmvton.tryon.inputs import Request, gather_pairs
from idmvton.types import SchedulerName
from plain_form import guided_prediction, plain_form

CLOSE = {"atol": 2e-3, "rtol": 0.0}  # batches of other sizes round differently; latents have a deviation of 6


def same(first, second):
    torch.testing.assert_close(first, second, **CLOSE)


def test_the_same_seed_gives_the_same_picture_in_any_batch(pipe, golden_call):
    steps = {"num_inference_steps": 3, "output_type": "latent"}
    batch = pipe(**golden_call, seed=[5, 9], **steps).latents
    for index, seed in enumerate((5, 9)):
        alone = pipe(**{name: values[index] for name, values in golden_call.items()}, seed=seed, **steps).latents
        same(batch[index], alone[0])
    assert (batch[0] - batch[1]).abs().max() > 0.1


def test_one_seed_serves_every_pair_alike(pipe, golden_call, one_call):
    batch = pipe(**golden_call, num_inference_steps=2, seed=3)
    alone = pipe(**one_call)
    assert batch.seed == (3, 3)
    same(batch.latents[0], alone.latents[0])


def test_an_undrawn_seed_is_drawn_reported_and_reproduces(pipe, one_call):
    first = pipe(**one_call | {"seed": None})
    again = pipe(**one_call | {"seed": first.seed[0]})
    same(first.latents, again.latents)
    assert pipe(**one_call | {"seed": None}).seed != first.seed


def test_generators_instead_of_seeds(pipe, one_call):
    seeded = pipe(**one_call)
    for generator in (torch.Generator().manual_seed(3), (torch.Generator().manual_seed(3),)):
        drawn = pipe(**one_call | {"seed": None}, generator=generator)
        same(seeded.latents, drawn.latents)
        assert drawn.seed == (None,)


def test_one_garment_for_many_people_and_many_garments_for_one(pipe, golden_call, one_call):
    common = {"num_inference_steps": 2, "seed": 3, "output_type": "latent"}
    one_person = {name: golden_call[name][0] for name in ("person", "mask", "densepose")}
    one_garment = {name: golden_call[name][0] for name in ("garment", "caption")}
    many_people = {name: golden_call[name] for name in ("person", "mask", "densepose")}
    many_garments = {name: golden_call[name] for name in ("garment", "caption")}
    expected = pipe(**one_call, output_type="latent").latents[0]
    for call in ({**many_people, **one_garment}, {**one_person, **many_garments}):
        result = pipe(**call, **common)
        assert result.latents.shape[0] == 2
        same(result.latents[0], expected)
        assert (result.latents[1] - expected).abs().max() > 0.01
    assert pipe(**one_person, **one_garment, **common | {"seed": [3, 4, 5]}).latents.shape[0] == 3


def test_repeated_garments_in_one_call_are_computed_once(pipe, golden_call):
    runs = []
    hook = pipe.unet_encoder.register_forward_pre_hook(lambda _, inputs: runs.append(inputs[0].shape[0]))
    repeated = {name: [golden_call[name][index] for index in (1, 0, 1)] for name in golden_call}
    result = pipe(**repeated, num_inference_steps=2, seed=3)
    hook.remove()
    assert runs == [2, 2], "two distinct garments at each of two steps"
    alone = pipe(**{name: values[1] for name, values in golden_call.items()}, num_inference_steps=2, seed=3)
    for index in (0, 2):
        same(result.latents[index], alone.latents[0])


def test_the_tenth_person_pays_nothing_for_the_garment(pipe, one_call, golden_call):
    pipe(**one_call)
    names = ("text_encoder", "text_encoder_2", "image_encoder", "unet_encoder")
    runs = []
    hooks = [getattr(pipe, name).register_forward_hook(lambda *_, name=name: runs.append(name)) for name in names]
    other = {name: golden_call[name][1] for name in ("person", "mask", "densepose")}
    cached = pipe(**one_call | other)
    assert runs == []
    forget(pipe)
    fresh = pipe(**one_call | other)
    for hook in hooks:
        hook.remove()
    assert set(runs) == set(names)
    same(cached.latents, fresh.latents)


@pytest.mark.parametrize("policy", [None, 400])
def test_a_garment_that_was_seen_beside_a_new_one(pipe, golden_call, policy):
    """GarmentNet runs for the new one alone at each step; what comes out is what it is without a cache."""
    steps = {"num_inference_steps": 2, "seed": 3, "garment_timestep": policy}
    fresh = pipe(**golden_call, **steps).latents
    forget(pipe)
    pipe(**{name: values[1] for name, values in golden_call.items()}, **steps)
    runs = []
    hook = pipe.unet_encoder.register_forward_pre_hook(lambda _, inputs: runs.append(inputs[0].shape[0]))
    mixed = pipe(**golden_call, **steps).latents
    hook.remove()
    assert runs == ([1, 1] if policy is None else [2])
    same(mixed, fresh)


def test_a_changed_weight_empties_the_cache(own_pipe, one_call):
    before = own_pipe(**one_call).latents
    with torch.no_grad():
        own_pipe.unet_encoder.conv_in.weight.mul_(0.5)
    changed = own_pipe(**one_call).latents
    forget(own_pipe)
    assert (changed - before).abs().max() > 0.01
    same(changed, own_pipe(**one_call).latents)


INPUTS = ("person", "garment", "mask", "densepose", "caption")


def denoiser_of(pipe, inputs):
    """The stages of a call up to the loop."""
    size = pipe.working_size()
    pairs = gather_pairs(Request(**inputs, seed=1), size)
    encoder = pipe.garment_encoder
    garments, unconditional = encoder.encode(pairs.garments), encoder.encode_unconditional(NEGATIVE_PROMPT)
    runs = GarmentRuns(pipe.networks, garments, pipe.feature_cache, torch.device("cpu"))
    denoiser = Denoiser(
        pipe.networks,
        pipe.encode_people(pairs.people).rows(pairs.person_rows),
        pairs.garment_rows,
        [garment.prompt for garment in garments],
        unconditional,
        size=size,
        guidance_scale=2.0,
        image_prompt_scale=1.0,
    )
    return denoiser, garments, feature_source(runs, "each_step")


@torch.no_grad()
def test_guided_steps_equal_the_plain_form(pipe, golden_call):
    """Deduplicated prompts, cached keys, implicit zero tokens: against the published computation, row by row."""
    inputs = {name: [golden_call[name][index] for index in (1, 0, 1)] for name in INPUTS}
    denoiser, garments, steps = denoiser_of(pipe, inputs)
    people, size = denoiser.conditions.person, pipe.working_size()
    unconditional = pipe.garment_encoder.encode_unconditional(NEGATIVE_PROMPT)
    noise, timestep = torch.randn(3, 4, 16, 12), torch.tensor(501)
    ours = denoiser.predict(noise, timestep, steps.at(501))

    worn = [garments[row] for row in (0, 1, 0)]

    def rows(part):
        conditional = [getattr(garment.prompt, part) for garment in worn]
        return torch.cat([getattr(unconditional, part)] * 3 + conditional)

    added = {"text_embeds": rows("pooled"), "time_ids": make_time_ids(size).expand(6, -1)}
    image_tokens = pipe.unet.image_tokens(rows("clip_hidden_states"))
    garment_latents = torch.cat([garment.latents for garment in worn])
    garment_text = torch.cat([garment.garment_text for garment in worn])
    with plain_form(pipe.unet, pipe.unet_encoder):
        plain = guided_prediction(
            pipe.unet, pipe.unet_encoder, tryon_input(noise, people), garment_latents, timestep, rows("text"),
            image_tokens, added, garment_text, 2.0,
        )  # fmt: skip
    torch.testing.assert_close(ours, plain, atol=1e-4, rtol=0)


SCHEDULERS = {
    "ddpm": (diffusers.DDPMScheduler, {}),
    "ddim": (diffusers.DDIMScheduler, {"set_alpha_to_one": False}),
    "dpm++2m": (diffusers.DPMSolverMultistepScheduler, {}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler-trailing": (diffusers.EulerDiscreteScheduler, {"timestep_spacing": "trailing"}),
    "tcd": (diffusers.TCDScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {}),
}


@pytest.mark.parametrize("name", get_args(SchedulerName))
@torch.no_grad()
def test_every_named_scheduler_equals_a_loop_on_the_stock_one(pipe, one_call, name):
    ours = pipe(**one_call | {"num_inference_steps": 4}, scheduler=name, output_type="latent").latents
    scheduler_class, settings = SCHEDULERS[name]
    scheduler = scheduler_class.from_config(pipe.scheduler.config, **settings)
    scheduler.set_timesteps(4)
    denoiser, _, steps = denoiser_of(pipe, {kind: one_call[kind] for kind in INPUTS})
    generator = torch.Generator().manual_seed(one_call["seed"])
    latents = torch.randn(1, 4, 16, 12, generator=generator) * scheduler.init_noise_sigma
    draws = {"generator": generator} if name in ("ddpm", "lcm") else {"eta": 0.0} if name == "tcd" else {}
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latents, timestep)
        prediction = denoiser.predict(scaled, timestep, steps.at(timestep.item()))
        latents = scheduler.step(prediction, timestep, latents, **draws).prev_sample
    same(ours, latents)


@pytest.mark.parametrize("change", [{"image_prompt_scale": 0.0}, {"negative_prompt": "red"}, {"guidance_scale": 3.0}])
def test_options_reach_the_networks(pipe, one_call, change):
    assert (pipe(**one_call, **change).latents - pipe(**one_call).latents).abs().max() > 1e-3


def test_without_guidance_nothing_unconditional_is_computed(pipe, one_call):
    rows = []

    def count(_, inputs, keywords):
        rows.append(len([*inputs, *keywords.values()][0]))

    nets = (pipe.unet, pipe.image_encoder)
    hooks = [net.register_forward_pre_hook(count, with_kwargs=True) for net in nets]
    pipe(**one_call, guidance_scale=1.0)
    for hook in hooks:
        hook.remove()
    assert rows == [1, 1, 1], "one picture for CLIP, one row at each of two steps"


def test_schedulers_differ_and_the_pipeline_is_not_changed(pipe, one_call):
    before = pipe.scheduler, pipe.scheduler.timesteps.clone()
    results = [pipe(**one_call | {"num_inference_steps": 4}, scheduler=name) for name in (None, "ddpm", "euler")]
    same(results[0].latents, results[1].latents)  # the golden checkpoint's own is DDPM
    assert (results[0].latents - results[2].latents).abs().max() > 0.1
    assert pipe.scheduler is before[0]
    assert torch.equal(pipe.scheduler.timesteps, before[1])


def test_a_scheduler_can_be_swapped_the_diffusers_way(own_pipe, one_call):
    own_pipe.scheduler = DDIMScheduler.from_config(own_pipe.scheduler.config, set_alpha_to_one=False)
    same(own_pipe(**one_call).latents, own_pipe(**one_call, scheduler="ddim").latents)
    own_pipe.scheduler = EulerDiscreteScheduler.from_config(own_pipe.scheduler.config)
    same(own_pipe(**one_call).latents, own_pipe(**one_call, scheduler="euler").latents)


def test_a_fixed_garment_timestep_runs_garment_net_once(pipe, one_call):
    runs = []
    hook = pipe.unet_encoder.register_forward_pre_hook(lambda _, inputs: runs.append(float(inputs[1])))
    fixed = pipe(**one_call | {"num_inference_steps": 4}, garment_timestep=0)
    assert runs == [0.0]
    pipe(**one_call | {"num_inference_steps": 4}, garment_timestep=0)
    assert runs == [0.0], "and not again in the next call"
    each_step = pipe(**one_call | {"num_inference_steps": 4})
    hook.remove()
    assert len(runs) == 5
    assert (fixed.latents - each_step.latents).abs().max() > 1e-3, "an approximation for these weights"


def test_the_policy_of_the_checkpoint_equals_the_option(pipe, one_call):
    trained_so = TryOnPipeline(**load_checkpoint(CHECKPOINT), garment_timestep=7)
    trained_so.set_progress_bar_config(disable=True)
    same(trained_so(**one_call).latents, pipe(**one_call, garment_timestep=7).latents)
    with pytest.raises(ConfigError, match="garment_timestep"):
        TryOnPipeline(**load_checkpoint(CHECKPOINT), garment_timestep="sometimes")


def test_time_ids_policy_reaches_the_network(own_pipe, one_call):
    before = own_pipe(**one_call).latents
    own_pipe.register_to_config(time_ids="height_height")
    assert (own_pipe(**one_call).latents - before).abs().max() > 1e-3
    own_pipe.register_to_config(time_ids="width_width")
    with pytest.raises(ConfigError, match="unknown time_ids"):
        own_pipe(**one_call)
