"""What a worker is told, and the whole life of one that only reads: no code of the submission's, and no torch."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from autograder.sandbox import confine, wire
from autograder.sandbox.faults import Fault
from autograder.sandbox.guest import probe_modules
from autograder.sandbox.guest.contents import Contents, Missing
from autograder.sandbox.phases import Phases

Reading = Callable[[Mapping[str, Any], Contents], Mapping[str, Any]]
"""A probe that only reads."""


@dataclass(frozen=True)
class Job:
    """What the zygote is told about a worker: whose files, which probe, under which limits.

    With a `collector` (a class in the probe's module) a notebook's kernel runs beside it, in `scratch`. Where it is
    `profiled`, the worker's log tells its phases. What `reads` runs no code of the submission's.
    """

    workspace: str
    absent: tuple[str, ...]
    probe: str
    probes: str
    uid: int | None
    group: int | None
    seconds: float
    memory: int
    layers: tuple[str, ...]
    collector: str = ""
    scratch: str = ""
    rung: int = 0
    file: str = ""
    profiled: bool = False
    reads: bool = False
    arrays: str = "torch"
    seed: int = 0

    def confined(self, *, sockets: confine.Sockets = "none", writable: Sequence[Path] = ()) -> None:
        """Confines this process by what the job allows."""
        notebook = bool(self.scratch)
        confine.confine(
            uid=self.uid,
            group=self.group,
            limits=confine.Limits(
                seconds=self.seconds,
                memory=2 * self.memory if writable else self.memory,
                files=256 if notebook else confine.Limits.files,
                written=confine.SCRATCH if writable else 0,
            ),
            readable=[Path(self.workspace), *([Path(self.scratch)] if self.scratch else []), *confine.python_folders()],
            writable=writable,
            sockets=sockets,
            layers=self.layers,
        )


def live(job: Job, channel: int) -> NoReturn:
    """The whole life of a worker that only reads, in its own process; never returns."""
    phases = Phases()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        module = probe_modules.load(probe_modules.name_of(job.probes, job.probe))  # while our files can still be read
        probe: Reading = getattr(module, job.probe.partition(":")[2])
        os.chdir(job.workspace)
        phases.begin("confine")
        job.confined()
        phases.begin("probe")
        request = wire.read(lambda count: receive(channel, count))
        reply = answer(request, probe, Contents(Path(job.workspace), job.absent))
        end(job, channel, reply, phases)
    except BaseException:  # whatever it is, this process must not go on as a second zygote
        os._exit(70)
    os._exit(0)


def answer(request: wire.Frame, probe: Reading, contents: Contents) -> bytes:
    """The reply to one request, as bytes."""
    given = {name: value for name, value in request.values.items() if name != "seed"}
    try:
        return wire.encode(wire.Frame(request.id, values=probe(given, contents)))
    except BaseException as error:
        return wire.encode(wire.Frame(request.id, fault=_fault(error, contents)))


def _fault(error: BaseException, contents: Contents) -> Fault:
    """What is told about an exception of our own code, which met a file that it was not made for."""
    if isinstance(error, Missing):
        return Fault("missing", str(error)[:400])
    if isinstance(error, wire.Breach):
        return Fault("unusable", str(error)[:400])
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    kind = "memory" if isinstance(error, MemoryError) else "raised"
    return Fault(kind, text.replace(f"{contents.workspace}/", "").strip().splitlines()[0][:400])


def receive(channel: int, count: int) -> bytes:
    """The next `count` bytes. Raises EOFError where the judge is gone."""
    chunks, missing = [], count
    while missing:
        chunk = os.read(channel, min(missing, 1 << 20))
        if not chunk:
            raise EOFError("the judge went away")
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)


def end(job: Job, channel: int, reply: bytes, phases: Phases) -> None:
    """A worker's last words: what was printed, for the staff, where its time went, and the reply."""
    with contextlib.suppress(Exception):  # os._exit would drop what was printed
        sys.stdout.flush()
        if job.profiled:
            os.write(2, phases.line())
    view = memoryview(reply)
    while view:
        view = view[os.write(channel, view) :]
