"""The embedded model: the main job on photos, with nothing downloaded but the pose networks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab
from typer.testing import CliRunner

from idmvton import TryOnPipeline
from idmvton.cli import app
from idmvton.evaluate.baselines import colour_fill
from idmvton.evaluate.making import without_garment_features
from idmvton.evaluate.pictures import EQUAL_DB, psnr, ssim
from idmvton.images import read_provenance
from idmvton.studio import sample
from idmvton.weights import locate, stamp, status, verify

EXAMPLES = Path(__file__).parents[1] / "examples"
runner = CliRunner(env={"COLUMNS": "300", "HF_HUB_OFFLINE": "1"})


def scores_inside(result, truth, mask):
    """Figures inside the mask: SSIM, PSNR in dB, and the distance of the mean colours in CIE Lab (1976)."""
    first, second = (rgb2lab(each[mask]).mean(0) for each in (result, truth))
    return {
        "SSIM": ssim(result, truth, mask),
        "PSNR": min(psnr(result, truth, mask), EQUAL_DB),
        "colour": float(np.linalg.norm(first - second)),
    }


@pytest.fixture(scope="module")
def mini():
    pipe = TryOnPipeline.from_pretrained("mini", device="cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_it_comes_with_the_library_and_is_small():
    sizes = [path.stat().st_size for path in locate("mini").rglob("*") if path.is_file()]
    assert max(sizes) < 20e6
    assert sum(sizes) < 64e6
    assert status("mini").present
    assert verify("mini").ok


def test_it_has_every_part(mini):
    assert mini.default_size == (512, 384)
    assert mini.warp_net is not None
    policies = {"garment_timestep": 0, "num_inference_steps": 1, "guidance_scale": 1.0}
    assert {name: mini.config[name] for name in policies} == policies


@pytest.mark.parametrize("category", ["upper_body", "lower_body", "dresses"])
def test_rendered_people_wear_the_new_garment(mini, category):
    """Against the exact picture of the same person in the other garment: better than the garment's plain colour."""
    made = sample(21, 4, "test", category, (512, 384))
    result = mini(
        person=Image.fromarray(made.person),
        garment=Image.fromarray(made.other_garment),
        mask=Image.fromarray(made.mask),
        densepose=Image.fromarray(made.densepose),
        caption=made.other_caption,
        seed=0,
    )
    mask = made.mask > 0
    ours = scores_inside(np.asarray(result.images[0]), made.unpaired, mask)
    plain = scores_inside(colour_fill(made.person, made.other_garment, mask), made.unpaired, mask)
    assert ours["PSNR"] > plain["PSNR"]
    assert ours["SSIM"] > plain["SSIM"]


def test_what_the_garment_looks_like_comes_from_garment_net(mini):
    """Without its features, the dots are lost and the colour is wrong."""
    made = sample(21, 8, "test", "upper_body", (512, 384))
    given = {name: Image.fromarray(getattr(made, name)) for name in ("person", "mask", "densepose")}
    given |= {"garment": Image.fromarray(made.other_garment), "caption": made.other_caption, "seed": 0}
    ours = np.asarray(mini(**given).images[0])
    with without_garment_features(mini):
        without = np.asarray(mini(**given).images[0])
    mask = made.mask > 0
    chest = np.s_[200:300, 160:230]
    assert mask[chest].all()
    colour, lost = (scores_inside(each, made.unpaired, mask)["colour"] for each in (ours, without))
    assert colour < 0.5 * lost, (colour, lost)
    assert without[chest].std((0, 1)).max() < 0.3 * ours[chest].std((0, 1)).max()


def test_the_main_job(tmp_path):
    """Two photos in, one out: nothing else is said."""
    person, garment, out = EXAMPLES / "person.jpg", EXAMPLES / "checked_shirt.jpg", tmp_path / "out.png"
    arguments = ["try-on", str(person), str(garment), "-o", str(out), "--seed", "0"]
    result = runner.invoke(app, [*arguments, "--save-intermediates", str(tmp_path / "stages")])
    assert result.exit_code == 0, result.output
    before, after = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (person, out))
    assert before.shape == after.shape
    told = read_provenance(out)
    assert told["made_with"]["weights"] == f"mini at {stamp(locate('mini'))}"
    assert told["preparation"]["category"] == "upper_body"
    assert set(told["caption_words"]) == {"item", "sleeve", "neckline", "colour", "pattern"}
    shirt = np.asarray(Image.open(garment).convert("RGB")).astype(int)
    worn = after[400:600, 330:430].mean((0, 1))
    assert np.abs(worn - shirt[400:600, 330:430].mean((0, 1))).max() < 40
    assert np.abs(worn - before[400:600, 330:430].mean((0, 1))).max() > 20
    assert (after[:100] == before[:100]).all()
    assert {path.name for path in (tmp_path / "stages").iterdir()} == {"prepared", "repainted-1.png", "draft.png"}


def test_several_pictures_that_are_alike_are_told(tmp_path):
    person, garment, out = EXAMPLES / "person.jpg", EXAMPLES / "checked_shirt.jpg", tmp_path / "out.png"
    result = runner.invoke(app, ["try-on", str(person), str(garment), "-o", str(out), "--num-images", "2"])
    assert result.exit_code == 0, result.output
    assert "the seeds made nearly the same picture" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"out-1.png", "out-2.png"}
