"""A worker that tries to escape, so that what is printed about the wall is what happened.

`attempt` runs inside, as a probe: it tries each thing that a hostile submission would try and returns
what it managed to do. `inspect` runs in the judge: it plants what there is to steal, asks, and looks
at the planted things itself, since a worker's word counts for nothing.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.core import Ask, Submission, Values

if TYPE_CHECKING:
    from autograder.isolation.student import Student
    from autograder.isolation.wall import Pool

ASPECTS = ("files", "results", "network", "processes", "judge", "memory")
CANARY = ".canary-"
MEANING = {
    "files": "read a file beside the reference solution",
    "results": "write into the results folder or the temporary folders",
    "network": "open a socket (TCP, UDP, UNIX or netlink)",
    "processes": "start another process",
    "judge": "signal the judge or read its memory and environment",
    "memory": "take 4 GB of memory",
}
ADVICE = {
    "files": "run as root in a container, or on Linux 5.13 or later with landlockpy installed",
    "results": "run as root in a container, or on Linux 5.13 or later with landlockpy installed",
    "network": "install libseccomp (Debian and Ubuntu: libseccomp2)",
    "processes": "install libseccomp (Debian and Ubuntu: libseccomp2)",
    "judge": "run on Linux, as root in a container or with libseccomp installed",
    "memory": "run on Linux, where address space can be limited",
}


@dataclass(frozen=True)
class Report:
    """For each aspect, what the canary managed to do ("" where everything was refused)."""

    leaks: Mapping[str, str]

    @property
    def strong(self) -> bool:
        return not any(self.leaks.values())

    @property
    def trustworthy(self) -> bool:
        """Whether scores can be believed: no reading beside the reference, no writing, no judge touched."""
        return not any(self.leaks[aspect] for aspect in ("files", "results", "judge"))

    def line(self) -> str:
        words = [f"{aspect} {'OPEN' if self.leaks[aspect] else 'BLOCKED'}" for aspect in ASPECTS]
        return f"isolation: {' · '.join(words)} -> {'STRONG' if self.strong else 'WEAK'}"


# -------------------------------------------------------------------------------------- inside the wall


def attempt(given: Mapping[str, Any], _student: Student) -> Values:
    """Tries everything; returns {aspect: what worked, as words}."""
    trials: dict[str, list[tuple[str, Callable[[], object]]]] = {
        "files": [
            ("read the canary beside the reference", lambda: _read(given["secret_file"])),
            ("read the key of the seeds", lambda: _read(given["key"])),
        ],
        "results": [
            ("wrote into the results folder", lambda: _write(Path(given["results"]) / "canary-was-here")),
            *(
                (f"wrote into {folder}", lambda folder=folder: _write_and_remove(Path(folder)))
                for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")
            ),
        ],
        "network": [
            ("connected by TCP", lambda: _connect(given["port"])),
            ("sent a UDP packet", lambda: _open(socket.AF_INET, socket.SOCK_DGRAM)),
            ("opened a UNIX socket", lambda: _open(socket.AF_UNIX, socket.SOCK_STREAM)),
            ("opened a netlink socket", lambda: _open(getattr(socket, "AF_NETLINK", -1), socket.SOCK_RAW)),
        ],
        "processes": [("forked", _fork)],
        "judge": [
            ("signalled the judge", lambda: os.kill(given["judge"], 0)),
            ("sent the judge a signal that it counts", lambda: os.kill(given["judge"], signal.SIGURG)),
            ("read the judge's memory", lambda: _read(f"/proc/{given['judge']}/mem", need_content=False)),
            ("read the judge's environment", lambda: _read(f"/proc/{given['judge']}/environ")),
        ],
        "memory": [("mapped 4 GB", lambda: mmap.mmap(-1, 4 * 1024**3))],
    }
    return {aspect: "; ".join(_worked(tries)) for aspect, tries in trials.items()}


def ping(_given: Mapping[str, Any], _student: Student) -> Values:
    """Nothing but an answer."""
    return {"pong": True}


def _worked(tries: list[tuple[str, Callable[[], object]]]) -> list[str]:
    done = []
    for words, action in tries:
        with contextlib.suppress(Exception):
            action()
            done.append(words)
    return done


def _read(path: str, *, need_content: bool = True) -> None:
    with Path(path).open("rb") as file:
        if need_content and not file.read(1):
            raise OSError("empty")


def _write(path: Path) -> None:
    path.write_bytes(b"x")


def _write_and_remove(folder: Path) -> None:
    path = folder / f"canary-{os.getpid()}"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.close(descriptor)
    path.unlink()


def _connect(port: int) -> None:
    with socket.socket() as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", port))


def _open(family: int, kind: int) -> None:
    socket.socket(family, kind).close()


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


# ------------------------------------------------------------------------------------- outside, trusted


def inspect(pool: Pool, *, beside: Path, results: Path) -> Report:
    """Plants a secret file in `beside`, listens on a port, asks the canary, and looks for itself.

    The folder `beside` is the one that holds the reference; where it is read-only the secret is planted
    in a fresh folder with the same rights.
    """
    secret = _plant(beside)
    signals: list[int] = []
    # A thread of a cluster's worker cannot listen for signals; the canary's own word must do there.
    listens = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGURG, lambda number, _frame: signals.append(number)) if listens else None
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        with tempfile.TemporaryDirectory() as empty:
            Path(empty).chmod(0o755)
            given: dict[str, Any] = {
                "secret_file": str(secret),
                "key": str(Path(sys.prefix) / "secret"),
                "results": str(results.resolve()),
                "port": listener.getsockname()[1],
                "judge": os.getpid(),
            }
            ask = Ask("canary:attempt", lambda _rng: {})
            seen = pool.ask(Submission(Path(empty), ""), ask, given, seed=0, seconds=20)
        if seen.cause == "grader" or seen.values is None:
            raise RuntimeError(f"the canary could not run: {seen.error}")
        leaks = {aspect: str(seen.values.get(aspect, "no report")) for aspect in ASPECTS}
        if (results / "canary-was-here").exists():
            leaks["results"] = leaks["results"] or "wrote into the results folder"
        time.sleep(0)  # lets a pending signal arrive
        if signals:
            leaks["judge"] = leaks["judge"] or "signalled the judge"
        return Report(leaks)
    finally:
        listener.close()
        if listens:
            signal.signal(signal.SIGURG, before)
        secret.unlink(missing_ok=True)
        (results / "canary-was-here").unlink(missing_ok=True)


def _plant(beside: Path) -> Path:
    for old in beside.glob(f"{CANARY}*"):  # of a judge that was killed before it could clear up
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > 600:
                old.unlink()
    for folder in (beside, None):
        try:
            descriptor, name = tempfile.mkstemp(prefix=CANARY, dir=folder)
        except OSError:
            continue
        os.write(descriptor, b"the answer")
        os.fchmod(descriptor, 0o644)  # as readable as the reference itself
        os.close(descriptor)
        return Path(name)
    raise RuntimeError("nowhere to plant a canary")
