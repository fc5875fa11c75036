"""Binds what our probes use of torch and other packages before a student's code is loaded, so that it stays what it is.

A submission shares its worker's modules and may replace any function in them (`setattr(torch.autograd, "grad", fake)`,
also in a default argument, which is evaluated while its file is loaded). A probe that looks such a function up
afterwards would call the student's. So the probes' own names for packages are bound, in the zygote, to copies of these
packages' namespaces: replacing `torch.autograd.grad` replaces it for the student's code alone.

What classes hold is shared all the same. Of these the methods of `torch.Tensor` are put back whenever a file was loaded
and whenever something comes back from the student's code, and so are modes that would stand between every operation and
its result. Who reads our frames can do anything: a worker's word is never more than values, and what they show is for
the judge to find out.
"""

from __future__ import annotations

import operator
import sys
from types import ModuleType

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _pop_mode

OURS, LIVE = __name__.partition(".")[0], ("sys", "os", "builtins")
"""Packages that are not copied: our own, and those whose attributes we mean to change or to see change."""


def freeze(probes: ModuleType) -> ModuleType:
    """The probes' module, whose names of foreign packages stand for copies from now on. It may be frozen twice."""
    for name, value in list(vars(probes).items()):
        if issubclass(type(value), ModuleType) and value.__name__.partition(".")[0] not in (OURS, *LIVE):
            setattr(probes, name, _copy(value))
    return probes


_copies: dict[str, tuple[ModuleType, ModuleType]] = {}
"""By a module's name the module, which must still be the same one, and its copy: made once for all probes."""


def _copy(module: ModuleType) -> ModuleType:
    """A module with the same namespace, in which its submodules are copies as well."""
    known = _copies.get(module.__name__)
    if known is not None and module in known:
        return known[1]
    copy = ModuleType(module.__name__, module.__doc__)
    _copies[module.__name__] = module, copy
    vars(copy).update(vars(module))  # a module's own __getattr__, for what is loaded late, is among these
    for name, value in vars(module).items():
        if issubclass(type(value), ModuleType) and value.__name__ == f"{module.__name__}.{name}" in sys.modules:
            vars(copy)[name] = _copy(value)
    return copy


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
    one of torch's own, which `machine.settle` ends.
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
