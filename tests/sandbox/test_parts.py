"""The codec of what crosses the sandbox's border.

What was packed is unpacked, and a judge reads as many items as were given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.core import CheckFailed, Observation, Request, Trial, Values
from autograder.sandbox import parts, returns, wire
from autograder.sandbox.faults import Fault

NAMES = st.text("abcdefgh_0123456789", min_size=1, max_size=5)
LEAVES = st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=3), st.floats(0, 1))
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES,
        lambda below: st.one_of(st.lists(below, max_size=12), st.dictionaries(NAMES, below, min_size=1, max_size=4)),
        max_leaves=30,
    ),
    max_size=4,
)


@settings(derandomize=True, database=None, deadline=None, max_examples=200)
@given(tree=TREES)
def test_what_is_packed_is_unpacked(tree: dict[str, Any]) -> None:
    """Lists of more than ten items and lists within lists, empty ones, and names that are numbers."""
    flat = parts.pack(**tree)
    assert parts.unpack(flat) == tree
    assert wire.decode(*_frame(flat)).values == flat


def _frame(values: Values) -> tuple[bytes, bytes]:
    data = wire.encode(wire.Frame("0", values=values))
    cut = wire.PREFIX.size + wire.lengths(data[: wire.PREFIX.size])[0]
    return data[wire.PREFIX.size : cut], data[cut:]


def test_a_value_is_named_by_its_path() -> None:
    flat = parts.pack(values={"cases": [{"m": 1, "parts": [2, 3]}, {"m": 4}]}, calls=8)
    assert flat == {
        "values.cases:count": 2,
        "values.cases.0.m": 1,
        "values.cases.0.parts:count": 2,
        "values.cases.0.parts.0": 2,
        "values.cases.0.parts.1": 3,
        "values.cases.1.m": 4,
        "calls": 8,
    }
    assert parts.items(parts.take(flat, "values"), "cases")[1] == {"m": 4}


def test_a_case_that_is_not_there_is_no_case_less() -> None:
    """An unpacked list has as many items as it says, or none at all: a probe never goes on with fewer."""
    flat = parts.pack(cases=[{"m": 1}, {"m": 2}])
    del flat["cases.1.m"]
    with pytest.raises(KeyError):
        parts.unpack(flat)


def test_a_students_own_list_is_not_looked_into() -> None:
    class Mine(list[int]):
        def __iter__(self) -> Any:
            raise AssertionError

    mine = Mine([1])
    assert parts.pack(x=mine) == {"x": mine}


GIVEN = parts.pack(cases=[{"m": 1}, {"m": 2}, {"m": 3}])


@pytest.mark.parametrize("forged", [0, 2, 4, -1, True, 2.0, "3", np.array([3]), np.zeros(0)])
def test_a_judge_reads_as_many_cases_as_were_given(forged: Any) -> None:
    got = parts.pack(cases=[{"z": 1}, {"z": 2}, {"z": 3}])
    seen = [(case.given["m"], case.got["z"]) for case in parts.each(Trial(GIVEN, got))]
    assert seen == [(1, 1), (2, 2), (3, 3)]
    with pytest.raises(CheckFailed, match=r"The result has a wrong number of cases\. Expected: 3"):
        parts.each(Trial(GIVEN, {**got, "cases:count": forged}))


def test_what_did_not_come_back_is_an_empty_case_for_its_judge_to_name() -> None:
    got = {"cases.0.z": 1, "cases.7.z": 1, "cases.10.z": 1}
    assert [dict(case.got) for case in parts.each(Trial(GIVEN, got))] == [{"z": 1}, {}, {}]


@pytest.mark.parametrize("word", [None, -1, 101, True, 3.0, "3", np.array(3)])
def test_how_many_there_are_by_their_own_word_is_within_limits(word: Any) -> None:
    with pytest.raises(CheckFailed, match="fields is missing in the result or cannot be read"):
        parts.length({} if word is None else {"fields:count": word}, "fields", most=100)
    assert parts.length({"fields:count": 100}, "fields", most=100) == 100


def fault(error: BaseException) -> Fault:
    return Fault("raised", str(error), "x.py, line 1")


def failing() -> dict[str, Any]:
    raise SystemExit("no")


def test_of_a_list_of_parts_each_has_its_own_fault() -> None:
    got = parts.run(fault, cases=[lambda: {"z": [1, 2]}, failing, lambda: {"z": []}], one=failing)
    trial = Trial(GIVEN, got)
    first = next(iter(parts.sections(trial)))
    assert first.got == {"z:count": 2, "z.0": 1, "z.1": 2}
    with pytest.raises(CheckFailed, match=r"x\.py, line 1: no"):
        list(parts.sections(trial))
    assert parts.section(trial, parts.item("cases", 2)).got == {"z:count": 0}
    with pytest.raises(CheckFailed, match=r"x\.py, line 1: no"):
        parts.section(trial, "one")


def specs(_given: Values) -> Any:
    return returns.parts(cases=3 * [{"z": returns.numbers(2, what="z")}], one={"deep": [{"y": returns.flag()}]})


REQUEST = Request("m:f", lambda _rng: {}, returns=specs)


def admitted(got: dict[str, Any]) -> Trial:
    seen = returns.admitted(REQUEST, GIVEN, Observation(got))
    assert seen.values is not None
    return Trial(GIVEN, seen.values)


def test_a_value_that_was_not_declared_is_the_fault_of_its_own_case() -> None:
    got = parts.pack(cases=[{"z": np.ones(2)}, {"z": np.ones(3)}, {"z": np.ones(2)}], one={"deep": [{"y": True}]})
    trial = admitted(got)
    with pytest.raises(CheckFailed, match=r"z: it has shape \[3\], but shape \[2\] was expected"):
        parts.section(trial, "cases.1")
    assert all("z" in parts.section(trial, part).got for part in ("cases.0", "cases.2"))
    assert parts.section(trial, "one").got["deep.0.y"] is True


def test_the_fault_of_a_value_deep_within_a_part_is_the_parts() -> None:
    trial = admitted(parts.pack(cases=3 * [{"z": np.ones(2)}], one={"deep": [{"y": 3}]}))
    with pytest.raises(CheckFailed, match="a int was returned"):
        parts.section(trial, "one")
    assert len(list(parts.sections(trial))) == 3


def test_what_is_more_than_was_declared_reaches_no_judge() -> None:
    trial = admitted(parts.pack(cases=5 * [{"z": np.ones(2), "more": 1}], one={"deep": [{"y": True}]}))
    assert "cases.3.z" not in trial.got and "cases.0.more" not in trial.got
    with pytest.raises(CheckFailed, match="wrong number of cases"):
        parts.each(trial)
