"""The machine as students know it: a GPU, a compiler, a terminal and worker processes, none of which is here.

A line at the top of a file that names the GPU, compiles a function or reads the command line has nothing to do with
the answer. Such calls do what they do on a machine that has the thing, as far as anybody could tell from the values.
And what a file changes for its whole process (the default device, warnings as errors, sys.stdout) is put back when
it has been loaded: our probes and the submission's other functions are to meet the ordinary state.
"""

from __future__ import annotations

import argparse
import builtins
import concurrent.futures
import contextlib
import multiprocessing
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.sandbox.guest import optional

ACCELERATORS = ("cuda", "mps", "xpu", "hpu", "npu", "mtia", "privateuseone")
NAMED = re.compile(rb"\.(?:cuda|xpu|hpu)\(|[\"'](?:cuda|mps|xpu|hpu)\b")
"""Code that goes to an accelerator."""
ASKED = re.compile(
    rb"\\?[\"'](?:cuda|mps|xpu)(?::\d+)?\\?[\"']\)?\s+if\s[^\n;]{0,60}?(?:is_available\(\)|use_cuda|has_cuda)[^\n;]{0,40}?\selse\b",
    re.IGNORECASE,
)
"""Code that asks first whether there is one: it takes the CPU by itself."""


# ------------------------------------------------------------------------------------------- accelerators


def wants_gpu(text: bytes | str) -> bool:
    """Whether code goes to an accelerator without asking whether there is one."""
    source = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return (
        NAMED.search(ASKED.sub(b"", source) if b"is_available" in source or b"use_cuda" in source else source)
        is not None
    )


def pretend_cuda() -> None:
    """From now on the CPU is what every accelerator's name means; this makes each operation of torch slower."""
    if (tensors := optional.tensors()) is not None:
        tensors.pretend_cuda()


def returning(value: Any) -> Callable[..., Any]:
    """A new function that returns the value: torch's compiler, once imported, takes one under two names for a fault."""
    return lambda *_arguments, **_named: value


def _nothing(*_arguments: Any, **_named: Any) -> None:
    return None


def _zero(*_arguments: Any, **_named: Any) -> int:
    return 0


# ---------------------------------------------------------------------------- processes and the command line


class _Pool:
    """multiprocessing.Pool whose tasks are done one after the other, when they are given."""

    def __init__(self, processes: Any = None, initializer: Any = None, initargs: Any = (), **_named: Any) -> None:
        if initializer is not None:
            initializer(*initargs)

    def map(self, function: Any, items: Any, *_more: Any, **_named: Any) -> list[Any]:
        return list(map(function, items))

    def starmap(self, function: Any, items: Any, *_more: Any, **_named: Any) -> list[Any]:
        return [function(*item) for item in items]

    def apply(self, function: Any, args: Any = (), kwds: Any = None) -> Any:
        return function(*args, **(kwds or {}))

    def apply_async(self, function: Any, args: Any = (), kwds: Any = None, **_named: Any) -> Any:
        result = self.apply(function, args, kwds)
        return types.SimpleNamespace(get=lambda *_: result, wait=_nothing, ready=lambda: True, successful=lambda: True)

    def map_async(self, function: Any, items: Any, *_more: Any, **_named: Any) -> Any:
        return self.apply_async(self.map, (function, items))

    imap = imap_unordered = map
    close = terminate = join = _nothing

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_reason: Any) -> None: ...


class _Process:
    """multiprocessing.Process whose target is called by start()."""

    def __init__(
        self, group: Any = None, target: Any = None, name: Any = None, args: Any = (), kwargs: Any = None, **_: Any
    ) -> None:
        self.target, self.args, self.kwargs = target, args, kwargs or {}
        self.name, self.pid, self.exitcode, self.daemon = str(name), os.getpid(), 0, False

    def run(self) -> None:
        if self.target is not None:
            self.target(*self.args, **self.kwargs)

    def start(self) -> None:
        self.run()

    join = terminate = kill = close = _nothing

    def is_alive(self) -> bool:
        return False


def one_process(space: Any) -> None:
    """Has `multiprocessing`, or a module like it, do everything in this process."""
    space.Pool, space.Process, space.Queue, space.Lock = _Pool, _Process, queue.Queue, threading.Lock
    space.set_start_method = returning(None)


def _processes() -> None:
    """No process can be started here: what would be spread over several is done by this one."""
    one_process(multiprocessing)
    concurrent.futures.ProcessPoolExecutor = ThreadPoolExecutor  # type: ignore[misc, assignment]

    def done(arguments: Any = (), *_more: Any, **named: Any) -> Any:
        text = any(named.get(name) for name in ("text", "encoding", "universal_newlines"))
        return subprocess.CompletedProcess(arguments, 0, "" if text else b"", "" if text else b"")

    for name, answer in (
        *(("run", done), ("call", _zero), ("check_call", _zero), ("getoutput", lambda *_, **__: "")),
        *(("getstatusoutput", lambda *_, **__: (0, "")), ("check_output", lambda *_, **named: done(**named).stdout)),
    ):
        setattr(subprocess, name, answer)
    os.system = _zero


def _command_line() -> None:
    """A parser finds no arguments; those that it insists on have their default, or None."""
    sys.argv = ["main.py"]
    parse = argparse.ArgumentParser.parse_args

    def parse_args(self: Any, args: Any = None, namespace: Any = None) -> Any:
        try:
            with contextlib.redirect_stderr(None):
                return parse(self, args, namespace)
        except (SystemExit, AttributeError):  # AttributeError: no stderr to complain to
            known = {one.dest: one.default for one in self._actions if one.default is not argparse.SUPPRESS}
            return argparse.Namespace(**{**known, **self._defaults})

    argparse.ArgumentParser.parse_args = parse_args  # type: ignore[method-assign]


# --------------------------------------------------------------------------------------------- all of it


_prepared: list[bool] = []
_ordinary: list[State] = []


def calm() -> None:
    """Puts in place what any process that runs students' code may have. Debuggers have nobody to talk to: they go on.

    Compilers change nothing, and calls that only tell of a GPU are of no consequence.
    """
    import pdb

    sys.breakpointhook = _nothing
    pdb.set_trace = _nothing
    with contextlib.suppress(AttributeError):
        pdb.Pdb.set_trace = _nothing  # type: ignore[method-assign]
    if (tensors := optional.tensors()) is not None:
        tensors.calm()


def prepare() -> None:
    """Puts in place the rest of students' machines, in a process that runs their code, or forks those that do."""
    calm()
    if not _prepared:
        _prepared.append(True)
        _processes()
        _command_line()
    if (tensors := optional.tensors()) is not None:
        tensors.prepare()


def furnish() -> None:
    """Prepares this process, which runs students' code alone, and notes its state for `settle`."""
    prepare()
    _ordinary.append(State.now())


BLINK = 0.001
"""Seconds that `time.sleep` takes while a file is loaded: nothing that is graded comes of waiting there."""
_sleep = time.sleep


def _blink(seconds: Any, /) -> None:
    """`time.sleep`; another thread, which may be one that looks again and again, sleeps as long as it says."""
    _sleep(min(seconds, BLINK) if threading.current_thread() is threading.main_thread() else seconds)


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Files are loaded in here: what sleeps at their top level takes next to no time. Functions sleep as they say."""
    before, time.sleep = time.sleep, _blink
    try:
        yield
    finally:
        time.sleep = before


@dataclass(frozen=True)
class State:
    """What a file may change for its whole process."""

    output: Any
    errors: Any
    builtins: dict[str, Any]

    @staticmethod
    def now() -> State:
        return State(sys.stdout, sys.stderr, dict(vars(builtins)))


def settle() -> None:
    """Puts back what a file may have changed for the whole process, where `furnish` has noted what it was.

    Our probes, and the submission's other functions, are written for the ordinary state; a file that made warnings
    errors or set another default device did so for its own training.
    """
    tensors = optional.tensors()
    if tensors is not None:
        tensors.put_back()
    if not _ordinary:
        return
    state = _ordinary[0]
    sys.stdout, sys.stderr = state.output, state.errors
    vars(builtins).update(state.builtins)
    for forget in (sys.settrace, sys.setprofile, threading.settrace, threading.setprofile):
        forget(None)
    signal.alarm(0)
    warnings.simplefilter("ignore")  # in front of "error", which would make a fault of a word of advice
    np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
    if tensors is not None:
        tensors.settle()
