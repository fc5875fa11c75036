"""What a worker gives up before it meets students' code: its user, files, network, processes, memory.

Each layer is one file and one function that either works or raises `Unavailable`; `confine` applies all that the
machine offers and returns the names of those that are in force. Which attacks are held in the end is
not read from that list but tried: see canary.py.
"""

from __future__ import annotations

import contextlib
import importlib
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path

from autograder.sandbox.confine import landlock, seccomp
from autograder.sandbox.confine.landlock import python_folders
from autograder.sandbox.confine.layer import Sockets, Unavailable
from autograder.sandbox.confine.limits import SCRATCH, Limits, first_to_go, limit, mapped
from autograder.sandbox.confine.process import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_PDEATHSIG,
    no_return,
    prctl,
    shield,
)
from autograder.sandbox.confine.user import NOBODY, become, is_made_up, worker_uid

__all__ = [
    "LAYERS",
    "NOBODY",
    "PR_SET_CHILD_SUBREAPER",
    "PR_SET_DUMPABLE",
    "PR_SET_PDEATHSIG",
    "SCRATCH",
    "Limits",
    "Sockets",
    "Unavailable",
    "confine",
    "is_made_up",
    "prctl",
    "preload",
    "python_folders",
    "shield",
    "worker_uid",
]
LAYERS = ("user", "prctl", "rlimits", "landlock", "seccomp")


def preload() -> None:
    """Does once what every worker would do for itself, before it is confined or, worse, after."""
    with contextlib.suppress(ImportError, OSError):
        importlib.import_module("landlockpy").supported()  # looks for the C library by another program
    with contextlib.suppress(Unavailable, OSError):
        seccomp.refusals("none")
    with contextlib.suppress(KeyError):
        pwd.getpwuid(NOBODY - 1)  # loads what looks users up
    python_folders()


def confine(
    *,
    uid: int | None,
    group: int | None = None,
    limits: Limits,
    readable: Sequence[Path],
    writable: Sequence[Path] = (),
    sockets: Sockets = "none",
    layers: Sequence[str] = LAYERS,
) -> list[str]:
    """Applies every layer of `layers` that this machine offers, in the order in which they must come.

    Whatever is not in `readable` and `writable` can be neither read nor written. A worker of the usual
    kind can write nowhere and has no `sockets`; a notebook's kernel and its client need a little of both.
    """
    baseline = mapped()
    first_to_go()  # while /proc/self is still ours to write
    steps: dict[str, Callable[[], None]] = {
        # The user first: changing it clears the death signal and needs what seccomp takes away.
        "user": lambda: become(uid, group),
        "prctl": no_return,
        "rlimits": lambda: limit(limits, baseline),
        "landlock": lambda: landlock.restrict(readable, writable, sockets),
        "seccomp": lambda: seccomp.restrict(sockets),
    }
    applied = []
    for name, step in steps.items():
        if name in layers:
            with contextlib.suppress(Unavailable):
                step()
                applied.append(name)
    return applied
