"""CPU seconds of a test, its workers and its subprocesses: what it costs, however busy the machine is."""

from __future__ import annotations

import os
from pathlib import Path


class Meter:
    """The CPU seconds of this process, of all below it that live, and of all below it that were waited for.

    Linux alone counts those that still live, such as a pool's zygote; elsewhere they count when they end.
    """

    def __init__(self) -> None:
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._ours: dict[str, bool] = {str(os.getpid()): True}
        self._last = self._total()

    def lap(self) -> float:
        """The CPU seconds since the last call."""
        before, self._last = self._last, self._total()
        return max(0.0, self._last - before)  # what nobody waits for is gone from the sum

    def _total(self) -> float:
        own = os.times()
        total = own.user + own.system + own.children_user + own.children_system
        try:
            there = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
        except OSError:
            return total
        # Whether a process is below this one is read once: this is called three times a test.
        self._ours = {pid: self._ours[pid] for pid in there if pid in self._ours}
        for pid in there:
            if pid not in self._ours:
                self._ours[pid] = self._is_ours(pid)
        for pid, ours in self._ours.items():
            if ours and pid != str(os.getpid()):
                # Its own time, and that of its children that ended: nothing is lost or counted twice when one does.
                total += sum(int(ticks) for ticks in _fields(pid)[11:15]) / self._ticks
        return total

    def _is_ours(self, pid: str) -> bool:
        while pid not in ("0", "1"):
            if pid in self._ours:
                return self._ours[pid]
            pid = (_fields(pid)[1:2] or ["0"])[0]
        return False


def _fields(pid: str) -> list[str]:
    """The fields of /proc/PID/stat from the third on: state, parent, ...; none if it has ended."""
    try:
        line = Path("/proc", pid, "stat").read_text("ascii", "replace")
    except OSError:
        return []
    return line[line.rindex(")") + 2 :].split()  # a name may hold spaces and brackets
