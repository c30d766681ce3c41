"""WarpNet and the pipeline that has one."""

import contextlib

import numpy as np
import pytest
import torch
from PIL import Image

from idmvton.draft.warp import Windows, garment_windows, lay_garments, person_planes, stand_out, windows_around
from idmvton.draft.warp_net import PERSON_CHANNELS, WarpNet, places, sample_at
from idmvton.errors import ConfigError, WeightsError
from idmvton.evaluate.making import without_garment_features
from idmvton.images import to_vae_tensor
from idmvton.images.densepose import colour_parts
from idmvton.models.tryon_net import num_input_channels, widen_input
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.types import Size

SIZE = Size(32, 48)
HERE = torch.zeros(())


def tiny_net(seed=0):
    torch.manual_seed(seed)
    return WarpNet(height=32, width=48, channels=(8, 8, 8, 8), num_layers=1).eval()


def person(count=1):
    """Red picture, mask of the lower half, body map of two parts; float tensors of 64x96."""
    parts = np.zeros((64, 96), np.uint8)
    parts[:, :48], parts[:, 48:] = 2, 15
    mask = torch.zeros(count, 1, 64, 96)
    mask[:, :, 32:] = 1
    pictures = to_vae_tensor([Image.new("RGB", (96, 64), (255, 0, 0))] * count)
    return pictures, mask, to_vae_tensor([colour_parts(parts)] * count)


def test_an_identity_flow_samples_the_picture_itself():
    picture = torch.rand(1, 3, 8, 12)
    assert torch.allclose(sample_at(picture, places((8, 12), HERE)), picture, atol=1e-6)


def test_planes_hold_parts_mask_and_masked_picture():
    planes = person_planes(Windows(torch.zeros(1, 2), torch.ones(1, 1)), *person(), SIZE)
    assert planes.shape == (1, 29, 32, 48)
    assert (planes[0, 2, :, :24] == 1).all()
    assert (planes[0, 15, :, 24:] == 1).all()
    assert (planes[0, :25].sum(0) == 1).all()
    assert planes[0, 25, 16:].all()
    assert not planes[0, 25, :16].any()
    red = torch.tensor([1.0, -1, -1])[:, None, None].expand(3, 16, 48)
    assert torch.allclose(planes[0, 26:, :16], red, atol=1e-6)
    assert (planes[0, 26:, 16:] == 0).all()


def test_windows_hold_what_is_shown_and_stay_in_the_picture():
    shown = torch.zeros(3, 1, 40, 80, dtype=torch.bool)
    shown[0, :, 10:20, 20:40] = True  # a quarter high and wide, its middle at (-0.25, -0.25)
    shown[1, :, 30:40, 70:80] = True  # in a corner
    windows = windows_around(shown)
    assert torch.allclose(windows.centre[0], torch.tensor([-0.25, -0.25]))
    assert 0.24 < windows.reach[0] < 0.3
    assert (windows.centre[1] + windows.reach[1] <= 1).all()
    assert (windows.centre[2] == 0).all()
    assert windows.reach[2] == 1
    seen = windows.values(shown.float(), Size(40, 80)).sum((1, 2, 3)) * windows.reach[:, 0] ** 2
    assert torch.allclose(seen[:2], shown[:2].float().sum((1, 2, 3)), rtol=0.1)


def test_garments_are_found_on_a_plain_background():
    garment = torch.full((1, 3, 40, 80), 0.9)
    garment[..., 10:20, 20:40] = -0.5
    assert torch.allclose(garment_windows(garment).centre, torch.tensor([-0.25, -0.25]))
    assert garment_windows(torch.full((1, 3, 40, 80), 0.9)).reach == 1


def test_places_in_windows_and_pictures_are_each_others_inverse():
    windows = Windows(torch.tensor([[0.5, -0.25]]), torch.tensor([[0.4]]))
    flow = torch.rand(1, 2, 4, 5)
    assert torch.allclose(windows.outside(windows.inside(flow)), flow, atol=1e-6)
    assert torch.allclose(windows.outside(torch.zeros(1, 2, 1, 1)).flatten(), torch.tensor([0.5, -0.25]))
    ramp = places((20, 20), HERE)  # a picture that shows its own places
    assert torch.allclose(windows.colours(ramp, Size(4, 4)), windows.outside(places((4, 4), HERE)), atol=0.01)


def test_an_untrained_net_starts_near_the_places():
    net = tiny_net()
    with torch.no_grad():
        warp = net(torch.randn(2, PERSON_CHANNELS - 2, 32, 48), torch.randn(2, 3, 32, 48))
    assert warp.flow.shape == (2, 2, 32, 48)
    assert warp.outline.shape == (2, 1, 32, 48)
    assert (warp.flow - places((32, 48), HERE)).abs().mean() < 1.5


def test_a_warp_learns_a_shift():
    """Gradients reach every parameter, and a few steps of the flow's error bring it down."""
    torch.manual_seed(0)
    net = tiny_net().train()
    person, garment = torch.randn(2, PERSON_CHANNELS - 2, 32, 48), torch.randn(2, 3, 32, 48)
    target = (places((32, 48), HERE) + 0.25).expand(2, -1, -1, -1)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    errors = []
    for _ in range(30):
        warp = net(person, garment)
        loss = (warp.flow - target).abs().mean() + warp.outline.square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(each.grad is not None for each in net.parameters())
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.5 * errors[0]


@pytest.fixture
def warping_pipe(own_pipe):
    """The tiny checkpoint with a WarpNet; the new channels of TryonNet do something."""
    unet = own_pipe.unet
    widen_input(unet, num_input_channels(unet.latent_channels, drafted=True))
    torch.nn.init.normal_(unet.conv_in.weight.data[:, -unet.latent_channels :], std=0.05)
    own_pipe.warp_net = tiny_net()
    return TryOnPipeline(
        **own_pipe.components, **{name: own_pipe.config[name] for name in ("garment_timestep", "time_ids")}
    )


@pytest.fixture
def one_call(one_call, tmp_path):
    """The golden call with a body map that shows somebody: WarpNet reads its parts."""
    width, height = Image.open(one_call["densepose"]).size
    parts = np.zeros((height, width), np.uint8)
    parts[height // 4 :, width // 4 : -width // 4] = 2
    parts[height // 2 :, width // 4 : width // 3] = 15
    colour_parts(parts).save(tmp_path / "densepose.png")
    return one_call | {"densepose": tmp_path / "densepose.png"}


def picture_of(pipe, call):
    return pipe(**call | {"num_inference_steps": 2, "output_type": "np"}).images[0]


@pytest.mark.parametrize("by", ["TryonNet", "GarmentNet"])
def test_both_parts_of_the_draft_reach_the_picture(warping_pipe, one_call, by):
    if by == "GarmentNet":
        warping_pipe.unet.conv_in.weight.data[:, -warping_pipe.unet.latent_channels :] = 0
    with contextlib.nullcontext() if by == "GarmentNet" else without_garment_features(warping_pipe):
        before = picture_of(warping_pipe, one_call)
        with torch.no_grad():
            warping_pipe.warp_net.last.bias[8:] = 30.0  # the garment is everywhere
        assert np.abs(picture_of(warping_pipe, one_call) - before).max() > 1e-4


def test_each_pair_has_its_own_garment_as_it_lies(warping_pipe, one_call):
    """Two people, two seeds of one: as each alone."""
    with torch.no_grad():
        warping_pipe.warp_net.last.bias[8:] = 30.0
    kinds = ("person", "mask", "densepose")
    turned = {kind: Image.open(one_call[kind]).transpose(Image.Transpose.FLIP_LEFT_RIGHT) for kind in kinds}
    other = Image.open(one_call["garment"]).convert("RGB").transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    pairs = [(one_call, one_call["garment"], 1), (turned, other, 2), (turned, other, 3)]
    calls = [{kind: who[kind] for kind in kinds} | {"garment": what, "seed": seed} for who, what, seed in pairs]
    fixed = {"caption": one_call["caption"], "num_inference_steps": 2, "output_type": "np"}
    together = warping_pipe(**fixed, **{name: [call[name] for call in calls] for name in calls[0]}).images
    for call, picture in zip(calls, together, strict=True):
        assert np.abs(warping_pipe(**fixed, **call).images[0] - picture).max() < 1.5 / 255
    assert np.abs(together[0] - together[1][:, ::-1]).max() > 0.05


def test_a_saved_warp_net_comes_back(warping_pipe, one_call, tmp_path):
    before = picture_of(warping_pipe, one_call)
    warping_pipe.save_pretrained(tmp_path / "saved")
    again = TryOnPipeline.from_pretrained(tmp_path / "saved", device="cpu")
    assert isinstance(again.warp_net, WarpNet)
    for ours, theirs in ((again.warp_net, warping_pipe.warp_net), (again.unet, warping_pipe.unet)):
        expected = theirs.state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())
    assert np.abs(picture_of(again, one_call) - before).max() < 1.5 / 255


def test_a_damaged_warp_net_is_refused(warping_pipe, tmp_path):
    warping_pipe.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved/warp_net/diffusion_pytorch_model.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsError):
        TryOnPipeline.from_pretrained(tmp_path / "saved", device="cpu")


@pytest.mark.parametrize("background", [1.0, -1.0])
def test_garments_of_the_colour_of_the_background_stand_out(background):
    pale = torch.full((1, 3, 64, 48), background)
    pale[..., 16:48, 12:36] -= 0.1 * background
    clear = pale.clone()
    clear[..., 16:48, 12:36] -= 0.8 * background
    shown = stand_out(torch.cat([pale, clear, torch.full_like(pale, background)]))
    assert (shown[0, :, 20:40, 16:30] - 0.4 * background).abs().max() < 1e-5
    assert shown.abs().max() <= 1
    assert (shown[0, ..., :12] == background).all()
    assert torch.equal(shown[1], clear[0])
    assert (shown[2] == background).all()


def test_white_on_light_grey_stands_out_too():
    picture = torch.full((1, 3, 64, 48), 0.75)
    picture[..., 16:48, 12:36] = 1.0
    assert (stand_out(picture)[..., 20:40, 16:30] - 0.15).abs().max() < 1e-5


def test_channels_must_fit(warping_pipe):
    components = dict(warping_pipe.components) | {"warp_net": None}
    with pytest.raises(ConfigError, match="without a WarpNet"):
        TryOnPipeline(**components)


def test_warps_need_as_many_people_as_garments():
    with pytest.raises(RuntimeError):
        lay_garments(tiny_net(), *person(2), torch.zeros(3, 3, 64, 96))
