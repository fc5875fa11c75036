"""A worker's life: confine, read one request, run one probe beside the student's code, answer, end.

It is forked from the zygote and holds nothing worth stealing: no reference, no expected value, no
threshold, no seed of a later check. What it answers is values, and the judge treats them as such.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

from autograder.core import WHOLE, Array, Value, Values
from autograder.sandbox import wire
from autograder.sandbox.faults import Fault, traced
from autograder.sandbox.guest import files, frozen, kernel, machine, optional, probe_modules
from autograder.sandbox.guest.absent import Absent, require
from autograder.sandbox.guest.contents import Missing
from autograder.sandbox.guest.job import Job, end, receive
from autograder.sandbox.guest.noise import Noise
from autograder.sandbox.guest.student import Held, ImportFault, Student, calls_of, describe
from autograder.sandbox.phases import Phases

Probe = Callable[[Mapping[str, Any], Student], Mapping[str, Any]]


def live(job: Job, channel: int) -> NoReturn:
    """The whole life of a worker, in its own process; never returns."""
    phases = Phases()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        module = load_probe(job.probes, job.probe.partition(":")[0])  # while our files can still be read
        os.chdir(job.workspace)
        running = _start_kernel(job, module) if job.scratch else None
        phases.begin("confine")
        job.confined(sockets="connect" if running else "none")
        phases.begin("furnish")
        files.install(disk_first=False)
        machine.furnish()
        request = wire.read(lambda count: receive(channel, count))
        student = Student(Path(job.workspace), job.absent, kernel=running, seconds=job.seconds, rung=job.rung)
        student.phases = phases
        phases.begin("probe")
        if job.rung == WHOLE:
            reply = whole(request, job.file, student)
        else:
            reply = answer(request, module, job.probe.partition(":")[2], student, arrays=job.arrays)
        end(job, channel, reply, phases)
    except BaseException:  # whatever it is, this process must not go on as a second zygote
        os._exit(70)
    os._exit(0)


def _start_kernel(job: Job, module: ModuleType) -> kernel.Kernel:
    scratch = Path(job.scratch)

    def respond(data: bytes, space: dict[str, Any]) -> bytes:
        header, body = wire.lengths(data[: wire.PREFIX.size])
        cut = wire.PREFIX.size + header
        request = wire.decode(data[wire.PREFIX.size : cut], data[cut : cut + body])
        held = Held(Path(job.workspace), space, seconds=job.seconds)
        Absent.forgiving = False  # what is answered now is judged
        machine.settle()
        return answer(request, module, job.probe.partition(":")[2], held, arrays=job.arrays)

    def begun() -> None:
        job.confined(sockets="listen", writable=[scratch])
        Noise((job.seed + 1) % 2**63).renew()  # not the states that a probe has afterwards

    return kernel.start(
        scratch,
        getattr(module, job.collector)() if job.collector else kernel.Unwatched(),
        _plain,
        begun,
        respond if job.rung == WHOLE else None,
    )


UNFILLED = ("it only returns names that are not defined", "NotImplementedError was raised")


def load_probe(package: str, name: str) -> ModuleType:
    """The probes' module `name`, or one of the engine's own, with what it uses of other packages bound (frozen.py)."""
    module = probe_modules.load(probe_modules.name_of(package, name))
    optional.tensors()  # a module of this worker alone may have imported torch
    return frozen.freeze(module)


def answer(request: wire.Frame, module: ModuleType, function: str, student: Student, *, arrays: str = "torch") -> bytes:
    """The reply to one request, as bytes. `arrays` says what the probe gets (see core.Request)."""
    inputs = dict(request.values)
    seed = inputs.pop("seed")
    assert isinstance(seed, int)
    probe: Probe = getattr(module, function)
    try:
        values = run(probe, inputs, seed, student, arrays=arrays)
        student.phases.begin("answer")
        return wire.encode(wire.Frame(request.id, values=values, further=student.further))
    except BaseException as error:
        return wire.encode(wire.Frame(request.id, fault=fault(error, student), further=_further(student)))


def whole(request: wire.Frame, file: str, student: Student) -> bytes:
    """The reply to a request that is put to what the notebook's kernel holds after all its cells."""
    try:
        assert student.kernel is not None
        found = student.kernel.probed(student.cells(file), wire.encode(request), seconds=student.seconds - 5)
        return wire.encode(replace(found, id=request.id))
    except BaseException as error:
        return wire.encode(wire.Frame(request.id, fault=fault(error, student)))


def run(probe: Probe, inputs: Values, seed: int, student: Student, *, arrays: str = "torch") -> Values:
    """Runs a probe, with tensors in place of arrays unless `arrays` says otherwise.

    All generators are seeded now and after each load of the submission's code.
    """
    noise = Noise(seed, student.modules)
    student.loaded = noise.renew
    noise.renew()
    machine.calm()
    if (tensors := optional.tensors()) is not None:
        tensors.torch.set_num_threads(1)
    given = {name: _given(value, arrays) for name, value in inputs.items()}
    got = probe(given, student)
    return {name: _plain(value) for name, value in got.items()}


def _further(student: Student) -> int:
    try:
        return student.further
    except BaseException:  # whatever a notebook's statements are, its fault is to be told
        return 0


def fault(error: BaseException, student: Student) -> Fault:
    """What is told to the judge about an exception: its kind, its first line, where it came from.

    Where it only follows from a statement that failed while the file was loaded, that is told.
    """
    if isinstance(error, Missing):
        return Fault("missing", str(error)[:400])
    cause, kind = error, "raised"
    if isinstance(error, ImportFault):
        cause, kind = error.cause, "import"
    else:
        unfilled = student.placeholder(error)
        first = student.hidden_behind(error) if unfilled else student.first_cause(error)
        if first is not None and first is not error:
            cause, kind = first, "import"
        elif unfilled:
            kind = "unfilled"
    text, where = describe(cause, student.workspace)
    trace = "" if kind == "unfilled" else traced(calls_of(cause, student.workspace))
    if kind == "unfilled":
        text = UNFILLED[isinstance(cause, NotImplementedError)]
    elif isinstance(cause, MemoryError) or "can't allocate memory" in text or "DefaultCPUAllocator" in text:
        kind = "memory"
    elif isinstance(cause, wire.Breach):
        kind, text, where, trace = "unusable", str(cause)[:400], "", ""  # our own words, without the exception's name
    return Fault(kind, text, where, trace)


def _given(value: Value, arrays: str) -> Any:
    """What the probe gets for a value: a tensor for an array, or an array that may be written to, as a tensor may."""
    if not isinstance(value, np.ndarray):
        return value
    if arrays == "torch":
        from autograder.sandbox.guest import tensors  # where it was not imported before the fork, this fails

        return tensors.tensor(value)
    return np.array(value)


def _plain(value: Any) -> Value:
    tensors = optional.tensors()
    if tensors is not None:
        tensors.put_back()
        if isinstance(value, tensors.torch.Tensor):
            found: Array = tensors.array(value)
            return found
    if isinstance(value, np.ndarray):
        return value
    if type(value) in (bool, int, float, str):
        return value  # type: ignore[no-any-return]
    require(value)
    raise wire.Breach(f"a {type(value).__name__} cannot be passed to the grader")
