"""A slice of the changed answers for every judge; planted defects are found."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder import version
from autograder.audit import parallel, values
from autograder.audit.values import Found, FuzzedCheck, Judged, case_of, changed, checks_of, inputs_of, judged, section
from autograder.core import Check, CheckFailed, Request, Trial, Value, Verdict
from autograder.hw11 import ASSIGNMENT
from autograder.judging.judges import Exact
from autograder.sandbox import wire

CHECKS, INPUTS = checks_of(ASSIGNMENT), inputs_of(ASSIGNMENT)
SLICE, SLOW = 140, 12
"""Changed answers for a judge, and for those of question 1, which compute whole layers; the audit takes them all."""


@pytest.mark.parametrize("id", CHECKS)
def test_a_slice_breaks_no_judge(id: str) -> None:
    count = 20 if INPUTS[id] < 20_000 else SLOW if id.startswith("summarization") else SLICE
    found = judged(case_of("autograder.hw11", id), range(count), limit=5.0)  # a busy machine counts more CPU time
    assert found.faults == ()
    assert found.verdicts + found.rejected + found.refused == count
    assert found.verdicts > 0  # what is always refused shows nothing of what is behind


def test_there_are_a_million_for_every_kind_of_judge() -> None:
    assert INPUTS.keys() == CHECKS.keys()  # those of a notebook's whole run, too
    assert sum(INPUTS.values()) >= 1_300_000  # a third is refused before some judges
    assert min(INPUTS.values()) >= 3000


RIGHT: dict[str, Value] = {
    "z": np.arange(6.0).reshape(2, 3),
    "n": 3,
    "kind": "x",
    "fine": True,
    "x": 0.5,
    "empty": np.zeros((0, 2)),
}


def test_changes_follow_from_their_number_and_fit_a_frame() -> None:
    first = [repr(changed(RIGHT, random.Random(number))) for number in range(300)]
    assert first == [repr(changed(RIGHT, random.Random(number))) for number in range(300)]
    assert len(set(first)) > 200
    for number in range(2000):
        wire.encode(wire.Frame("x", values=changed(RIGHT, random.Random(number))))


def test_every_kind_of_extreme_comes() -> None:
    told = "".join(repr(changed(RIGHT, random.Random(number))) for number in range(3000))
    for sign in ("nan", "inf", "e-324", "e-320", "e+308", "shape=(0, 3)", "-0.", "int32", "uint8", "float16", "bool"):
        assert sign in told, sign
    assert any("n" not in changed(RIGHT, random.Random(number)) for number in range(300))
    assert any(set(changed(RIGHT, random.Random(number))) - set(RIGHT) for number in range(300))


def planted(rule: Any) -> FuzzedCheck:
    check = Check("c", "n", 1, Request("m:f", lambda _rng: {}), Exact(rule))
    return FuzzedCheck(check, (Trial({}, RIGHT),), None)


def fine(trial: Trial) -> Verdict:
    return Verdict(1.0, "Fine.")


def test_a_planted_defect_is_found() -> None:
    def divides(trial: Trial) -> Verdict:
        n = trial.got.get("n")
        if not isinstance(n, int):
            raise CheckFailed("n is missing.")
        return Verdict(1.0, f"{1 // n}")

    found = judged(planted(divides), range(2000))
    assert found.faults
    assert all("ZeroDivisionError" in fault for fault in found.faults)
    assert found.rejected > 0
    number = int(found.faults[0].split()[1].rstrip(":"))
    assert values.made(planted(divides), number)[0].got["n"] == 0  # it can be made again


def test_what_takes_too_much_is_found() -> None:
    def slow(trial: Trial) -> Verdict:
        while "n" not in trial.got:
            pass
        return fine(trial)

    def large(trial: Trial) -> Verdict:
        return fine(trial) if "n" in trial.got else Verdict(float(np.ones(10**9)[0]), "x")

    def no_verdict(trial: Trial) -> Verdict:
        return Verdict(1.0 if "n" in trial.got else float("nan"), "x")

    for rule, words in ((slow, "TooSlow"), (large, "MemoryError"), (no_verdict, "no verdict")):
        found = judged(planted(rule), range(60), limit=0.02)
        assert any(words in fault for fault in found.faults), found


def test_the_section_tells_what_was_found() -> None:
    one = Judged(10, 1, 5, 4, 0.1, 0.05, ())
    assert section(Found({"a": one, "b": one})).holds
    assert not section(Found({"a": one, "b": replace(one, faults=("b 3: KeyError",))})).holds
    assert not section(Found({"a": replace(one, slowest=values.LIMIT)})).holds


def test_a_stopped_run_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(version, "of", lambda _: "one")
    monkeypatch.setattr(parallel, "each", lambda function, given, _jobs, apart: (
        (place, function(*one)) for place, one in enumerate(given)))  # fmt: skip
    found = values.measured("tests.small", tmp_path, every=100)
    assert {id: one.inputs for id, one in found.judged.items()} == {"numbers.twice": 10, "words.hello": 10}
    assert section(found).holds
    monkeypatch.setattr(values, "_chunk", None)  # whoever calls it fails: all stands in the journal
    assert values.measured("tests.small", tmp_path, every=100) == found


def test_what_only_a_kernel_answers_is_left_out_where_no_answer_is_given() -> None:
    bare = replace(ASSIGNMENT, audit=None)
    assert CHECKS.keys() - inputs_of(bare).keys() == {"policy_gradient.notebook", "policy_gradient.answer"}
    (left_out, _) = section(Found({"a": Judged(1, 0, 1, 0, 0.1, 0.1, ())}, ("policy_gradient.notebook",))).tables
    assert left_out.rows == (("policy_gradient.notebook",),)
