"""The process that imports torch once, if it is needed, and forks a worker for every request.

It never runs students' code.

It is started by exec with a clean environment, speaks JSON lines with the judge over one socket, and
does two things: `spawn` (fork a worker; its channel and its log pipe come along as descriptors) and
`reap` (kill it with everything that it left, and say what the kernel measured). Being a subreaper it
becomes the parent of every orphan, so nothing that a worker starts can outlive it unseen.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import io
import json
import os
import re
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

MANY = 20
"""Forks after which to gather memory has cost less than it will save, if as many are still to come."""
HUGE, MADV_COLLAPSE = 1 << 21, 25


def warm_to_read() -> None:
    """Imports what workers need that only read files: a tenth of a second, without torch."""
    import numpy  # noqa: F401

    from autograder.sandbox import confine

    confine.preload()
    for name in ("job", "notebook_cache", "canary"):
        importlib.import_module(f"autograder.sandbox.guest.{name}")


@functools.cache
def warm(probes: str) -> None:
    """Imports and runs once what every worker would otherwise import and run for itself.

    Whether that is torch, too, is for the probes to say: it is if one of their modules imports it.
    """
    import pdb  # noqa: F401  (a leftover `import pdb` is common; it costs 40 ms)

    from autograder.sandbox.guest import frozen, machine, optional, probe_modules

    loaded = [probe_modules.load(name) for name in probe_modules.public(probes)]
    importlib.import_module("autograder.sandbox.guest.worker")
    if "torch" in sys.modules:
        _bind_torch()
    for module in loaded:
        frozen.freeze(module)
    if (tensors := optional.tensors()) is not None:
        tensors.run_once()
    machine.prepare()  # behind the probes, whose own names of packages are bound to what these were before
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()  # the collector's marks would copy every shared page in every worker


@functools.cache
def warm_torch() -> None:
    """The same for torch, where no probe has imported it.

    A request hands it arrays as tensors, or an upload imports it.

    Nothing is done where it cannot be imported: each worker finds out for itself.
    """
    from autograder.sandbox.guest import machine, optional

    with contextlib.suppress(Exception):
        if optional.tensors() is None:
            _bind_torch()
            importlib.import_module("autograder.sandbox.guest.tensors").run_once()
            machine.prepare()
    gc.collect()
    gc.freeze()


def _bind_torch() -> None:
    """Imports torch and what the guest side does with it, before a submission's code can replace any of it."""
    from autograder.sandbox.guest import optional

    torch = importlib.import_module("torch")
    importlib.import_module("torch.distributions")
    torch.set_num_threads(1)
    optional.tensors()


@functools.cache
def warm_for_notebooks() -> None:
    """Imports what reads notebooks, and compiles their schema: 0.15 s that every worker would spend for itself.

    Not done at the start, since a submission without notebooks has no use for it.
    """
    from autograder.sandbox.guest import notebooks

    notebooks.read(b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    gc.collect()
    gc.freeze()


@functools.cache
def warm_for_probe(name: str, *, reads: bool = False) -> None:
    """Does once what a probe's module says, in a function `warm`, that all its workers would otherwise do.

    The module of a probe that only reads is imported now, if it may be seen by all workers.
    """
    from autograder.core import PRIVATE
    from autograder.sandbox.guest import probe_modules

    if reads and PRIVATE not in name.split("."):
        probe_modules.load(name)
    prepare = getattr(sys.modules.get(name), "warm", None)
    if prepare is not None:
        prepare()
    if reads or prepare is not None:
        gc.collect()
        gc.freeze()


SLOW: tuple[tuple[str, tuple[str, ...], re.Pattern[bytes]], ...] = (
    ("torch", ("*.py", "*.ipynb"), re.compile(rb"\b(?:from|import) +torch\b")),
    ("transformers.modeling_utils", ("*.py", "*.ipynb"), re.compile(rb"PreTrainedModel|modeling_utils")),
    ("torch._dynamo.config", ("*.py", "*.ipynb"), re.compile(rb"\btorch\.(?:func|_dynamo|_functorch)\b|\bvmap\b")),
    ("scipy.optimize", ("*.py", "*.ipynb"), re.compile(rb"\b(?:from|import) +scipy\b")),
    ("matplotlib.pyplot", ("*.py",), re.compile(rb"^(?: {4}|\t)?(?:plt|mpl|matplotlib)[ \t]*[.\[]", re.MULTILINE)),
)
"""Packages that a file uses as it is loaded, and how it is seen: a layer's base class, `plt.rcParams[...] = ...`. Of
scipy that is nearly every import: 0.2 s and 25 MB, which an upload without it is spared. torch._dynamo, which waits
until it is needed (tensors.py), comes with its first submodule: 1.1 s and 45 MB."""
MOST_FILES, MOST_TEXT = 200, 4 << 20


@functools.cache
def used(workspace: str) -> tuple[str, ...]:
    """The slow packages that loading the workspace's files takes: each of its workers would import them for itself.

    Their text is searched, no more; a package that is imported in vain costs a second of CPU once.
    """
    from autograder.core import GIVEN

    found = []
    for name, patterns, uses in SLOW:
        every = ([path for path in sorted(Path(workspace).rglob(one)) if GIVEN not in path.parts] for one in patterns)
        files = [path for some in every for path in some[:MOST_FILES]]
        with contextlib.suppress(OSError):
            if any(uses.search(path.read_bytes()[:MOST_TEXT]) for path in files if path.is_file()):
                found.append(name)
    return tuple(found)


@functools.cache
def warm_for_package(name: str) -> None:
    """Imports the package once: 2 s for transformers, 0.4 s for matplotlib."""
    from autograder.sandbox.guest import imports

    with contextlib.suppress(Exception):  # then each worker finds out for itself that it cannot be imported
        imports.load(name)
    gc.collect()
    gc.freeze()


def gather() -> int:
    """Has the kernel (Linux 6.1) put this process's memory into huge pages; returns how many.

    A fork copies one entry for each of them in place of 512: 3 ms less for a worker. It takes 0.2 s.
    """
    libc, gathered = ctypes.CDLL(None), 0
    with contextlib.suppress(OSError, AttributeError):  # another system
        for line in Path("/proc/self/maps").read_text().splitlines():
            place, rights, _, _, inode, *name = line.split()
            if rights == "rw-p" and inode == "0" and name in ([], ["[heap]"]):
                first, last = (int(end, 16) for end in place.split("-"))
                for at in range(-(-first // HUGE) * HUGE, last // HUGE * HUGE, HUGE):
                    gathered += libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(HUGE), MADV_COLLAPSE) == 0
    return gathered


class Brief(io.FileIO):
    """A worker's standard output: what is printed past `most` bytes goes nowhere, and so takes no time.

    Printing 50 MB in each of a probe's calls is silly, but makes no answer wrong.
    """

    most = 1 << 20

    def write(self, data: Any, /) -> int:
        if self.most > 0:
            self.most -= len(data)
            super().write(data)
        return len(data)


class Zygote:
    """The loop that serves the judge at the other end of `control`."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.workers: dict[int, int | None] = {}  # pid -> uid
        self.forks = 0

    def serve(self) -> None:
        from autograder.sandbox.protocol import MAX_MESSAGE

        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self.control, MAX_MESSAGE, 2)
            except ConnectionResetError:  # the judge was stopped before it had read our last word
                message, descriptors = b"", []
            if not message:
                for pid in list(self.workers):
                    self.reap(pid)
                return
            request = json.loads(message)
            reply = self.spawn(request, descriptors) if "spawn" in request else self.reap(request["reap"])
            with contextlib.suppress(BrokenPipeError):  # then the next message says that the judge is gone
                self.control.send(json.dumps(reply).encode())

    def spawn(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        from autograder.sandbox import confine
        from autograder.sandbox.guest import probe_modules
        from autograder.sandbox.guest.job import Job, live

        channel, log = descriptors
        job = Job(**{**request["spawn"], "absent": tuple(request["spawn"]["absent"])})
        if any(Path(job.workspace).glob("*.ipynb")):
            warm_for_notebooks()
        if not job.reads:
            warm(job.probes)
            live = importlib.import_module("autograder.sandbox.guest.worker").live
            if job.arrays == "torch":
                warm_torch()
            for package in used(job.workspace):
                warm_torch() if package == "torch" else warm_for_package(package)
        warm_for_probe(probe_modules.name_of(job.probes, job.probe), reads=job.reads)
        if job.uid is not None:
            confine.is_made_up(job.uid)
        self.forks += 1
        if self.forks == MANY:
            gather()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                self._keep_only(channel, log)
            finally:
                live(job, 3)
        os.close(channel)
        os.close(log)
        self.workers[pid] = job.uid
        return {"pid": pid}

    def _keep_only(self, channel: int, log: int) -> None:
        """Standard streams and the channel (as 3); every other descriptor is the zygote's own."""
        channel, log = os.dup2(channel, 60), os.dup2(log, 61)
        nothing = os.open("/dev/null", os.O_RDONLY)
        for target, source in ((0, nothing), (1, log), (2, log), (3, channel)):
            os.dup2(source, target, inheritable=False)
        os.closerange(4, 4096)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        brief = io.BufferedWriter(Brief(1, "wb", closefd=False), 1 << 16)
        sys.stdout = io.TextIOWrapper(brief, encoding="utf-8", errors="replace")
        sys.stderr = open(2, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115

    def reap(self, pid: int) -> dict[str, Any]:
        """Kills a worker and whatever it left, waits for it, and tells how it ended and what it used."""
        uid = self.workers.pop(pid, None)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)  # it may have left its group
        _, status, usage = os.wait4(pid, 0)
        escaped, spent = self._sweep(uid)
        return {
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "exit": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
            "cpu": usage.ru_utime + usage.ru_stime + spent,
            "memory": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            "faults": usage.ru_minflt,
            "escaped": escaped,
        }

    def _sweep(self, uid: int | None) -> tuple[int, float]:
        """Kills what outlived its worker, a notebook's kernel too: how many, and the CPU seconds they had used.

        It finds them as our children, whose subreaper we are, and as processes of the worker's own user.
        """
        killed, spent = 0, 0.0
        deadline = time.monotonic() + 5
        while strays := self._strays():
            if uid and uid not in self.workers.values():
                _kill_all_of(uid)
            for stray in strays:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(stray, signal.SIGKILL)
            for stray in strays:
                with contextlib.suppress(ChildProcessError):
                    usage = os.wait4(stray, 0)[2]
                    killed, spent = killed + 1, spent + usage.ru_utime + usage.ru_stime
            if time.monotonic() > deadline:
                break
        return killed, spent

    def _strays(self) -> list[int]:
        try:
            children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
        except OSError:
            return []
        return [pid for pid in map(int, children) if pid not in self.workers]


def _kill_all_of(uid: int) -> None:
    """kill(-1) as the worker's user: the one signal that a fork bomb cannot outrun."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            if os.getresuid() == (uid, uid, uid) and uid != 0:
                os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(pid, 0)


def main(descriptor: int, probes: str, *, runs: bool) -> None:
    """Entry of the exec'ed process: warm up, say that it is ready, serve until the judge goes away.

    Without `runs` it imports torch no sooner than a worker needs it, and never for an upload without code.
    """
    from autograder.sandbox import confine

    for option, value in (
        (confine.PR_SET_CHILD_SUBREAPER, 1),
        (confine.PR_SET_PDEATHSIG, signal.SIGKILL),
        (confine.PR_SET_DUMPABLE, 0),
    ):
        with contextlib.suppress(confine.Unavailable, OSError):
            confine.prctl(option, value)
    control = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the judge, which then ends us
    if runs:
        warm(probes)
    warm_to_read()
    gc.collect()
    gc.freeze()  # the collector's marks would copy every shared page in every worker
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    control.send(json.dumps({"ready": os.getpid(), "memory": peak * 1024}).encode())
    Zygote(control).serve()


if __name__ == "__main__":
    # Run by path with `python -I`, so that nothing of the caller's environment is imported.
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    from autograder import homeworks

    homeworks.find_in(sys.argv[2], sys.argv[4])
    main(int(sys.argv[1]), sys.argv[2], runs=sys.argv[3] == "runs")
