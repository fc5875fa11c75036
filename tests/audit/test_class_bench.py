"""The command that measures what a class costs: what it refuses, and that nothing of it lives on when it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autograder import __main__ as command
from autograder.audit import bench, class_bench
from autograder.hw11 import ASSIGNMENT

pytestmark = pytest.mark.slow

SECONDS = 120.0


def test_the_class_is_a_sample_of_a_larger_one(tmp_path: Path) -> None:
    for number in (2, 4):
        class_bench._hand_in(ASSIGNMENT, number, tmp_path / str(number))
    small, large = (
        {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.relative_to(folder).parts[0] in ("0000", "0001")
        }
        for folder in (tmp_path / "2", tmp_path / "4")
    )
    assert small == large
    assert {name.split("/")[0] for name in small} == {"0000", "0001"}
    assert (tmp_path / "4" / "0000" / "summarization.ipynb").read_bytes() != (
        tmp_path / "4" / "0003" / "summarization.ipynb"
    ).read_bytes()


def test_what_it_cannot_do_it_says(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["bench", "--class", "0"]) == 2
    assert "no class" in capsys.readouterr().err
    assert command.main(["bench", "--class", "3", "--out", str(tmp_path)]) == 2
    assert "cannot be combined" in capsys.readouterr().err


def _until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + SECONDS
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.1)
    return held


def test_stopped_it_leaves_no_process_behind() -> None:
    program = [sys.executable, "-m", "autograder", "bench", "--class", "3", "--anyway"]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(program, cwd=bench.ROOT, stdout=nowhere, stderr=nowhere) as process:
        try:
            # itself, the class command, its job and that one's zygote
            assert _until(lambda: len(bench.tree(process.pid)) >= 4), "it never began"
            begun = bench.tree(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 128 + signal.SIGTERM
    assert _until(lambda: not any(_alive(pid) for pid in begun)), [pid for pid in begun if _alive(pid)]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
