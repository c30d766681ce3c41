"""Qualities: exact where nothing is left out, and named where something is."""

import itertools

import pytest
import torch

from idmvton.models.attention import CONTEXT, AttentionContext
from idmvton.options import TryOnOptions
from idmvton.tryon.conditioning import PersonConditions, tryon_input
from idmvton.tryon.graphs import EagerRecorder, Graphs
from idmvton.tryon.quality import FULL, PRESETS, about, plan_steps, with_preset


def plan_of(quality, num_steps):
    return [(each.is_guided, each.reuses_deep) for each in plan_steps(quality, num_steps)]


def test_best_leaves_nothing_out():
    assert plan_steps("best", 30) == [FULL] * 30
    assert with_preset(TryOnOptions(), 30) == TryOnOptions(num_inference_steps=30)


def test_the_first_and_the_last_step_and_each_after_a_reuse_are_whole():
    for num_steps in range(1, 20):
        reuses = [each.reuses_deep for each in plan_steps("fast", num_steps)]
        assert not reuses[0]
        assert not reuses[-1]
        assert not any(first and second for first, second in itertools.pairwise(reuses))
    assert plan_of("fast", 5) == [(True, False), (True, True), (True, False), (False, True), (False, False)]


def test_presets_scale_with_the_checkpoint_and_give_way_to_what_is_said():
    fast = with_preset(TryOnOptions(quality="fast"), 30)
    assert (fast.num_inference_steps, fast.scheduler) == (10, "dpm++2m")
    said = with_preset(TryOnOptions(quality="fast", num_inference_steps=7, scheduler="ddim"), 30)
    assert (said.num_inference_steps, said.scheduler) == (7, "ddim")
    one = with_preset(TryOnOptions(quality="fast"), 1)
    assert (one.num_inference_steps, one.scheduler) == (1, None)
    assert about("fast", plan_steps("fast", 1), 1) == "fast"


@torch.no_grad()
def test_own_forward_pass_is_the_stock_one_and_its_deep_features_continue_it(loaded, unet_io):
    unet = loaded.unet
    features = loaded.unet_encoder(
        unet_io["in.garment_latents"], unet_io["in.timestep"], unet_io["in.garment_prompt_embeds"]
    )
    text = unet_io["in.prompt_embeds"]
    tokens = unet.image_tokens(unet_io["in.clip_hidden_states"])
    context = AttentionContext(features.tokens, cross=unet.project_prompts(text, tokens))
    person = PersonConditions(
        *(unet_io[f"in.{name}"] for name in ("mask", "masked_image_latents", "densepose_latents"))
    )
    inputs = {
        "encoder_hidden_states": text,
        "added_cond_kwargs": {"text_embeds": unet_io["in.pooled_prompt_embeds"], "time_ids": unet_io["in.time_ids"]},
        "cross_attention_kwargs": {CONTEXT: context},
    }
    channels = tryon_input(unet_io["in.noisy_latents"], person)
    stock = unet(channels, unet_io["in.timestep"], **inputs, return_dict=False)[0]
    own, deep = unet.denoise(channels, unet_io["in.timestep"], **inputs)
    assert torch.equal(own, stock)
    again, _ = unet.denoise(channels, unet_io["in.timestep"], **inputs, deep=deep)
    assert torch.equal(again, stock)
    other, _ = unet.denoise(channels, unet_io["in.timestep"], **inputs, deep=deep * 0)
    assert not torch.equal(other, stock)


def call_with(pipe, one_call, **options):
    pipe.feature_cache.clear()
    return pipe(**one_call | {"num_inference_steps": 6, "scheduler": "ddim", "output_type": "latent"} | options)


def test_without_its_approximations_a_quality_is_the_best(pipe, one_call, monkeypatch):
    best = call_with(pipe, one_call)
    monkeypatch.setitem(PRESETS, "fast", PRESETS["best"])
    assert torch.equal(call_with(pipe, one_call, quality="fast").latents, best.latents)


@pytest.mark.parametrize("quality", ["balanced", "fast"])
def test_a_quality_is_near_to_the_best_and_says_what_it_left_out(pipe, one_call, quality):
    best = call_with(pipe, one_call)
    other = call_with(pipe, one_call, quality=quality)
    distance = (other.latents - best.latents).norm() / best.latents.norm()
    assert 0 < distance < 0.5
    assert best.made_with["quality"] == "best"
    assert other.made_with["quality"].startswith(f"{quality}, an approximation: ")
    assert "without guidance" in other.made_with["quality"]
    assert other.options.quality == quality
    assert other.warnings[-1] == other.made_with["quality"]
    assert not any("approximation" in note for note in best.warnings)


def test_recorded_steps_of_a_quality_are_the_same(own_pipe, one_call):
    expected = call_with(own_pipe, one_call, quality="fast").latents
    own_pipe.graphs = Graphs(EagerRecorder())
    for _ in range(2):
        assert torch.equal(call_with(own_pipe, one_call, quality="fast").latents, expected)
    assert own_pipe.graphs.num_recorded > 3
