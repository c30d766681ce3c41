"""GarmentNet and TryonNet on stock UNets, the resampler, gradient checkpointing, widening, full-size names."""

import json

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch._dynamo.testing import CompileCounter

from golden_data import GOLDEN, forget
from idmvton.errors import ConfigError, WeightsError
from idmvton.models.attention import AttentionContext
from idmvton.models.garment_net import GarmentNet
from idmvton.models.image_prompt import build_resampler, from_published, to_published
from idmvton.models.tryon_net import TryonNet, num_input_channels, widen_input
from idmvton.training.initialise import garment_net_from, new_resampler, new_unet, tryon_net_from
from idmvton.training.sections import ImagePromptOptions, UnetOptions
from idmvton.tryon.conditioning import PersonConditions, tryon_input
from plain_form import plain_form, record

SDXL = {
    "in_channels": 4,
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
}
SDXL_ADDED = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}


def predict(unet, unet_io, tokens, image_tokens, zero=0):
    person = (unet_io["in.mask"], unet_io["in.masked_image_latents"], unet_io["in.densepose_latents"])
    added = {"text_embeds": unet_io["in.pooled_prompt_embeds"], "time_ids": unet_io["in.time_ids"]}
    return unet(
        tryon_input(unet_io["in.noisy_latents"], PersonConditions(*person)),
        unet_io["in.timestep"],
        encoder_hidden_states=(unet_io["in.prompt_embeds"], [image_tokens]),
        added_cond_kwargs=added,
        cross_attention_kwargs={"garment": AttentionContext(tokens, num_zero_garment=zero)},
        return_dict=False,
    )[0]


def garment_tokens(net, unet_io):
    inputs = (unet_io["in.garment_latents"], unet_io["in.timestep"], unet_io["in.garment_prompt_embeds"])
    return net(*inputs).tokens


def test_names_and_shapes_of_the_full_size_models():
    """On the meta device: 5.5 billion parameters, no memory."""
    manifest = json.loads((GOLDEN / "full_size_manifest.json").read_text())
    published = {
        name.removeprefix("encoder_hid_proj."): torch.empty(shape, device="meta")
        for name, shape in manifest["unet"].items()
        if name.startswith("encoder_hid_proj.")
    }
    with torch.device("meta"):
        tryon_net = TryonNet.from_config(SDXL | SDXL_ADDED | {"in_channels": 13})
        tryon_net.install_processors(build_resampler(published))
        garment_net = GarmentNet.from_config(SDXL)
        garment_net.install_processors()
    ours = {name: tensor for name, tensor in tryon_net.state_dict().items() if "encoder_hid_proj" not in name}
    ours |= {
        f"encoder_hid_proj.{name}": tensor
        for name, tensor in to_published(tryon_net.encoder_hid_proj.state_dict()).items()
    }
    assert {name: list(tensor.shape) for name, tensor in ours.items()} == manifest["unet"]
    garment = {name: list(tensor.shape) for name, tensor in garment_net.state_dict().items()}
    assert garment == manifest["unet_encoder"]
    assert all(parameter.is_meta for parameter in (*tryon_net.parameters(), *garment_net.parameters()))


def test_garment_net_computes_nothing_after_the_last_feature(loaded, unet_io):
    net = loaded.unet_encoder
    ran = []
    modules = [(name, module) for name, module in net.named_modules() if name]
    hooks = [module.register_forward_hook(lambda *_, name=name: ran.append(name)) for name, module in modules]
    with torch.no_grad():
        tokens = garment_tokens(net, unet_io)
    for hook in hooks:
        hook.remove()
    last = list(tokens)[-1]
    assert last == "up_blocks.1.attentions.2.transformer_blocks.0.attn1"
    assert ran[-1] == last.replace("attn1", "norm1")
    never = {
        "conv_out",
        "conv_norm_out",
        "up_blocks.2",
        last,
        last.replace("attn1", "attn2"),
        "up_blocks.1.upsamplers.0",
    }
    assert not never & set(ran)


def test_garment_net_equals_the_whole_stock_unet(loaded, unet_io):
    with torch.no_grad():
        ours = garment_tokens(loaded.unet_encoder, unet_io)
        with plain_form(loaded.unet, loaded.unet_encoder):
            inputs = (unet_io["in.garment_latents"], unet_io["in.timestep"], unet_io["in.garment_prompt_embeds"])
            stock = record(loaded.unet_encoder, *inputs)
    assert [f"{name}.processor" for name in ours] == list(stock)
    for name, tokens in ours.items():
        torch.testing.assert_close(tokens, stock[f"{name}.processor"], atol=1e-5, rtol=1e-5)


def test_cached_prompt_keys_of_garment_net(loaded, unet_io):
    net, text = loaded.unet_encoder, unet_io["in.garment_prompt_embeds"]
    with torch.no_grad():
        plain = garment_tokens(net, unet_io)
        cached = net(unet_io["in.garment_latents"], unet_io["in.timestep"], text, net.project_text(text)).tokens
    for name, tokens in plain.items():
        torch.testing.assert_close(cached[name], tokens)


def test_gradient_checkpointing_changes_no_gradient(own_pipe, unet_io):
    unet, garment_net = own_pipe.unet.train(), own_pipe.unet_encoder.train()
    unet_io = {name: tensor.clone() for name, tensor in unet_io.items()}
    parameters = [*unet.parameters(), *garment_net.parameters()]

    def gradients():
        image_tokens = unet.image_tokens(unet_io["in.clip_hidden_states"])
        prediction = predict(unet, unet_io, garment_tokens(garment_net, unet_io), image_tokens)
        return torch.autograd.grad(prediction.square().mean(), parameters, allow_unused=True)

    plain = gradients()
    unet.enable_gradient_checkpointing()
    garment_net.enable_gradient_checkpointing()
    checkpointed = gradients()
    assert sum(gradient is not None for gradient in plain) > 1000
    for before, after in zip(plain, checkpointed, strict=True):
        assert (before is None) == (after is None)
        if before is not None:
            torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-4)


def test_gradient_checkpointing_runs_blocks_again(own_pipe, unet_io):
    net = own_pipe.unet_encoder.train()
    block = net.up_blocks[1].attentions[0].transformer_blocks[0]
    runs = []
    block.register_forward_hook(lambda *_: runs.append(1))
    net.enable_gradient_checkpointing()
    sum(tokens.sum() for tokens in garment_tokens(net, unet_io).values()).backward()
    assert len(runs) > 1


@pytest.mark.parametrize("channels", [4, 9])
def test_widening_keeps_the_function_and_starts_at_zero(channels):
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        in_channels=channels, sample_size=8, block_out_channels=(8, 8), norm_num_groups=4, cross_attention_dim=8,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    inputs = torch.randn(1, channels, 8, 8)
    text = torch.zeros(1, 1, 8)
    before = unet(inputs, 5, text).sample
    widen_input(unet, num_input_channels(4))
    assert unet.config.in_channels == unet.conv_in.in_channels == 13
    assert unet.conv_in.weight[:, channels:].abs().max() == 0
    after = unet(torch.cat([inputs, torch.randn(1, 13 - channels, 8, 8)], dim=1), 5, text).sample
    assert torch.equal(before, after)
    with pytest.raises(ConfigError, match="cannot narrow"):
        widen_input(unet, 9)


def test_resampler_names_there_and_back(loaded):
    ours = loaded.unet.encoder_hid_proj.state_dict()
    published = to_published(ours)
    assert "layers.0.0.to_kv.weight" in published
    back = from_published(published)
    assert sorted(back) == sorted(ours)
    assert all(torch.equal(back[name], ours[name]) for name in ours)


def test_resampler_without_its_tensors_is_refused():
    with pytest.raises(WeightsError, match="resampler is incomplete"):
        build_resampler({"proj_out.weight": torch.empty(8, 8)})


def test_image_prompt_scale_zero_is_text_alone(loaded, unet_io):
    unet = loaded.unet
    with torch.no_grad():
        tokens = unet.image_tokens(unet_io["in.clip_hidden_states"])
        outputs = []
        for image_tokens in (tokens, torch.zeros_like(tokens)):
            context = AttentionContext(garment_tokens(loaded.unet_encoder, unet_io), image_prompt_scale=0.0)
            layer = unet.get_submodule("mid_block.attentions.0.transformer_blocks.0.attn2")
            hidden = torch.ones(2, 12, 48)
            outputs.append(layer(hidden, (unet_io["in.prompt_embeds"], [image_tokens]), garment=context))
    assert torch.equal(*outputs)


@pytest.fixture
def shallow_pipe(own_pipe):
    """One level with attention, one without: tracing takes a second for each layer, and every kind of layer is here."""
    sizes = UnetOptions(block_out_channels=(16, 32), transformer_layers=(0, 1), head_size=16, norm_num_groups=8)
    text, images = own_pipe.unet.config.cross_attention_dim, own_pipe.image_encoder.config.hidden_size
    pooled = own_pipe.text_encoder_2.config.projection_dim
    torch.manual_seed(0)
    start = new_unet(sizes, latent_channels=4, text_width=text, pooled_width=pooled, latent_height=16)
    resampler = new_resampler(ImagePromptOptions(num_tokens=4, width=16, depth=1), clip_width=images, text_width=text)
    own_pipe.register_modules(unet=tryon_net_from(start, resampler), unet_encoder=garment_net_from(start))
    return own_pipe


def test_both_nets_compile_once_without_graph_breaks(shallow_pipe, one_call):
    """The contexts travel through torch.compile; its backend here runs the traced graph as it is."""
    eager = shallow_pipe(**one_call, output_type="latent").latents
    forget(shallow_pipe)
    counters = {name: CompileCounter() for name in ("unet", "unet_encoder")}
    for name, counter in counters.items():
        setattr(shallow_pipe, name, torch.compile(getattr(shallow_pipe, name), backend=counter, fullgraph=True))
    compiled = shallow_pipe(**one_call, output_type="latent").latents
    assert {name: counter.frame_count for name, counter in counters.items()} == {"unet": 1, "unet_encoder": 1}
    torch.testing.assert_close(compiled, eager, atol=1e-3, rtol=0)
