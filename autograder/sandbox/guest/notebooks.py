"""A student's notebook: the definitions that are graded, found without running it, and its whole run.

Everything here happens inside a worker: parsing hostile source can exhaust memory or the stack, and what a
kernel answers is as little to be trusted as what a student wrote.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import json
import re
import textwrap
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from typing import Any

from autograder.sandbox.guest.statements import (
    Effects,
    Statement,
    Unparsed,
    execute,
    place,
    split,
    statement_of,
    text_of,
    tree,
)

__all__ = ["Statement", "Unparsed", "execute", "place", "statement_of"]  # beside what this module defines itself

MAX_CELLS = 2000
MAX_TEXT = 1000
"""Characters that are kept of an exception's text, which can be megabytes."""


MAGIC = re.compile(r"^[ \t]*[%!?]|=[ \t]*[%!]|\?[ \t]*$", re.MULTILINE)
"""What may be a magic or a shell line."""
MAX_MAGICS, MAX_WORK = 400, 500_000
"""In one cell, alone and times its characters: IPython reads the whole cell anew for each, half a million characters in
1.5 s, and gives up after 500."""


class NotebookUnreadable(Exception):
    """The file is not a notebook; the sentence says why."""


@dataclass(frozen=True)
class Cell:
    """A code cell that is not empty; `number` is what stands in `In [ ]` after "restart and run all"."""

    number: int
    source: str


# ------------------------------------------------------------------------------------------ definitions


@lru_cache(maxsize=4)  # audits put many asks to one notebook in one process
def read(data: bytes) -> tuple[Cell, ...]:
    """The code cells of a notebook of any version that nbformat knows. Raises `Unreadable`."""
    import nbformat

    try:
        # utf-8-sig: some editors begin a file with a byte order mark. Whether all in it is valid is not asked.
        notebook = nbformat.convert(nbformat.reader.reads(data.decode("utf-8-sig")), 4)
        sources = [_source(cell) for cell in notebook.cells if cell.get("cell_type") == "code"]
    except Exception as error:  # whatever nbformat meets in a file that is not a notebook
        anyway = _sources_anyway(data)
        if anyway is None:
            raise NotebookUnreadable(f"it is not a valid notebook for Jupyter ({type(error).__name__})") from None
        sources = anyway
    written = [source for source in sources if source.strip()]
    if len(written) > MAX_CELLS:
        raise NotebookUnreadable(f"it has {len(written)} code cells, which is more than the limit of {MAX_CELLS}")
    return tuple(Cell(number, source) for number, source in enumerate(written, 1))


def _sources_anyway(data: bytes) -> list[str] | None:
    """The code cells of what is not quite a notebook, None where it is none at all.

    Exports lack fields that no cell's text depends on, or are in UTF-16; jupytext, VS Code, nbconvert and marimo write
    notebooks as Python.
    """
    try:
        tree = json.loads(data)
        sheets = [tree, *tree.get("worksheets", [])]
        cells = [one for sheet in sheets for one in sheet.get("cells", []) if one.get("cell_type") == "code"]
        texts = [one.get("source", one.get("input", "")) for one in cells]
        return [_source({"source": "".join(one) if isinstance(one, list) else one}) for one in texts] or None
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    text = text_of(data)
    if text.lstrip().startswith(("{", "[")):
        return None
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return BORDERS.split(text) if BORDERS.search(text) else None
    if not any(isinstance(one, ast.FunctionDef | ast.ClassDef | ast.Assign) for one in body):
        return None  # prose of few words is Python, too
    inside = [one for one in body if _is_marimo(one)]
    if not inside:
        return BORDERS.split(text)
    lines = text.split("\n")
    made = []
    for one in body:
        held = one.body if isinstance(one, ast.FunctionDef | ast.With) and one in inside else [one]
        held = held[:-1] if isinstance(held[-1], ast.Return) else held
        if held and not (isinstance(one, ast.If) or "marimo" in lines[one.lineno - 1]):
            first = min([held[0].lineno, *(each.lineno for each in getattr(held[0], "decorator_list", ()))])
            made.append(textwrap.dedent("\n".join(lines[first - 1 : held[-1].end_lineno])))
    return made


BORDERS = re.compile(r"^# ?(?:%%.*|In ?\[.*\]:?[ \t]*|COMMAND -+[ \t]*)$", re.MULTILINE)
"""Where a cell begins in a notebook that was written as Python."""


def _is_marimo(node: ast.stmt) -> bool:
    """Whether it is a cell of marimo's: `@app.cell def _(torch): ...`, `with app.setup: ...`."""
    if isinstance(node, ast.FunctionDef):
        return any(ast.unparse(one).startswith("app.cell") for one in node.decorator_list)
    return isinstance(node, ast.With) and ast.unparse(node.items[0]).startswith("app.setup")


def _source(cell: Mapping[str, Any]) -> str:
    """A cell's text; "" where it has none. Half a pair of UTF-16, which no encoding can write, is replaced."""
    source = cell.get("source", "")
    if not isinstance(source, str):
        source = ""
    return source.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


ELSEWHERE = frozenset(
    (
        *(
            "bash",
            "sh",
            "shell",
            "cmd",
            "powershell",
            "script",
            "system",
            "sx",
            "!",
            "!!",
            "perl",
            "ruby",
            "julia",
            "R",
        ),
        *("javascript", "js", "html", "HTML", "svg", "SVG", "latex", "markdown", "md", "mermaid", "sql", "bigquery"),
        *("python", "python2", "python3", "pypy", "cython", "skip", "ipython_ai", "ai", "writetemplate"),
    )
)
"""Cell magics whose body is no Python of the notebook's, or is to be left out."""
PYTHON_INSIDE = ("%%time", "%%timeit", "%%capture", "%%prun", "%%memit", "%%wandb")
"""Cell magics whose body is the notebook's own Python, whether all of it can be read or not."""
CELL_MAGIC = re.compile(r"\s*%%(\S+)[ \t]*(.*)\n?")
DEFINITION = re.compile(r"^(?:def|class)[ \t]+\w+[ \t]*[(:]", re.MULTILINE)
ADDS_TO = ("add_to", "patch_to")
"""Cell magics (jdc's) whose functions become methods of the class behind them."""
SAVES = re.compile(
    r"\bcat[ \t]*(>>?)[ \t]*([\w./-]+)[ \t]*<<-?[ \t]*([\"']?)(\w+)\3[ \t]*\n(.*?\n)[ \t]*\4[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
"""What a shell writes to a file: `cat > losses.py <<EOF`."""
MOST_SHELL = 20_000
"""Characters of a cell that is looked through for that: the time grows with their square."""
WRITES = re.compile(r"\s*%%(?:writefile|file)[ \t]+((?:-a|--append)[ \t]+)?[\"']?([^\n\"']+?)[\"']?[ \t]*\n")
PYTHON_BEHIND = re.compile(r"^([ \t]*)%(?:time|prun|memit|lprun)[ \t]+(?![-\n])(?=\S)", re.MULTILINE)
"""Line magics that run the Python behind them in the notebook's own names."""
RUNS = re.compile(r"^%run[ \t]+((?:-\w+[ \t]+)*)[\"']?([^\s\"']+)[\"']?.*$", re.MULTILINE)
"""`%run helpers.py`: what that file defines is the notebook's afterwards."""


def parse(cell: Cell) -> str:
    """The cell as plain Python. Raises `ValueError` or the like where it holds too many magics.

    IPython's magics and shell lines are taken as such.
    """
    source = cell.source
    certain, added = True, ""
    while (magic := CELL_MAGIC.match(source)) is not None:
        if magic[1] in ELSEWHERE or WRITES.match(source):
            return ""  # another language, or a file to be written
        certain = certain and source.lstrip().startswith(PYTHON_INSIDE)
        if magic[1] in ADDS_TO and magic[2].strip().isidentifier():
            added = magic[2].strip()
        source = "\n" * magic[0].count("\n") + source[magic.end() :]
    if not certain:  # of an extension: a timer, a profiler, or another language
        with contextlib.suppress(SyntaxError, ValueError):
            source = parse(Cell(cell.number, source))
            made = [one.name for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)]
            return source + "".join(f"\n{added}.{name} = {name}" for name in made if added)
        return source if DEFINITION.search(source) else ""
    with contextlib.suppress(SyntaxError, ValueError):
        tree(source)  # which is split next
        return source
    magics = sum(1 for _ in MAGIC.finditer(source))
    if magics > MAX_MAGICS or magics * len(source) > MAX_WORK:
        raise ValueError(f"it holds too many magics and shell lines ({magics})")
    from IPython.core.inputtransformer2 import TransformerManager  # 0.1 s: only where it is needed

    source = PYTHON_BEHIND.sub(r"\1", source)
    empty = re.match(r"(?:[ \t]*\n)*", source)
    dropped = empty[0].count("\n") if empty else 0  # IPython leaves empty lines at the top out
    try:
        return "\n" * dropped + str(TransformerManager().transform_cell(source))
    except SyntaxError:  # IPython gives up on the whole cell; its other statements are still there
        return re.sub(r"^([ \t]*)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)


@dataclass(frozen=True)
class NotebookSource:
    """All statements of a notebook in order, the pieces that are no Python, and the files that it writes.

    `faults` are the cells that could not be read at all, and why.
    """

    statements: tuple[Statement, ...]
    broken: tuple[Unparsed, ...] = ()
    faults: Mapping[int, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    _binding: dict[str, list[Statement]] = field(default_factory=dict, repr=False, compare=False)

    def binding(self, name: str) -> list[Statement]:
        """The statements that bind this name, in order."""
        if name not in self._binding:
            self._binding[name] = [statement for statement in self.statements if statement.binds_one(name)]
        return self._binding[name]

    @cached_property
    def unseen(self) -> list[Statement]:
        """The statements that may bind names which do not stand in them: `exec(open("loss.py").read())`."""
        found = [one for one in self.statements if one.unseen]
        trainers = self._trainers() if found else frozenset()
        return [one for one in found if not _is_heavy(one, trainers)]

    def definitions(self, names: Iterable[str], *, but: Collection[str] = (), rung: int = 0) -> list[Statement]:
        """The statements that these names need, transitively and in order: imports, constants, helpers.

        Of a name that is bound several times all bindings are taken, since the last may build on the first;
        but loops only where nothing else binds it: a training loop is not a definition. Names that nobody
        binds may come from a `from x import *`. Statements that bind nothing `but` such names are left out.

        On the ladder's `rung` 1 also those that register or change something with a needed name in it, on rung 2 all
        statements up to the last of these but those that train.
        """
        needed = _Needed(self, but)
        needed.want(names)
        if rung >= 1:
            needed.want_changes()
        chosen = [statement for statement in self.statements if id(statement) in needed.chosen]
        if rung < 2 or not chosen:
            return chosen
        last = next(at for at, statement in enumerate(self.statements) if statement is chosen[-1])
        trainers = self._trainers()
        return [
            statement
            for statement in self.statements[: last + 1]
            if id(statement) in needed.chosen or not _is_heavy(statement, trainers)
        ]

    def _trainers(self) -> frozenset[str]:
        """The functions that train when they are called."""
        defined = [one for one in self.statements if one.defines]
        found = {name for one in defined if one.trains for name in one.binds}
        while more := {name for one in defined if one.uses & found for name in one.binds} - found:
            found |= more
        return frozenset(found)

    def packed(self) -> str:
        """All that was read, as JSON, so that another process need not read it again."""
        statements = [
            (
                *(one.cell, one.line, one.text, one.flags, one.origin),
                *(sorted(one.binds), sorted(one.uses), one.effects.packed(), one.unseen),
            )
            for one in self.statements
        ]
        broken = [(one.cell, one.line, one.words[:MAX_TEXT], sorted(one.binds)) for one in self.broken]
        return json.dumps(
            {"statements": statements, "broken": broken, "faults": dict(self.faults), "files": dict(self.files)}
        )

    @staticmethod
    def unpacked(text: str) -> NotebookSource:
        """What was packed."""
        packed = json.loads(text)
        statements = (
            Statement(cell, text, line, flags, origin).known(
                _names=(frozenset(binds), frozenset(uses)), effects=Effects.unpacked(effects), unseen=bool(unseen)
            )
            for cell, line, text, flags, origin, binds, uses, effects, unseen in packed["statements"]
        )
        broken = (Unparsed(cell, line, words, frozenset(binds)) for cell, line, words, binds in packed["broken"])
        faults = {int(cell): str(words) for cell, words in packed["faults"].items()}
        return NotebookSource(tuple(statements), tuple(broken), faults, dict(packed["files"]))


class _Needed:
    """The statements that some names need: those chosen so far, and the names that they use."""

    def __init__(self, source: NotebookSource, but: Collection[str]) -> None:
        self.source, self.theirs = source, frozenset(but)
        self.chosen: set[int] = set()
        self.known: set[str] = set()

    def want(self, names: Iterable[str]) -> None:
        """Chooses what binds these names and, transitively, the names that those use."""
        wanted = list(names)
        while wanted:
            name = wanted.pop()
            if name in self.known:
                continue
            self.known.add(name)
            binding = [one for one in self.source.binding(name) if not one.binds <= self.theirs]
            plain = [one for one in binding if not one.loops]
            found = plain or binding
            if not found and not hasattr(builtins, name):
                found = self.source.binding("*") + self.source.unseen
            for statement in found:
                wanted += self.choose(statement)

    def choose(self, statement: Statement) -> frozenset[str]:
        """Chooses a statement; the names that it uses, none where it was chosen before."""
        if id(statement) in self.chosen:
            return frozenset()
        self.chosen.add(id(statement))
        return statement.uses

    def want_changes(self) -> None:
        """Chooses what changes an object that has a needed name, at once or by a function that it calls."""
        while True:
            names = {name for name in self.known if name not in LIBRARIES}
            for one in self.source.statements:  # another name for the same object
                names |= {alias for alias, name in one.effects.aliases.items() if name in names}
            left = [one for one in self.source.statements if id(one) not in self.chosen and not one.trains]
            changers = {name for one in self.source.statements if one.effects.later & names for name in one.binds}
            found = [
                one
                for one in left
                if not one.binds <= self.theirs or not one.binds
                if one.effects.changes & names or one.effects.calls & changers
            ]
            if not found:
                return
            for one in found:
                self.want(self.choose(one))


LIBRARIES = frozenset(
    (
        "torch",
        "nn",
        "F",
        "optim",
        "np",
        "numpy",
        "plt",
        "matplotlib",
        "pd",
        "sns",
        "random",
        "os",
        "sys",
        "math",
        "time",
    )
) | {"copy", "json", "warnings", "logging", "tqdm", "einops", "transformers", "functools", "itertools", "typing"}
"""What is called on these changes no object of the notebook's own."""


def _is_heavy(statement: Statement, trainers: frozenset[str]) -> bool:
    """Whether it trains a network, which a definition does not need."""
    return not statement.defines and (statement.trains or bool(statement.uses & trainers))


def file_of(place: str) -> str:
    """The file of a place."""
    return place.partition(", code cell ")[0]


Reader = Callable[[str], bytes | None]
"""What stands in a file beside the notebook, None where there is none of this name."""


def source_of(cells: tuple[Cell, ...], beside: Reader | None = None) -> NotebookSource:
    """What can be read of the notebook's Python; a statement with a syntax error costs only itself.

    `beside` reads the files that `%run` names.
    """
    if beside is None or not any(RUNS.search(cell.source) for cell in cells):
        return _source_of(cells)
    return _read_cells(cells, beside)


@lru_cache(maxsize=4)
def _source_of(cells: tuple[Cell, ...]) -> NotebookSource:
    return _read_cells(cells, lambda _name: None)


def _read_cells(cells: tuple[Cell, ...], beside: Reader) -> NotebookSource:
    statements: list[Statement] = []
    broken: list[Unparsed] = []
    faults: dict[int, str] = {}
    files: dict[str, str] = {}
    flags = 0
    for cell in cells:
        written = WRITES.match(cell.source)
        if written:
            name = PurePosixPath(written[2]).as_posix()
            files[name] = (files.get(name, "") if written[1] else "") + cell.source[written.end() :].rstrip("\n") + "\n"
            continue
        if cell.source.lstrip().startswith(("%%bash", "%%sh")) and len(cell.source) < MOST_SHELL:
            for saved in SAVES.finditer(cell.source):
                name = PurePosixPath(saved[2]).as_posix()
                files[name] = (files.get(name, "") if saved[1] == ">>" else "") + saved[5]
        try:
            pieces = _with_runs(cell, files, beside)
            for origin, text in pieces:
                found, failed = split(text, cell=cell.number, origin=origin, flags=flags)
                statements += found
                broken += failed
                if found:
                    flags |= found[-1].flags_after
        except (ValueError, RecursionError, MemoryError) as fault:
            faults[cell.number] = str(fault)[:MAX_TEXT] or type(fault).__name__
    return NotebookSource(tuple(statements), tuple(broken), faults, files)


def _with_runs(cell: Cell, files: Mapping[str, str], beside: Reader) -> list[tuple[str, str]]:
    """The cell's Python, cut where `%run` brings in a file: (the file's name or "", text)."""
    pieces: list[tuple[str, str]] = []
    source, above = cell.source, 0
    while (found := RUNS.search(source)) is not None:
        before, lines = source[: found.start()], source.count("\n", 0, found.end())
        name = PurePosixPath(found[2] if "." in found[2] else f"{found[2]}.py").as_posix()
        data = files.get(name) if name in files else beside(name)
        if data is not None:
            pieces.append(("", "\n" * above + parse(Cell(cell.number, before))))
            pieces += _brought(name, data, cell.number)
        else:
            pieces.append(("", "\n" * above + parse(Cell(cell.number, before))))
        above += lines
        source = source[found.end() :]
    pieces.append(("", "\n" * above + parse(Cell(cell.number, source))))
    return pieces


def _brought(name: str, data: bytes | str, cell: int) -> list[tuple[str, str]]:
    """What `%run` runs: a Python file, or the cells of a notebook."""
    if not name.endswith(".ipynb"):
        return [(name, data if isinstance(data, str) else text_of(data))]
    with contextlib.suppress(NotebookUnreadable):
        inner = read(data.encode() if isinstance(data, str) else data)
        return [(place(name, one.number), parse(one)) for one in inner]
    return []


# -------------------------------------------------------------------------------------------- whole run


@dataclass(frozen=True)
class NotebookRun:
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
) -> tuple[NotebookRun, str]:
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
    return NotebookRun(len(cells), ran, failed, kind, text), answer
