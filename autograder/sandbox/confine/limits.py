"""The third layer: limits of memory, CPU time, files and processes (setrlimit)."""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass

from autograder.sandbox.confine.user import is_made_up

SCRATCH = 64 * 1024**2
"""Bytes that a notebook's kernel may write into one file of its folder."""


@dataclass(frozen=True)
class Limits:
    """What one worker may use. `memory` comes on top of what the zygote had mapped already."""

    seconds: float = 10.0
    memory: int = 512 * 1024**2
    processes: int = 64
    files: int = 64
    written: int = 0


def first_to_go() -> None:
    """In a container that runs out of memory the kernel is to end the worker, never the judge."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)  # a file of Python's costs 0.2 ms more
        try:
            os.write(descriptor, b"1000")
        finally:
            os.close(descriptor)


def mapped() -> int:
    """Bytes of address space in use: torch alone maps far more than it touches."""
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY)
        try:
            return int(os.read(descriptor, 100).split()[0]) * resource.getpagesize()
        finally:
            os.close(descriptor)
    except OSError:
        return 8 * 1024**3


def limit(limits: Limits, baseline: int) -> None:
    cpu = int(limits.seconds) + 1
    wanted = {
        "RLIMIT_AS": baseline + limits.memory,
        "RLIMIT_DATA": baseline + limits.memory,  # AS alone is not honoured everywhere
        "RLIMIT_CPU": cpu,
        "RLIMIT_FSIZE": limits.written,
        "RLIMIT_NOFILE": limits.files,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    if os.geteuid() != 0 and is_made_up(os.getuid()):
        wanted["RLIMIT_NPROC"] = limits.processes  # counts the whole user: only where it is ours alone
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))
