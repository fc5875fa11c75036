"""`import` as a submission's code sees it: what is not installed, or takes long to import, waits until it is used.

What a package does on import that would fail here is put right as it is imported: matplotlib has no screen,
transformers finds a torchvision that cannot be loaded.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import functools
import importlib
import logging
import os
import socket
import sys
import sysconfig
import tempfile
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autograder.sandbox.guest import later, tried
from autograder.sandbox.guest.absent import Absent, absent, remember

OLD_PACKAGES = ("codebase", "gan_vae")
"""Top-level packages that older handouts had; `codebase.utils` means `utils`."""
SLOW = frozenset(["torchvision", "matplotlib", "pandas", "tensorflow", "sklearn", "IPython", "transformers", "seaborn"])
"""Packages that take long to import and that graded functions hardly ever use: imported when used."""


class Importer:
    """`import` as the submission's files see it: what is not installed fails when it is used."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.python = builtins.__import__
        self.later = later.Known(load)

    def __call__(
        self,
        name: str,
        globals: dict[str, Any] | None = None,
        locals: dict[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        top, _, rest = name.partition(".")
        if level == 0 and top in OLD_PACKAGES and not (self.root / top).exists():
            if rest:
                found = self(rest, globals, locals, fromlist or ("*",), 0)
                return found if fromlist else _namespace(top, self.root)
            return _namespace(top, self.root)
        if level > 0 and _begins_above(globals, level):
            # The folder of the code is the top here, and a package where the student ran it: `from .. import utils`.
            if rest or (name and fromlist):
                return self(name, globals, locals, fromlist, 0)
            return _namespace(name, self.root) if fromlist else self.python(name, globals, locals, (), 0)
        if level > 0 or self.has(top):
            return self.python(name, globals, locals, fromlist or (), level)
        at_the_top = globals is not None and locals is globals
        if at_the_top and top in SLOW and top not in sys.modules and "*" not in (fromlist or ()):
            return self._later(name, globals or {}, fromlist)
        try:
            with _around(top):
                found = self.python(name, globals, locals, fromlist or (), level)
        except MemoryError:
            raise
        except Exception as error:  # whatever a package raises that is not here, or is here in part
            if top not in PRETENDED:
                _fail_if_tried(error, name, globals, fromlist)
            _remember_place(top, globals)
            if _is_missing(error, name):
                return absent(name if fromlist else top)
            reason = ImportError(f"{name} cannot be imported here ({type(error).__name__}: {error})"[:300], name=name)
            return absent(name if fromlist else top, reason)
        if not fromlist:
            return found
        completed = _completed(found, fromlist)
        if completed is not found and _has_another_way(globals):
            return found  # Python itself says which name it lacks
        return completed

    def has(self, top: str) -> bool:
        """Whether the submission has it; a folder of logs called wandb is no package of that name."""
        folder = self.root / top
        return folder.with_suffix(".py").exists() or (folder.is_dir() and next(folder.rglob("*.py"), None) is not None)

    def _later(self, name: str, space: dict[str, Any], fromlist: Sequence[str] | None) -> Any:
        """The module, or one that holds the names that are wanted of it; nothing of it is imported yet."""
        if not later.is_there(name):
            missing = ModuleNotFoundError(f"No module named {name!r}", name=name)
            _fail_if_tried(missing, name, space, fromlist)
            _remember_place(name.partition(".")[0], space)
            return absent(name if fromlist else name.partition(".")[0])
        if not fromlist:
            self.later.module(name, space)
            return self.later.module(name.partition(".")[0], space)
        view = types.ModuleType(name)
        view.__dict__.update((wanted, self.later.name(name, wanted, space)) for wanted in fromlist)
        return view


def load(name: str) -> types.ModuleType:
    """The installed module `name`, imported now."""
    with _around(name.partition(".")[0]):
        return importlib.import_module(name)


def _remember_place(top: str, space: dict[str, Any] | None) -> None:
    importing = tried.frame_of(space, sys._getframe(2))
    if importing is not None:
        remember(top, f"{importing.f_code.co_filename}, line {importing.f_lineno}")


def _has_another_way(space: dict[str, Any] | None) -> bool:
    importing = tried.frame_of(space, sys._getframe(2))
    return importing is not None and tried.names_tried(importing) is not None


PRETENDED = frozenset(("google",))
"""What a whole run has, in a form of our own: a notebook is loaded as it is run."""


def _fail_if_tried(error: Exception, name: str, space: dict[str, Any] | None, fromlist: Sequence[str] | None) -> None:
    """Raises the error where whoever imports has another way: `except ImportError: xp = np`.

    A name that stays unbound all the same stands for the package, as ever: it is looked up behind the globals.
    """
    importing = tried.frame_of(space, sys._getframe(2))
    bound = tried.names_tried(importing) if importing is not None else None
    if importing is None or bound is None or not isinstance(error, ImportError):
        return
    for own, wanted in bound.items():
        path = f"{name}.{wanted}" if fromlist else name if wanted else name.partition(".")[0]
        importing.f_builtins.setdefault(own, absent(path, error if not _is_missing(error, name) else None))
    raise error


def _is_missing(error: Exception, name: str) -> bool:
    """Whether the error says that this module, or one above it, is not installed."""
    missing = getattr(error, "name", None) or ""
    return isinstance(error, ModuleNotFoundError) and (name + ".").startswith(missing + ".")


def _completed(found: Any, names: Sequence[str]) -> Any:
    """The module where it has all the names, else one in which absent ones stand for those that it lacks.

    Packages lose names from one version to the next: `from transformers import AdamW, AutoTokenizer`.
    """
    lacking = [name for name in names if name != "*" and not _has(found, name)]
    if not lacking or not isinstance(found, types.ModuleType) or not _is_installed(found):
        return found
    view = types.ModuleType(found.__name__)
    view.__dict__.update((name, getattr(found, name)) for name in names if name not in lacking)
    for name in lacking:
        reason = ImportError(f"cannot import name '{name}' from '{found.__name__}'", name=found.__name__)
        view.__dict__[name] = Absent(f"{found.__name__}.{name}", reason=reason)
    return view


INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _is_installed(module: types.ModuleType) -> bool:
    """Whether it is a package's module, not the submission's own."""
    return str(getattr(module, "__file__", None) or "").startswith(INSTALLED)


def _has(module: Any, name: str) -> bool:
    try:
        getattr(module, name)
    except Exception:  # some load a submodule, which may lack something itself
        return _submodule(f"{module.__name__}.{name}")
    return True


def _submodule(name: str) -> bool:
    with contextlib.suppress(Exception):
        importlib.import_module(name)
        return True
    return False


# ------------------------------------------------------------------- what some packages need, or would break


def _around(top: str) -> contextlib.AbstractContextManager[None]:
    return AROUND[top]() if top in AROUND else contextlib.nullcontext()


@contextlib.contextmanager
def _without_torchvision() -> Iterator[None]:
    """transformers looks whether torchvision is installed, not whether it can be loaded, and no model here needs it."""
    hidden = "torchvision" not in sys.modules
    if hidden:
        sys.modules["torchvision"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden and sys.modules.get("torchvision", 0) is None:
            del sys.modules["torchvision"]


@contextlib.contextmanager
def _without_screen() -> Iterator[None]:
    """matplotlib draws for nobody: a backend or a style that is not here is no error, nor is a folder for its cache."""
    made, register = tempfile.mkdtemp, atexit.register
    if "matplotlib" not in sys.modules and "MPLCONFIGDIR" not in os.environ:
        nowhere = os.environ["MPLCONFIGDIR"] = "/dev/null/none"  # which nobody can make, nor remove, root neither
        tempfile.mkdtemp = lambda *_arguments, **_named: nowhere  # type: ignore[assignment]
        atexit.register = lambda function, *_arguments, **_named: function  # type: ignore[assignment]  # to remove it
        logging.getLogger("matplotlib").setLevel(logging.CRITICAL)  # it would complain of that at length
    try:
        yield
    finally:
        tempfile.mkdtemp, atexit.register = made, register
    matplotlib, pyplot = sys.modules.get("matplotlib"), sys.modules.get("matplotlib.pyplot")
    if matplotlib is not None:
        _replace(matplotlib, "use", _nothing)
    if pyplot is not None:
        switch = pyplot.switch_backend
        _replace(pyplot, "switch_backend", lambda _backend: switch("agg"))
        _replace(pyplot, "show", _nothing)
        _replace(sys.modules["matplotlib.style"], "use", _tried(sys.modules["matplotlib.style"].use))


@contextlib.contextmanager
def _plain_bars() -> Iterator[None]:
    """tqdm.notebook in plain text: its widgets are not here."""
    if "tqdm.notebook" not in sys.modules:
        tqdm, made = importlib.import_module("tqdm"), types.ModuleType("tqdm.notebook")
        made.__dict__.update(tqdm=tqdm.tqdm, tqdm_notebook=tqdm.tqdm, trange=tqdm.trange, tnrange=tqdm.trange)
        sys.modules[made.__name__] = tqdm.__dict__["notebook"] = made
    yield


@contextlib.contextmanager
def _without_sockets() -> Iterator[None]:
    """A loop of asyncio's wakes itself by a pair of sockets, which a worker may not have. Nobody else wakes it.

    So where nothing but a timer can wake it, its clock is put forward to that timer: `await asyncio.sleep(60)` takes
    no time.
    """
    yield
    try:
        for one in socket.socketpair():
            one.close()
    except OSError:
        loop: Any = importlib.import_module("asyncio.selector_events").BaseSelectorEventLoop
        loop._make_self_pipe = loop._close_self_pipe = loop._write_to_self = _nothing
        real_time, run_once = loop.time, loop._run_once

        def time(self: Any) -> float:
            return float(real_time(self)) + float(vars(self).get("_put_forward", 0.0))

        def _run_once(self: Any) -> None:
            # Another thread may be what a coroutine waits for, with a timer as its limit: then the timer is real.
            if not self._ready and threading.active_count() == 1:
                timers = [one.when() for one in self._scheduled if not one.cancelled()]
                if timers:
                    ahead = max(0.0, min(timers) - self.time())
                    self._put_forward = vars(self).get("_put_forward", 0.0) + ahead
            run_once(self)

        loop.time, loop._run_once = time, _run_once


OLD_NAMES: dict[str, dict[str, str]] = {
    "numpy": {
        **{"trapz": "trapezoid", "in1d": "isin", "row_stack": "vstack", "Inf": "inf", "infty": "inf", "NaN": "nan"},
        **{"float_": "float64", "complex_": "complex128", "product": "prod", "cumproduct": "cumprod"},
        **{"alltrue": "all", "sometrue": "any", "round_": "round", "asfarray": "asarray", "mat": "asmatrix"},
    },
    "scipy.integrate": {"simps": "simpson", "trapz": "trapezoid", "cumtrapz": "cumulative_trapezoid"},
}
"""What packages called things in the versions that students have, where only the name has gone since."""


@contextlib.contextmanager
def _with_old_names(module: str) -> Iterator[None]:
    yield
    space = sys.modules.get(module)
    for old, new in OLD_NAMES[module].items():
        if space is not None and old not in vars(space) and hasattr(space, new):
            setattr(space, old, getattr(space, new))
    if module == "numpy":
        for plain in (float, int, complex, object):
            vars(space).setdefault(plain.__name__, plain)


AROUND: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "transformers": _without_torchvision,
    "matplotlib": _without_screen,
    "seaborn": _without_screen,
    "tqdm": _plain_bars,
    "asyncio": _without_sockets,
    "numpy": functools.partial(_with_old_names, "numpy"),
    "scipy": functools.partial(_with_old_names, "scipy.integrate"),
}


def _begins_above(space: dict[str, Any] | None, level: int) -> bool:
    """Whether a relative import begins above the folder that imports begin in."""
    package = str((space or {}).get("__package__") or "")
    return level > len(package.split(".")) - (not package)


def _nothing(*_arguments: Any, **_named: Any) -> None:
    return None


def _tried(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def tried(*arguments: Any, **named: Any) -> Any:
        with contextlib.suppress(OSError):  # "seaborn", a style that newer versions call "seaborn-v0_8"
            return function(*arguments, **named)

    return tried


def _replace(module: types.ModuleType, name: str, function: Callable[..., Any]) -> None:
    if not hasattr(getattr(module, name), "_ours"):
        ours = functools.partial(function)
        ours._ours = True  # type: ignore[attr-defined]
        setattr(module, name, ours)


def _namespace(name: str, root: Path) -> types.ModuleType:
    """An old package's name; its attributes are the submission's top-level modules."""
    space = types.ModuleType(name)
    space.__dict__["__getattr__"] = importlib.import_module
    for file in root.glob("*"):
        if file.suffix == ".py" or file.is_dir():
            with contextlib.suppress(ImportError):
                setattr(space, file.stem, importlib.import_module(file.stem))
    return space
