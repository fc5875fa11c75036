"""The digest that decides what is graded again: it covers all that can change a grade, wherever the homework lies."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import pytest

from autograder import version
from autograder.core import Assignment
from autograder.hw11 import ASSIGNMENT
from tests import small


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assignment:
    """The small homework as a package of its own, outside of the repository."""
    shutil.copytree(small.HERE, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "elsewhere" / "__init__.py"
    file.write_text(file.read_text().replace("tests.small", "elsewhere"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "elsewhere", raising=False)
    found: Assignment = importlib.import_module("elsewhere").ASSIGNMENT
    return found


@pytest.mark.parametrize("file", ["__init__.py", "probes.py", "reference/answer.py", "template/answer.py"])
def test_what_a_grade_depends_on_changes_it(elsewhere: Assignment, file: str) -> None:
    before, path = version.of(elsewhere), elsewhere.reference.parent / file
    path.write_text(path.read_text() + "\n# changed\n")
    assert version.of(elsewhere) != before


@pytest.mark.parametrize("file", ["__pycache__/probes.pyc", "solutions/wrong.py", "audit/attacks.py", ".git/config"])
def test_what_no_grade_depends_on_does_not(elsewhere: Assignment, file: str) -> None:
    before, path = version.of(elsewhere), elsewhere.reference.parent / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed")
    assert version.of(elsewhere) == before


def test_homeworks_have_digests_of_their_own(elsewhere: Assignment) -> None:
    assert len({version.of(one) for one in (ASSIGNMENT, small.ASSIGNMENT, elsewhere)}) == 3
