"""Which file of a results folder belongs to which pair; the rule of the names is guessed and reported, or set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from idmvton.data.opening import recognise
from idmvton.errors import InputError
from idmvton.evaluate.choice import DataChoice
from idmvton.images.files import list_pictures

RULES: Final = ("{person}__{garment}", "{person}___{garment}", "{person}_{garment}", "{name}", "{person}", "{garment}")
"""How result files are named, tried in this order: as here, as by other systems, then one file for each person."""

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Case:
    """One result and what it is compared with; a path that is not known is ``None``.

    Attributes:
        name: of the pair, in the report.
        result: the picture that is scored.
        truth: the same person in that garment.
        person: the photo that the try-on started from.
        garment: the product picture.
        mask: what was repainted, white.
        caption: what the garment is.
        keypoints: of the person, JSON.
        keypoints_size: width and height that they are counted in; ``None``: the person's.
    """

    name: str
    result: Path
    truth: Path | None = None
    person: Path | None = None
    garment: Path | None = None
    mask: Path | None = None
    caption: str | None = None
    keypoints: Path | None = None
    keypoints_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """The cases of a results folder, and how they were found.

    Attributes:
        cases: in the order of the truth.
        rule: how the results are named.
        warnings: what should be known about the folder.
    """

    cases: tuple[Case, ...]
    rule: str
    warnings: tuple[str, ...] = ()


def match_dataset(results: Path, data: DataChoice, *, rule: str | None = None, masks: Path | None = None) -> Matched:
    """The results of a data set's pairs.

    Paired, the truth is the photo; unpaired it is the exact other picture where the data set has one, else none.

    Args:
        results: a folder of pictures.
        data: the pairs; masks that were prepared do not count as truth, the data set's own do.
        rule: one of :data:`RULES` or another text with ``{person}`` and ``{garment}``; guessed by default.
        masks: a folder of masks by person, instead of the data set's own.

    Raises:
        InputError: results that are missing or belong to no pair; they are listed.
    """
    rows = []
    wanted = {each.name for each in data.files()}
    for each in replace(data, maps="given").files():
        if each.name not in wanted:
            continue
        truth = each.person if data.order == "paired" else each.unpaired_target
        mask = each.mask if masks is None else _mask_of(masks, each.person.stem)
        words = {"person": each.person.stem, "garment": each.garment.stem, "name": each.person.stem}
        counted_in = each.keypoints_size
        case = Case(
            each.name,
            each.person,
            _existing(truth),
            each.person,
            each.garment,
            _existing(mask),
            each.caption,
            _existing(each.keypoints),
            (counted_in.width, counted_in.height) if counted_in else None,
        )
        rows.append((words, case))
    return _match(results, rows, rule)


def is_dataset(folder: Path) -> bool:
    """Whether a folder holds a data set, rather than pictures."""
    try:
        recognise(folder)
    except InputError:
        return False
    return True


def match_folder(
    results: Path, truth: Path, *, rule: str | None = None, masks: Path | None = None, count: int | None = None
) -> Matched:
    """The results of a folder of true pictures of the same names; ``count``: only the first so many.

    Raises:
        InputError: results that are missing or belong to no truth; they are listed.
    """
    rows = []
    for path in list_pictures(truth)[:count]:
        mask = None if masks is None else _mask_of(masks, path.stem)
        words = {"person": path.stem, "garment": path.stem, "name": path.stem}
        rows.append((words, Case(path.stem, path, truth=path, mask=_existing(mask))))
    return _match(results, rows, rule or "{name}")


def _match(results: Path, rows: Sequence[tuple[Mapping[str, str], Case]], rule: str | None) -> Matched:
    found = {path.stem: path for path in list_pictures(results)}
    if len(found) != len(list_pictures(results)):
        raise InputError("two results have one name", got=results, fix="keep one picture a pair")
    rule = _checked_rule(rule) if rule else _guess(found, rows)
    wanted = {rule.format(**words): case for words, case in rows}
    if len(wanted) != len(rows):
        raise InputError(
            f"the rule {rule!r} gives several pairs one name", expected="a rule with {person} and {garment}"
        )
    if missing := sorted(wanted.keys() - found.keys()):
        raise InputError(
            f"{len(missing)} of {len(wanted)} results are missing, by the rule {rule}",
            got=_listed(missing),
            expected=f"a picture in {results} for each pair",
            fix="make them, name them by --names RULE, or score fewer pairs with --pairs FILE",
        )
    if extra := sorted(found.keys() - wanted.keys()):
        raise InputError(
            f"{len(extra)} pictures belong to no pair, by the rule {rule}",
            got=_listed(extra),
            fix="move them elsewhere, or set the rule with --names",
        )
    cases = [replace(case, result=found[name]) for name, case in wanted.items()]
    return Matched(tuple(cases), rule, tuple(_warnings(cases)))


def _guess(found: Mapping[str, Path], rows: Sequence[tuple[Mapping[str, str], Case]]) -> str:
    """The rule by which most results have a pair."""
    counts = {rule: len({rule.format(**words) for words, _ in rows} & found.keys()) for rule in RULES}
    best = max(RULES, key=lambda rule: counts[rule])
    if counts[best] == 0:
        example = RULES[0].format(**rows[0][0]) if rows else "PERSON__GARMENT"
        raise InputError(
            "the names of the results fit no pair",
            got=_listed(sorted(found)),
            expected=f"names such as {example}",
            fix="say how they are named, for instance --names '{person}-in-{garment}'",
        )
    return best


def _checked_rule(rule: str) -> str:
    if not set(re.findall(r"{(\w*)}", rule)) <= {"person", "garment", "name"} or "{" not in rule:
        raise InputError(
            "the rule of the names cannot be used", got=rule, expected="a text with {person}, {garment} or {name}"
        )
    return rule


def _warnings(cases: Sequence[Case]) -> list[str]:
    jpegs = sum(case.result.suffix.lower() in (".jpg", ".jpeg") for case in cases)
    return [f"{jpegs} results are JPEG files: compression enters the scores; save PNG"] if jpegs else []


def _mask_of(folder: Path, name: str) -> Path:
    """The mask of a person: NAME.png, NAME_mask.png, as data sets call them."""
    return next(
        (path for path in (folder / f"{name}_mask.png", folder / f"{name}.png") if path.exists()), folder / name
    )


def _existing(path: Path | None) -> Path | None:
    return path if path is not None and path.exists() else None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
