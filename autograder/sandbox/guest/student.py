"""A submission's files as probes see them: loaded as Python or Jupyter would, with the first cause of what failed.

Real submissions import plotting packages that are not here, leave `breakpoint()` in, call `.cuda()`,
end with `sys.exit()` or keep the `codebase.` prefix of an older handout. None of that makes a graded
function wrong, so none of it may fail one. Nothing here is trusted, or trusts: it runs beside the
student's code and only ever produces values.
"""

from __future__ import annotations

import builtins
import contextlib
import dis
import importlib
import re
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autograder.core import GIVEN, WHOLE
from autograder.message import MOST_CALLS, Call
from autograder.sandbox.guest import notebooks
from autograder.sandbox.guest.absent import Absent, fault_of
from autograder.sandbox.guest.contents import Contents
from autograder.sandbox.guest.contents import Missing as Missing
from autograder.sandbox.guest.imports import Importer
from autograder.sandbox.guest.kernel import Kernel
from autograder.sandbox.guest.loader import FileLoader, Finder
from autograder.sandbox.guest.machine import awake, pretend_cuda, settle, wants_gpu
from autograder.sandbox.guest.statements import Faults, Statement, execute

MOST_STATEMENT = 1.0
"""Seconds that a statement may take which is there on the chance that something needed depends on it."""
DEPTH = 10
"""Faults behind faults that are followed to the first one."""


class ImportFault(Exception):
    """A file of the submission could not be loaded as far as the graded name; `cause` is why."""

    def __init__(self, file: str, cause: BaseException) -> None:
        super().__init__(file)
        self.cause = cause


class Student(Contents):
    """The submission in `workspace`, whose code runs: see `Contents`.

    `kernel` is there where the request is for a notebook's whole run, `seconds` the time for all of the request.
    `rung` is how much of a notebook is run for a name: see Source.definitions; `further` is the next rung that would
    run more.
    """

    def __init__(
        self,
        workspace: Path,
        absent: Sequence[str] = (),
        *,
        kernel: Kernel | None = None,
        seconds: float = 10.0,
        rung: int = 0,
    ) -> None:
        super().__init__(workspace, absent)
        self.kernel, self.seconds, self.rung = kernel, seconds, rung
        self.faults = Faults()
        self._loading_ends = time.monotonic() + seconds / 2
        self._asked: set[tuple[str, tuple[str, ...]]] = set()
        self._finder = Finder(workspace, self.faults, self._loading_left)
        self.loaded: Callable[[Mapping[str, Any]], None] = lambda _space: None
        """Called with the namespace of what was just loaded, before anything of it is: it may have seeded itself."""

    def function(self, file: str, name: str, **instead: Any) -> Callable[..., Any]:
        """The function or class `name` that `file` ("gan_vae/utils.py", or a notebook) defines.

        What it uses of the file's other names is taken from `instead`, where it is there.
        """
        if file in self.absent:
            raise Missing(f"{file} is not in the upload")
        module = self.definitions(file, name) if file.endswith(".ipynb") else self.module(file)
        for home in {id(one): one for one in (module, self._home(getattr(module, name, None)))}.values():
            if home is not None:
                _put(home.__dict__, instead, everywhere=home is module)
        found = getattr(module, name, None)
        if found is None:
            fault = (
                self._fault_of(file, name)
                or self._fault_elsewhere(name)
                or (None if file.endswith(".ipynb") else self.faults.by_file.get(file))
            )
            if fault is not None:
                raise ImportFault(file, self.first_cause(fault))
            raise Missing(f"{file} defines no {name}" + self._unread(file))
        if isinstance(found, Absent):
            raise ImportFault(file, fault_of(found))
        if not callable(found):
            raise Missing(f"{name} in {file} has the type {type(found).__name__}, but a function or class was expected")
        return found  # type: ignore[no-any-return]

    def _home(self, found: object) -> types.ModuleType | None:
        """The submission's module that defines it, where that is known: a notebook may only import it."""
        home = sys.modules.get(getattr(found, "__module__", None) or "")
        return home if str(getattr(home, "__file__", None) or "").startswith(f"{self.workspace}/") else None

    def module(self, file: str) -> types.ModuleType:
        """The module of `file`, as far as it could be loaded; its first folder, if it is in one, is the import root."""
        root, _, path = file.partition("/") if "/" in file else ("", "", file)
        self._finder.use(self.workspace / root)
        try:
            with self.phases.within("load"), awake():
                module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        finally:
            settle()
        self.loaded(module.__dict__)
        return module

    def modules(self) -> list[types.ModuleType]:
        """The submission's modules that were loaded so far."""
        return self._finder.executed

    def failed(self, file: str) -> bool:
        """Whether anything in this Python file, once it was asked for, could not be loaded."""
        return file in self.faults.by_file

    def definitions(self, file: str, *names: str) -> types.ModuleType:
        """A fresh module of a notebook's `names` and what they need: neither its training nor its downloads."""
        with self.phases.within("load"):
            return self._definitions(file, names)

    def _definitions(self, file: str, names: tuple[str, ...]) -> types.ModuleType:
        source = self.source(file)
        self._asked.add((file, names))
        root = (self.workspace / file).parent
        self._finder.use(root, source.files)
        module = types.ModuleType("__main__")
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": Importer(root), **IN_A_NOTEBOOK}
        chosen = source.definitions(names, rung=self.rung)
        if any(wants_gpu(one.text) for one in chosen):
            pretend_cuda()  # not for a training loop's sake: it makes every operation of torch slower
        certain = chosen if self.rung == 0 else source.definitions(names)
        known = {id(one) for one in certain}

        def left(statement: Statement) -> float:
            most = self.seconds if id(statement) in known else MOST_STATEMENT
            return min(most, self._loading_left())

        with _as_main(module), awake():
            execute(file, chosen, module.__dict__, self.faults, left=left)
        settle()
        for piece in source.broken:
            later = {name for one in chosen if (one.cell, one.line) > (piece.cell, piece.line) for name in one.binds}
            self.faults.add(file, piece.binds - later, piece.fault(file))
        self.loaded(module.__dict__)
        return module

    @property
    def further(self) -> int:
        """The next rung of the ladder that would run more of a notebook than was run for what was asked; 0 for none."""
        for rung in range(self.rung + 1, WHOLE):
            for file, names in self._asked:
                source = self._sources[file]
                if len(source.definitions(names, rung=rung)) > len(source.definitions(names, rung=self.rung)):
                    return rung
        return 0

    def _loading_left(self) -> float:
        return max(self._loading_ends - time.monotonic(), 0.05)

    # ------------------------------------------------------------------------------------------- causes

    def _fault_of(self, file: str, name: str) -> BaseException | None:
        return self.faults.by_name.get((file, name)) or self.faults.by_name.get((file, "*"))

    def _fault_elsewhere(self, name: str) -> BaseException | None:
        """Why another file, from which the name may have been imported with all others, does not have it."""
        return next((fault for (_, bound), fault in self.faults.by_name.items() if bound == name), None)

    def first_cause(self, fault: BaseException) -> BaseException:
        """The fault that this one follows from: a name is not bound since the statement that binds it failed."""
        seen = {id(fault)}
        for _ in range(DEPTH):
            before = self._before(fault)
            if before is None or id(before) in seen:
                break
            seen.add(id(before))
            fault = before
        return fault

    def _before(self, fault: BaseException) -> BaseException | None:
        name = getattr(fault, "name", None)
        if isinstance(fault, NameError) and isinstance(name, str):
            return next((found for file in self._own_files(fault) if (found := self._fault_of(file, name))), None)
        if isinstance(fault, ImportError) and isinstance(name, str) and not isinstance(fault, ModuleNotFoundError):
            wanted = NOT_IMPORTED.search(str(fault))
            return self._fault_in(name, wanted[1]) if wanted else None
        if isinstance(fault, AttributeError) and isinstance(name, str):
            module = getattr(fault, "obj", None)
            return self._fault_in(module.__name__, name) if isinstance(module, types.ModuleType) else None
        return None

    def _fault_in(self, module: str, name: str) -> BaseException | None:
        """What went wrong with a name in one of the submission's modules."""
        file = getattr(sys.modules.get(module), "__file__", None) or ""
        if not file.startswith(f"{self.workspace}/"):
            return None
        inside = Path(file).relative_to(self.workspace).as_posix()
        return self._fault_of(inside, name) or self.faults.by_file.get(inside)

    def _own_files(self, fault: BaseException) -> Iterator[str]:
        """The submission's files whose lines were running, the deepest first."""
        with contextlib.suppress(Exception):
            for frame in reversed(traceback.extract_tb(fault.__traceback__, limit=-200)):
                if own(frame.filename, self.workspace):
                    yield notebooks.file_of(frame.filename)

    def placeholder(self, fault: BaseException) -> bool:
        """Whether the function that raised it stands as it was handed out: it raises NotImplementedError itself, or it
        only returns names that nothing binds."""
        trace = _last(fault)
        if trace is None or not own(trace.tb_frame.f_code.co_filename, self.workspace):
            return False
        code = trace.tb_frame.f_code
        if isinstance(fault, NotImplementedError):  # torch raises it too, for what it does not support
            return code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]
        if not isinstance(fault, NameError) or self.first_cause(fault) is not fault:
            return False
        only = {"RESUME", "NOP", "CACHE", "PRECALL", "LOAD_GLOBAL", "BUILD_TUPLE", "RETURN_VALUE", "LOAD_FAST_CHECK"}
        return {one.opname for one in dis.get_instructions(code)} <= only

    def hidden_behind(self, fault: BaseException) -> BaseException | None:
        """Why a placeholder is still there: the definition that was to replace it failed."""
        trace = _last(fault)
        if trace is None:
            return None
        code = trace.tb_frame.f_code
        names = (code.co_name, code.co_qualname.partition(".")[0])
        file = notebooks.file_of(code.co_filename)
        return next((found for name in names if (found := self.faults.by_name.get((file, name)))), None)

    def _unread(self, file: str) -> str:
        """What could not be read of a notebook, as the end of a sentence."""
        source = self._sources.get(file)
        if source is None:
            return ""
        broken = [(f"code cell {one.cell}, line {one.line}", one.words) for one in source.broken]
        broken += [(f"code cell {cell}", words) for cell, words in source.faults.items()]
        told = [f"{where} could not be read as Python: {words}" for where, words in broken]
        return "".join(f"; {words}" for words in told[:1])

    def given(self, file: str) -> types.ModuleType:
        """The template's own version of `file`, for what a broken file of the submission fails to define."""
        module = types.ModuleType(Path(file).stem)
        FileLoader(self.workspace / GIVEN / file, self._finder, named=file).exec_module(module)
        return module


class Held(Student):
    """A submission whose notebook has run: its names are those that the kernel holds."""

    def __init__(self, workspace: Path, space: dict[str, Any], *, seconds: float) -> None:
        super().__init__(workspace, seconds=seconds)
        self.space = space

    def definitions(self, file: str, *names: str) -> Any:
        """The kernel's own names, as attributes; whatever is set there is what its functions see."""
        held = _Space()
        held.__dict__ = self.space
        self.loaded(self.space)
        return held


class _Space:
    """Attributes that are a dictionary's items."""


NOT_IMPORTED = re.compile(r"cannot import name '(\w+)'")


class _Shell:
    """What `get_ipython()` gives outside of a kernel: magics and shell lines do nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing

    @property
    def user_ns(self) -> dict[str, Any]:
        """The notebook's names, which a cell may bind here."""
        return sys.modules["__main__"].__dict__

    user_global_ns = user_ns

    def push(self, names: Mapping[str, Any], *_arguments: Any, **_named: Any) -> None:
        """Binds names of the notebook's."""
        self.user_ns.update(names)

    def run_cell(self, source: str, *_arguments: Any, **_named: Any) -> None:
        """Runs source as a cell."""
        exec(notebooks.parse(notebooks.Cell(1, source)), self.user_ns)  # in the worker: this is what a worker is for

    def run_cell_magic(self, name: str, line: str, body: str) -> None:
        """What nbconvert makes of a cell with a magic."""
        if name in ("writefile", "file"):
            Path(line.split()[-1]).write_text(body, "utf-8")
        elif name not in notebooks.ELSEWHERE:
            self.run_cell(body)

    def getoutput(self, *_arguments: Any, **_named: Any) -> list[str]:
        """What a shell line printed: nothing."""
        return []


def _put(space: dict[str, Any], instead: Mapping[str, Any], *, everywhere: bool) -> None:
    """Has the names stand for something else, in the registries of the module, too: `LAYERS["decoder"]`.

    A module that only `everywhere` is not said of gets what it has of them already.
    """
    for name, ours in instead.items():
        if (theirs := space.get(name)) is None and not everywhere:
            continue
        for held in [one for one in space.values() if type(one) in (dict, list)] if theirs is not None else []:
            for key, value in list(held.items() if isinstance(held, dict) else enumerate(held)):
                if value is theirs:
                    held[key] = ours
        space[name] = ours


def _nothing(*_arguments: Any, **_named: Any) -> None:
    return None


IN_A_NOTEBOOK = {"get_ipython": _Shell, "display": _nothing}
"""What Jupyter adds to Python's own names."""


@contextlib.contextmanager
def _as_main(module: types.ModuleType) -> Iterator[None]:
    """The module is `__main__` while it is filled, as a notebook's is: dataclasses and the like look it up."""
    before = sys.modules.get("__main__")
    sys.modules["__main__"] = module
    try:
        yield
    finally:
        if before is not None:
            sys.modules["__main__"] = before


def _last(fault: BaseException) -> types.TracebackType | None:
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def describe(fault: BaseException, workspace: Path) -> tuple[str, str]:
    """What went wrong, in one line, and the deepest line of the submission that was running."""
    text = _words(fault)
    where = str(getattr(fault, "imported_at", ""))
    if isinstance(fault, SyntaxError) and fault.filename and fault.lineno:
        where = f"{fault.filename}, line {fault.lineno}"
        text = f"{type(fault).__name__}: {fault.msg}"
    else:
        with contextlib.suppress(Exception):
            for frame in _own_calls(fault, workspace):
                where = frame.place
    return _pathless(text, workspace), where[:300]


def calls_of(fault: BaseException, workspace: Path) -> list[Call]:
    """The submission's own lines on the way to the exception, the deepest last; behind them what caused it.

    Of a loop of calls each line stands once. At most `MOST_CALLS`.
    """
    with contextlib.suppress(Exception):  # an exception's attributes are the student's code
        if isinstance(fault, SyntaxError) and fault.filename and fault.lineno:
            return [Call(f"{fault.filename}, line {fault.lineno}", (fault.text or "").strip())]
        cause = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
        behind = _own_calls(cause, workspace)[-1:] if cause is not None else []
        first = [replace(frame, error=_pathless(_words(cause), workspace)) for frame in behind if cause is not None]
        return [*_own_calls(fault, workspace)[len(first) - MOST_CALLS :], *first]
    return []


def _own_calls(fault: BaseException, workspace: Path) -> list[Call]:
    found: dict[str, Call] = {}
    for frame in traceback.extract_tb(fault.__traceback__, limit=-200):
        if own(frame.filename, workspace):
            place = f"{frame.filename}, line {frame.lineno} (in {frame.name})".replace(" (in <module>)", "")
            found.pop(place, None)  # the deepest call of a recursion counts
            found[place] = Call(place, (frame.line or "").strip().partition("\n")[0])
    return list(found.values())


def _words(fault: BaseException) -> str:
    try:
        return f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
    except BaseException:  # str() of an exception is the student's code
        return type(fault).__name__


def _pathless(text: str, workspace: Path) -> str:
    """The first line, without a path of ours."""
    for place in (f"{workspace}/", f"{sys.prefix}/"):
        text = text.replace(place, "")
    return text.strip().splitlines()[0][:400]


def own(filename: str, workspace: Path) -> bool:
    """Whether a frame's file is one of the submission's, or a cell of its notebook."""
    return not Path(filename).is_absolute() and (workspace / notebooks.file_of(filename)).is_file()
