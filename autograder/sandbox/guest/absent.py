"""What stands for a package that is not installed: of no consequence where it is named, a fault where it is used.

Students log to wandb, decorate with beartype, build torchvision's transforms at the top of a file. None of that
makes a graded function wrong. So what is not here lets itself be named, called, indexed, entered, subclassed and
used as a decorator. Only a number, a tensor or a text of a path cannot be had from it: there it says what is missing.
"""

from __future__ import annotations

import dis
import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np

from autograder.sandbox.guest import optional

UNPACK, RETURN, CACHE = (dis.opmap[name] for name in ("UNPACK_SEQUENCE", "RETURN_VALUE", "CACHE"))
HANDED_BACK = frozenset(("prepare", "initialize", "to_device"))
"""Functions that return what they are given: `model, optimizer = accelerator.prepare(model, optimizer)`."""


ADDS = frozenset(("add_to_class", "patch_to"))
"""Decorators that make a function a method of the class that they are given: d2l's and fastcore's."""


class Absent:
    """A name of a package that is not installed, or what one of its functions would have returned.

    In a notebook's whole run (`forgiving`) numbers can be had as well, as NaN or 0: a table of losses that cannot
    be printed must not end a run that trains the right network. What a worker returns is judged, so there they cannot.
    """

    forgiving = False

    def __init__(self, path: str, parent: Absent | None = None, *, reason: ImportError | None = None) -> None:
        vars(self).update(_path=path, _parent=parent, _reason=reason, _items={})

    def _missing(self) -> NoReturn:
        if self._reason is not None:
            fault = type(self._reason)(*self._reason.args, name=self._reason.name)
        else:
            fault = ModuleNotFoundError(f"No module named '{_top(self)}'", name=_top(self))
        fault.__dict__["imported_at"] = _places.get(_top(self), "")
        raise fault

    def _made(self) -> Absent:
        """What a call of it returns, or an item of it is."""
        return Absent(self._path, reason=self._reason)

    # ---- naming

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            known = {"__version__": "0", "__name__": self._path.rpartition(".")[2], "__qualname__": self._path}
            if name in known:
                return known[name]
            raise AttributeError(name)
        vars(self)[name] = found = Absent(f"{self._path}.{name}", self, reason=self._reason)
        return found

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._items[key]
        except (KeyError, TypeError):  # TypeError: a slice, or a list
            return self._made()

    def __setitem__(self, key: Any, value: Any) -> None:
        self._items[key] = value

    def __delitem__(self, key: Any) -> None:
        self._items.pop(key, None)

    def __contains__(self, key: Any) -> bool:
        return key in self._items

    def __repr__(self) -> str:
        return f"<{self._path}, which is not installed here>"

    def __format__(self, _form: str) -> str:
        return repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Absent, (self._path,)

    # ---- calling

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        name, first = self._path.rpartition(".")[2], arguments[0] if arguments else None
        if name == "to_numpy" and Absent.forgiving:  # plt.plot(df["loss"])
            return np.array([float("nan")])
        if name in HANDED_BACK and arguments:
            return arguments if len(arguments) > 1 else first
        if name in ADDS and len(arguments) == 1 and isinstance(first, type):
            return lambda function: _added(first, function)
        if name == "patch" and isinstance(first, types.FunctionType) and (owner := _annotated(first)) is not None:
            return _added(owner, first)
        if len(arguments) == 1 and not named and isinstance(first, types.FunctionType | type | staticmethod):
            return first  # a decorator
        if self._parent is not None and name == "get":
            return self._parent._items.get(first, arguments[1] if len(arguments) > 1 else self._made())
        if self._parent is not None and name == "update" and isinstance(first, Mapping):
            self._parent._fill(first)
        if not Absent.forgiving and _is_returned(sys._getframe(1)):
            self._missing()
        made = self._made()
        settings = named.get("config")
        if isinstance(settings, Mapping):  # wandb.init(config={...}), whose values are read from wandb.config
            made.config._fill(settings)
            absent(_top(self)).config._fill(settings)
        return made

    def _fill(self, settings: Mapping[Any, Any]) -> None:
        self._items.update(settings)
        vars(self).update((key, value) for key, value in settings.items() if isinstance(key, str))

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_reason: Any) -> None:
        return None

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> tuple[Any, ...]:
        tensors = optional.tensors()
        found: tuple[Any, ...] = () if tensors is None else tensors.foundation(self._path.rpartition(".")[2])
        return found

    def __instancecheck__(self, _instance: object) -> bool:
        return False

    def __subclasscheck__(self, _class: type) -> bool:
        return False

    # ---- counting

    def __iter__(self) -> Iterator[Any]:
        """Nothing, or as many as `a, b = ...` asks for."""
        code, at = sys._getframe(1).f_code.co_code, sys._getframe(1).f_lasti
        count = code[at + 1] if 0 <= at < len(code) - 1 and code[at] == UNPACK else 0
        return iter([self._made() for _ in range(count)])

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return True

    def __or__(self, _other: Any) -> Any:
        return self

    __ror__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __or__
    __matmul__ = __rmatmul__ = __pow__ = __rpow__ = __mod__ = __rmod__ = __floordiv__ = __and__ = __rand__ = __or__

    def __neg__(self) -> Any:
        return self

    def __round__(self, _digits: int = 0) -> Any:
        return self

    __abs__ = __pos__ = __neg__

    def __lt__(self, _other: Any) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __lt__

    # ---- what is really used

    def __float__(self) -> float:
        return float("nan") if Absent.forgiving else self._missing()

    def __index__(self) -> int:
        return 0 if Absent.forgiving else self._missing()

    def __fspath__(self) -> str:
        return "absent" if Absent.forgiving else self._missing()

    def __array__(self, *_arguments: Any, **_named: Any) -> Any:
        return np.array(float("nan")) if Absent.forgiving else self._missing()

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = next((one for one in (*args, *(kwargs or {}).values()) if isinstance(one, Absent)), Absent("package"))
        return first._made() if Absent.forgiving else first._missing()


_known: dict[str, Absent] = {}
_places: dict[str, str] = {}


def remember(top: str, place: str) -> None:
    """Keeps where a package that is not here was first imported."""
    _places.setdefault(top, place)


def absent(path: str, reason: ImportError | None = None) -> Absent:
    """What stands for the module `path`, the same whenever it is imported; `reason` is why it is not here."""
    if path not in _known:
        parent, _, name = path.rpartition(".")
        above = absent(parent, reason) if parent else None
        _known[path] = Absent(path, above, reason=reason)
        if above is not None:
            vars(above)[name] = _known[path]
    return _known[path]


def fault_of(one: Absent) -> BaseException:
    """The exception that says why it is not here."""
    try:
        one._missing()
    except ImportError as fault:
        return fault


def require(value: Any) -> None:
    """Raises ModuleNotFoundError where the value, or one inside, is what stands for a package that is not here."""
    for one in value if isinstance(value, tuple | list) else (value,):
        if isinstance(one, Absent):
            one._missing()


def _is_returned(frame: types.FrameType) -> bool:
    """Whether the function returns what it is about to get: then it is used, and here is the line that says so."""
    code, at = frame.f_code.co_code, frame.f_lasti + 2
    while at < len(code) and code[at] == CACHE:
        at += 2
    return bool(frame.f_code.co_flags & inspect.CO_OPTIMIZED) and at < len(code) and code[at] == RETURN


def _added(owner: type, function: Any) -> Any:
    """The function, which is a method of the class now."""
    setattr(owner, function.__name__, function)
    return function


def _annotated(function: types.FunctionType) -> type | None:
    """The class that the first argument is annotated with: `@patch def forward(self: Layer, x)` (fastcore)."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    owner = function.__globals__.get(first.annotation) if first and isinstance(first.annotation, str) else None
    owner = owner or (first.annotation if first is not None else None)
    return owner if isinstance(owner, type) and owner is not inspect.Parameter.empty else None


def _top(one: Absent) -> str:
    return str(one._path).partition(".")[0]
