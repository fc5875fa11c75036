"""Names in an upload: which are refused, which are junk, and which may be one of the graded files under another name.

A name is a stranger's. Nothing here opens a file; every rule is linear in the name's length, or quadratic below 200.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

MAX_DEPTH = 16
MAX_NAME = 200
"""Bytes of one part of a path; file systems take 255."""
PICTURES = (".png", ".jpg", ".jpeg")
KEPT = frozenset((".py", ".ipynb", ".json", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".txt", ".md", ".csv", *PICTURES))
NEVER = frozenset(
    (
        *("__macosx", ".ds_store", ".git", ".svn", ".hg", ".ipynb_checkpoints", "__pycache__", ".pytest_cache"),
        *(".hypothesis", ".mypy_cache", ".ruff_cache", ".cache", ".tox", ".nox", ".eggs", "node_modules"),
        *("site-packages", "dist-packages", ".idea", ".vscode", ".vs", ".trash", "$recycle.bin"),
    )
)
"""What tools leave behind: passed over without a word. Nobody writes a homework in there."""
DOUBTFUL = frozenset(("wandb", "data", "checkpoints", "venv", "env"))
"""Junk too, as are hidden folders, unless what is graded stands nowhere else: students do call their folder so."""
PACKAGES = frozenset(("data", "checkpoints", "env"))
"""Of these, names that students also give to packages of their own: `from data.loader import load`."""
LIBRARY = re.compile(r"lib(?:64)?/(?:python|pypy)[\d.]+")
"""An environment's packages, whatever its folder is called."""

WORK = r"\.(?:ipynb|py|toml|json|png|jpe?g)"
STALE = r"\.(?:bak|old|orig|save|backup|tmp|temp)|~"
ADDED = (
    r"\.(?:txt|text|json|log|md|csv|xml|cfg|ini|conf|download|crdownload|part|partial|copy|bin|dat|data|file|dms"
    r"|unknown)"
)
DOUBLED = re.compile(
    rf"(?P<stem>.+?)(?P<suffix>{WORK})(?P<tail>(?>(?P=suffix)|{ADDED}|{STALE}|\(\d+\)|copy|kopie|\d+|[\s._-])*+)"
)
"""A file's name behind whose extension more was put by browsers, editors, mail and clouds. Atomic: never backtracks."""
COPY = re.compile(r"^copy[ _-]*of[ _-]*|[ _-]*\(\d+\)$|[ _-]*copy[ _-]*\d*$")
"""What Colab, browsers and Jupyter add to the name of a file that is there already."""


class NameRefused(Exception):
    """A name under which nothing is kept; why, as the end of a sentence."""


@dataclass(frozen=True)
class Place:
    """Where an entry belongs, below the upload's top. `absolute`, `upwards`: what its name had in front of that."""

    path: PurePosixPath
    absolute: bool = False
    upwards: bool = False


def place(name: str) -> Place | None:
    """The relative path that `name` means, as unzip reads it: without a root, a drive and `..`; None for nothing.

    Control characters and surrogates, which no terminal and no file system can be trusted with, raise `Refused`, and so
    does a path that is too long or too deep. Any other character is the student's own business.
    """
    if not name.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise NameRefused("has control characters in its name")
    spread = name.replace("\\", "/")
    absolute = spread.startswith("/")
    parts = [part for part in spread.split("/") if part not in ("", ".")]
    if parts and re.fullmatch(r"[A-Za-z]:", parts[0]):
        absolute, parts = True, parts[1:]
    upwards = ".." in parts
    parts = [part for part in parts if part != ".."]
    if len(parts) > MAX_DEPTH or any(len(part.encode()) > MAX_NAME for part in parts):
        raise NameRefused("has a path that is too long or too deep")
    return Place(PurePosixPath(*parts), absolute, upwards) if parts else None


def is_never(parts: Sequence[str]) -> bool:
    """Whether a file or folder of this path is a tool's."""
    folded = [part.casefold() for part in parts]
    if not NEVER.isdisjoint(folded) or any(part.startswith("._") for part in folded):
        return True
    return any(LIBRARY.fullmatch(f"{one}/{two}") for one, two in itertools.pairwise(folded))


def doubtful(folders: Sequence[str]) -> int:
    """How many of a path's folders are junk unless the work lies in there."""
    return sum(part.casefold() in DOUBTFUL or part.startswith(".") for part in folders)


def holds_modules(folders: Sequence[str]) -> bool:
    """Whether Python files in a doubtful folder may be modules of the work, which come along with it."""
    return all(not doubtful((part,)) or part.casefold() in PACKAGES for part in folders)


def folded(part: str) -> str:
    """A part of a path as names are compared: one case, one form, nothing invisible, no space around it."""
    if part.isascii():
        return part.casefold().strip()
    form = unicodedata.normalize("NFKC", part)
    return "".join(one for one in form if unicodedata.category(one)[0] != "C").casefold().strip()


@dataclass(frozen=True)
class FileName:
    """A file's name: as it is, and what it would be without what was put behind its extension (`plain`)."""

    text: str

    @cached_property
    def folded(self) -> str:
        return folded(self.text)

    @cached_property
    def _match(self) -> re.Match[str] | None:
        return DOUBLED.fullmatch(self.folded)

    @cached_property
    def plain(self) -> PurePosixPath:
        match = self._match
        name = match["stem"].rstrip() + match["suffix"] if match else self.folded
        return PurePosixPath(name if name not in ("", ".", "..") else "_")

    @cached_property
    def module(self) -> str:
        """The name by which a Python file can be imported, should more have been put behind `.py`."""
        if self.plain.suffix != ".py" or self.stale or self.text.casefold().endswith(".py"):
            return self.text
        stem = self.plain.stem
        return (self.text[: len(stem)] if self.text[: len(stem)].casefold() == stem else stem) + ".py"

    @cached_property
    def stale(self) -> bool:
        """Whether the name says that this is a former version."""
        return bool(self._match and re.search(STALE, self._match["tail"]))

    @property
    def kept(self) -> bool:
        """Whether files of this kind are looked at."""
        return self.plain.suffix in KEPT

    @cached_property
    def bare(self) -> str:
        """The stem without what marks a copy."""
        return COPY.sub("", COPY.sub("", self.plain.stem)).strip()

    def alike(self, graded: str) -> int:
        """3 where this is the graded file's name, 2 where it is a copy's, 1 where the name holds it, else 0.

        The last for notebooks (exported ones too), what they write, and pictures: a Python file's name is what others
        import it by. Former versions count as little.
        """
        theirs = PurePosixPath(graded.casefold())
        if self.text.casefold() == str(theirs):
            return 3
        pictures = self.plain.suffix in PICTURES and theirs.suffix in PICTURES
        if self.plain.suffix != theirs.suffix and not pictures:
            exported = theirs.suffix == ".ipynb" and self.plain.suffix in (".py", ".json")
            return int(exported and re.sub(r"[\s-]", "_", self.bare) == theirs.stem)
        if self.bare == theirs.stem:
            return 1 if self.stale else 2
        if pictures:  # of sampled digits, under whatever name says of which model
            return int(theirs.stem.partition("_")[0] in self.plain.stem)
        own, wanted = (re.sub(r"[^a-z]", "", stem) for stem in (self.plain.stem, theirs.stem))
        return int(self.plain.suffix in (".ipynb", ".json") and wanted in own)
