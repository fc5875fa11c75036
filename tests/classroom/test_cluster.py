"""A class on a Dask cluster of real worker processes: the same results, also when a worker dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from tests.classroom.test_class import RIGHT, THRICE, command, results, rows, run

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
    with LocalCluster(2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL") as cluster:
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
    assert results(out) == results(alone)
    assert rows(out, "SELECT graded, jobs LIKE 'on the cluster%' FROM runs") == [(COUNT, 1)]


def test_no_cluster_is_told_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    for address in ("127.0.0.1:1", "nonsense://"):
        done = run(folder, tmp_path / "out", "--scheduler", address)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert address in done.stderr
