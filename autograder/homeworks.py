"""Finds a homework by what `--homework` names: a package that Python can import, or a folder that lies anywhere."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # at run time only to load one: to pack this repository's, nothing but Python is needed
    from autograder.core import Assignment

DEFAULT = "autograder.hw11"
FOLDERS = "homeworks"
"""The package below which a folder is imported: its own name alone could be that of a student's file, or of numpy."""
ROOT = Path(__file__).resolve().parents[1]
CHOSEN = "homework.txt"
"""In a bundle, which homework is meant where no command says which: a folder beside run_autograder, or a package."""


class NoHomework(Exception):
    """Why a homework cannot be used, as a sentence for its author."""


def usual() -> str:
    """The homework that is meant where no command says which."""
    try:
        chosen = (ROOT / CHOSEN).read_text(encoding="utf-8").strip()
    except OSError:
        return DEFAULT
    folder = ROOT / chosen
    return str(folder) if folder.is_dir() else chosen


def canonical(named: str) -> str:
    """What `--homework` names, in a form that means the same in every folder and process.

    A folder becomes its absolute path; a package keeps its name. Raises NoHomework where neither is there.
    """
    folder = Path(named).expanduser()
    if (folder / "__init__.py").is_file():
        folder = folder.resolve()
        if "." in folder.name:
            raise NoHomework(
                f"{folder} has a dot in its name, but the name of a Python package cannot contain a dot. Rename the "
                "folder."
            )
        return str(folder)
    if os.sep in named or folder.is_dir():
        lacks = "has no __init__.py" if folder.is_dir() else "is not a folder"
        raise NoHomework(
            f"{named} {lacks}. Expected: the folder of a homework, as `python3 -m autograder new FOLDER` writes it."
        )
    try:
        found = importlib.util.find_spec(named)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise NoHomework(
            f"There is no folder and no Python package called {named}. `python3 -m autograder new FOLDER` writes a "
            "homework."
        )
    return named


def places(named: str, root: Path = ROOT) -> tuple[Path, ...]:
    """The folders in which a course.toml counts, the first one that has it: beside run_autograder, then the homework's.

    Beside run_autograder, in `root`, are the settings of the homework that it grades, and of no other.
    """
    own = folder(named)
    return (root, own) if named == usual() else (own,)


def package(named: str) -> str:
    """The name by which the homework's modules can be imported from now on; nothing of it is run.

    Of two folders with one name the one that was asked for last counts.
    """
    if os.sep not in named:
        return named
    own = Path(named)
    name = f"{FOLDERS}.{own.name}"
    there = sys.modules.get(name)
    if there is not None and list(there.__path__) != [str(own)]:
        for other in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
            del sys.modules[other]
    above = sys.modules.setdefault(FOLDERS, _empty(FOLDERS))
    if list(above.__path__)[:1] != [str(own.parent)]:
        above.__path__ = [str(own.parent), *(one for one in above.__path__ if one != str(own.parent))]
        importlib.invalidate_caches()
    return name


def place(named: str) -> tuple[str, str]:
    """The package's name, and in which folder another process has to look for it; "" where it finds it by itself.

    `named` may also be the name that `package` gave.
    """
    name = package(named)
    above = folder(name).parents[name.count(".") if not name.startswith(f"{FOLDERS}.") else 0]
    return name, "" if above == ROOT else str(above)


def folder(named: str) -> Path:
    """The folder of its package. Raises NoHomework where there is none."""
    found = importlib.util.find_spec(package(named))
    if found is None or not found.submodule_search_locations:
        raise NoHomework(f"{named} is not a Python package, so it contains no probes.")
    return Path(next(iter(found.submodule_search_locations))).resolve()


def find_in(name: str, above: str) -> None:
    """Makes the package importable in a process that was told its place; nothing of it is run."""
    if name.startswith(f"{FOLDERS}."):
        package(str(Path(above, name.partition(".")[2])))
    elif above and above not in sys.path:
        sys.path.append(above)


def load(named: str) -> Assignment:
    """The homework. Raises NoHomework, with file and line where its own code fails."""
    from autograder.core import Assignment

    name = package(canonical(named) if os.sep in named else named)
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever an author's code does
        raise NoHomework(f"The homework {named} cannot be loaded: {_told(error, named)}") from error
    found = getattr(module, "ASSIGNMENT", None)
    if not isinstance(found, Assignment):
        kind = "has no ASSIGNMENT" if found is None else f"has an ASSIGNMENT of type {type(found).__name__}"
        raise NoHomework(f"The homework {named} {kind}. Expected: ASSIGNMENT = Assignment(...) in its __init__.py.")
    if fault := _fault(found):
        raise NoHomework(f"The homework {named} cannot be used: {fault}")
    return found


def _empty(name: str) -> ModuleType:
    """A package without files of its own."""
    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    module.__path__ = []
    return module


def _told(error: Exception, named: str) -> str:
    """What was raised, and the last line of the homework's own that led to it."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"{text.partition(' (')[0]} ({error.filename}, line {error.lineno})."
    own = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(named).name in Path(frame.filename).parts
    ]
    return f"{text} ({own[-1].filename}, line {own[-1].lineno})." if own else f"{text}."


def _fault(assignment: Assignment) -> str:
    """What makes every grading go wrong, as a sentence; "" where nothing does."""
    if not assignment.reference.is_dir():
        return f"its reference {assignment.reference} is no folder."
    ids = [check.id for question in assignment.questions for check in question.checks]
    for what, names in (("check", ids), ("question", [question.id for question in assignment.questions])):
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            return f"two {what}s have the id {twice[0]}."
    numbers = Counter(question.number for question in assignment.questions)
    if twice := [str(number) for number, count in numbers.items() if count > 1]:
        return f"two questions have the number {twice[0]}."
    return _lost_probe(assignment)


def _lost_probe(assignment: Assignment) -> str:
    """Which of the names that its checks ask for is in no probe module, as a sentence; "" where all are there.

    The modules are read and not run: they may import torch, and run beside students' code alone.
    """
    known: dict[str, tuple[str, set[str] | None]] = {}
    for check in (check for question in assignment.questions for check in question.checks):
        requests = [check.request, *([check.counterexample.request] if check.counterexample else [])]
        for request in requests:
            module, _, function = request.probe.partition(":")
            if module not in known:
                known[module] = _probe_names(assignment.probes, module)
            place, names = known[module]
            for what, name in (("function", function), ("class", request.collector)):
                if names is None:
                    return f"the check {check.id} asks for the probe {request.probe}, but {place}."
                if name not in names and (name or what == "function") and "*" not in names:
                    near = difflib.get_close_matches(name, names, n=1)
                    hint = f" Is {near[0]} meant?" if near else ""
                    lost = f"{place} has no {what} {name}.{hint}"
                    return f"the check {check.id} asks for the probe {request.probe}, but {lost}"
    return ""


def _probe_names(package: str, module: str) -> tuple[str, set[str] | None]:
    """The file of a probe module and the names that it binds; or why there is none, and None. "*" may be any name."""
    from autograder.core import PRIVATE, PUBLIC

    parts = module.split(".")
    if {PUBLIC, PRIVATE}.isdisjoint(parts):
        return f"only modules called {PUBLIC} or {PRIVATE} hold probes", None
    above = folder(package)
    files = (above.joinpath(*parts).with_suffix(".py"), above.joinpath(*parts, "__init__.py"))
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return f"there is no {files[0]}", None
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        return f"{file} is no Python: {error.msg} (line {error.lineno})", None
    return str(file), {name for statement in tree.body for name in _bound(statement)}


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module binds, those within `if` and `try` among them."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in statement.names)
    elif isinstance(statement, ast.If | ast.Try | ast.With):
        for below in ast.iter_child_nodes(statement):
            if isinstance(below, ast.stmt):
                yield from _bound(below)
            elif isinstance(below, ast.ExceptHandler):
                yield from (name for one in below.body for name in _bound(one))
    else:
        yield from (node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and _is_store(node))


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)
