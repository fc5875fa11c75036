"""A grader's folders go with it, and what one that was killed left goes when the next one starts."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder.sandbox.host import scratch
from autograder.sandbox.host.scratch import HELD, PREFIX, held, sweep
from tests.helpers import ROOT

HOLDS = """
import sys, time
from pathlib import Path
from autograder.sandbox.host.scratch import held
with held(Path(sys.argv[1])) as folder:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(600)
"""


def holder(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds a folder in `parent`."""
    command = [sys.executable, "-c", HOLDS, str(parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_there_and_then_gone(tmp_path: Path) -> None:
    with held(tmp_path) as folder:
        assert folder.name.startswith(PREFIX)
        assert folder.name.endswith(HELD)
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("x")
        with held(tmp_path) as other:  # who starts meanwhile leaves it alone
            assert other != folder
            assert (folder / "file").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_what_a_killed_grader_left_goes_at_once(tmp_path: Path, number: int) -> None:
    process, folder = holder(tmp_path)
    sweep(tmp_path)
    assert (folder / "a" / "file").exists()  # it is alive
    process.send_signal(number)
    process.communicate()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_many_at_a_time_take_nothing_from_each_other(tmp_path: Path) -> None:
    processes = [holder(tmp_path) for _ in range(4)]
    try:
        assert all((folder / "a" / "file").exists() for _, folder in processes)
    finally:
        for process, _ in processes:
            process.kill()
            process.communicate()


def test_folders_of_a_worker_are_removed_however_deep(tmp_path: Path) -> None:
    folder = tmp_path / f"{PREFIX}abcdefgh{HELD}"
    folder.mkdir()
    here = Path.cwd()
    try:
        os.chdir(folder)
        for _ in range(3000):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(here)
    if os.geteuid() == 0:
        os.chown(folder, scratch.FIRST_UID + 7, scratch.FIRST_UID + 7)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_others_folders_and_links_are_left_alone(tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (tmp_path / f"{PREFIX}abcdefgh{HELD}").symlink_to(away)
    (tmp_path / f"{PREFIX}mine").mkdir()
    (tmp_path / f"{PREFIX}12345678").mkdir()  # of a grader without locks: it may be at work
    if os.geteuid() == 0:
        (tmp_path / f"{PREFIX}someones{HELD}").mkdir()
        os.chown(tmp_path / f"{PREFIX}someones{HELD}", 1234, 1234)
    before = sorted(tmp_path.iterdir())
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == before
    long_ago = time.time() - 2 * scratch.DAY
    os.utime(tmp_path / f"{PREFIX}12345678", (long_ago, long_ago))
    sweep(tmp_path)
    assert not (tmp_path / f"{PREFIX}12345678").exists()


def test_a_lock_is_what_tells(tmp_path: Path) -> None:
    folder = tmp_path / f"{PREFIX}abcdefgh{HELD}"
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    sweep(tmp_path)
    assert folder.exists()
    os.close(descriptor)
    sweep(tmp_path)
    assert not folder.exists()
