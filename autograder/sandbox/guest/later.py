"""A package that is installed but slow to import: imported, for real, when it is first used.

Plotting and tokenizers take seconds that no graded function needs. What `import` gives here becomes the real thing
at its first use, and takes its own place in the modules that imported it, so that from then on nothing is left of it.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import operator
import types
from collections.abc import Callable
from typing import Any

from autograder.sandbox.guest.absent import Absent, absent

Load = Callable[[str], Any]
"""Imports a module by its name."""


class _Places:
    """Which modules' names stand for something that is still to be imported."""

    def __init__(self) -> None:
        self.spaces: list[dict[str, Any]] = []

    def replace(self, one: object, real: object) -> None:
        for space in self.spaces:
            for name, value in list(space.items()):
                if value is one:
                    space[name] = real
        self.spaces.clear()


class Module(types.ModuleType):
    """A module to be imported when an attribute of it is first asked for."""

    def __init__(self, name: str, load: Load) -> None:
        super().__init__(name)
        for known in ("__doc__", "__loader__", "__package__", "__spec__"):
            del self.__dict__[known]  # the real one's are asked for
        self.__dict__.update(_load=load, _places=_Places(), _real=None)

    def __getattr__(self, name: str) -> Any:
        return getattr(real(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(real(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(real(self), name)

    def __dir__(self) -> list[str]:
        return dir(real(self))

    def __repr__(self) -> str:
        return repr(real(self))


class LazyName:
    """A name of a module, to be imported when something is first done with it. It does all that the real one does."""

    def __init__(self, module: str, name: str, load: Load) -> None:
        vars(self).update(_module=module, _name=name, _load=load, _places=_Places(), _real=None)

    def __getattr__(self, name: str) -> Any:
        return getattr(real(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(real(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(real(self), name)

    @property
    def __class__(self) -> Any:  # so that isinstance() sees the real one's
        return type(real(self))

    @__class__.setter
    def __class__(self, _value: Any) -> None:
        raise TypeError("__class__ of an imported name cannot be set")

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return real(self)(*arguments, **named)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        base = real(self)
        entries = getattr(base, "__mro_entries__", None)
        return entries(bases) if entries is not None else (base,)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, real(self))

    def __subclasscheck__(self, kind: type) -> bool:
        return issubclass(kind, real(self))

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        return _named, (self._module, self._name)

    def __format__(self, form: str) -> str:
        return format(real(self), form)

    def __enter__(self) -> Any:
        return real(self).__enter__()

    def __exit__(self, *reason: Any) -> Any:
        return real(self).__exit__(*reason)

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        import numpy

        return numpy.asarray(real(self), *arguments, **named)


def _named(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _forward(name: str, does: Callable[..., Any], *, swapped: bool = False) -> None:
    def method(self: LazyName, *arguments: Any) -> Any:
        given = (*arguments, real(self)) if swapped else (real(self), *arguments)
        return does(*given)

    method.__name__ = name
    setattr(LazyName, name, method)


ONE_SIDED = "eq ne lt le gt ge neg pos abs invert index contains getitem setitem delitem"
TWO_SIDED = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
for _name in ONE_SIDED.split(" "):
    _forward(f"__{_name}__", getattr(operator, f"__{_name}__"))
for _name in TWO_SIDED.split(" "):
    _forward(f"__{_name}__", getattr(operator, f"__{_name}__"))
    _forward(f"__r{_name}__", getattr(operator, f"__{_name}__"), swapped=True)
for _name, _does in (
    *(("hash", hash), ("bool", bool), ("len", len), ("iter", iter), ("next", next), ("int", int), ("float", float)),
    *(("complex", complex), ("str", str), ("repr", repr), ("dir", dir), ("round", round), ("bytes", bytes)),
    ("fspath", lambda one: one.__fspath__()),
):
    _forward(f"__{_name}__", _does)


def real(one: Module | LazyName) -> Any:
    """What `one` stands for, imported now if it was not before; what cannot be imported is as good as absent."""
    state: dict[str, Any] = object.__getattribute__(one, "__dict__")
    if state["_real"] is None:
        state["_real"] = found = _found(state)
        state["_places"].replace(one, found)
    return state["_real"]


def _found(state: dict[str, Any]) -> Any:
    name = state.get("_name")
    module = state["_module"] if name else state["__name__"]
    try:
        found = state["_load"](module)
        return getattr(found, name) if name else found
    except Exception:  # whatever an installation that is broken raises
        stand_in: Absent = absent(module)
        return getattr(stand_in, name) if name else stand_in


class Known:
    """Of one importer: what is to be imported later, so that a module imported twice is one module."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.modules: dict[str, Module] = {}
        self.names: dict[tuple[str, str], LazyName] = {}

    def module(self, name: str, space: dict[str, Any]) -> Any:
        """The module `name`, which `space` is about to hold a name for, and its parents' attribute."""
        if name not in self.modules:
            self.modules[name] = Module(name, self.load)
            parent, _, last = name.rpartition(".")
            if parent:
                self.module(parent, space).__dict__.setdefault(last, self.modules[name])
        return self._at(self.modules[name], space)

    def name(self, module: str, name: str, space: dict[str, Any]) -> Any:
        """`name` of the module: a submodule of it, or something that it defines."""
        if _is_module(module, name):
            return self.module(f"{module}.{name}", space)
        if (module, name) not in self.names:
            self.names[module, name] = LazyName(module, name, self.load)
        return self._at(self.names[module, name], space)

    @staticmethod
    def _at(one: Any, space: dict[str, Any]) -> Any:
        state = object.__getattribute__(one, "__dict__")
        if state["_real"] is not None:
            return state["_real"]
        if not any(space is other for other in state["_places"].spaces):
            state["_places"].spaces.append(space)
        return one


def _is_module(package: str, name: str) -> bool:
    """Whether `name` is a file or folder of the package, told without importing it."""
    return name.isidentifier() and is_there(f"{package}.{name}")


def is_there(name: str) -> bool:
    """Whether a module of this name is installed, told without importing any of its parents."""
    path = None
    for depth, _ in enumerate(parts := name.split("."), 1):
        spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:depth]), path)
        if spec is None:
            return False
        path = list(spec.submodule_search_locations or ())
    return True
