"""The same upload gets the same results, another one other inputs, and seeds, caches and known shapes gain nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autograder.audit import reproducing
from autograder.audit.reproducing import SETTINGS, Gained, Repeated, Reproduced
from autograder.audit.solutions import Solution
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.audit.cheaters import CHEATERS, MIXED
from autograder.intake import submission
from tests.helpers import reachable_folder

pytestmark = pytest.mark.slow


def test_an_upload_is_graded_alike_whatever_the_machine_does() -> None:
    """Three gradings of three files, each with a mistake in it; the audit grades the whole homework fifty times."""
    assert [setting.loaded for setting in SETTINGS[:3]] == [False, False, True]
    with reachable_folder() as folder:
        upload = reproducing.mixed(ASSIGNMENT, MIXED, folder / "upload", files=("gan_vae/",))
        found = reproducing.repeated(upload, "autograder.hw11", folder / "journal", times=3)
        text = json.loads((folder / "journal").read_text().splitlines()[0])["row"]["text"]
    assert found.same
    tests = json.loads(text)["tests"]
    assert sum("**Smallest example:** " in test["output"] for test in tests) >= 4
    assert any(test["extra_data"].get("attempts") == 2 for test in tests)


def test_what_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document: dict[str, Any] = {
        "score": 1,
        "output": "",
        "tests": [{"name": "one", "output": "a"}, {"name": "two", "output": "b"}],
    }
    changed = {**document, "score": 2, "tests": [document["tests"][0], {"name": "two", "output": "c"}]}
    made = [json.dumps(one) for one in (document, document, changed)]
    monkeypatch.setattr(reproducing, "graded", lambda *_: made.pop(0))
    upload, journal = tmp_path / "upload", tmp_path / "repeated.jsonl"
    upload.mkdir()
    found = reproducing.repeated(upload, "small", journal, times=3, grader="1")
    assert not found.same
    assert found.digests[0] == found.digests[1] != found.digests[2]
    assert found.differing == ("two", "score")
    assert reproducing.repeated(upload, "small", journal, times=2, grader="1").same  # from the journal alone
    with pytest.raises(IndexError):
        reproducing.repeated(upload, "small", journal, times=1, grader="2")  # another grader grades anew
    (upload / "file").write_text("another upload")
    with pytest.raises(IndexError):
        reproducing.repeated(upload, "small", journal, times=1, grader="1")


def test_only_times_are_left_out() -> None:
    text = '{"execution_time": 1.25, "seconds": 3e-05, "score": 1.25, "output": "after 3 seconds: 1.5"}'
    assert reproducing.TIMES.sub(r'"\1": 0', text) == (
        '{"execution_time": 0, "seconds": 0, "score": 1.25, "output": "after 3 seconds: 1.5"}'
    )


def test_another_submission_gets_other_inputs() -> None:
    assert reproducing.drawn(ASSIGNMENT, "one") == reproducing.drawn(ASSIGNMENT, "one")
    assert reproducing.shared(ASSIGNMENT, "one", "other") == []
    everything = {
        request
        for q in ASSIGNMENT.questions
        for request in (c.request.name for c in q.checks if not c.request.deterministic)
    }
    assert set(reproducing.drawn(ASSIGNMENT, "one")) == everything
    assert set(reproducing.shared(ASSIGNMENT, "one", "one")) == everything


def test_a_comment_makes_another_submission() -> None:
    with reachable_folder() as folder:
        digests = []
        for name, text in (("one", ""), ("two", "# a comment\n"), ("three", "")):
            upload = reproducing.mixed(ASSIGNMENT, MIXED, folder / name, files=("gan_vae/",))
            (upload / "gan_vae/utils.py").open("a").write(text)
            (folder / f"{name}-box").mkdir()
            digests.append(submission.receive(upload, ASSIGNMENT, folder / f"{name}-box").digest)
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.parametrize("cheater", CHEATERS, ids=lambda cheater: cheater.id)
def test_cheaters_gain_nothing(cheater: Solution) -> None:
    found = reproducing.gain(cheater, ASSIGNMENT)
    assert found.score <= found.most
    assert not found.gained
    assert cheater.fails


def test_a_cheater_that_gains_is_seen() -> None:
    honest = replace(CHEATERS[0], fails=("vae.sample.fresh", "vae.sample.noise"))
    assert reproducing.gain(honest, ASSIGNMENT).gained
    again = Repeated(("a", "a"), (), 1.0)
    assert reproducing.section(Reproduced(again, (), (Gained("c", 1, 1),))).holds
    for wrong in (
        Reproduced(Repeated(("a", "b"), ("two",), 1.0), (), ()),
        Reproduced(again, ("vae:sample",), ()),
        Reproduced(again, (), (Gained("c", 2, 1),)),
    ):
        assert not reproducing.section(wrong).holds
    unlike = reproducing.section(Reproduced(Repeated(("a", "b"), ("two",), 1.0), (), ()))
    assert unlike.promises[0].measured == "2 kinds in 2 gradings; they differ in two"
