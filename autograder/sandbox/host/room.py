"""Whether this machine has room for two workers at a time: a second core, and memory for a notebook beside the rest."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

CORES = 2.0
MEMORY = 3 * 512 * 1024**2
"""Bytes: a notebook's kernel and its client may have 512 MB each, and what runs beside them as much."""
GROUP = Path("/sys/fs/cgroup")


def for_two(group: Path = GROUP, memory: Path = Path("/proc/meminfo")) -> bool:
    """Whether two cores and `MEMORY` bytes may be used. False where that cannot be told."""
    return cores(group) >= CORES and available(group, memory) >= MEMORY


def cores(group: Path = GROUP) -> float:
    """How many cores this process may use, by its affinity and by its control group's quota: Gradescope's is 0.5."""
    allowed = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):  # version 2; "max" is no number
        quota, period = (group / "cpu.max").read_text().split()
        return min(allowed, int(quota) / int(period))
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # version 1; -1 is no limit
        quota, period = ((group / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return min(allowed, int(quota) / int(period)) if int(quota) > 0 else allowed
    return allowed


def available(group: Path = GROUP, memory: Path = Path("/proc/meminfo")) -> int:
    """Bytes that are free in this machine and in this process's control group."""
    free = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = dict(line.split(":", 1) for line in memory.read_text().splitlines())
        free = int(lines.get("MemAvailable", "0").split()[0]) * 1024
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):
            free = min(free, int((group / most).read_text()) - int((group / used).read_text()))
    return free
