"""Binds what our probes use of torch and other packages before a student's code is loaded, so that it stays what it is.

A submission shares its worker's modules and may replace any function in them (`setattr(torch.autograd, "grad", fake)`,
also in a default argument, which is evaluated while its file is loaded). A probe that looks such a function up
afterwards would call the student's. So the probes' own names for packages are bound, in the zygote, to copies of these
packages' namespaces: replacing `torch.autograd.grad` replaces it for the student's code alone.

What classes hold is shared all the same. Of these the methods of `torch.Tensor` are put back whenever a file was loaded
and whenever something comes back from the student's code, and so are modes that would stand between every operation and
its result (tensors.py). Who reads our frames can do anything: a worker's word is never more than values, and what they
show is for the judge to find out.
"""

from __future__ import annotations

import sys
from types import ModuleType

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
