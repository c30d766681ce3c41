"""New networks that start as something simple: what they compute before any training."""

import pytest
import torch
import torch.nn.functional as F

from idmvton.errors import ConfigError
from idmvton.models.attention import CONTEXT, AttentionContext
from idmvton.models.tryon_net import num_input_channels, widen_input
from idmvton.training.initialise import (
    garment_net_from,
    new_resampler,
    new_unet,
    new_vae,
    tryon_net_from,
)
from idmvton.training.mini.fine_attention import with_fine_attention
from idmvton.training.mini.linear_start import start_as_codec, start_as_copy, start_with_latents
from idmvton.training.sections import ImagePromptOptions, UnetOptions, VaeOptions

SMALL = {"block_out_channels": (16, 32, 32), "latent_channels": 5, "norm_num_groups": 2}


def pictures():
    """Two smooth pictures of 64x48 in [-1, 1]."""
    torch.manual_seed(0)
    return F.interpolate(torch.rand(2, 3, 8, 6) * 1.6 - 0.8, (64, 48), mode="bicubic").clamp(-1, 1)


@torch.no_grad()
def test_a_vae_starts_as_a_codec_of_colours():
    seen = pictures()
    vae = new_vae(VaeOptions(**SMALL)).eval()
    start_as_codec(vae)
    latents = vae.encode(seen).latent_dist.mode()
    means = F.avg_pool2d(seen, 4)
    assert latents.shape == (2, 5, 16, 12)
    assert (latents[:, :3] - means).abs().mean() < 0.3 * means.abs().mean()
    made = vae.decode(latents).sample
    inner = (..., slice(8, -8), slice(8, -8))  # beyond the border there is nothing to interpolate
    assert (made - seen)[inner].square().mean().sqrt() < 0.15
    plain = new_vae(VaeOptions(**SMALL)).eval()
    assert (plain.decode(plain.encode(seen).latent_dist.mode()).sample - seen)[inner].square().mean().sqrt() > 0.25


def test_a_vae_with_too_small_groups_cannot():
    with pytest.raises(ConfigError, match="cannot be carried"):
        start_as_codec(new_vae(VaeOptions(block_out_channels=(16, 32), norm_num_groups=8)))
    with pytest.raises(ConfigError, match="codec"):
        start_as_codec(new_vae(VaeOptions(block_out_channels=(16, 32), norm_num_groups=2, latent_channels=2)))


def new_nets(groups, *, drafted=True, fine=True):
    """TryonNet and GarmentNet, small, with attention at the latents' own resolution."""
    options = UnetOptions(block_out_channels=(32, 32), transformer_layers=(0, 1), norm_num_groups=groups, head_size=16)
    unet = new_unet(options, latent_channels=5, text_width=32, pooled_width=32, latent_height=16)
    start_with_latents(unet)
    unet = with_fine_attention(unet) if fine else unet
    image_prompt = ImagePromptOptions(num_tokens=2, width=32, depth=1, heads=1)
    resampler = new_resampler(image_prompt, clip_width=32, text_width=32)
    net = tryon_net_from(unet, resampler).eval()
    widen_input(net, num_input_channels(5, drafted=drafted))
    return net, garment_net_from(unet).eval()


def predict(net, seen, garment):
    return net(
        seen,
        torch.tensor([10, 900]),
        encoder_hidden_states=(torch.randn(2, 3, 32), [net.image_tokens(torch.randn(2, 4, 32))]),
        added_cond_kwargs={"text_embeds": torch.randn(2, 32), "time_ids": torch.ones(2, 6)},
        cross_attention_kwargs={CONTEXT: AttentionContext(garment=garment)},
    ).sample


@torch.no_grad()
def test_fine_attention_changes_nothing_by_itself():
    torch.manual_seed(0)
    options = UnetOptions(block_out_channels=(32, 32), transformer_layers=(0, 1), norm_num_groups=4, head_size=16)
    unet = new_unet(options, latent_channels=5, text_width=32, pooled_width=32, latent_height=16).eval()
    asked = {
        "timestep": 10,
        "encoder_hidden_states": torch.randn(2, 3, 32),
        "added_cond_kwargs": {"text_embeds": torch.randn(2, 32), "time_ids": torch.ones(2, 6)},
    }
    seen = torch.randn(2, 5, 16, 12)
    torch.testing.assert_close(with_fine_attention(unet).eval()(seen, **asked).sample, unet(seen, **asked).sample)


@torch.no_grad()
def test_tryon_net_starts_as_a_copy_of_the_draft_with_the_garment_that_garment_net_shows():
    torch.manual_seed(1)
    net, garment_net = new_nets(4)
    start_as_copy(net, garment_net)
    seen, worn = torch.randn(2, net.config.in_channels, 16, 12), torch.randn(2, 5, 16, 12)
    features = garment_net(worn, 0, torch.randn(2, 3, 32)).tokens
    prediction = predict(net, seen, features)
    expected = seen[:, 16:21] + worn
    assert (prediction - expected).square().mean() < 0.05 * expected.square().mean()
    nothing = {name: torch.zeros_like(tokens) for name, tokens in features.items()}
    without, expected = predict(net, seen, nothing), seen[:, 16:21]
    assert (without - expected).square().mean() < 0.05 * expected.square().mean()


def test_a_copy_needs_a_draft_a_way_for_the_garment_and_room():
    with pytest.raises(ConfigError, match="cannot be carried"):
        new_nets(16)
    with pytest.raises(ConfigError, match="no draft"):
        start_as_copy(*new_nets(4, drafted=False))
    with pytest.raises(ConfigError, match="no garment"):
        start_as_copy(*new_nets(4, fine=False))
    net, garment_net = new_nets(4)
    garment_net.conv_in.weight.data += 0.1
    with pytest.raises(ConfigError, match="do not hold"):
        start_as_copy(net, garment_net)


def test_fine_attention_is_for_nets_without():
    unet = new_nets(4)[0]
    with pytest.raises(ConfigError, match="already"):
        with_fine_attention(unet)


def test_fine_attention_takes_all_weights_over():
    """And those of another architecture not at all: nothing is left as it happened to be."""
    options = UnetOptions(block_out_channels=(32, 32), transformer_layers=(0, 1), norm_num_groups=4, head_size=16)
    unet = new_unet(options, latent_channels=5, text_width=32, pooled_width=32, latent_height=16)
    before, after = unet.state_dict(), with_fine_attention(unet).state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(name.startswith("down_blocks.0.attentions.") for name in after.keys() - before.keys())
    unet.add_module("more", torch.nn.Linear(1, 1))
    with pytest.raises(RuntimeError, match="Unexpected key"):
        with_fine_attention(unet)
