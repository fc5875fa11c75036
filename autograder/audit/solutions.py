"""What a right, wrong or half-right solution of a homework is, and how it becomes a submission."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Literal


@dataclass(frozen=True)
class Solution:
    """A solution that differs from the reference in the definitions of one file.

    `source` holds the definitions that replace those of the same name (a method is written at top level
    as `def negative_elbo_bound(self, x):`, or, where several classes have one of that name, below the line
    `class VAE:`; there it may also be new). `prelude` is put at the top of the file. `fails` are the ids of the
    checks that must fail whatever is drawn, () for a right solution; `sometimes` are those that fail for some draws;
    `diagnosis` is the misconception that the feedback must name, "" where none is expected. A half-right solution
    has lost `lost` points in the end, for a `reason`. `place` is the case's file and line.
    """

    id: str
    about: str
    file: str
    source: str
    fails: tuple[str, ...] = ()
    diagnosis: str = ""
    prelude: str = ""
    sometimes: tuple[str, ...] = ()
    lost: float = 0.0
    reason: str = ""
    place: str = field(default="", repr=False, compare=False)

    @property
    def kind(self) -> Literal["right", "wrong", "half-right"]:
        """What follows from the checks that fail and the points that are lost."""
        if not self.fails:
            return "right"
        return "half-right" if self.lost else "wrong"

    @property
    def code(self) -> str:
        """A digest of all that the solution is, wherever it stands."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Bank:
    """All solutions that a homework's grader is graded with, each kind in the order of its files."""

    right: tuple[Solution, ...] = ()
    wrong: tuple[Solution, ...] = ()
    half_right: tuple[Solution, ...] = ()

    @classmethod
    def of(cls, solutions: Iterable[Solution]) -> Bank:
        """The solutions by kind."""
        kinds: dict[str, list[Solution]] = {"right": [], "wrong": [], "half-right": []}
        for solution in solutions:
            kinds[solution.kind].append(solution)
        return cls(*(tuple(kind) for kind in kinds.values()))

    @property
    def everything(self) -> tuple[Solution, ...]:
        """Right, wrong and half-right ones."""
        return self.right + self.wrong + self.half_right

    def __getitem__(self, id: str) -> Solution:
        for solution in self.everything:
            if solution.id == id:
                return solution
        raise KeyError(id)


class CaseError(ValueError):
    """What is wrong with a case, after its place: the file and the line."""

    def __init__(self, place: str, sentence: str) -> None:
        super().__init__(place, sentence)  # both, or it could not come back from another process

    def __str__(self) -> str:
        return ": ".join(self.args)


def applied(solution: Solution, reference: str) -> str:
    """The reference file's text with the solution's definitions in place of its own.

    In a notebook the cells that define them are changed; the prelude goes to the top of the first of those.
    Raises CaseError where the solution is no Python, is more than definitions, or defines what the reference does not.
    """
    source = solution.source.replace("\r\n", "\n").strip("\n")
    nodes = _replaced(solution, source)
    if not solution.file.endswith(".ipynb"):
        return _changed(solution, source, solution.prelude, reference)
    notebook = json.loads(reference)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    prelude = solution.prelude
    for node in nodes:
        kind = "class" if isinstance(node, ast.ClassDef) else "def"
        start = re.compile(rf"^[ \t]*{kind} {node.name}\b", re.M)
        chosen = next((cell for cell in cells if start.search("".join(cell["source"]))), None)
        if chosen is None:
            raise _unknown(solution, node.name)
        lines = source.splitlines(keepends=True)
        own = "".join(lines[_first_line(node) - 1 : node.end_lineno])
        chosen["source"] = _changed(solution, own, prelude, "".join(chosen["source"])).splitlines(keepends=True)
        prelude = ""
    return json.dumps(notebook, indent=1, ensure_ascii=False)


def _replaced(solution: Solution, source: str) -> list[Definition]:
    """The functions and classes that the source defines."""
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise CaseError(
            solution.place, f"{solution.id} is no Python: {error.msg}, in line {error.lineno} of its code."
        ) from None
    nodes = [node for node in body if isinstance(node, Definition)]
    if other := [node for node in body if not isinstance(node, Definition)]:
        raise CaseError(
            solution.place,
            f"Line {other[0].lineno} of the code of {solution.id} belongs to no function or class. What a file needs "
            "besides, such as an import, goes above a line `# ---`.",
        )
    return nodes


def _unknown(solution: Solution, name: str) -> CaseError:
    return CaseError(
        solution.place, f"{solution.id} defines {name}, which the reference's {solution.file} does not define."
    )


def _changed(solution: Solution, source: str, prelude: str, reference: str) -> str:
    """Python text with the source's definitions in place of its own."""
    source = source.strip("\n")
    if "\n\t" in source:  # one file has one kind of indentation
        reference = re.sub(r"^(?: {4})+", lambda spaces: "\t" * (len(spaces[0]) // 4), reference, flags=re.M)
    lines, pieces = reference.splitlines(keepends=True), source.splitlines(keepends=True)
    tree = ast.parse(reference)
    places = {node.name: node for node in _definitions(tree)}
    swaps = []
    for node in _replaced(solution, source):
        if node.name not in places:
            raise _unknown(solution, node.name)
        if isinstance(node, ast.ClassDef):
            old = places[node.name]
            inside = {method.name: method for method in _definitions(ast.Module(old.body, []))}
            pairs = [(method, inside.get(method.name, old), 1) for method in _definitions(ast.Module(node.body, []))]
        else:
            pairs = [(node, places[node.name], 0)]
        for new, old, depth in pairs:
            indent = _indent(lines[old.lineno - 1]) if old.name == new.name else " " * 4
            own = textwrap.dedent("".join(pieces[_first_line(new) - 1 : new.end_lineno]))
            text = "".join(indent + line if line.strip() else line for line in own.splitlines(keepends=True))
            first, last = _first_line(old) - 1, old.end_lineno or 0
            if depth and old.name != new.name:  # a method that the reference lacks goes to the end of its class
                first, text = last, "\n" + text
            swaps.append((first, last, text.rstrip("\n") + "\n"))
    for first, last, text in sorted(swaps, reverse=True):
        lines[first:last] = [text]
    result = (prelude.rstrip("\n") + "\n" if prelude else "") + "".join(lines)
    return result.replace("\n", "\r\n") if "\r\n" in solution.source else result


Definition = ast.FunctionDef | ast.ClassDef


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _first_line(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _definitions(tree: ast.AST) -> list[Definition]:
    """All functions and classes; of several with one name the last counts."""
    return [node for node in ast.walk(tree) if isinstance(node, Definition)]


def write(solution: Solution, reference: Path, folder: Path) -> Path:
    """Makes `folder` a submission: a copy of the reference with the solution applied."""
    # No file of a canary that tries its luck in the reference at this moment.
    copytree(reference, folder, dirs_exist_ok=True, ignore=ignore_patterns("__pycache__", ".*"))
    target = folder / solution.file
    target.write_bytes(applied(solution, (reference / solution.file).read_text()).encode())
    return folder
