"""Where a worker's CPU goes: phases add up, and the log carries them."""

from __future__ import annotations

import resource

from autograder.sandbox import phases
from autograder.sandbox.phases import Phases


def _busy(seconds: float) -> None:
    def now() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    end = now() + seconds
    while now() < end:
        pass


def test_a_phase_inside_of_another_is_not_counted_twice() -> None:
    one = Phases()
    one.begin("probe")
    _busy(0.02)
    with one.within("load"):
        _busy(0.04)
    _busy(0.02)
    one.begin("answer")
    told = phases.told(b"printed before\n" + one.line() + b"after")
    assert {"fork", "probe", "load", "answer"} == set(told)
    assert 0.04 <= told["load"][0] < 0.055 and 0.04 <= told["probe"][0] < 0.055


def test_the_phase_goes_on_where_the_block_raised() -> None:
    one = Phases()
    one.begin("probe")
    try:
        with one.within("load"):
            raise ValueError
    except ValueError:
        _busy(0.02)
    told = phases.told(one.line())
    assert told["probe"][0] >= 0.02 > told["load"][0]


def test_a_log_without_phases_tells_none() -> None:
    assert phases.told(b"Epoch 1: loss 0.3\n") == {}
