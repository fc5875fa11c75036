"""The judge's side of the sandbox: puts one request to a submission and says what came back.

The judge never imports, runs or unpickles anything of a student's. It starts one zygote, has it fork a
worker per ask, sends one frame, reads one frame before a deadline, and has the worker killed. All that
it believes of the worker is values; how it ended and what it used comes from the kernel.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from autograder import homeworks
from autograder.core import WHOLE, Observation, Request, Submission, Values
from autograder.sandbox import confine, phases, wire
from autograder.sandbox.host.discreet import observed
from autograder.sandbox.host.notebook_cache import READING, keep
from autograder.sandbox.host.scratch import FIRST_UID, SECOND_UID, held
from autograder.sandbox.protocol import ENVIRONMENT, MAX_MESSAGE
from autograder.sandbox.returns import largest
from autograder.text import clean

LOG_KEPT = 16 * 1024
LOG_ALLOWED = 256 * 1024**2
"""Past this a worker is stopped. print() never gets there: see zygote.Brief."""
START_SECONDS = 120.0


PROGRESS = b"\x1e"
"""What a line of a worker's log begins with that is meant for whoever waits at the terminal."""
PING = Request("canary:ping", lambda _rng: {}, reads=True)
"""The request that touches nothing of the submission: whether the sandbox works at all."""


GLANCE = 0.25
"""Seconds between two looks at the folder that a notebook's kernel may write to."""
SCRATCH_BYTES, SCRATCH_FILES = 128 * 1024**2, 1000


class SandboxError(Exception):
    """The sandbox itself failed: our fault, never the student's."""


@dataclass(frozen=True)
class SandboxConfig:
    """Whose `probes` are put, and how workers are confined: `layers` of confine.LAYERS, `memory` beyond the zygote's.

    `probes` is a homework as homeworks.canonical names it, or the package of its probes.
    """

    probes: str
    layers: tuple[str, ...] = confine.LAYERS
    memory: int = confine.Limits.memory


class Sandbox:
    """A zygote, and the workers forked from it one after the other. A context manager.

    Where nothing is known that `runs`, torch is imported when the first worker needs it, and never if none does.
    `tell`, if set, is called with a short line for whoever waits while a notebook runs; `profile` with a request, its
    worker's CPU seconds and page faults, and how they fall on its phases.
    """

    def __init__(self, config: SandboxConfig, *, runs: bool = True) -> None:
        self.config, self.runs = config, runs
        self._probes, self._above = homeworks.place(config.probes)
        self.uid, self._second = (
            confine.worker_uid(first + os.getpid()) if "user" in config.layers else None
            for first in (FIRST_UID, SECOND_UID)
        )
        self.memory = 0  # the largest peak of a worker, in bytes
        self.cpu = 0.0  # seconds of all workers
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False
        self._turn = threading.Lock()  # for the zygote, which answers one message before it reads the next
        self.tell: Callable[[str], None] | None = None
        self.profile: Callable[[Request, float, int, Mapping[str, tuple[float, int]]], None] | None = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def zygote_pid(self) -> int:
        """The zygote's process id, for those who measure it."""
        return self._zygote.pid if self._zygote is not None else 0

    def start(self) -> None:
        """Starts the zygote without waiting for it: importing torch goes on beside the judge's own start."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            program = Path(__file__).parents[1] / "guest" / "zygote.py"
            self._zygote = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    str(program),
                    str(theirs.fileno()),
                    self._probes,
                    "runs" if self.runs else "reads",
                    self._above,
                ],
                pass_fds=[theirs.fileno()],
                env=ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
            )
        self._control, self._ready = ours, False
        ours.settimeout(START_SECONDS)

    def close(self) -> None:
        """Ends the zygote and all workers."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._zygote is not None:
            if not self._ready:  # still importing: it has no workers yet that it would have to end
                self._zygote.kill()
            try:
                self._zygote.wait(10)
            except subprocess.TimeoutExpired:
                self._zygote.kill()
                self._zygote.wait()
            self._zygote = None

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        """Puts `ask` with the drawn inputs `given` to the submission, in a worker of its own.

        Never raises for anything that the student's code does. A fault of ours comes back as an
        observation whose cause is "grader", after the zygote was started anew.
        """
        seen = self._try(submission, request, given, seed, seconds)
        if seen.cause == "grader":
            seen = self._try(submission, request, given, seed, seconds)
        if seen.cause == "grader" and self._try(submission, PING, {}, 0, START_SECONDS).cause == "student":
            # The sandbox stands for everything but this code: where the sandbox is weak, code can end the
            # process that forked it. Were that the grader's error it would be worth full points.
            seen = Observation(error="The code stopped the process that runs it twice.", diagnosis="crashed")
        return seen

    @property
    def may_run_two(self) -> bool:
        """Whether a worker beside another one would have a user of its own; without users there is none to tell."""
        return self.uid is None or self.uid != self._second

    def begin(
        self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float
    ) -> Callable[[], Observation | None]:
        """Puts `ask` beside those that are put meanwhile; what is returned waits for the answer, None where none came.

        One at a time. Its worker has a user of its own, so that it can no more reach the others than a judge.
        """
        self._wait_until_ready()
        found: list[Observation] = []

        def converse() -> None:
            with contextlib.suppress(Exception):  # whoever waits for it asks once more
                found.append(self._converse(submission, request, given, seed, seconds, self._second))

        thread = threading.Thread(target=converse, daemon=True)
        thread.start()

        def end() -> Observation | None:
            thread.join()
            return found[0] if found else None

        return end

    def read(self, submission: Submission, *, compared: Sequence[str] = ()) -> Values:
        """Has one worker read the submission's notebooks for those that are asked later; costs nothing if it fails.

        Returns the fingerprints of the files `compared`, as reading.of_files names them.
        """
        if not compared and not any(submission.workspace.glob("*.ipynb")):
            return {}
        seen = self._try(submission, READING, {"compared": "\n".join(compared)}, 0, READING.seconds)
        values = seen.values or {}
        with contextlib.suppress(OSError):  # a full disk
            keep(values, submission.workspace, self.uid)
        return values

    def _try(self, submission: Submission, request: Request, given: Values, seed: int, seconds: float) -> Observation:
        try:
            return self._converse(submission, request, given, seed, seconds, self.uid)
        except (OSError, SandboxError, json.JSONDecodeError) as error:
            self.close()
            with contextlib.suppress(OSError):
                self.start()
            return Observation(error=f"The grader's own worker failed: {error}", cause="grader")

    # --------------------------------------------------------------------------------------------------

    def _converse(
        self, submission: Submission, request: Request, given: Values, seed: int, seconds: float, uid: int | None
    ) -> Observation:
        with _scratch(submission, request, uid) as scratch:
            return self._converse_in(scratch, submission, request, given, seed, seconds, uid)

    def _converse_in(
        self,
        scratch: Path | None,
        submission: Submission,
        request: Request,
        given: Values,
        seed: int,
        seconds: float,
        uid: int | None,
    ) -> Observation:
        identity = secrets.token_hex(16)
        sent = wire.encode(wire.Frame(identity, values={**given, "seed": seed}))
        self._wait_until_ready()
        ours, theirs = socket.socketpair()
        log_out, log_in = os.pipe()
        with ours, theirs:
            try:
                job = {
                    "workspace": str(submission.workspace),
                    "absent": list(submission.absent),
                    "probe": request.probe,
                    "probes": self._probes,
                    "uid": None if submission.ours else uid,
                    "group": None if submission.ours else self.uid,
                    "seconds": seconds,
                    "memory": self.config.memory,
                    "layers": list(self.config.layers),
                    "collector": request.collector,
                    "rung": request.rung,
                    "file": request.file,
                    "seed": seed,
                    "scratch": str(scratch or ""),
                    "profiled": self.profile is not None,
                    "reads": request.reads,
                    "arrays": request.arrays if any(isinstance(one, np.ndarray) for one in given.values()) else "numpy",
                }
                zygote = self._zygote
                pid = self._command({"spawn": job}, [theirs.fileno(), log_in], zygote)["pid"]
                theirs.close()
                os.close(log_in)
                log_in = -1
                most = largest(request, given)
                deadline = time.monotonic() + seconds
                conversation = _Conversation(ours, log_out, sent, deadline, scratch, self.tell, most=most)
                try:
                    ended = conversation.run()
                    took = seconds - (deadline - time.monotonic())
                finally:
                    usage = self._command({"reap": pid}, [], zygote)
                    conversation.drain()
            finally:
                os.close(log_out)
                if log_in >= 0:
                    os.close(log_in)
        self.memory = max(self.memory, usage["memory"])
        self.cpu += usage["cpu"]
        if self.profile is not None:
            self.profile(request, usage["cpu"], usage["faults"], phases.from_log(bytes(conversation.log)))
        frame = conversation.frame
        if ended == "answered" and frame is not None and frame.id == identity and frame.fault is not None:
            seen = replace(observed(frame.fault, request, submission, self._probes), further=frame.further)
        else:
            seen = _judge_end(ended, conversation, identity, usage, seconds)
        log = "\n".join(filter(None, (seen.log, conversation.log.decode("utf-8", "replace"))))
        return replace(seen, log=clean(log), seconds=took, cpu=usage["cpu"])

    def _wait_until_ready(self) -> None:
        with self._turn:
            if self._control is None:
                self.start()
            if not self._ready:
                self.memory = max(self.memory, self._receive()["memory"])
                self._ready = True

    def _command(
        self, message: dict[str, Any], descriptors: list[int], zygote: subprocess.Popen[bytes] | None
    ) -> dict[str, Any]:
        """The answer to a message. Raises `WallError` where this zygote is gone: another knows none of its workers."""
        with self._turn:
            if self._control is None or self._zygote is not zygote:
                raise SandboxError("the process that starts the workers was stopped")
            socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
            return self._receive()

    def _receive(self) -> dict[str, Any]:
        assert self._control is not None
        message = self._control.recv(MAX_MESSAGE)
        if not message:
            raise SandboxError("the process that starts the workers stopped unexpectedly")
        reply: dict[str, Any] = json.loads(message)
        return reply


@contextlib.contextmanager
def _scratch(submission: Submission, request: Request, uid: int | None) -> Iterator[Path | None]:
    """A folder for a notebook's kernel, where it finds the submission's files and may write a little."""
    if not request.collector and request.rung < WHOLE:
        yield None
        return
    # A UNIX socket's path may have 107 characters, which a TMPDIR may exceed.
    with held(Path("/tmp")) as folder:
        for path in submission.workspace.iterdir():
            (folder / path.name).symlink_to(path)
        if uid is not None and not submission.ours:
            os.chown(folder, uid, uid)
        yield folder


def _too_full(folder: Path) -> bool:
    """Whether a kernel has written more into its folder than a notebook has any use for."""
    count = size = 0
    folders = [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    count += 1
                    with contextlib.suppress(FileNotFoundError):
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    if count > SCRATCH_FILES or size > SCRATCH_BYTES:
                        return True
        except FileNotFoundError:
            continue
        except OSError:  # too deep for a path
            return True
    return False


class _Conversation:
    """One request, one reply, and the worker's output meanwhile; all against one deadline."""

    def __init__(
        self,
        channel: socket.socket,
        log: int,
        sent: bytes,
        deadline: float,
        scratch: Path | None = None,
        tell: Callable[[str], None] | None = None,
        *,
        most: int = wire.MAX_BODY,
    ) -> None:
        self.channel, self.log_pipe, self.deadline = channel, log, deadline
        self.scratch, self.tell, self.most = scratch, tell, most
        self.unsent = memoryview(sent)
        self.reply = bytearray()
        self.needed = wire.PREFIX.size
        self.frame: wire.Frame | None = None
        self.log = bytearray()
        self.printed = 0
        self.breach = ""
        channel.setblocking(False)
        os.set_blocking(log, False)

    def run(self) -> str:
        """How it ended: "answered", "closed", "deadline", "breach", "flood" or "filled" (its folder)."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.channel, selectors.EVENT_READ | selectors.EVENT_WRITE)
            selector.register(self.log_pipe, selectors.EVENT_READ)
            while (left := self.deadline - time.monotonic()) > 0:
                if self.scratch is not None and _too_full(self.scratch):
                    return "filled"
                for key, events in selector.select(left if self.scratch is None else min(left, GLANCE)):
                    if key.fileobj == self.log_pipe:
                        if not self._read_log():
                            selector.unregister(self.log_pipe)
                        elif self.printed > LOG_ALLOWED:
                            return "flood"
                        continue
                    if events & selectors.EVENT_WRITE and self._write():
                        selector.modify(self.channel, selectors.EVENT_READ)
                    if events & selectors.EVENT_READ:
                        try:
                            if (ended := self._read()) is not None:
                                return ended
                        except wire.Breach as breach:
                            self.breach = str(breach)
                            return "breach"
        return "deadline"

    def drain(self) -> None:
        """Reads what is left in the log pipe after the worker's death (at most a pipe's capacity)."""
        for _ in range(16):
            if not self._read_log():
                return

    def _write(self) -> bool:
        try:
            self.unsent = self.unsent[self.channel.send(self.unsent) :]
        except BlockingIOError:
            return False
        except OSError:  # the worker died before it had read the request
            self.unsent = self.unsent[:0]
        return not self.unsent

    def _read(self) -> str | None:
        try:
            chunk = self.channel.recv(min(self.needed - len(self.reply), 1 << 20))
        except BlockingIOError:
            return None
        except OSError:
            return "closed"
        if not chunk:
            return "closed"
        if self.unsent:
            raise wire.Breach("the answer came before the request")
        self.reply += chunk
        if len(self.reply) == wire.PREFIX.size:
            self.needed += sum(wire.lengths(bytes(self.reply), self.most))
        if len(self.reply) < self.needed:
            return None
        prefix = bytes(self.reply[: wire.PREFIX.size])
        cut = wire.PREFIX.size + wire.lengths(prefix)[0]
        self.frame = wire.decode(bytes(self.reply[wire.PREFIX.size : cut]), bytes(self.reply[cut:]))
        return "answered"

    def _read_log(self) -> bool:
        try:
            chunk = os.read(self.log_pipe, 1 << 18)
        except BlockingIOError:
            return True
        self.printed += len(chunk)
        if self.tell is not None and chunk.startswith(PROGRESS):
            self.tell(clean(chunk[1:].partition(b"\n")[0].decode("utf-8", "replace"), limit=80, line=True))
        self.log += chunk[: max(0, LOG_KEPT - len(self.log))]
        return bool(chunk)


def _judge_end(
    ended: str, conversation: _Conversation, identity: str, usage: dict[str, Any], seconds: float
) -> Observation:
    """An observation from how the conversation ended and what the kernel says of the worker."""
    frame = conversation.frame
    if ended == "answered" and frame is not None and frame.id == identity:
        return Observation(frame.values, further=frame.further)
    if ended == "answered":
        return Observation(
            error="The answer did not come from the grader's own code, so it was not used.", diagnosis="forged"
        )
    if ended == "breach":
        return Observation(error=f"The returned values could not be read: {conversation.breach}.", diagnosis="unusable")
    if ended == "flood":
        return Observation(
            error=f"The code printed more than {LOG_ALLOWED // 1024**2} MB and was stopped.",
            diagnosis="flood",
        )
    if ended == "filled":
        return Observation(
            error=f"The notebook wrote more than {SCRATCH_BYTES // 1024**2} MB or {SCRATCH_FILES} files and was "
            "stopped.",
            diagnosis="flood",
        )
    killed_by = usage["signal"]
    if ended == "deadline" or killed_by == signal.SIGXCPU or usage["cpu"] >= seconds:
        return Observation(
            error=f"The code was still running after {seconds:.0f} seconds and was stopped. Does it contain an "
            "endless loop, or work at import time (training, downloads)?",
            diagnosis="deadline",
        )
    if killed_by and killed_by != signal.SIGKILL:
        try:
            name = signal.Signals(killed_by).name
        except ValueError:  # a real-time signal has no name
            name = f"signal {killed_by}"
        return Observation(error=f"The process crashed ({name}) while the code ran.", diagnosis="crashed")
    return Observation(
        error="The process stopped before the code returned a result. Does the code call exit() or os._exit(), or use "
        "too much memory?",
        diagnosis="ended",
    )
