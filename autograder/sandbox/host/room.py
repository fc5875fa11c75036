"""Whether this machine has room for two workers at a time: a second core, and memory for a notebook beside the rest."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

CORES = 2.0
MEMORY = 3 * 512 * 1024**2
"""Bytes: a notebook's kernel and its client may have 512 MB each, and what runs beside them as much."""
GROUP = Path("/sys/fs/cgroup")


OWN = Path("/proc/self/cgroup")


def for_two(group: Path = GROUP, memory: Path = Path("/proc/meminfo"), own: Path = OWN) -> bool:
    """Whether two cores and `MEMORY` bytes may be used. False where that cannot be told."""
    return cores(group, own) >= CORES and available(group, memory, own) >= MEMORY


def cores(group: Path = GROUP, own: Path = OWN) -> float:
    """How many cores this process may use, by its affinity and by its control groups' quotas: Gradescope's is 0.5."""
    allowed = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    for folder in _folders(group, "", own):
        with contextlib.suppress(OSError, ValueError):  # version 2; "max" is no number
            quota, period = (folder / "cpu.max").read_text().split()
            allowed = min(allowed, int(quota) / int(period))
    for folder in _folders(group / "cpu", "cpu", own):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # version 1; -1 is no limit
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            allowed = min(allowed, int(quota) / int(period)) if int(quota) > 0 else allowed
    return allowed


def available(group: Path = GROUP, memory: Path = Path("/proc/meminfo"), own: Path = OWN) -> int:
    """Bytes that are free in this machine, in this process's control group and in those above it."""
    free = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = dict(line.split(":", 1) for line in memory.read_text().splitlines())
        free = int(lines.get("MemAvailable", "0").split()[0]) * 1024
    limits = [
        *((folder / "memory.max", folder / "memory.current") for folder in _folders(group, "", own)),
        *(
            (folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes")
            for folder in _folders(group / "memory", "memory", own)
        ),
    ]
    for most, used in limits:
        with contextlib.suppress(OSError, ValueError):
            free = min(free, int(most.read_text()) - int(used.read_text()))
    return free


def _folders(top: Path, controller: str, own: Path) -> list[Path]:
    """This process's control group below `top` and all above it; `controller` is "" for version 2.

    In a container `top` is its own group, and what `own` says need not be there: then `top` alone counts.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(",") and ".." not in Path(path).parts:
                inner = top / path.strip("/")
                return [inner, *(each for each in inner.parents if each == top or top in each.parents)]
    return [top]
