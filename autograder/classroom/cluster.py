"""Whether each worker of a cluster has what grading needs, found out before the first submission is sent."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from autograder import homeworks, version
from autograder.classroom import jobs
from autograder.classroom.jobs import Task
from autograder.classroom.roster import Upload
from autograder.core import CheckFailed
from autograder.intake.chosen import digest

PATIENCE = 300.0
"""Seconds for all workers together; each starts a zygote, which imports torch, and tries its sandbox."""
SAMPLE = 5
"""Uploads whose bytes each worker compares with ours."""


@dataclass(frozen=True)
class WorkerReport:
    """What a worker says of itself. `lacks` are the ends of sentences, none where it can grade."""

    machine: str
    lacks: tuple[str, ...]
    sandbox: str = ""


def inspect(task: Task, prints: Sequence[tuple[Upload, str]]) -> WorkerReport:
    """Runs on a worker: looks for the grader, the uploads and the sandbox there."""
    machine = f"{socket.gethostname()}, Python {platform.python_version()}, process {os.getpid()}"
    lacks, sandbox = [], ""
    own = _grader(task.homework, digest(task.settings, task.only))
    if own != task.grader:
        lacks.append(f"it has another grader or homework ({own}, but here it is {task.grader})")
    for upload, fingerprint in prints:
        if not upload.path.exists():
            lacks.append(f"it has no {upload.path}: the folder must exist under the same path")
            break
        if upload.fingerprint() != fingerprint:
            lacks.append(f"{upload.path} has other content there or cannot be read")
            break
    try:
        sandbox = jobs.sandbox(task.homework)
    except Exception as error:
        lacks.append(f"no sandbox could be started: {error}")
    return WorkerReport(machine, tuple(lacks), sandbox)


def grade(task: Task, upload: Upload, fingerprint: str) -> dict[str, Any]:
    """`jobs.grade` on a worker. One that came when all were inspected already blames no student for what it lacks."""
    own = _grader(task.homework, digest(task.settings, task.only))
    if own != task.grader or not (upload.reason or upload.path.exists()):
        return jobs.broken(task, fingerprint, f"a worker on {socket.gethostname()} has another grader or no uploads")
    return jobs.grade(task, upload, fingerprint)


@lru_cache(maxsize=4)
def _grader(homework: str, settings: str) -> str:
    return version.of(homeworks.load(homework), settings)


def check(address: str, task: Task, uploads: Sequence[Upload], tell: Callable[[str], None]) -> None:
    """Asks every worker, and tells a line for each. Raises `CheckFailed` where one cannot grade, or there is none."""
    from distributed import Client

    few = uploads[:: max(1, len(uploads) // SAMPLE)][:SAMPLE]
    prints = [(upload, upload.fingerprint()) for upload in few]
    with Client(address, timeout=10) as client:  # type: ignore[no-untyped-call]
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise CheckFailed(f"The Dask scheduler at {address} has no worker. Start some: dask worker {address}")
        asked = {
            worker: client.submit(
                *(inspect, task, prints), workers=[worker], allow_other_workers=False, pure=False, retries=0
            )
            for worker in workers
        }
        unfit = 0
        for worker, future in asked.items():
            try:
                found = future.result(timeout=PATIENCE)
            except Exception as error:  # its Python lacks the grader or what that needs, or it died
                found = WorkerReport("", (f"{type(error).__name__}: {error}".rstrip(": "),))
            unfit += bool(found.lacks)
            tell(f"worker {worker} ({found.machine or 'no answer'}): {'; '.join(found.lacks) or 'ready'}")
            if found.sandbox:
                tell(f"  {found.sandbox}")
        if unfit:
            raise CheckFailed(
                f"{unfit} of {len(workers)} workers cannot grade, so nothing was sent. Fix the problems in their "
                "lines or stop these workers, and give the same command again."
            )
