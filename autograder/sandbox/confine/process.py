"""The second layer: no new rights, no core to read, and an end with the zygote (prctl)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from functools import cache

from autograder.sandbox.confine.layer import Unavailable

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 4, 38, 36


def prctl(option: int, value: int) -> None:
    """prctl(2), on Linux. Raises Unavailable elsewhere, OSError where the kernel refuses."""
    if not sys.platform.startswith("linux"):
        raise Unavailable("prctl exists on Linux only")
    if _libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def shield() -> None:
    """Makes this process unreadable to others of the same user (/proc/PID/mem, environ, ptrace)."""
    with contextlib.suppress(Unavailable, OSError):
        prctl(PR_SET_DUMPABLE, 0)


def no_return() -> None:
    parent = os.getppid()
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or parent == 1:
        os._exit(1)  # the zygote died before it could be said that we die with it
