"""Every number agrees with the published system (tests/golden)."""

import pytest
import torch

from idmvton.captions.templates import garment_prompt, tryon_prompt
from idmvton.models.attention import AttentionContext
from idmvton.models.text import encode_prompts
from idmvton.tryon.conditioning import PersonConditions, make_time_ids, tryon_input
from idmvton.tryon.graphs import EagerRecorder, Graphs
from idmvton.types import Size
from plain_form import plain_form, predict, record

UNET_TOLERANCE = 1e-4
LATENTS_TOLERANCE = 1e-3
PICTURE_TOLERANCE = 2e-3


def worst(ours, golden):
    assert ours.shape == golden.shape
    return (ours - golden).abs().max().item()


@pytest.fixture(scope="module")
def features(loaded, unet_io):
    with torch.no_grad():
        return loaded.unet_encoder(
            unet_io["in.garment_latents"], unet_io["in.timestep"], unet_io["in.garment_prompt_embeds"]
        )


@pytest.fixture(scope="module")
def image_tokens(loaded, unet_io):
    with torch.no_grad():
        return loaded.unet.image_tokens(unet_io["in.clip_hidden_states"])


def golden_channels(unet_io):
    person = (unet_io["in.mask"], unet_io["in.masked_image_latents"], unet_io["in.densepose_latents"])
    return tryon_input(unet_io["in.noisy_latents"], PersonConditions(*person))


def golden_added(unet_io):
    return {"text_embeds": unet_io["in.pooled_prompt_embeds"], "time_ids": unet_io["in.time_ids"]}


def test_garment_features_in_execution_order(features, unet_io):
    golden = [name for name in unet_io if name.startswith("out.garment_feature_")]
    assert len(features.tokens) == len(golden) == 17
    for index, tokens in enumerate(features.tokens.values()):
        assert worst(tokens, unet_io[f"out.garment_feature_{index:02d}"]) < UNET_TOLERANCE


def test_image_tokens(image_tokens, unet_io):
    assert worst(image_tokens, unet_io["out.image_tokens"]) < UNET_TOLERANCE


@pytest.mark.parametrize("zero_garment", [False, True])
@pytest.mark.parametrize("projected_prompts", [False, True])
@pytest.mark.parametrize("projected_garment", [False, True])
@torch.no_grad()
def test_noise_prediction(loaded, unet_io, features, image_tokens, zero_garment, projected_prompts, projected_garment):
    text = unet_io["in.prompt_embeds"]
    context = AttentionContext(
        loaded.unet.project_garment(features) if projected_garment else features.tokens,
        num_zero_garment=2 if zero_garment else 0,
        cross=loaded.unet.project_prompts(text, image_tokens) if projected_prompts else {},
    )
    prediction = loaded.unet(
        golden_channels(unet_io),
        unet_io["in.timestep"],
        encoder_hidden_states=text if projected_prompts else (text, [image_tokens]),
        added_cond_kwargs=golden_added(unet_io),
        cross_attention_kwargs={"garment": context},
        return_dict=False,
    )[0]
    golden = unet_io["out.noise_pred_zero_garment" if zero_garment else "out.noise_pred"]
    assert worst(prediction, golden) < UNET_TOLERANCE


@pytest.mark.parametrize("zero_garment", [False, True])
@torch.no_grad()
def test_the_plain_form_gives_the_golden_numbers_too(loaded, unet_io, image_tokens, zero_garment):
    """So the benchmarks compare against the published computation, not against a straw man."""
    with plain_form(loaded.unet, loaded.unet_encoder):
        tokens = record(
            loaded.unet_encoder,
            unet_io["in.garment_latents"],
            unet_io["in.timestep"],
            unet_io["in.garment_prompt_embeds"],
        )
        if zero_garment:
            tokens = {key: torch.zeros_like(each) for key, each in tokens.items()}
        prediction = predict(
            loaded.unet,
            golden_channels(unet_io),
            unet_io["in.timestep"],
            unet_io["in.prompt_embeds"],
            image_tokens,
            golden_added(unet_io),
            tokens,
        )
    golden = unet_io["out.noise_pred_zero_garment" if zero_garment else "out.noise_pred"]
    assert worst(prediction, golden) < UNET_TOLERANCE


@torch.no_grad()
def test_prompt_embeddings(loaded, pipeline_io, golden_info):
    def encode(prompts):
        return encode_prompts(prompts, loaded.tokenizers, loaded.text_encoders, torch.device("cpu"))

    person = encode([tryon_prompt(caption) for caption in golden_info["captions"]])
    negative = encode([golden_info["negative_prompt"]] * 2)
    garment = encode([garment_prompt(caption) for caption in golden_info["captions"]])
    assert worst(person.tokens, pipeline_io["out.prompt_embeds"]) < UNET_TOLERANCE
    assert worst(person.pooled, pipeline_io["out.pooled_prompt_embeds"]) < UNET_TOLERANCE
    assert worst(negative.tokens, pipeline_io["out.negative_prompt_embeds"]) < UNET_TOLERANCE
    assert worst(negative.pooled, pipeline_io["out.negative_pooled_prompt_embeds"]) < UNET_TOLERANCE
    assert worst(garment.tokens, pipeline_io["out.garment_prompt_embeds"]) < UNET_TOLERANCE


def test_time_ids(unet_io):
    assert torch.equal(make_time_ids(Size(1024, 768)).expand(2, -1), unet_io["in.time_ids"])


@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
def test_whole_try_on(pipe, pipeline_io, golden_call, guidance_scale):
    result = pipe(
        **golden_call,
        num_inference_steps=5,
        guidance_scale=guidance_scale,
        scheduler="ddim",
        latents=pipeline_io["in.latents"],
        output_type="pt",
        paste_back=False,
    )
    which = f"guidance_{guidance_scale:.0f}"
    assert worst(result.latents, pipeline_io[f"out.latents_{which}"]) < LATENTS_TOLERANCE
    assert worst(torch.stack(result.images), pipeline_io[f"out.image_{which}"]) < PICTURE_TOLERANCE


@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
@pytest.mark.parametrize("garment_timestep", [None, 500])
def test_replayed_steps_equal_plain_ones(own_pipe, golden_call, guidance_scale, garment_timestep):
    """The same call with recorded steps, twice: the second one replays from its first step on."""
    options = {"guidance_scale": guidance_scale, "garment_timestep": garment_timestep, "output_type": "latent"}
    call = golden_call | {"seed": 5, "num_inference_steps": 2} | options
    expected = own_pipe(**call).latents
    own_pipe.graphs = Graphs(EagerRecorder())
    for _ in range(2):
        own_pipe.feature_cache.clear()
        assert worst(own_pipe(**call).latents, expected) == 0
    assert own_pipe.graphs.num_recorded == 2


def test_garment_net_at_several_timesteps_at_once(own_pipe, golden_call, monkeypatch):
    call = golden_call | {"seed": 5, "num_inference_steps": 3, "output_type": "latent"}
    expected = own_pipe(**call).latents
    monkeypatch.setattr("idmvton.tryon.garment_features.together_on", lambda device: 2)
    own_pipe.feature_cache.clear()
    own_pipe.graphs = Graphs(EagerRecorder())
    assert worst(own_pipe(**call).latents, expected) < UNET_TOLERANCE
