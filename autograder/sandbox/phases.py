"""Where a worker's CPU goes: seconds and page faults by phase, which `bench --profile` prints."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

MARK = b"\x1d"
"""What the line of a worker's log begins with that tells its phases."""
WORKER = ("fork", "confine", "furnish", "load", "probe", "answer")
"""From the fork on: giving up rights, putting students' machine in place, loading the submission, the probe, the reply.

`end` comes on top: what the kernel did to end the process, which only the one that waits for it sees."""


class Phases:
    """Adds up what this process spends, by the phase that it is in; a fork begins at nothing."""

    def __init__(self) -> None:
        self._spent: dict[str, tuple[float, int]] = {}
        self._now, self._last = WORKER[0], (0.0, 0)

    def begin(self, name: str) -> None:
        """Ends the phase that goes on, and begins another."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        now = usage.ru_utime + usage.ru_stime, usage.ru_minflt
        seconds, faults = self._spent.get(self._now, (0.0, 0))
        self._spent[self._now] = seconds + now[0] - self._last[0], faults + now[1] - self._last[1]
        self._now, self._last = name, now

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Inside of the block it is another phase."""
        before = self._now
        self.begin(name)
        try:
            yield
        finally:
            self.begin(before)

    def line(self) -> bytes:
        """All of it, as a line of the log."""
        self.begin(self._now)
        return MARK + json.dumps(self._spent).encode() + b"\n"


def from_log(log: bytes) -> Mapping[str, tuple[float, int]]:
    """Seconds and page faults by phase, from a worker's log; nothing where it does not tell any."""
    _, mark, rest = log.rpartition(MARK)
    if not mark:
        return {}
    return {name: (seconds, faults) for name, (seconds, faults) in json.loads(rest.partition(b"\n")[0]).items()}
