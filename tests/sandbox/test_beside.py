"""Two workers at a time: the results are those of one after the other, and neither reaches the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from autograder.core import Observation, Request, Submission, Values
from autograder.grade import Grading
from autograder.sandbox.host import room
from autograder.sandbox.host.sandbox import PING, Sandbox, SandboxConfig
from tests import small
from tests.helpers import reachable_folder

pytestmark = pytest.mark.sandbox

RUN = replace(small.HELLO, collector="Watched")
HOMEWORK = replace(
    small.ASSIGNMENT,
    questions=tuple(
        replace(q, checks=tuple(replace(c, request=RUN) if c.request == small.HELLO else c for c in q.checks))
        for q in small.ASSIGNMENT.questions
    ),
)
"""The small homework, whose second question stands for a notebook's whole run."""


@dataclass
class Both:
    """An asker that notes what it is asked, and when the answer of what was begun is waited for."""

    begun: Observation | None
    said: list[str] = field(default_factory=list)

    def _answer(self, request: Request, given: Values) -> Observation:
        return Observation({"text": "hello"} if request.collector else {"value": 2 * float(given["x"])})

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        self.said.append(f"ask {request.probe} {seed}")
        return self._answer(request, given)

    def begin(
        self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float
    ) -> Callable[[], Observation | None]:
        self.said.append(f"begin {request.probe} {seed}")

        def end() -> Observation | None:
            self.said.append("wait")
            return self.begun

        return end


def _graded(asker: Both, *, beside: bool, absent: tuple[str, ...] = ()) -> list[tuple[str, float, str]]:
    received = Submission(Path("/nonexistent"), "digest", absent=absent)
    grading = Grading(asker, received, HOMEWORK, beside=asker if beside else None)
    return [(result.check.id, result.score, result.verdict.message) for result in grading.results()]


def test_the_run_begins_first_and_its_result_comes_in_its_place() -> None:
    one, two = Both(None), Both(Observation({"text": "hello"}))
    assert _graded(one, beside=False) == _graded(two, beside=True)
    verbs = [said.split()[0] for said in two.said]
    assert verbs == ["begin", *["ask"] * (len(verbs) - 2), "wait"]
    assert "wait" not in one.said and two.said[0].replace("begin", "ask") in one.said  # with the same seed


@pytest.mark.parametrize("begun", [None, Observation(error="The zygote died.", cause="grader")])
def test_what_does_not_come_back_is_asked_once_more(begun: Observation | None) -> None:
    one, two = Both(None), Both(begun)
    assert _graded(one, beside=False) == _graded(two, beside=True)
    assert two.said[-2:] == ["wait", one.said[-1]]


def test_nothing_is_begun_for_a_notebook_that_is_not_there() -> None:
    asker = Both(None)
    needy = replace(RUN, needs=("answer.py",))
    assert Grading(asker, Submission(Path("/"), "d", absent=("answer.py",)), HOMEWORK)._lacking(needy) is not None
    questions = tuple(
        replace(q, checks=tuple(replace(c, request=replace(c.request, needs=("answer.py",))) for c in q.checks))
        for q in HOMEWORK.questions
    )
    received = Submission(Path("/"), "d", absent=("answer.py",))
    results = list(Grading(asker, received, replace(HOMEWORK, questions=questions), beside=asker).results())
    assert asker.said == [] and all(result.score == 0 for result in results)


WHO = """
import os, time
def twice(x):
    return 2 * x
def hello():
    time.sleep(SECONDS)
    return f"{os.getuid()} {os.getgid()} {open('answer.py').read()[:8].strip()} {len(os.listdir('.'))}"
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig("tests.small")) as sandbox:
        yield sandbox


def _submission(folder: Path, name: str, seconds: float, group: int | None) -> Submission:
    workspace = folder / name
    workspace.mkdir()
    (workspace / "answer.py").write_text(WHO.replace("SECONDS", str(seconds)))
    for path in (workspace, workspace / "answer.py"):
        if group is not None:
            os.chown(path, 0, group)
            path.chmod(0o750)
    return Submission(workspace, "digest")


@pytest.mark.slow
def test_a_worker_beside_another_has_a_user_of_its_own_and_reads_the_same_files(sandbox: Sandbox) -> None:
    with reachable_folder() as folder:
        slow, fast = (_submission(folder, f"box{at}", at, sandbox.uid) for at in (2, 0))
        wait = sandbox.begin(slow, small.HELLO, {}, seed=0, seconds=60)
        first = sandbox.ask(fast, small.HELLO, {}, seed=0, seconds=60)
        second = wait()
    assert second is not None and first.values is not None and second.values is not None, (first, second)
    (uid, *rest), (other, *same) = (str(seen["text"]).split() for seen in (first.values, second.values))
    assert rest == same
    assert sandbox.may_run_two
    if sandbox.uid is not None:
        assert uid != other and rest[0] == str(sandbox.uid)


@pytest.mark.slow
def test_a_zygote_that_was_started_anew_is_told_nothing_of_workers_before_it(sandbox: Sandbox) -> None:
    with reachable_folder() as folder:
        slow = _submission(folder, "workspace", 30, sandbox.uid)
        wait = sandbox.begin(slow, small.HELLO, {}, seed=0, seconds=60)
        assert sandbox.ask(slow, PING, {}, seed=0, seconds=60).values == {"pong": True}
        before = sandbox.zygote_pid
        sandbox.close()  # as a fault of ours would
        sandbox.start()
        assert wait() is None
        assert sandbox.zygote_pid != before
        assert sandbox.ask(slow, PING, {}, seed=0, seconds=60).values == {"pong": True}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "50000 100000"}, 0.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_cores_are_those_that_may_be_used(files: dict[str, str], cores: float | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    every = float(len(os.sched_getaffinity(0)))
    assert room.cores(tmp_path) == (every if cores is None else min(every, cores))


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 4 * 1024**3),
        ({"memory.max": "max", "memory.current": "1"}, 4 * 1024**3),
        ({"memory.max": str(1024**3), "memory.current": str(256 * 1024**2)}, 768 * 1024**2),
        ({"memory/memory.limit_in_bytes": str(2**30), "memory/memory.usage_in_bytes": "0"}, 2**30),
    ],
)
def test_memory_is_what_is_free_here_and_in_the_group(files: dict[str, str], free: int, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:  4194304 kB\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert room.available(tmp_path, tmp_path / "meminfo") == free


def test_what_cannot_be_told_is_no_room(tmp_path: Path) -> None:
    assert not room.for_two(tmp_path, tmp_path / "nothing")


@pytest.mark.parametrize(
    ("own", "inner"),
    [("0::/a/b", "a/b"), ("0::/a/b/c", "a/b"), ("4:cpu:/x\n5:memory:/a/b", "memory/a/b"), ("0::/../../z", ".")],
)
def test_the_groups_that_a_process_is_in_limit_it(own: str, inner: str, tmp_path: Path) -> None:
    """Those above its own too; a path that leads out of a container means the container's own group."""
    (tmp_path / "meminfo").write_text("MemAvailable: 8000000 kB\n")
    (tmp_path / "own").write_text(own + "\n")
    folder = tmp_path / inner
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if "memory:" in own else ("memory.max", "memory.current")
    for name, value in zip(names, ("600000000", "100000000"), strict=True):
        (folder / name).write_text(value)
    assert room.available(tmp_path, tmp_path / "meminfo", tmp_path / "own") == 500_000_000
    assert not room.for_two(tmp_path, tmp_path / "meminfo", tmp_path / "own")


def test_a_quota_above_counts(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "cpu.max").write_text("50000 100000")
    (tmp_path / "own").write_text("0::/a/b\n")
    assert room.cores(tmp_path, tmp_path / "own") == 0.5
