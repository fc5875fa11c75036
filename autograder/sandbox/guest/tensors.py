"""All that the guest side does with torch; imported where this process has it, and never for a homework without it.

The modules beside it reach it by `optional.tensors()`. Each says for itself what it is for: frozen.py why methods are
put back, machine.py which machine students expect, noise.py why states are filled whole.
"""

from __future__ import annotations

import functools
import importlib.util
import operator
import struct
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _pop_mode
from torch.utils.data import DataLoader

from autograder.core import Array, Value
from autograder.sandbox import wire
from autograder.sandbox.guest.lightning import LightningModule as LightningModule
from autograder.sandbox.guest.machine import ACCELERATORS, one_process, returning

# ------------------------------------------------------------------------------------- values, either way


def tensor(value: Value) -> Any:
    """What a probe is given: a tensor for an array, of the same type."""
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value


def array(tensor: torch.Tensor) -> Array:
    """What a tensor hands to the judge. Raises wire.Breach for a type that NumPy lacks."""
    plain = tensor.detach().cpu().as_subclass(torch.Tensor).resolve_conj().contiguous()
    if plain.is_sparse or plain.dtype == torch.bfloat16 or plain.is_complex():
        raise wire.Breach(f"a tensor of type {plain.dtype} cannot be passed to the grader")
    found: Array = plain.numpy().copy()
    return found


def foundation(name: str) -> tuple[type, ...]:
    """The base class in place of one of a package that is not here: `class Net(pl.LightningModule)`."""
    if name == "LightningModule":
        return (LightningModule,)
    if name.endswith(("Module", "Model")):  # lightning's, above all
        return (torch.nn.Module,)
    return (torch.utils.data.Dataset,) if name.endswith("Dataset") else ()


# ------------------------------------------------------------------- methods and modes that code has replaced


class Ours(TorchFunctionMode):
    """A mode that we enter ourselves, and which stays."""


_METHODS = dict(vars(torch.Tensor))
_VALUES = list(_METHODS.values())
_is_not, _length, _pop, _push = (
    operator.is_not,
    torch._C._len_torch_function_stack,
    torch._C._pop_torch_function_stack,
    torch._C._push_on_torch_function_stack,
)
_below, _pop_below = torch._C._len_torch_dispatch_stack, _pop_mode


def put_back(*, modes: bool = True) -> None:
    """Undoes what code has replaced of `torch.Tensor`, and leaves the modes that it has entered.

    Without `modes` these stay: where the student's code goes on afterwards, it may be inside of a `with`. It takes 1.3
    us where nothing was replaced. Methods that code has added stay. A default device is a mode, too, but
    one of torch's own, which `settle` ends.
    """
    now = vars(torch.Tensor)
    if len(now) != len(_VALUES) or any(map(_is_not, now.values(), _VALUES)):
        for name in list(now):
            if name in _METHODS:
                if now[name] is not _METHODS[name]:
                    setattr(torch.Tensor, name, _METHODS[name])
            elif hasattr(torch._C.TensorBase, name):
                delattr(torch.Tensor, name)  # what it inherits shows again
        for name in _METHODS.keys() - now.keys():
            setattr(torch.Tensor, name, _METHODS[name])
    if modes and _length():
        for mode in reversed([_pop() for _ in range(_length())]):
            if type(mode).__base__ is Ours or type(mode) is DeviceContext:
                _push(mode)
    while modes and _below():
        _pop_below()


# -------------------------------------------------------------------------------------------------- noise

_HEAD = struct.Struct("<QiiQ")
_TAIL = 40
"""Bytes of torch's state behind the words: normals that were drawn in pairs, none of which is left over."""
GENERATOR, DEFAULT = torch.Generator, torch.default_generator
"""As they were before anything stood in for them: what does is a subclass."""
_set_state: Callable[[torch.Tensor], Any] = DEFAULT.set_state  # bound before a submission's code can replace it


def state(words: Array, seed: int = 0) -> torch.Tensor:
    """The state of torch's CPU generator with these words: the seed, how many are left (so that the next draw begins
    with the first), whether it was seeded, the next word's place, the words as uint64, no normal left over."""
    data = _HEAD.pack(seed % 2**64, 1, 1, 0) + words.astype("<u8").tobytes() + bytes(_TAIL)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def fill(words: Array, seed: int) -> None:
    """Gives the global generator the state of these words."""
    if torch.accelerator.is_available():
        # torch.manual_seed would also note, for each kind of accelerator, from which line it was called: 2 ms.
        torch.manual_seed(seed % 2**63)
    _set_state(state(words, seed))


def refill(generator: torch.Generator, words: Array) -> None:
    """Gives a generator of the submission's own the state of these words, where it is one of the CPU's."""
    if generator.device.type == "cpu":
        generator.set_state(state(words))


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
                setattr(space, name, returning(0))
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
                setattr(space, name, returning(None))
        known.update(
            get_device_name=returning(NAME),
            get_device_capability=returning((7, 5)),
            get_device_properties=returning(PROPERTIES),
            mem_get_info=returning((MEMORY, MEMORY)),
            memory_summary=returning(""),
            memory_stats=returning({}),
            get_rng_state=lambda *_device: torch.get_rng_state(),
            get_rng_state_all=lambda: [torch.get_rng_state()],
            is_bf16_supported=returning(False),
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
        setattr(torch.cuda.nvtx, name, returning(None))
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
    torch.nn.Module.compile = returning(None)  # type: ignore[method-assign]
    for name in ("compile", "disable", "allow_in_graph", "assume_constant_result"):
        setattr(torch.compiler, name, _as_it_is())
    for name in ("reset", "cudagraph_mark_step_begin"):
        setattr(torch.compiler, name, returning(None))

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
    _dynamo_later()


def _dynamo_later() -> None:
    """torch._dynamo is imported, for real, once more of it is asked for than the two calls that any optimizer makes.

    Both change nothing where nothing is compiled. To import it takes 1.1 s, 500 modules and 45 MB, which each worker
    would have.
    """
    name = "torch._dynamo"
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None:
        return
    later = types.ModuleType(name)

    def of_the_real_one(wanted: str) -> Any:
        if wanted.startswith("__") and wanted != "__path__":  # a look at every module there is, such as inspect's
            raise AttributeError(f"module {name!r} has no attribute {wanted!r}")
        if sys.modules.get(name) is later:
            del sys.modules[name]
            vars(torch).pop("_dynamo", None)
            try:
                importlib.import_module(name)
            except BaseException:
                sys.modules[name] = torch._dynamo = later
                raise
        return getattr(sys.modules[name], wanted)

    vars(later).update(
        __spec__=spec,
        __file__=spec.origin,
        __getattr__=of_the_real_one,
        graph_break=returning(None),
        disable=lambda function=None, *_more, **_named: _as_it_is()(function),
    )
    sys.modules[name] = torch._dynamo = later


# --------------------------------------------------------------------------------------------- all of it


def run_once() -> None:
    """Runs once what every worker would otherwise run for itself: a layer, its gradients, a distribution."""
    layer = torch.nn.Linear(2, 2)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(layer(torch.ones(1, 2)), torch.ones(1, 2))
    loss.backward()  # type: ignore[no-untyped-call]
    torch.distributions.Normal(torch.zeros(1), torch.ones(1)).rsample()


@functools.cache
def calm() -> None:
    """What machine.calm does of torch, once."""
    if not torch.cuda.is_available():
        _accelerators()
    _compilers()
    torch.set_num_interop_threads = returning(None)  # which may be called only once in a process


@functools.cache
def prepare() -> None:
    """What machine.prepare does of torch, once: no process can be started, so the only one loads the data itself."""
    made = DataLoader.__init__

    def here(self: Any, *arguments: Any, **named: Any) -> None:
        arguments = (*arguments[:5], 0, *arguments[6:]) if len(arguments) > 5 else arguments
        named.pop("num_workers", None)
        for name in ("prefetch_factor", "persistent_workers", "multiprocessing_context", "timeout", "pin_memory"):
            named.pop(name, None)
        made(self, *arguments, **named)

    DataLoader.__init__ = here  # type: ignore[method-assign]
    one_process(torch.multiprocessing)


def settle() -> None:
    """What machine.settle does of torch."""
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
