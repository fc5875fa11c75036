"""One grading from end to end, quick enough for every change: the example's code in, results.json and a table out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.front_door.test_front_door import front_door
from tests.helpers import ROOT

pytestmark = pytest.mark.sandbox


def test_the_examples_code_is_graded(tmp_path: Path) -> None:
    """Its sampler is right and its bound is not: each is told in the table and in results.json."""
    shutil.copytree(ROOT / "tests" / "example" / "gan_vae", tmp_path / "upload" / "gan_vae")
    status, results, printed = front_door(tmp_path / "upload", tmp_path / "results.json")
    assert status == 0
    vae = [
        test for test in results["tests"] if test["tags"] == ["vae"] and "is not in the upload" not in test["output"]
    ]
    scores = {test["score"] > 0 for test in vae if "score" in test}
    assert scores == {True, False}
    assert "4." in printed
