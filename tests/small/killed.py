"""Runs over a class that are killed: SIGKILL at random moments of what a run writes, each started again afterwards.

    python tests/small/killed.py FOLDER GRADED PLACE KILLS [--again]

Gradings are taken from GRADED, an undisturbed run over FOLDER, so that a run takes half a second and kills fall among
its writing: that is what they could damage. Every run is a fork of this process. Below PLACE the folders 0, 1, ... are
what became of each killed run after it was started again; a line of JSON for each says what the kill had left.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TRIES = 20
"""At one moment: a run that was over before its kill tells how long a run takes, and is made anew."""


class Here(Executor):
    """Grades in the process that asks: to start another one takes longer than a small class."""

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **named))
        return future


@contextmanager
def here(_options: object) -> Any:
    """In place of batch._executor."""
    yield Here


def main(folder: Path, graded: Path, place: Path, kills: int, *, again: bool) -> None:
    from autograder.classroom import batch, jobs
    from autograder.classroom.jobs import Task
    from autograder.classroom.roster import Upload

    def recorded(_task: Task, upload: Upload, _fingerprint: str) -> dict[str, Any]:
        time.sleep(0.01)
        content: dict[str, Any] = json.loads((graded / "results" / f"{upload.id}.json").read_bytes())
        return content

    def start(out: Path, scope: tuple[str, ...] | None) -> int:
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                for stream in (1, 2):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
                status = batch.run(batch.ClassOptions(folder, out, "tests.small", 1, again=scope), b"key")
            finally:
                os._exit(status)
        return pid

    def finish(out: Path, scope: tuple[str, ...] | None) -> float:
        started = time.monotonic()
        status = os.waitstatus_to_exitcode(os.waitpid(start(out, scope), 0)[1])
        assert status == 0, status
        return time.monotonic() - started

    def is_whole(path: Path) -> bool:
        content, wanted = (json.loads(each.read_bytes()) for each in (path, graded / "results" / path.name))
        content["extra_data"].pop("again", None)
        return bool(content == wanted)

    batch._executor = here  # type: ignore[assignment]
    jobs.grade = recorded  # type: ignore[assignment]
    scope = () if again else None
    finish(place / "before", None)
    shutil.copytree(place / "before", place / "timed") if again else None
    usual, chance = finish(place / "timed", scope), random.Random(1)
    for kill in range(kills):
        for _ in range(TRIES):
            out = place / str(kill)
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(place / "before", out) if again else None
            started = time.monotonic()
            pid = start(out, scope)
            time.sleep((kill + chance.random()) / kills * usual)
            os.kill(pid, signal.SIGKILL)
            if os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
                break
            usual = min(usual, 0.9 * (time.monotonic() - started))
        else:
            raise AssertionError("No kill came in time.")
        files = sorted((out / "results").glob("*.json"))
        left = {"files": len(files), "whole": all(map(is_whole, files))}
        finish(out, scope)
        print(json.dumps({**left, "marker": (out / batch.MARKER).exists()}), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(*map(Path, sys.argv[1:4]), int(sys.argv[4]), again="--again" in sys.argv)  # type: ignore[arg-type, misc]
