"""The canary's probe: a worker that tries each thing that a hostile submission would try (host/canary.py)."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autograder.core import Values
from autograder.sandbox.guest.contents import Contents


def attempt(given: Mapping[str, Any], _student: Contents) -> Values:
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


def ping(_given: Mapping[str, Any], _student: Contents) -> Values:
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
