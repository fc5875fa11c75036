"""A worker that tries to escape, so that what is printed about the sandbox is what happened.

The probe in guest/canary.py tries each thing that a hostile submission would try and returns what it managed to do.
`inspect` plants what there is to steal, asks, and looks at the planted things itself: a worker's word counts
for nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.core import Request, Submission
from autograder.sandbox.host.sandbox import Sandbox

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


def inspect(sandbox: Sandbox, *, beside: Path, results: Path) -> Report:
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
            request = Request("canary:attempt", lambda _rng: {}, reads=True)
            seen = sandbox.ask(Submission(Path(empty), ""), request, given, seed=0, seconds=20)
        if seen.cause == "grader" or seen.values is None:
            raise RuntimeError(f"the canary could not run: {seen.error}")
        leaks = {aspect: str(seen.values.get(aspect, "no report")) for aspect in ASPECTS}
        if (results / "canary-was-here").exists():
            leaks["results"] = leaks["results"] or "wrote into the results folder"
        time.sleep(0)  # lets a pending signal arrive
        if signals:
            leaks["judge"] = leaks["judge"] or "sent a signal to the judge"
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
