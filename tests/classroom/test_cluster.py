"""A class on a Dask cluster of real worker processes: the same results, also when a worker dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from autograder import version
from autograder.classroom import cluster, roster
from autograder.classroom.jobs import Task
from autograder.core import CheckFailed
from autograder.sandbox import confine
from tests import small
from tests.classroom.test_class import RIGHT, THRICE, command, results, rows, run

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

COUNT = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("class")
    for number in range(COUNT):
        (place / f"student{number:02}").mkdir()
        (place / f"student{number:02}" / "answer.py").write_text(f"{THRICE if number % 3 else RIGHT}\nn = {number}\n")
    return place


def test_a_worker_that_dies_loses_and_doubles_nothing(folder: Path, tmp_path: Path) -> None:
    alone, out = tmp_path / "alone", tmp_path / "out"
    assert run(folder, alone).returncode == 0
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL") as cluster:
        process = subprocess.Popen(
            [*command("class", folder, "--out", out, "--homework", "tests.small"),
             "--scheduler", cluster.scheduler_address],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while len(list(out.glob("results/*.json"))) < COUNT // 4:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        with Client(cluster.scheduler_address) as client:
            victim = next(iter(client.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)
        printed, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors + printed
    assert f"{COUNT} of {COUNT} graded" in printed
    ready = [line for line in printed.splitlines() if line.startswith("worker tcp://") and line.endswith("): ready")]
    assert len(ready) == 2
    assert printed.count("  isolation: ") == 2
    assert printed.index(ready[-1]) < printed.index("Report:")
    assert results(out) == results(alone)
    assert rows(out, "SELECT graded, jobs LIKE 'on the cluster%' FROM runs") == [(COUNT, 1)]


def test_no_cluster_is_told_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    for address in ("127.0.0.1:1", "nonsense://"):
        done = run(folder, tmp_path / "out", "--scheduler", address)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert address in done.stderr


def test_what_a_worker_lacks_is_told_before_anything_is_sent(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "shield", lambda: None)  # it would hide this process from the tests of other files
    uploads = roster.read(folder)
    own = Task("tests.small", version.of(small.ASSIGNMENT))
    prints = [(uploads[0], uploads[0].fingerprint())]
    assert cluster.inspect(own, prints).lacks == ()
    away = replace(uploads[0], path=tmp_path / "away")
    for task, seen, said in (
        (replace(own, grader="0123456789ab"), prints, "another grader or homework"),
        (own, [(away, prints[0][1])], f"it has no {away.path}"),
        (own, [(uploads[1], prints[0][1])], "has other content there"),
    ):
        (lack,) = cluster.inspect(task, seen).lacks
        assert said in lack
        content = cluster.grade(task, seen[0][0], "print")
        if "content" not in said:
            assert content["extra_data"]["outcome"] == "grader error", "a worker that came late blames nobody"


def test_one_worker_that_cannot_grade_stops_the_run_before_it_begins(folder: Path) -> None:
    told: list[str] = []
    task = Task("tests.small", "0123456789ab")
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL") as workers,
        pytest.raises(CheckFailed, match="1 of 1 workers cannot grade, so nothing was sent"),
    ):
        cluster.check(workers.scheduler_address, task, roster.read(folder), told.append)
    assert len(told) == 2
    assert told[0].startswith("worker tcp://")
    assert "it has another grader or homework" in told[0]
    assert told[1].startswith("  isolation: ")
    with (
        LocalCluster(n_workers=0, dashboard_address=None, silence_logs="CRITICAL") as workers,
        pytest.raises(CheckFailed, match="has no worker"),
    ):
        cluster.check(workers.scheduler_address, task, roster.read(folder), told.append)
