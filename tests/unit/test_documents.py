"""What people read: links lead somewhere, modules and commands that are named exist, and README stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers import ROOT

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
ROOMS = ("autograder", "tests", "reference", "student_template", "docs")


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" not in target and not target.startswith(("#", "mailto:")):
            assert (path.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_named_exist(name: str) -> None:
    """`autograder/sandbox/host/` and the like, where the first part is one of the rooms."""
    for found in re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w./-]+)`", (ROOT / name).read_text()):
        assert (ROOT / found).exists(), found


@pytest.mark.parametrize("name", NAMES)
def test_modules_that_are_named_exist(name: str) -> None:
    for module in re.findall(r"-m (autograder(?:\.\w+)+)", (ROOT / name).read_text()):
        place = ROOT / Path(*module.split("."))
        assert place.with_suffix(".py").exists() or (place / "__init__.py").exists(), module


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_map_of_the_house_is_whole() -> None:
    """Each room of the engine has its line in CONTRIBUTING.md."""
    told = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = [path.parent.name for path in (ROOT / "autograder").glob("*/__init__.py")]
    assert rooms and all(f"`autograder/{room}/`" in told for room in rooms)
