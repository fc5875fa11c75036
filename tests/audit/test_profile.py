"""`bench --profile`: every phase is there, the table adds up, and its columns stand below each other."""

from __future__ import annotations

import pytest

from autograder.audit import profile
from tests import small

pytestmark = pytest.mark.slow

WORKERS = {f"worker: {phase}" for phase in ("fork", "confine", "furnish", "load", "probe", "answer", "end")}


@pytest.fixture(scope="module")
def measured() -> profile.Profile:
    return profile.profile(small.ASSIGNMENT.reference, small.ASSIGNMENT, "tests.small", 2)


def test_every_phase_is_booked(measured: profile.Profile) -> None:
    assert set(measured.start) == {*profile.START, "the zygote, ready", "the canary"}
    for ledger in (measured.first, measured.then):
        assert {*WORKERS, "judging", "judge: wire", "judge: intake", "zygote: fork, reap, imports"} <= set(
            ledger.by_phase
        )
        assert all(spent.faults >= 0 for spent in ledger.by_phase.values())
    forks = measured.then.by_phase["worker: fork"].times
    assert forks == 2 * measured.first.by_phase["worker: fork"].times > 0


def test_what_requests_spent_is_a_part_of_all(measured: profile.Profile) -> None:
    by_ask = sum(profile.total(spent).seconds for spent in measured.then.by_ask.values())
    assert 0 < by_ask < measured.then.all().seconds
    for name in ("worker: probe", "judging"):
        asked = sum(spent[name].seconds for spent in measured.then.by_ask.values() if name in spent)
        assert asked == pytest.approx(measured.then.by_phase[name].seconds)


def test_columns_are_aligned(measured: profile.Profile) -> None:
    told = list(profile.lines(measured))
    assert any("probes:twice" in line for line in told)
    assert all((len(line) - profile.NAME) % profile.CELL == 0 for line in told), told
