"""Packages of the extra `evaluate`: imported where a metric needs them, and named by version in reports."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from idmvton.errors import MissingExtraError

INSTALL = "pip install 'idmvton[evaluate]'"


def require(module: str) -> Any:
    """A module of an optional package.

    Raises:
        MissingExtraError: it is not installed; the line that installs it is named.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f"{package} is not installed", got=error, expected="the extra `evaluate`", fix=INSTALL
        ) from error


def named(package: str) -> str:
    """A package with its version."""
    return f"{package} {version_of(package)}"


def version_of(package: str) -> str:
    """The version that is installed, or that none is."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
