"""What a person corrected by hand is never lost without a word."""

import json

import numpy as np
import pytest
from PIL import Image

from idmvton.engine.intermediates import check_intermediates
from idmvton.errors import OutputError
from idmvton.prepare import read_prepared


@pytest.fixture
def corrected(photos, cli):
    """A prepared person whose mask was corrected: a bar at the top."""
    assert cli("prepare", photos / "anna.png", photos / "shirt.png", "-o", photos / "pr").exit_code == 0
    return correct(photos / "pr" / "mask.png")


def correct(path):
    mask = np.asarray(Image.open(path)).copy()
    mask[:9] = 255
    Image.fromarray(mask).save(path)
    return path.parent


def has_bar(folder):
    return bool(read_prepared(folder).mask[:9].all())


@pytest.mark.parametrize("options", [(), ("--mask-grow", "10")])
def test_a_corrected_mask_is_kept_used_and_told(photos, cli, corrected, options):
    for _ in range(2):
        result = cli("prepare", photos / "anna.png", photos / "shirt.png", "-o", corrected, *options)
        assert result.exit_code == 0
        assert "changed by hand, so kept: mask.png" in result.stderr
        assert "--overwrite" in result.stderr
        assert has_bar(corrected)
    warnings = read_prepared(corrected).warnings
    assert sum("changed by hand" in each for each in warnings) == 1


def test_overwrite_starts_anew(photos, cli, corrected):
    result = cli("prepare", photos / "anna.png", photos / "shirt.png", "-o", corrected, "--overwrite")
    assert result.exit_code == 0
    assert not has_bar(corrected)
    assert "changed by hand" not in result.stderr


def test_what_was_not_changed_is_made_anew_without_a_word(photos, cli):
    for grow in ("0", "9"):
        result = cli("prepare", photos / "anna.png", "-o", photos / "pr", "--mask-grow", grow)
        assert "changed by hand" not in result.stderr
    assert read_prepared(photos / "pr").options.mask_grow == 9


def test_of_another_photo_nothing_is_kept_or_lost(photos, cli, corrected, rendered):
    Image.fromarray(rendered.person[:, ::-1]).save(photos / "anna.png")
    result = cli("prepare", photos / "anna.png", "-o", corrected)
    assert result.exit_code == 1
    assert "changed by hand do not fit" in result.stderr
    assert "--overwrite" in result.stderr
    assert has_bar(corrected)


def test_in_folders_too(photos, cli):
    (photos / "people").mkdir()
    (photos / "anna.png").rename(photos / "people" / "anna.png")
    again = ("prepare", photos / "people", "-o", photos / "all")
    cli(*again)
    correct(photos / "all" / "anna" / "mask.png")
    result = cli(*again, "--mask-grow", "10")
    assert result.exit_code == 0
    assert "kept: mask.png" in result.stderr
    assert has_bar(photos / "all" / "anna")
    cli(*again, "--overwrite")
    assert not has_bar(photos / "all" / "anna")


def test_folders_from_before_the_hashes_keep_their_mask(photos, cli, corrected):
    summary = json.loads((corrected / "prepared.json").read_text())
    del summary["files"]
    (corrected / "prepared.json").write_text(json.dumps(summary))
    cli("prepare", photos / "anna.png", photos / "shirt.png", "-o", corrected)
    assert has_bar(corrected)


def test_intermediates_do_not_replace_corrections(photos, corrected):
    (photos / "stages").mkdir()
    corrected.rename(photos / "stages" / "prepared")
    with pytest.raises(OutputError, match="changed by hand"):
        check_intermediates(photos / "stages")
