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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from autograder.sandbox.guest.frozen import Ours, put_back

ACCELERATORS = ("cuda", "mps", "xpu", "hpu", "npu", "mtia", "privateuseone")
NAMED = re.compile(rb"\.(?:cuda|xpu|hpu)\(|[\"'](?:cuda|mps|xpu|hpu)\b")
"""Code that goes to an accelerator."""
ASKED = re.compile(
    rb"\\?[\"'](?:cuda|mps|xpu)(?::\d+)?\\?[\"']\)?\s+if\s[^\n;]{0,60}?(?:is_available\(\)|use_cuda|has_cuda)[^\n;]{0,40}?\selse\b",
    re.IGNORECASE,
)
"""Code that asks first whether there is one: it takes the CPU by itself."""


# ------------------------------------------------------------------------------------------- accelerators


class _OnTheCpu(Ours):
    """There is no GPU here: what asks for one gets the CPU, as on a student's laptop without one."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = {key: _cpu(value) for key, value in (kwargs or {}).items()}
        if getattr(func, "__name__", "") in ("cuda", "xpu", "hpu") and args:
            return args[0]
        return func(*map(_cpu, args), **kwargs)


def _cpu(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu") if value.type in ACCELERATORS else value
    if isinstance(value, str) and value.partition(":")[0] in ACCELERATORS:
        return torch.device("cpu")
    return value


_pretending: list[_OnTheCpu] = []


def wants_gpu(text: bytes | str) -> bool:
    """Whether code goes to an accelerator without asking whether there is one."""
    source = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return (
        NAMED.search(ASKED.sub(b"", source) if b"is_available" in source or b"use_cuda" in source else source)
        is not None
    )


def pretend_cuda() -> None:
    """From now on the CPU is what every accelerator's name means; this makes each operation of torch slower."""
    if not _pretending and not torch.cuda.is_available():
        _pretending.append(_OnTheCpu())
        _pretending[0].__enter__()  # type: ignore[no-untyped-call]


class _Moment:
    """An event or a stream of a GPU, with the clock's time."""

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        self.at = time.perf_counter()

    def record(self, *_arguments: Any) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, other: _Moment) -> float:
        return (other.at - self.at) * 1000

    def query(self) -> bool:
        return True

    def wait(self, *_arguments: Any) -> None: ...

    synchronize = wait_event = wait_stream = wait

    def __enter__(self) -> _Moment:
        return self

    def __exit__(self, *_reason: Any) -> None: ...


def _returning(value: Any) -> Callable[..., Any]:
    """A new function that returns the value: torch's compiler, once imported, takes one under two names for a fault."""
    return lambda *_arguments, **_named: value


def _nothing(*_arguments: Any, **_named: Any) -> None:
    return None


def _zero(*_arguments: Any, **_named: Any) -> int:
    return 0


NAME, MEMORY = "Tesla T4", 15 * 1024**3
PROPERTIES = types.SimpleNamespace(
    name=NAME, major=7, minor=5, total_memory=MEMORY, multi_processor_count=40, is_integrated=0, is_multi_gpu_board=0
)


def _accelerators() -> None:
    """Calls of torch.cuda, torch.mps and torch.xpu that tell of a device, or wait for it, are of no consequence."""
    for space in (torch.cuda, torch.mps, torch.xpu):
        known = vars(space)
        for name in known:
            if name.startswith(("memory_", "max_memory_", "current_allocated", "driver_allocated")) or name in (
                *("current_device", "utilization", "temperature", "power_draw", "clock_rate", "recommended_max_memory"),
            ):
                setattr(space, name, _returning(0))
            elif name.startswith(("reset_", "manual_seed", "set_per_process", "empty_")) or name in (
                *(
                    "set_device",
                    "synchronize",
                    "ipc_collect",
                    "init",
                    "seed",
                    "seed_all",
                    "set_stream",
                    "set_rng_state",
                ),
                *("set_rng_state_all", "set_sync_debug_mode"),
            ):
                setattr(space, name, _returning(None))
        known.update(
            get_device_name=_returning(NAME),
            get_device_capability=_returning((7, 5)),
            get_device_properties=_returning(PROPERTIES),
            mem_get_info=_returning((MEMORY, MEMORY)),
            memory_summary=_returning(""),
            memory_stats=_returning({}),
            get_rng_state=lambda *_device: torch.get_rng_state(),
            get_rng_state_all=lambda: [torch.get_rng_state()],
            is_bf16_supported=_returning(False),
            current_stream=type("current_stream", (_Moment,), {}),
            default_stream=type("default_stream", (_Moment,), {}),
            stream=type("stream", (_Moment,), {}),
            device=type("device", (_Moment,), {}),
            Event=type("Event", (_Moment,), {}),
            Stream=type("Stream", (_Moment,), {}),
        )
    for name in ("Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool"):
        setattr(torch.cuda, f"{name}Tensor", getattr(torch, f"{name}Tensor"))
    for name in ("range_push", "range_pop", "range_start", "range_end", "mark"):
        setattr(torch.cuda.nvtx, name, _returning(None))
    tensor_type, device = torch.set_default_tensor_type, torch.set_default_device

    def set_default_tensor_type(kind: Any) -> None:
        tensor_type(kind.replace("torch.cuda.", "torch.") if isinstance(kind, str) else kind)

    def set_default_device(place: Any) -> None:
        device(_cpu(place))

    torch.set_default_tensor_type = set_default_tensor_type
    torch.set_default_device = set_default_device  # type: ignore[assignment]
    made = torch.Generator

    class Generator(made):  # type: ignore[misc, valid-type]
        def __new__(cls, device: Any = "cpu") -> Any:
            return made.__new__(cls, _cpu(device))  # type: ignore[call-arg]

    torch.Generator = Generator  # type: ignore[misc]
    loaded = torch.load

    def load(f: Any, map_location: Any = "cpu", *arguments: Any, **named: Any) -> Any:
        place = map_location if isinstance(map_location, dict) or callable(map_location) else "cpu"
        return loaded(f, place, *arguments, **named)

    torch.load = load


# -------------------------------------------------------------------------------------------- compilers


def _as_it_is() -> Callable[..., Any]:
    """A decorator, with or without arguments, that changes nothing: `@torch.compile`, `torch.compile(net)`."""

    def compiled(model: Any = None, **_named: Any) -> Any:
        return (lambda function: function) if model is None else model

    return compiled


def _compilers() -> None:
    """Compiled code gives what the code gives; to compile takes a C compiler, processes, files and minutes."""
    torch.compile = _as_it_is()
    torch.nn.Module.compile = _returning(None)  # type: ignore[method-assign]
    for name in ("compile", "disable", "allow_in_graph", "assume_constant_result"):
        setattr(torch.compiler, name, _as_it_is())
    for name in ("reset", "cudagraph_mark_step_begin"):
        setattr(torch.compiler, name, _returning(None))

    def deterministic(mode: bool, *, warn_only: bool = False) -> None:
        torch._C._set_deterministic_algorithms(mode, warn_only=warn_only)

    torch.use_deterministic_algorithms = deterministic  # torch's own imports its compiler, to tell it too
    scripted = torch.jit.script

    def script(obj: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return scripted(obj, *arguments, **named)
        except Exception:  # a Python that is too new for it, or what it cannot read: Python itself can
            return obj

    torch.jit.script = script


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


def _processes() -> None:
    """No process can be started here: what would be spread over several is done by this one."""
    made = DataLoader.__init__

    def here(self: Any, *arguments: Any, **named: Any) -> None:
        arguments = (*arguments[:5], 0, *arguments[6:]) if len(arguments) > 5 else arguments
        named.pop("num_workers", None)
        for name in ("prefetch_factor", "persistent_workers", "multiprocessing_context", "timeout", "pin_memory"):
            named.pop(name, None)
        made(self, *arguments, **named)

    DataLoader.__init__ = here  # type: ignore[method-assign]
    for space in (multiprocessing, torch.multiprocessing):
        space.Pool, space.Process, space.Queue, space.Lock = _Pool, _Process, queue.Queue, threading.Lock  # type: ignore[attr-defined]
        space.set_start_method = _returning(None)  # type: ignore[attr-defined]
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


_calm: list[bool] = []
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
    if not _calm:
        _calm.append(True)
        if not torch.cuda.is_available():
            _accelerators()
        _compilers()
        torch.set_num_interop_threads = _returning(None)  # which may be called only once in a process


def prepare() -> None:
    """Puts in place the rest of students' machines, in a process that runs their code, or forks those that do."""
    calm()
    if not _prepared:
        _prepared.append(True)
        _processes()
        _command_line()


def furnish() -> None:
    """Prepares this process, which runs students' code alone, and notes its state for `settle`."""
    prepare()
    _ordinary.append(State.now())


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
    put_back()
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
    if torch.get_default_dtype() != torch.float32:
        torch.set_default_dtype(torch.float32)
    if torch.get_default_device().type != "cpu":
        torch.set_default_device(None)
    torch.use_deterministic_algorithms(False)
    torch.set_grad_enabled(True)
    torch.set_anomaly_enabled(False)
    torch.set_flush_denormal(False)
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(1)
