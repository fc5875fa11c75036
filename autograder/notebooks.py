"""A student's notebook: the definitions that are graded, found without running it, and its whole run.

Everything here happens inside a worker: parsing hostile source can exhaust memory or the stack, and what a
kernel answers is as little to be trusted as what a student wrote.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import json
import re
import symtable
import time
import types
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

MAX_CELLS = 2000
MAX_TEXT = 1000
"""Characters that are kept of an exception's text, which can be megabytes."""


MAGIC = re.compile(r"^[ \t]*[%!?]|=[ \t]*[%!]|\?[ \t]*$", re.MULTILINE)
"""What may be a magic or a shell line."""
MAX_MAGICS, MAX_WORK = 400, 500_000
"""In one cell, alone and times its characters: IPython reads the whole cell anew for each, half a million characters in
1.5 s, and gives up after 500."""


class Unreadable(Exception):
    """The file is not a notebook; the sentence says why."""


@dataclass(frozen=True)
class Cell:
    """A code cell that is not empty; `number` is what stands in `In [ ]` after "restart and run all"."""

    number: int
    source: str


LOOP = re.compile(r"(for|while)\b")


@dataclass(frozen=True)
class Statement:
    """A top-level statement and its source, which begins in this line of its cell.

    Its tree, and what names it binds and uses, are read when first asked: few are needed.
    """

    cell: int
    text: str
    line: int = 1

    @cached_property
    def node(self) -> ast.stmt:
        """The statement as a tree, with the cell's line numbers."""
        return ast.parse("\n" * (self.line - 1) + self.text).body[0]

    @property
    def binds(self) -> frozenset[str]:
        """The names that it binds or changes; "*" of a `from x import *`."""
        return self._names[0]

    @property
    def uses(self) -> frozenset[str]:
        """The names that it or its functions use."""
        return self._names[1]

    @property
    def loops(self) -> bool:
        """Whether it is a `for` or `while`."""
        return LOOP.match(self.text) is not None

    def binds_one(self, name: str) -> bool:
        """Whether it binds this name, said without reading the whole statement where its first word tells."""
        if "_names" in vars(self) or ":=" in self.text:
            return name in self.binds
        if isinstance(self.node, ast.Expr):
            return False
        if isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return name == self.node.name
        return name in self.binds

    def code(self, file: str) -> types.CodeType:
        """The statement, compiled once: a probe makes fresh modules of the same definitions a dozen times."""
        compiled: dict[str, types.CodeType] = vars(self).setdefault("_code", {})
        if file not in compiled:
            source = ast.Module([self.node], []) if "node" in vars(self) else "\n" * (self.line - 1) + self.text
            compiled[file] = compile(source, place(file, self.cell), "exec", dont_inherit=True)
        return compiled[file]

    def known(self, **properties: Any) -> Statement:
        """The statement, with what is known of it already and need not be read again."""
        vars(self).update(properties)
        return self

    @cached_property
    def _names(self) -> tuple[frozenset[str], frozenset[str]]:
        """By Python's own rules of scope (symtable)."""
        node = self.node
        table = symtable.symtable(self.text, f"cell {self.cell}", "exec")
        binds = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        uses = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
        for child in table.get_children():
            uses |= _globals_used(child)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            binds.add("*")
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):  # config["lr"] = 1 changes config
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            binds |= {name for target in targets if (name := base_name(target)) is not None}
        passing = _caught(node) if "except" in self.text else set()
        return frozenset(binds - passing), frozenset(uses - passing)


# ------------------------------------------------------------------------------------------ definitions


@lru_cache(maxsize=4)  # audits put many asks to one notebook in one process
def read(data: bytes) -> tuple[Cell, ...]:
    """The code cells of a notebook of any version that nbformat knows. Raises `Unreadable`."""
    import nbformat

    try:
        # utf-8-sig: some editors begin a file with a byte order mark. Whether all in it is valid is not asked.
        notebook = nbformat.convert(nbformat.reader.reads(data.decode("utf-8-sig")), 4)
        sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    except Exception as error:  # whatever nbformat meets in a file that is not a notebook
        raise Unreadable(f"it is not a notebook that Jupyter could open ({type(error).__name__})") from None
    written = [source for source in sources if isinstance(source, str) and source.strip()]
    if len(written) > MAX_CELLS:
        raise Unreadable(f"it has {len(written)} code cells; at most {MAX_CELLS} are read")
    return tuple(Cell(number, source) for number, source in enumerate(written, 1))


PYTHON_INSIDE = ("%%time", "%%timeit", "%%capture", "%%prun")
"""Cell magics whose body is the notebook's own Python."""


def parse(cell: Cell) -> tuple[str, list[ast.stmt]]:
    """The cell as plain Python, with its statements. Raises `SyntaxError` or the like.

    IPython's magics and shell lines are taken as such.
    """
    source = cell.source
    while source.lstrip().startswith(PYTHON_INSIDE):
        source = "\n" + source.lstrip().partition("\n")[2]
    if source.lstrip().startswith("%%"):
        return "", []  # another language, or a file to be written
    with contextlib.suppress(SyntaxError):
        return source, ast.parse(source).body
    magics = sum(1 for _ in MAGIC.finditer(source))
    if magics > MAX_MAGICS or magics * len(source) > MAX_WORK:
        raise ValueError(f"it holds more magics and shell lines ({magics}) than are read")
    from IPython.core.inputtransformer2 import TransformerManager  # 0.1 s: only where it is needed

    source = TransformerManager().transform_cell(source)
    return source, ast.parse(source).body


@dataclass(frozen=True)
class Source:
    """All statements of a notebook in order, and why some cells have none."""

    statements: tuple[Statement, ...]
    faults: dict[int, BaseException]
    _binding: dict[str, list[Statement]] = field(default_factory=dict, repr=False, compare=False)

    def binding(self, name: str) -> list[Statement]:
        """The statements that bind this name, in order."""
        if name not in self._binding:
            self._binding[name] = [statement for statement in self.statements if statement.binds_one(name)]
        return self._binding[name]

    def definitions(self, names: Iterable[str], *, but: Collection[str] = ()) -> list[Statement]:
        """The statements that these names need, transitively and in order: imports, constants, helpers.

        Of a name that is bound several times all bindings are taken, since the last may build on the first;
        but loops only where nothing else binds it: a training loop is not a definition. Names that nobody
        binds may come from a `from x import *`. Statements that bind nothing `but` such names are left out.
        """
        theirs = frozenset(but)
        chosen: set[int] = set()
        known: set[str] = set()
        wanted = list(names)
        while wanted:
            name = wanted.pop()
            if name in known:
                continue
            known.add(name)
            binding = [statement for statement in self.binding(name) if not statement.binds <= theirs]
            plain = [statement for statement in binding if not statement.loops]
            found = plain or binding
            if not found and not hasattr(builtins, name):
                found = self.binding("*")
            for statement in found:
                if id(statement) not in chosen:
                    chosen.add(id(statement))
                    wanted += statement.uses
        return [statement for statement in self.statements if id(statement) in chosen]

    def packed(self) -> str:
        """All that was read, as JSON, so that another process need not read it again."""
        statements = [(one.cell, one.line, one.text, sorted(one.binds), sorted(one.uses)) for one in self.statements]
        faults = {cell: str(fault)[:MAX_TEXT] for cell, fault in self.faults.items()}
        return json.dumps({"statements": statements, "faults": faults})

    @staticmethod
    def unpacked(text: str) -> Source:
        """What was packed, with a fault's text in place of the exception."""
        packed = json.loads(text)
        statements = (
            Statement(cell, text, line).known(_names=(frozenset(binds), frozenset(uses)))
            for cell, line, text, binds, uses in packed["statements"]
        )
        return Source(tuple(statements), {int(cell): ValueError(fault) for cell, fault in packed["faults"].items()})


@lru_cache(maxsize=4)
def source_of(cells: tuple[Cell, ...]) -> Source:
    """What can be read of the notebook's Python; a cell with a syntax error costs only itself."""
    statements: list[Statement] = []
    faults: dict[int, BaseException] = {}
    for cell in cells:
        try:
            statements += _statements(cell)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
            faults[cell.number] = fault
    return Source(tuple(statements), faults)


def _statements(cell: Cell) -> list[Statement]:
    source, nodes = parse(cell)
    found = [
        Statement(cell.number, text, line).known(node=node)
        for node, (line, text) in zip(nodes, _texts(source, nodes), strict=True)
    ]
    try:
        symtable.symtable(source, f"cell {cell.number}", "exec")  # what parses may still make no sense
    except SyntaxError:
        for statement in found:  # nor does one of these by itself, or it raises nothing
            _ = statement.binds
    return found


def _texts(source: str, nodes: Sequence[ast.stmt]) -> list[tuple[int, str]]:
    """The first line of each statement and its text: its lines, or it is written anew where it shares one."""
    lines = io.StringIO(source, newline=None).read().split("\n")  # lines as Python counts them: form feeds end none
    ends = [0, *(node.end_lineno or 0 for node in nodes)]
    starts = [min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]) for node in nodes]
    alone = [
        ends[index] < start and (index + 1 == len(nodes) or ends[index + 1] < starts[index + 1])
        for index, start in enumerate(starts)
    ]
    return [
        (start, "\n".join(lines[start - 1 : end]) if free else ast.unparse(node))
        for node, start, end, free in zip(nodes, starts, ends[1:], alone, strict=True)
    ]


def statement_of(cell: int, node: ast.stmt) -> Statement:
    """A statement that was made, not written: its source is written anew."""
    return Statement(cell, ast.unparse(node), getattr(node, "lineno", 1)).known(node=node)


def _caught(node: ast.stmt) -> set[str]:
    """Names that stand for an exception while it is handled, and for nothing afterwards."""
    inside = list(ast.walk(node))
    stored = {one.id for one in inside if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return {one.name for one in inside if isinstance(one, ast.ExceptHandler) and one.name} - stored


def base_name(target: ast.expr) -> str | None:
    """`d` of `d[k].a`, None where there is no name."""
    while isinstance(target, ast.Subscript | ast.Attribute | ast.Starred):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def _globals_used(table: symtable.SymbolTable) -> set[str]:
    used = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
    for child in table.get_children():
        used |= _globals_used(child)
    return used


def execute(file: str, statements: Sequence[Statement], space: dict[str, Any]) -> dict[str, BaseException]:
    """Runs the statements in `space`, each for itself; the faults, by the names that they left unbound."""
    faults: dict[str, BaseException] = {}
    for statement in statements:
        try:
            exec(statement.code(file), space)  # in the worker: this is what a worker is for
        except BaseException as fault:  # SystemExit and KeyboardInterrupt too
            faults |= dict.fromkeys(statement.binds, fault)
        else:
            faults = {name: fault for name, fault in faults.items() if name not in statement.binds}
    return faults


def place(file: str, cell: int) -> str:
    """How a code cell is named in tracebacks and to the student."""
    return f"{file}, code cell {cell}"


def file_of(place: str) -> str:
    """The file of a place."""
    return place.partition(", code cell ")[0]


# -------------------------------------------------------------------------------------------- whole run


@dataclass(frozen=True)
class Run:
    """How a whole run went: `failed` is the number of the first failing code cell, 0 where all ran.

    `kind` is "raised", "deadline" or "ended" (the kernel died); `text` is the error in one line.
    """

    cells: int
    ran: int
    failed: int = 0
    kind: str = ""
    text: str = ""


def run_all(
    cells: Sequence[Cell], manager: Any, *, seconds: float, progress: Callable[[int, int], None]
) -> tuple[Run, str]:
    """Executes all cells in the manager's kernel by nbclient, and evaluates `manager.artefact` at the end.

    Returns how it went and what the kernel answered for the artefact, "" where it is gone. Outputs are
    dropped as they come: nobody reads them, and they may be endless.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    deadline = time.monotonic() + seconds
    started = 0

    class Client(NotebookClient):
        def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> None:
            return None

        def handle_comm_msg(self, outs: Any, msg: Any, cell_index: int) -> None:
            return None

    def starts(cell: Any, cell_index: int) -> None:
        nonlocal started
        started = cell_index + 1
        progress(started, len(cells))
        if time.monotonic() > deadline:  # each of many quick cells would get a second of its own
            raise CellTimeoutError

    new = nbformat.v4
    made = [new.new_code_cell(cell.source) for cell in cells]
    notebook = new.new_notebook(cells=made)
    client = Client(
        notebook,
        km=manager,
        timeout_func=lambda _cell: max(1, int(deadline - time.monotonic())),
        startup_timeout=max(1, int(seconds)),
        on_cell_start=starts,
        coalesce_streams=False,
        record_timing=False,
        force_raise_errors=True,
        skip_cells_with_tag="",
    )
    failed, kind, text = 0, "", ""
    with client.setup_kernel(cleanup_kc=False):
        try:
            client.execute()
        except CellExecutionError as error:
            failed, kind, text = started, "raised", f"{error.ename}: {error.evalue}"[:MAX_TEXT]
        except CellTimeoutError:
            failed, kind = started, "deadline"
        except Exception:  # DeadKernelError, or whatever nbclient makes of messages that are none
            failed, kind = max(started, 1), "ended"
        answer = "" if kind in ("deadline", "ended") else manager.artefact(client, deadline - time.monotonic())
    ran = len(cells) if not failed else failed - 1
    return Run(len(cells), ran, failed, kind, text), answer
