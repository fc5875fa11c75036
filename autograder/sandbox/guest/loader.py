"""Finds and runs the modules of a submission as Python would, but forgives what a graded function does not need."""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from autograder.core import GIVEN, PACKAGES
from autograder.sandbox.guest.imports import Importer
from autograder.sandbox.guest.machine import pretend_cuda, wants_gpu
from autograder.sandbox.guest.statements import Faults, run_file

MOST_FILES, MOST_BYTES = 2000, 1 << 20
"""Files of a submission that are looked through for a module or a package's name, and bytes of each."""


class Finder(importlib.abc.MetaPathFinder):
    """Finds the submission's modules before any installed one of the same name (`utils`, `models`).

    `root` is where its imports begin; `files` are those that its notebook writes, by their path from there.
    """

    def __init__(self, workspace: Path, faults: Faults, seconds: Callable[[], float]) -> None:
        self.workspace, self.root = workspace, workspace
        self.faults, self.seconds = faults, seconds
        self.files: Mapping[str, str] = {}
        self.executed: list[types.ModuleType] = []
        self.last = _LastFinder(self)

    def use(self, root: Path, files: Mapping[str, str] | None = None) -> None:
        """Has imports begin in this folder from now on."""
        self.root, self.files = root, files or {}
        for finder, at in ((self, 0), (self.last, len(sys.meta_path) + 1)):
            if finder not in sys.meta_path:
                sys.meta_path.insert(at, finder)
        for name in {name.partition(".")[0] for name in self.listed}:
            file = root / f"{name}.py"
            if not isinstance(sys.modules.get(name), _Shared) and (file.is_file() or name in sys.stdlib_module_names):
                sys.modules[name] = _Shared(name, self, file if file.is_file() else None)

    @cached_property
    def listed(self) -> tuple[str, ...]:
        """What the intake saw the folder of the code called."""
        file = self.workspace / PACKAGES
        return tuple(file.read_text("utf-8", "replace").split()) if file.is_file() else ()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module that lies at its place below the root, or that the notebook writes there."""
        place = "/".join(fullname.split("."))
        for name, package in ((f"{place}/__init__.py", True), (f"{place}.py", False)):
            if name in self.files or (self.root / name).is_file():
                return self._spec(fullname, self.root / name, package=package)
        folder = self.root / place
        # A folder whose __init__.py was not uploaded, unless it only shares an installed package's name.
        if (any(name.startswith(f"{place}/") for name in self.files)) or (folder.is_dir() and any(folder.glob("*.py"))):
            return self._spec(fullname, folder, package=True)
        return None

    def _spec(self, fullname: str, file: Path, *, package: bool) -> importlib.machinery.ModuleSpec:
        loader = None if package and file.suffix != ".py" else FileLoader(file, self)
        spec = importlib.machinery.ModuleSpec(fullname, loader, origin=str(file), is_package=package)
        if package:
            spec.submodule_search_locations = [str(file.parent if file.suffix == ".py" else file)]
        return spec


class FileLoader(importlib.abc.InspectLoader):
    """Runs a file as far as it goes: what it defined before and behind a fault can still be graded."""

    def __init__(self, file: Path, finder: Finder, *, named: str = "") -> None:
        self.file, self.finder, self.named = file, finder, named

    @property
    def name(self) -> str:
        """How the file is called in tracebacks and to the student."""
        if self.named:
            return self.named
        inside = (
            self.file.relative_to(self.finder.workspace)
            if self.file.is_relative_to(self.finder.workspace)
            else self.file
        )
        return inside.as_posix()

    def get_source(self, fullname: str) -> str:
        """The file's text."""
        return self.data().decode("utf-8", "replace")

    def data(self) -> bytes:
        """The file's bytes, wherever it stands."""
        if self.file.is_relative_to(self.finder.root):
            written = self.finder.files.get(self.file.relative_to(self.finder.root).as_posix())
            if written is not None:
                return written.encode("utf-8", "replace")
        return self.file.read_bytes()

    def exec_module(self, module: types.ModuleType) -> None:
        """Runs the file; faults are kept, not raised."""
        module.__file__ = str(self.file)
        self.finder.executed.append(module)
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": Importer(self.finder.root)}
        try:
            data = self.data()
        except OSError as fault:
            self.finder.faults.add(self.name, (), fault)
            return
        if wants_gpu(data):
            pretend_cuda()
        run_file(self.name, data, module.__dict__, self.finder.faults, seconds=self.finder.seconds())


class _Shared(types.ModuleType):
    """A name that the folder of the code has in common with one of its files, or with a module of Python's own.

    Submodules are the folder's, attributes the file's or the other module's.
    """

    def __init__(self, name: str, finder: Finder, file: Path | None) -> None:
        super().__init__(name)
        self.__path__ = [str(finder.root)]
        self.__dict__["_other"] = sys.modules.get(name) or (None if file else importlib.import_module(name))
        self.__dict__["_loader"] = FileLoader(file, finder) if file else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.__dict__["_other"] is None:
            self.__dict__["_other"] = other = types.ModuleType(self.__name__)
            self.__dict__["_loader"].exec_module(other)
        return getattr(self.__dict__["_other"], name)


class _LastFinder(importlib.abc.MetaPathFinder):
    """For names that nothing else finds: the folder's own name as a package, and modules elsewhere in the upload.

    `from X import utils` means the submission's own `utils` where X is what the folder was called.
    """

    def __init__(self, finder: Finder) -> None:
        self.finder = finder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of an alias, or of the one file of the upload whose path ends in the module's name."""
        if any(name == fullname or name.startswith(f"{fullname}.") for name in self.packages):
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self.finder.root)]
            return spec
        for package in self.packages:
            inside = fullname.removeprefix(f"{package}.")
            if inside != fullname and self.finder.find_spec(inside) is not None:
                return importlib.machinery.ModuleSpec(fullname, _Alias(inside))
        place = PurePosixPath(*fullname.split("."))
        for name in self.finder.files:  # %%writefile src/loss.py, and src is on the path
            written = PurePosixPath(name)
            if written.parts[-len(place.parts) :] == place.with_suffix(".py").parts:
                return self.finder._spec(fullname, self.finder.root / written, package=False)
        for end in (place.with_suffix(".py"), place / "__init__.py"):
            for file in self.elsewhere:
                if file.parts[-len(end.parts) :] == end.parts:
                    return self.finder._spec(fullname, self.finder.workspace / file, package=end.name == "__init__.py")
        return None

    @cached_property
    def elsewhere(self) -> list[PurePosixPath]:
        """The upload's Python files, the nearest first."""
        found: list[PurePosixPath] = []
        for path in self.finder.workspace.rglob("*.py"):
            inside = PurePosixPath(path.relative_to(self.finder.workspace).as_posix())
            if inside.parts[0] != GIVEN:
                found.append(inside)
            if len(found) == MOST_FILES:
                break
        return sorted(found, key=lambda inside: (len(inside.parts), str(inside)))

    @cached_property
    def packages(self) -> tuple[str, ...]:
        """The dotted names by which the upload's files call their own folder.

        They are those that the intake saw, and some that the files import. A name is learned from an import only where
        nothing of that name is installed and what is imported from it lies at the root.
        """
        names = set(self.finder.listed)
        texts = [self.finder.workspace / file for file in self.elsewhere[:MOST_FILES]]
        for path in (*texts, *self.finder.workspace.glob("*.ipynb")):
            with path.open("rb") as file:
                names |= self._imported(file.read(MOST_BYTES).decode("utf-8", "replace"))
        return tuple(sorted(names, key=lambda name: (-name.count("."), name)))

    def _imported(self, text: str) -> set[str]:
        found = set[str]()
        for package, names in FROM.findall(text):
            parts = package.split(".")
            if any(self._is_ours(name) for name in re.findall(r"\w+", names)):
                found.add(package)
            found |= {".".join(parts[:cut]) for cut in range(1, len(parts)) if self._is_ours(".".join(parts[cut:]))}
        for package in IMPORT.findall(text):
            parts = package.split(".")
            found |= {".".join(parts[:cut]) for cut in range(1, len(parts)) if self._is_ours(".".join(parts[cut:]))}
        return {name for name in found if not self._is_ours(name) and not _installed(name.partition(".")[0])}

    def _is_ours(self, name: str) -> bool:
        return self.finder.find_spec(name) is not None


FROM = re.compile(r"\bfrom[ \t]+([A-Za-z_][\w.]*)[ \t]+import[ \t]+\(?([\w \t,*]+)")
IMPORT = re.compile(r"\bimport[ \t]+([A-Za-z_]\w*(?:\.\w+)+)")


def _installed(name: str) -> bool:
    """Whether there is a package of this name that is not the submission's."""
    if name in sys.builtin_module_names or name in sys.stdlib_module_names:
        return True
    try:
        return importlib.machinery.PathFinder.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


class _Alias(importlib.abc.Loader):
    """Gives the submission's own module a second name: there is one module, as there is one file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """The module under its own name, imported if it was not yet."""
        module = importlib.import_module(self.name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: it has run. Its own spec is put back, which Python replaced by the alias's."""
        module.__spec__ = self.spec
