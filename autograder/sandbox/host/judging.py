"""Judges values in a process of its own, under limits of CPU time, memory and time that hold whatever a judge does.

Values that come back can make a judge compute for hours or allocate gigabytes, and no signal handler of Python's
interrupts C code. So the process that grades does not judge: it forks one that does, which stays for all requests,
keeps its caches warm and is ended where a judgement passes a limit. Values go there as frames of the wire, rulings
come back as JSON.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from autograder.core import Check, CheckFailed, Trial, Values, Verdict
from autograder.message import Call
from autograder.sandbox import confine, wire

LENGTH = struct.Struct("<Q")
HELD = 4
"""Trials that are kept on the other side: the checks of one request judge the same, and share a reading of it."""
MOST_SAID = 1 << 20
"""Bytes of a ruling."""


@dataclass(frozen=True)
class Ruling:
    """What came of one judgement: a verdict; or what broke it, in words for the staff; or no time was left for it."""

    verdict: Verdict | None = None
    broke: str = ""
    late: bool = False


@dataclass(frozen=True)
class JudgementLimits:
    """Of one judgement: CPU seconds, bytes beyond what the process had, and seconds in which it must be done.

    Chosen, not derived: the costliest judgement that `audit --part values` has met took 0.4 CPU seconds (a picture),
    and it fails from 1 CPU second or 200 MB on. The seconds allow for a machine that is busy with a dozen others.
    """

    cpu: int = 10
    memory: int = 512 * 1024**2
    seconds: float = 120.0


class Judging(Protocol):
    """Where judges run."""

    def judge(self, check: Check, trial: Trial, seconds: float) -> Ruling:
        """The check's word on the trial; `seconds` is the time left for it."""
        ...

    def describe(self, check: Check, failed: Trial, tiny: Trial, seconds: float) -> Ruling:
        """The sentence of the check's `counterexample`, as a verdict's message."""
        ...


class Inside:
    """Judges in this very process, without limits: for audits, whose values come from solutions of our own."""

    def judge(self, check: Check, trial: Trial, seconds: float) -> Ruling:
        return ruled(check, lambda: check.judge(trial))

    def describe(self, check: Check, failed: Trial, tiny: Trial, seconds: float) -> Ruling:
        return _searched(check, failed, tiny)


def ruled(check: Check, rule: Callable[[], Verdict]) -> Ruling:
    """The verdict of `rule`; a `CheckFailed` is one, too. What else it raises, or a score that is none, broke it."""
    try:
        verdict = rule()
        if not 0.0 <= verdict.score <= 1.0:
            return Ruling(broke=f"a score of {verdict.score} from the judge of {check.id}")
        return Ruling(verdict)
    except CheckFailed as fault:
        return Ruling(Verdict(0.0, str(fault), fault.diagnosis, calls=fault.calls))
    except Exception as error:
        return Ruling(broke=f"{type(error).__name__} in the judge of {check.id}, {deepest(error)}")


def _searched(check: Check, failed: Trial, tiny: Trial) -> Ruling:
    assert check.counterexample is not None
    try:
        return Ruling(Verdict(0.0, check.counterexample.describe(failed, tiny)))
    except CheckFailed:  # what came back cannot be read, which the verdict says already
        return Ruling(Verdict(0.0, ""))
    except Exception as error:
        return Ruling(broke=f"{type(error).__name__} in the counterexample of {check.id}")


def deepest(error: BaseException) -> str:
    """Where an exception of ours was raised, as file and line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name} line {trace.tb_lineno}" if trace else "nowhere"


# ---------------------------------------------------------------------------------- the side that grades


class Guarded:
    """Judges in a process forked from this one, which is started when it is needed and again where it was ended.

    It knows `checks` as they were when it was forked: others than these start it anew. One after the other alone.
    """

    def __init__(self, checks: Sequence[Check] = (), limits: JudgementLimits = JudgementLimits()) -> None:
        self.limits = limits
        self._known: dict[object, tuple[int, Check]] = {}
        self._end: Callable[[], object] | None = None
        self._channel: socket.socket | None = None
        self._pid = 0
        self._held: list[Trial] = []  # the trials that the process has already, the oldest first
        self._learn(checks)

    @property
    def pid(self) -> int:
        """The process that judges, for those who measure it; 0 where there is none."""
        return self._pid if self._channel is not None else 0

    def judge(self, check: Check, trial: Trial, seconds: float) -> Ruling:
        return self._asked("judge", check, [trial], seconds)

    def describe(self, check: Check, failed: Trial, tiny: Trial, seconds: float) -> Ruling:
        return self._asked("describe", check, [failed, tiny], seconds)

    def start(self) -> None:
        """Starts the process now: who has threads later should fork before."""
        self._started()

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._end is not None:
            self._end()
        self._end = self._channel = None
        self._held = []

    def _learn(self, checks: Sequence[Check]) -> None:
        new = [check for check in checks if _judge_of(check) not in self._known]
        if new:
            self.close()
            self._known |= {_judge_of(check): (len(self._known) + at, check) for at, check in enumerate(new)}

    def _asked(self, what: str, check: Check, trials: Sequence[Trial], seconds: float) -> Ruling:
        deadline = time.monotonic() + seconds
        until = min(deadline, time.monotonic() + self.limits.seconds)
        self._learn([check])
        try:
            channel = self._started()
            new = [trial for trial in trials if not any(trial is held for held in self._held)]
            self._held = [*self._held, *new][-HELD:]
            places = [next(at for at, held in enumerate(self._held) if held is trial) for trial in trials]
            request = {"do": what, "check": self._known[_judge_of(check)][0], "new": len(new), "trials": places}
            message = json.dumps(request).encode()
            _send(channel, LENGTH.pack(len(message)) + message + b"".join(map(_framed, new)), until)
            return _ruling(json.loads(_received(channel, until)))
        except TimeoutError:
            self.close()
            if time.monotonic() >= deadline:
                return Ruling(late=True)
            return Ruling(broke=f"more than {self.limits.seconds:g} seconds in the judge of {check.id}")
        except (OSError, EOFError):
            return Ruling(broke=f"{self._how_it_ended()} in the judge of {check.id}")

    def _started(self) -> socket.socket:
        if self._channel is None:
            ours, theirs = socket.socketpair()
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                try:
                    _serve(theirs, [check for _, check in self._known.values()], self.limits, parent)
                finally:
                    os._exit(70)
            theirs.close()
            ours.setblocking(False)
            self._pid, self._channel = pid, ours
            self._end = weakref.finalize(self, _ended, ours, pid, parent)
        return self._channel

    def _how_it_ended(self) -> str:
        """What ended the process that judged, in words for the staff; it is gone afterwards."""
        with contextlib.suppress(ChildProcessError):
            for _ in range(100):  # its end of the channel closes a moment before it can be waited for
                pid, status = os.waitpid(self._pid, os.WNOHANG)
                if pid:
                    self._pid = 0
                    self.close()
                    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
                    if number == signal.SIGXCPU:
                        return f"more than {self.limits.cpu} CPU seconds"
                    return f"signal {number}" if number else f"exit {os.WEXITSTATUS(status)}"
                time.sleep(0.01)
        self.close()
        return "an end"


def _judge_of(check: Check) -> object:
    """What tells two checks apart for one who judges: not how they are asked."""
    return check.id, id(check.judge), id(check.counterexample)


def _ended(channel: socket.socket, pid: int, parent: int) -> None:
    channel.close()
    if os.getpid() != parent:  # this is a copy in another process, which has no child to end
        return
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _framed(trial: Trial) -> bytes:
    """A trial as three frames and its two figures."""
    frames = [wire.encode(wire.Frame("", values=values)) for values in (trial.given, trial.got, trial.want)]
    return b"".join([*frames, struct.pack("<dd", trial.got_cpu, trial.want_cpu)])


def _ruling(said: Mapping[str, Any]) -> Ruling:
    if said["verdict"] is None:
        return Ruling(broke=said["broke"])
    found = said["verdict"]
    calls = tuple(Call(**one) for one in found["calls"])
    return Ruling(Verdict(**{**found, "notes": tuple(found["notes"]), "calls": calls}))


def _send(channel: socket.socket, message: bytes, until: float) -> None:
    view = memoryview(message)
    while view:
        _wait(channel, select.POLLOUT, until)
        with contextlib.suppress(BlockingIOError):
            view = view[channel.send(view) :]


def _received(channel: socket.socket, until: float) -> bytes:
    def exactly(count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            _wait(channel, select.POLLIN, until)
            with contextlib.suppress(BlockingIOError):
                chunk = channel.recv(count - len(data))
                if not chunk:
                    raise EOFError
                data += chunk
        return bytes(data)

    (length,) = LENGTH.unpack(exactly(LENGTH.size))
    return exactly(length)


def _wait(channel: socket.socket, event: int, until: float) -> None:
    poll = select.poll()
    poll.register(channel, event)
    if (left := until - time.monotonic()) <= 0 or not poll.poll(1000 * left):
        raise TimeoutError


# --------------------------------------------------------------------------------- the side that judges


def _serve(channel: socket.socket, known: Sequence[Check], limits: JudgementLimits, parent: int) -> NoReturn:
    """The life of the process that judges: a message, its rulings, the next message, until nobody is there."""
    gc.freeze()  # the collector's marks would copy every page that is shared
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.SIG_IGN)
    with contextlib.suppress(confine.Unavailable, OSError):
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we could ask to be told
        os._exit(0)
    own = channel.fileno()  # no other descriptor: a copy would keep others from seeing that its owner is gone
    os.closerange(3, own)
    os.closerange(own + 1, 4096)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    held: list[Trial] = []
    while True:
        try:
            (length,) = LENGTH.unpack(_exactly(channel, LENGTH.size))
            request = json.loads(_exactly(channel, length))
            held = [*held, *(_trial(channel) for _ in range(request["new"]))][-HELD:]
        except EOFError:
            os._exit(0)
        check, trials = known[request["check"]], [held[at] for at in request["trials"]]
        _limit(limits)
        if request["do"] == "describe":
            ruling = _searched(check, *trials)
        else:
            ruling = ruled(check, lambda: check.judge(trials[0]))  # noqa: B023 - called at once
        channel.sendall(_said(check, ruling))


def _said(check: Check, ruling: Ruling) -> bytes:
    try:
        found = ruling.verdict
        verdict = found and {**vars(found), "figures": dict(found.figures), "calls": [*map(vars, found.calls)]}
        said = json.dumps({"verdict": verdict, "broke": ruling.broke}, default=_number).encode()
        if len(said) > MOST_SAID:
            raise ValueError("too long")
    except (ValueError, TypeError) as error:
        broke = f"a verdict from the judge of {check.id} that cannot be told: {error}"
        said = json.dumps({"verdict": None, "broke": broke[:400]}).encode()
    return LENGTH.pack(len(said)) + said


def _number(value: Any) -> Any:
    """A number of numpy's, as Python's."""
    found = value.item()
    return found if isinstance(found, int | float) else math.nan


def _limit(limits: JudgementLimits) -> None:
    """The next judgement's CPU seconds and memory, on top of what this process has used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    wanted = {resource.RLIMIT_CPU: math.ceil(used.ru_utime + used.ru_stime) + limits.cpu}
    if sys.platform.startswith("linux"):
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        wanted[resource.RLIMIT_AS] = mapped + limits.memory
    for kind, most in wanted.items():
        hard = resource.getrlimit(kind)[1]  # what this machine allows at most
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _trial(channel: socket.socket) -> Trial:
    given, got, want = (_values(channel) for _ in range(3))
    return Trial(given, got, want, *struct.unpack("<dd", _exactly(channel, 16)))


def _values(channel: socket.socket) -> Values:
    return wire.read(lambda count: _exactly(channel, count)).values


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = channel.recv(min(count - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)
