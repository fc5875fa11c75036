"""Settings for all tests: one thread for torch, hypothesis without luck, one pool a session, and what a test costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import settings

from autograder.hw11 import ASSIGNMENT
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from tests.cpu import Meter

FAST_SECONDS = 6.0
"""CPU seconds that a test of the fast slice may take, three times what the slowest of them takes on quiet cores."""
LEFT_OUT_OF_FAST = ("slow", "browser")
METER = pytest.StashKey[Meter]()
LEFT_OUT = pytest.StashKey[dict[str, int]]()

torch.set_num_threads(1)
settings.register_profile("steady", derandomize=True, database=None, deadline=None)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """The homework's sandbox, for tests that leave it as they found it."""
    with Sandbox(SandboxConfig(ASSIGNMENT.probes)) as started:
        yield started


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out what is marked as slow or needs a browser")
    parser.addoption("--durations-cpu", type=int, default=0, metavar="N", help="show the N tests that took most CPU")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[METER], config.stash[LEFT_OUT] = Meter(), dict.fromkeys(LEFT_OUT_OF_FAST, 0)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("fast"):
        return
    kept, left_out = [], []
    for item in items:
        mark = next((mark for mark in LEFT_OUT_OF_FAST if item.get_closest_marker(mark)), None)
        if mark is None:
            kept.append(item)
        else:
            left_out.append(item)
            config.stash[LEFT_OUT][mark] += 1
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


# ------------------------------------------------------------------------------------------ CPU seconds


def _measured(item: pytest.Item, phase: str) -> None:
    """Notes what this phase took; in the fast slice, a test that took too much fails."""
    spent = item.config.stash[METER].lap()
    item.user_properties.append((f"cpu {phase}", spent))
    if item.config.getoption("fast") and spent > FAST_SECONDS:
        pytest.fail(
            f"The {phase} of this test took {spent:.1f} CPU seconds; the fast slice allows {FAST_SECONDS:g}. "
            "Make it cheaper, or mark it with @pytest.mark.slow.",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.config.stash[METER].lap()
    yield
    _measured(item, "setup")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield
    _measured(item, "call")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    yield
    item.user_properties.append(("cpu teardown", item.config.stash[METER].lap()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist ends: all of them leave out the same tests."""
    node.config.stash[LEFT_OUT].update(getattr(node, "workeroutput", {}).get("left out", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = session.config.stash[LEFT_OUT]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    wanted: int = config.getoption("durations_cpu")
    spent: dict[str, float] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, seconds in getattr(report, "user_properties", ()):
                if name.startswith("cpu ") and report.when == "teardown":
                    spent[report.nodeid] = spent.get(report.nodeid, 0.0) + seconds
    if wanted:
        terminalreporter.section(f"CPU seconds, {sum(spent.values()):.0f} in all")
        for nodeid, seconds in sorted(spent.items(), key=lambda pair: -pair[1])[:wanted]:
            terminalreporter.write_line(f"{seconds:8.2f}  {nodeid}")
    if config.getoption("fast"):
        left_out = config.stash[LEFT_OUT]
        counts = " and ".join(f"{left_out[mark]} marked {mark}" for mark in LEFT_OUT_OF_FAST)
        terminalreporter.write_line(f"--fast left out {counts}. ./run_tests runs them all.")
