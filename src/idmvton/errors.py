"""Typed errors. Each message says what is wrong, what was got, what was expected, and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class IdmVtonError(Exception):
    """Base of every error that this library raises on purpose.

    Args:
        what: one line, what is wrong.
        got: what was found.
        expected: what would have been right.
        fix: what the reader can do about it.

    Attributes:
        field: the file or option of a request that it is about, where the one who took the request knows it.
    """

    field: str | None = None

    def __init__(self, what: str, *, got: object = None, expected: object = None, fix: str | None = None) -> None:
        self.what, self.got, self.expected, self.fix = what, got, expected, fix
        lines = [what]
        lines += [f"  got:      {got}"] if got is not None else []
        lines += [f"  expected: {expected}"] if expected is not None else []
        lines += [f"  do this:  {fix}"] if fix is not None else []
        super().__init__("\n".join(lines))


def some_of(names: Iterable[str], limit: int = 8) -> str:
    """The first of many names, and how many more there are, for a message."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


class InputError(IdmVtonError, ValueError):
    """A picture, mask, caption or path that cannot be used."""


class OutputError(InputError):
    """A file or folder that cannot be written."""


class PreparationError(IdmVtonError, ValueError):
    """A map of a photo (mask, body map, labels, keypoints) that cannot be made."""


class NoPersonError(PreparationError):
    """Nobody in the photo, or not the person that was asked for."""


class UnusablePersonError(PreparationError):
    """Somebody is in the photo, but a try-on cannot work on them."""


class SeveralPeopleError(UnusablePersonError):
    """Several people are in the photo, and it was not said which one is meant."""


class WeightsError(IdmVtonError, ValueError):
    """Weights that are missing, damaged, or do not fit the model."""


class ConfigError(IdmVtonError, ValueError):
    """An option or a model configuration outside its range."""


class MissingExtraError(IdmVtonError, ImportError):
    """A package that only some uses need is not installed; the message has the line that installs it."""


class NumericsError(IdmVtonError, ArithmeticError):
    """NaN or infinite values during a computation."""


class IdmVtonWarning(UserWarning):
    """Base of every warning that this library emits."""


class NameWarning(IdmVtonWarning):
    """A name that means weights is also that of a folder here, which is not read."""


class CaptionTruncatedWarning(IdmVtonWarning):
    """A caption is longer than the text encoder reads."""


class MaskWarning(IdmVtonWarning):
    """A mask that repaints what is hardly meant."""


class GuidanceWarning(IdmVtonWarning):
    """Guidance for a checkpoint that was not trained for it."""


class GraphsWarning(IdmVtonWarning):
    """CUDA graphs could not be recorded; everything runs without them, slower."""


class BodyMapWarning(IdmVtonWarning):
    """A body map that does not look like one; weights with a WarpNet refuse it."""
