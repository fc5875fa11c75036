"""Loads a submission's files inside the worker, forgiving what has nothing to do with the answer.

Real submissions import plotting packages that are not here, leave `breakpoint()` in, call `.cuda()`,
end with `sys.exit()` or keep the `codebase.` prefix of an older handout. None of that makes a graded
function wrong, so none of it may fail one. Nothing here is trusted, or trusts: it runs beside the
student's code and only ever produces values.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from autograder import notebooks
from autograder.core import GIVEN
from autograder.isolation import reading
from autograder.isolation.imports import Importer
from autograder.isolation.kernel import Kernel
from autograder.isolation.machine import pretend_cuda


class Missing(Exception):
    """The submission lacks a file or a name that is graded."""


class ImportFault(Exception):
    """A file of the submission could not be loaded as far as the graded name; `cause` is why."""

    def __init__(self, file: str, cause: BaseException) -> None:
        super().__init__(file)
        self.cause = cause


class Student:
    """The submission in `box`. `absent` are graded files that it lacks (the box may hold the template's).

    `kernel` is there where the ask is for a notebook's whole run, `seconds` the time for all of the ask.
    """

    def __init__(
        self, box: Path, absent: Sequence[str] = (), *, kernel: Kernel | None = None, seconds: float = 10.0
    ) -> None:
        self.box = box
        self.absent = frozenset(absent)
        self.kernel, self.seconds = kernel, seconds
        self.faults: dict[str, BaseException] = {}
        self._cells: dict[str, tuple[notebooks.Cell, ...]] = {}
        self._sources: dict[str, notebooks.Source] = {}
        self._finder = _Finder(self)

    def function(self, file: str, name: str, **instead: Any) -> Callable[..., Any]:
        """The function or class `name` that `file` ("gan_vae/utils.py", or a notebook) defines.

        What it uses of the file's other names is taken from `instead`, where it is there.
        """
        if file in self.absent:
            raise Missing(f"{file} is not in the upload")
        module = self.definitions(file, name) if file.endswith(".ipynb") else self.module(file)
        module.__dict__.update(instead)
        found = getattr(module, name, None)
        if found is None:
            for place in (f"{file}: {name}", file):
                if place in self.faults:
                    raise ImportFault(file, self.faults[place])
            raise Missing(f"{file} defines no {name}" + self._unread(file))
        if not callable(found):
            raise Missing(f"{name} in {file} is a {type(found).__name__}, not something to call")
        return found  # type: ignore[no-any-return]

    def module(self, file: str) -> types.ModuleType:
        """The module of `file`, as far as it could be loaded; its first folder, if it is in one, is the import root."""
        root, _, path = file.partition("/") if "/" in file else ("", "", file)
        self._finder.root = self.box / root
        if self._finder not in sys.meta_path:
            sys.meta_path.insert(0, self._finder)
        return importlib.import_module(path.removesuffix(".py").replace("/", "."))

    def cells(self, file: str) -> tuple[notebooks.Cell, ...]:
        """The code cells of the notebook `file`, read once."""
        if file in self.absent:
            raise Missing(f"{file} is not in the upload")
        if file not in self._cells:
            try:
                self._cells[file] = notebooks.read((self.box / file).read_bytes())
            except (notebooks.Unreadable, OSError) as fault:
                raise Missing(f"{file} could not be read: {fault}") from None
        return self._cells[file]

    def source(self, file: str) -> notebooks.Source:
        """The statements of the notebook `file`, parsed once."""
        if file in self.absent:
            raise Missing(f"{file} is not in the upload")
        if file not in self._sources:
            self._sources[file] = reading.kept(self.box, file) or notebooks.source_of(self.cells(file))
        return self._sources[file]

    def definitions(self, file: str, *names: str) -> types.ModuleType:
        """A fresh module of a notebook's `names` and what they need: neither its training nor its downloads."""
        root = (self.box / file).parent
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))  # a notebook may import files beside it
        module = types.ModuleType(Path(file).stem)
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": Importer(root)}
        chosen = self.source(file).definitions(names)
        if any("cuda" in one.text for one in chosen) and not torch.cuda.is_available():
            pretend_cuda()  # not for a training loop's sake: it makes every operation of torch slower
        faults = notebooks.execute(file, chosen, module.__dict__)
        self.faults |= {f"{file}: {name}": fault for name, fault in faults.items()}
        return module

    def _unread(self, file: str) -> str:
        """What could not be read of a notebook, as the end of a sentence."""
        faults = self._sources[file].faults if file in self._sources else {}
        told = [f"code cell {cell} could not be read as Python: {fault}" for cell, fault in sorted(faults.items())]
        return "".join(f"; {words}" for words in told[:1])

    def given(self, file: str) -> types.ModuleType:
        """The template's own version of `file`, for what a broken file of the submission fails to define."""
        module = types.ModuleType(Path(file).stem)
        _Loader(self.box / GIVEN / file, self, self.box / GIVEN / file.partition("/")[0]).exec_module(module)
        return module


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the submission's modules before any installed one of the same name (`utils`, `models`)."""

    def __init__(self, student: Student) -> None:
        self.student = student
        self.root = student.box

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        base = self.root.joinpath(*fullname.split("."))
        for file, package in ((base / "__init__.py", True), (base.with_suffix(".py"), False)):
            if file.is_file():
                loader = _Loader(file, self.student, self.root)
                spec = importlib.machinery.ModuleSpec(fullname, loader, origin=str(file), is_package=package)
                if package:
                    spec.submodule_search_locations = [str(base)]
                return spec
        if base.is_dir() and any(base.glob("*.py")):  # a folder whose __init__.py was not uploaded
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(base)]
            return spec
        return None


class _Loader(importlib.abc.Loader):
    """Runs a file as far as it goes: what it defined before failing can still be graded."""

    def __init__(self, file: Path, student: Student, root: Path) -> None:
        self.file, self.student, self.root = file, student, root

    def exec_module(self, module: types.ModuleType) -> None:
        name = f"{self.root.name}/{self.file.relative_to(self.root).as_posix()}"
        module.__file__ = str(self.file)
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": Importer(self.root)}
        try:
            source = self.file.read_bytes()
            if b"cuda" in source and not torch.cuda.is_available():
                pretend_cuda()
            code = compile(source, name, "exec", dont_inherit=True)
            # Tracebacks quote the line; linecache cannot find a file by this relative name itself.
            text = source.decode("utf-8", "replace")
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            exec(code, module.__dict__)  # in the worker: this is what a worker is for
        except BaseException as fault:  # SystemExit and KeyboardInterrupt too
            self.student.faults[name] = fault


def describe(fault: BaseException, box: Path) -> tuple[str, str]:
    """What went wrong, in one line, and the deepest line of the submission that was running."""
    try:
        text = f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
    except BaseException:  # str() of an exception is the student's code
        text = type(fault).__name__
    where = ""
    if isinstance(fault, SyntaxError) and fault.filename and fault.lineno:
        where = f"{fault.filename}, line {fault.lineno}"
        text = f"{type(fault).__name__}: {fault.msg}"
    else:
        with contextlib.suppress(Exception):
            for frame in traceback.extract_tb(fault.__traceback__, limit=-200):
                if _own(frame.filename, box):
                    where = f"{frame.filename}, line {frame.lineno} (in {frame.name})"
    return text.strip().splitlines()[0][:400], where[:300]


def raised_in(fault: BaseException, box: Path) -> bool:
    """Whether the line that raised it is the submission's own, not a library's."""
    with contextlib.suppress(Exception):
        return _own(traceback.extract_tb(fault.__traceback__, limit=-1)[-1].filename, box)
    return False


def _own(filename: str, box: Path) -> bool:
    """Whether a frame's file is one of the submission's, or a cell of its notebook."""
    return not Path(filename).is_absolute() and (box / notebooks.file_of(filename)).is_file()
