"""The same requests without the sandbox, for audits that grade thousands of solutions of our own.

Never for students' code: it runs the probe, and what the probe calls, in this very process.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from autograder import homeworks
from autograder.core import Observation, Request, Submission, Values
from autograder.sandbox import wire
from autograder.sandbox.guest import optional, worker
from autograder.sandbox.guest.student import Student
from autograder.sandbox.host.discreet import observed


class InProcess:
    """Puts asks to a submission of ours in this process; values take the same way over the wire's bytes."""

    def __init__(self, probes: str) -> None:
        self.probes = probes

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        started, begun = time.perf_counter(), time.process_time()
        name, _, function = request.probe.partition(":")
        module = worker.load_probe(self.probes, name)
        frame = wire.Frame("audit", values={**given, "seed": seed})
        with _undisturbed(), _without_twin(self.probes):
            student = Student(submission.workspace, submission.absent, seconds=seconds, rung=request.rung)
            reply = worker.answer(frame, module, function, student, arrays=request.arrays)
        header, body = wire.lengths(reply[: wire.PREFIX.size])
        cut = wire.PREFIX.size + header
        frame = wire.decode(reply[wire.PREFIX.size : cut], reply[cut : cut + body])
        seen = Observation(frame.values)
        if frame.fault is not None:
            seen = observed(frame.fault, request, submission, self.probes)
        spent = time.process_time() - begun
        return replace(seen, seconds=time.perf_counter() - started, cpu=spent, further=frame.further)


@contextmanager
def _without_twin(probes: str) -> Iterator[None]:
    """Hides the homework's package where it was also imported by its folder's name alone, as pytest does.

    A student's file often has that name, and would not be imported beside it. In the sandbox it is not there.
    """
    own, folder = probes.partition(".")[0], homeworks.folder(probes)
    twins = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] != own and Path(getattr(module, "__file__", None) or "/").is_relative_to(folder)
    }
    for name in twins:
        del sys.modules[name]
    try:
        yield
    finally:
        sys.modules.update(twins)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Puts back what a submission's import changes in this process."""
    modules, finders, builtin_hook = set(sys.modules), list(sys.meta_path), sys.breakpointhook
    states = np.random.get_state(), random.getstate()
    torch = tensors.torch if (tensors := optional.tensors()) is not None else None
    if torch is not None:
        torchs, dtype = torch.get_rng_state(), torch.get_default_dtype()
    output, errors, path = sys.stdout, sys.stderr, list(sys.path)
    try:
        with Path("/dev/null").open("w") as nowhere:
            sys.stdout = sys.stderr = nowhere
            yield
    finally:
        sys.stdout, sys.stderr, sys.breakpointhook = output, errors, builtin_hook
        if torch is not None:
            torch.set_default_dtype(dtype)
            torch.set_rng_state(torchs)
        np.random.set_state(states[0])
        random.setstate(states[1])
        sys.meta_path[:], sys.path[:] = finders, path
        for name in set(sys.modules) - modules:
            origin = getattr(sys.modules[name], "__file__", None) or ""
            if "/box/" in origin or "site-packages" not in origin:
                del sys.modules[name]
