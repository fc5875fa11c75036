"""Python source as top-level statements: what each binds, uses and changes; run so that a fault costs itself alone.

It runs in a worker, beside students' code: parsing hostile source can exhaust memory or the stack.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import inspect
import io
import linecache
import re
import signal
import symtable
import sys
import time
import tokenize
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from autograder.sandbox.guest import syntax

UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python raises on source that it cannot read: it holds NUL, or is nested too deep."""
LOOP = re.compile(r"(for|while)\b")
DEFINES = re.compile(r"@|class\b|def\b|async\s+def\b")
ANNOTATIONS = __future__.annotations.compiler_flag
FUTURE = {name: getattr(__future__, name).compiler_flag for name in __future__.all_feature_names}


class OutOfTime(BaseException):
    """A statement took longer than loading a submission may; no `except Exception` of a student's may swallow it."""

    def __str__(self) -> str:
        return "it was still running when the time for loading the file was used up"


@dataclass(frozen=True)
class Statement:
    """A top-level statement and its source, which begins in this line of its cell (0 in a Python file).

    `flags` are the compiler's, of the `from __future__` imports before it. `origin` is the file that the statement
    stands in where `%run` brought it into a notebook. Its tree, and what names it binds and uses, are read when first
    asked: few are needed.
    """

    cell: int
    text: str
    line: int = 1
    flags: int = 0
    origin: str = ""

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

    @property
    def defines(self) -> bool:
        """Whether it defines a function or a class, decorated or not: what stands in it runs later, if at all."""
        return DEFINES.match(self.text) is not None

    def binds_one(self, name: str) -> bool:
        """Whether it binds this name, said without reading the whole statement where its first word tells."""
        if "_names" in vars(self) or ":=" in self.text:
            return name in self.binds
        if isinstance(self.node, ast.Expr):
            return False
        if isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return name == self.node.name
        return name in self.binds

    def place(self, file: str) -> str:
        """How the file or cell that it stands in is named in tracebacks and to the student."""
        return self.origin or place(file, self.cell)

    def code(self, file: str, *, postponed: bool = False) -> types.CodeType:
        """The statement, compiled once: a probe makes fresh modules of the same definitions a dozen times.

        With `postponed` its annotations are not evaluated (PEP 563).
        """
        compiled: dict[tuple[str, bool], types.CodeType] = vars(self).setdefault("_code", {})
        key = file, postponed
        if key not in compiled:
            source = ast.Module([self.node], []) if "node" in vars(self) else "\n" * (self.line - 1) + self.text
            flags = self.flags | (ANNOTATIONS if postponed else 0)
            if self.cell:  # a notebook may await at its top level
                flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            compiled[key] = compile(source, self.place(file), "exec", flags=flags, dont_inherit=True)
        return compiled[key]

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

    @property
    def flags_after(self) -> int:
        """The compiler's flags for what comes after it."""
        return self.flags | (_future(self.node) if self.text.startswith("from __future__") else 0)

    @property
    def trains(self) -> bool:
        """Whether it holds a step of training."""
        return TRAINS.search(self.text) is not None

    @cached_property
    def unseen(self) -> bool:
        """Whether it may bind names that do not stand in it: `exec(open("loss.py").read())`."""
        if not any(word in self.text for word in UNSEEN_WORDS) or self.defines:
            return False
        return UNSEEN.search(self.text) is not None

    @cached_property
    def effects(self) -> Effects:
        """What running it may change besides what it binds."""
        return _effects(self.node)


def place(file: str, cell: int) -> str:
    """How a code cell is named in tracebacks and to the student; a Python file is named as it is."""
    return f"{file}, code cell {cell}" if cell else file


def statement_of(cell: int, node: ast.stmt) -> Statement:
    """A statement that was made, not written: its source is written anew."""
    return Statement(cell, ast.unparse(node), getattr(node, "lineno", 1)).known(node=node)


# ------------------------------------------------------------------------------------------------- names


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


@dataclass(frozen=True)
class Effects:
    """What running a statement may do to names that it does not bind.

    `changes` are names whose object it may change at once: `d[k] = v`, `rules.append(f)`, `setattr(C, "f", f)`, a
    decorator `@f.register`. `calls` are the functions, decorators and base classes that it runs. `later` are the names
    that a function or class which it defines changes when it is called. `aliases` maps a new name to an old one
    that stands for the same object.
    """

    changes: frozenset[str]
    calls: frozenset[str]
    later: frozenset[str]
    aliases: Mapping[str, str]

    def packed(self) -> list[Any]:
        """The same as JSON has it, [] where there is none."""
        found = [sorted(self.changes), sorted(self.calls), sorted(self.later), dict(self.aliases)]
        return found if any(found) else []

    @staticmethod
    def unpacked(found: Sequence[Any]) -> Effects:
        """What was packed."""
        changes, calls, later, aliases = found or ((), (), (), {})
        return Effects(frozenset(changes), frozenset(calls), frozenset(later), aliases)


SHOWS = re.compile(r"print|display|repr|str|len|type|isinstance|help|summary|plot_.*|show.*|(check|test)_.*")
"""Functions that look at what they are given and change nothing."""
CHANGES = re.compile(r"register|append|extend|insert|add|update|set|put|push|attach|pop|remove|clear|subscribe")
"""How the names of methods begin that change what they are called on, wherever in an expression that is."""
TRAINS = re.compile(r"\.(backward|step)\(")
Function = ast.FunctionDef | ast.AsyncFunctionDef
RUN_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
MAY_CHANGE = frozenset((ast.Assign, ast.Delete, ast.AugAssign, ast.AnnAssign, ast.For, ast.Expr, ast.Call))
NONE: frozenset[str] = frozenset()


def _effects(node: ast.stmt) -> Effects:
    changes, calls, later = set[str](), set[str](), set[str]()
    aliases: dict[str, str] = {}
    for one in _run_at_once(node):
        if isinstance(one, Function | ast.ClassDef):
            for decorator in one.decorator_list:
                for each in _called_with(decorator):
                    if (name := base_name(each)) is not None:
                        changes.add(name)
                        calls.add(name)
        if isinstance(one, Function) and one.decorator_list and one.args.args:
            owner = one.args.args[0].annotation  # `@patch def forward(self: Layer, x)`
            changes |= {name for name in [base_name(owner) if owner is not None else None] if name is not None}
        if isinstance(one, Function):
            later |= _changed_inside(one)
        elif isinstance(one, ast.ClassDef):
            for base in (*one.bases, *(key.value for key in one.keywords)):
                if (name := base_name(base)) is not None:
                    calls.add(name)
            for method in _inside(one):
                if isinstance(method, Function):
                    later |= _changed_inside(method)
        elif isinstance(one, ast.Assign) and (name := base_name(one.value)) is not None:
            aliases |= {target.id: name for target in one.targets if isinstance(target, ast.Name)}
        changes |= _changed_by(one)
        if isinstance(one, ast.Call) and (name := base_name(one.func)) is not None:
            calls.add(name)
    return Effects(frozenset(changes), frozenset(calls), frozenset(later), aliases)


def _called_with(call: ast.expr) -> list[ast.expr]:
    """What is called, if anything is, and its arguments."""
    if not isinstance(call, ast.Call):
        return [call]
    return [call.func, *call.args, *(key.value for key in call.keywords)]


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    """The node and those inside of it that run with it, in their order: not the bodies of functions."""
    left = [node]
    while left:
        one = left.pop()
        yield one
        children = getattr(one, "decorator_list", []) if type(one) in RUN_LATER else _children(one)
        left += reversed(children)


def _inside(node: ast.AST) -> list[ast.AST]:
    """The node and all inside of it, as ast.walk has it but for what says nothing of names: a fifth of its time."""
    found = [node]
    for one in found:  # which grows
        if type(one) not in LEAVES:
            found += _children(one)
    return found


LEAVES = frozenset((ast.Name, ast.Constant))
"""The kinds of two nodes in three: nothing is inside of them."""
WORDS = frozenset(("ctx", "op", "ops", "id", "attr", "kind", "type_comment", "module", "level", "asname"))
"""Fields that hold no node, or one that says nothing of names."""


_fields: dict[type[ast.AST], tuple[str, ...]] = {}
"""By a kind of node those of its fields that are looked into."""


def _children(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    kind = type(node)
    if kind not in _fields:
        _fields[kind] = () if kind in LEAVES else tuple(name for name in kind._fields if name not in WORDS)
    for name in _fields[kind]:
        value = getattr(node, name, None)
        if type(value) is list:
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def _changed_by(node: ast.AST) -> Set[str]:
    """The names whose objects this node alone may change."""
    if type(node) not in MAY_CHANGE:
        return NONE
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets = [target for target in node.targets if not isinstance(target, ast.Name)]
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For):
        targets = [node.target]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        name = base_name(call.func)
        if isinstance(call.func, ast.Attribute):
            targets = [call.func]
        if name is not None and not SHOWS.fullmatch(name):
            for each in _called_with(call)[1:]:
                targets += each.elts if isinstance(each, ast.List | ast.Tuple) else [each]
            if isinstance(call.func, ast.Call):  # f.register(T)(g)
                targets.append(call.func.func)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and CHANGES.match(node.func.attr):
        targets = [node.func]
    return {name for target in targets if (name := base_name(target)) is not None}


def _changed_inside(function: Function) -> set[str]:
    """The names that calling the function may change: its `global` ones, and objects of names that it does not bind."""
    own = {argument.arg for argument in _inside(function.args) if isinstance(argument, ast.arg)}
    wide: set[str] = set()
    changed: set[str] = set()
    for one in _inside(function):
        if isinstance(one, ast.Name):
            if isinstance(one.ctx, ast.Store):
                own.add(one.id)
        elif isinstance(one, ast.Global):
            wide |= set(one.names)
        elif type(one) in MAY_CHANGE:
            changed |= _changed_by(one)
    return (changed - (own - wide)) | wide


# ----------------------------------------------------------------------------------------------- splitting


@dataclass(frozen=True)
class Unparsed:
    """A piece of source that is no Python here, which begins in this line; why, and the names that it would bind."""

    cell: int
    line: int
    words: str
    binds: frozenset[str]

    def fault(self, file: str) -> SyntaxError:
        """The error, with the place where it stands."""
        return SyntaxError(self.words, (place(file, self.cell), self.line, None, None))


def text_of(data: bytes) -> str:
    """A Python file's text, with lines that end in \\n; what no codec can read is replaced, and costs only itself."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        except SyntaxError:  # no such codec, or bytes that are not UTF-8
            encoding = "utf-8"
        try:
            text = data.decode(encoding, "replace")
        except (LookupError, ValueError, TypeError):  # a codec that does not make text
            text = data.decode("utf-8", "replace")
    return io.StringIO(text.removeprefix("\ufeff").replace("\0", ""), newline=None).read()


@lru_cache(maxsize=1)
def tree(text: str) -> ast.Module:
    """The text's tree; who asks for it next gets the same one, which nobody may change."""
    return ast.parse(text)


def split(text: str, *, cell: int = 0, origin: str = "", flags: int = 0) -> tuple[list[Statement], list[Unparsed]]:
    """The top-level statements of a text, and the pieces that are none: each of these costs itself alone."""
    try:
        nodes = tree(text).body
    except UNREADABLE:
        pieces, broken = _pieces(text, cell)
    else:
        pieces, broken = [(0, text, nodes)], []
    found: list[Statement] = []
    for above, piece, nodes in pieces:
        for node, (line, own) in zip(nodes, _texts(piece, nodes), strict=True):
            one = Statement(cell, own, line + above, flags, origin)
            found.append(one.known(node=node) if not above else one)
            flags |= _future(node)
    try:
        symtable.symtable(text, "", "exec")  # what parses may still make no sense
    except UNREADABLE:
        return [one for one in found if _makes_sense(one, broken)], broken
    return found, broken


def _makes_sense(statement: Statement, broken: list[Unparsed]) -> bool:
    """Whether its names can be looked up: what parses may still make no sense."""
    try:
        symtable.symtable(statement.text, "", "exec")
    except UNREADABLE as fault:
        line = (getattr(fault, "lineno", None) or 1) + statement.line - 1
        broken.append(Unparsed(statement.cell, line, _words(fault, statement.text), _would_bind(statement.text)))
        return False
    return True


def _future(node: ast.stmt) -> int:
    """The compiler's flags of a `from __future__ import`."""
    if not isinstance(node, ast.ImportFrom) or node.module != "__future__":
        return 0
    return sum(FUTURE.get(alias.name, 0) for alias in node.names)


FOLLOWS = re.compile(r"[\s#)\]}]|(else|elif|except|finally)\b")
"""How a line begins that goes on with a statement, or is none."""
MOST_LINES, MOST_PARSED = 400, 2_000_000
"""Lines at the margin that one statement may have, and characters that are parsed in search of its end."""


def _pieces(text: str, cell: int) -> tuple[list[tuple[int, str, list[ast.stmt]]], list[Unparsed]]:
    """The text cut at the margin, each piece as short as it parses; and where no piece does, the line at the margin."""
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if line and not FOLLOWS.match(line)]
    if lines[0].strip() and 0 not in starts:
        starts.insert(0, 0)
    starts.append(len(lines))
    found: list[tuple[int, str, list[ast.stmt]]] = []
    broken: list[Unparsed] = []
    parsed = at = 0
    while at < len(starts) - 1:
        first: BaseException | None = None
        for end in range(at + 1, min(at + MOST_LINES, len(starts))):
            piece = "\n".join(lines[starts[at] : starts[end]])
            parsed += len(piece)
            try:
                found.append((starts[at], piece, ast.parse(piece).body))
            except UNREADABLE as fault:
                first = first or fault
                if parsed < MOST_PARSED and _may_go_on(fault, lines[starts[at]]):
                    continue
            else:
                first, at = None, end
            break
        if first is not None:
            piece = "\n".join(lines[starts[at] : starts[at + 1]])
            line = starts[at] + (getattr(first, "lineno", None) or 1)
            broken.append(Unparsed(cell, line, _words(first, piece), _would_bind(piece)))
            at += 1
    return found, broken


def _may_go_on(fault: BaseException, line: str) -> bool:
    """Whether more lines could mend it: a decorator, an open bracket or an open text."""
    words = str(getattr(fault, "msg", ""))
    return (
        line.startswith("@")
        or any(
            part in words
            for part in ("was never closed", "unterminated", "unexpected EOF", "expected an indented block")
        )
        or line.rstrip().endswith("\\")
        or "expected 'except'" in words
    )


def _words(fault: BaseException, piece: str) -> str:
    """Why this is no Python here, in a few words."""
    newer = syntax.needs(piece)
    if newer is not None:
        return f"this grader runs Python {sys.version_info[0]}.{sys.version_info[1]}; this needs {newer[0]}.{newer[1]}"
    if isinstance(fault, SyntaxError) and fault.msg:
        return str(fault.msg)
    return f"it cannot be read ({type(fault).__name__})"


WOULD_BIND = re.compile(
    r"^(?:async[ \t]+)?(?:def|class|type)[ \t]+(\w+)|^(\w+)[ \t]*(?::[^=\n]+)?=(?!=)"
    r"|^(?:from[ \t].*?[ \t])?import[ \t]+(.+)",
    re.MULTILINE,
)


def _would_bind(piece: str) -> frozenset[str]:
    """The names that a piece which is no Python was to bind, as far as its lines at the margin tell."""
    names: set[str] = set()
    for found in WOULD_BIND.finditer(piece):
        if found[3]:
            names |= {part.split()[-1].partition(".")[0] for part in found[3].strip("() \t").split(",") if part.split()}
        else:
            names.add(found[1] or found[2])
    return frozenset(names)


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


# ------------------------------------------------------------------------------------------------- running


@dataclass
class Faults:
    """What went wrong while files were loaded: by file and by the names that a statement left unbound."""

    by_name: dict[tuple[str, str], BaseException] = field(default_factory=dict)
    by_file: dict[str, BaseException] = field(default_factory=dict)

    def add(self, file: str, names: Iterable[str], fault: BaseException) -> None:
        """Keeps a fault of the file: its first one, and the last of each name."""
        self.by_file.setdefault(file, fault)
        self.by_name |= {(file, name): fault for name in names}

    def mended(self, file: str, names: Iterable[str]) -> None:
        """Forgets what went wrong with names that are bound after all."""
        for name in names:
            self.by_name.pop((file, name), None)


def execute(
    file: str,
    statements: Sequence[Statement],
    space: dict[str, Any],
    faults: Faults | None = None,
    *,
    left: Callable[[Statement], float] | None = None,
) -> dict[str, BaseException]:
    """Runs the statements in `space`, each for itself; the faults, by the names that they left unbound.

    `left` says how many seconds a statement may still take; one that takes longer is stopped and costs itself.
    """
    kept = Faults() if faults is None else faults
    remember_lines(file, statements)
    _run_each(file, statements, space, kept, left or (lambda _statement: 0.0))
    return {name: fault for (where, name), fault in kept.by_name.items() if where == file}


def _run_each(
    file: str,
    statements: Iterable[Statement],
    space: dict[str, Any],
    faults: Faults,
    left: Callable[[Statement], float],
) -> None:
    for statement in statements:
        try:
            with limited(left(statement)):
                run(statement, file, space)
        except BaseException as fault:  # SystemExit and KeyboardInterrupt too
            faults.add(file, _bound(statement), fault)
        else:
            faults.mended(file, _bound(statement))


UNSEEN = re.compile(
    r"\bglobals\(\)|\bexec\(|\b__main__[.,]|[\"']__main__[\"']\]|\buser_(global_)?ns\b|\.push\(|\brun_cell"
)
"""What may bind names that do not stand in a statement."""
UNSEEN_WORDS = ("globals()", "exec(", "__main__", "user_", ".push(", "run_cell")
"""One of these is in all that it finds, and to look for them takes a hundredth of the time."""


def _bound(statement: Statement) -> frozenset[str]:
    try:
        return statement.binds | {"*"} if statement.unseen else statement.binds
    except UNREADABLE:
        return _would_bind(statement.text)


def run(statement: Statement, file: str, space: dict[str, Any]) -> None:
    """Runs one statement. Annotations need not be evaluable: a definition that fails is tried without them."""
    try:
        _run_code(statement.code(file), space)
    except Exception as fault:
        again = postponed(statement, file, fault)
        if again is None:
            raise
        try:
            _run_code(again, space)
        except Exception:
            raise fault from None


def postponed(statement: Statement, file: str, fault: BaseException) -> types.CodeType | None:
    """The code of a definition without its annotations, where these may have raised the fault; else None."""
    if not isinstance(fault, NameError | AttributeError | TypeError | ImportError | KeyError):
        return None
    node = statement.node
    if not isinstance(node, Function | ast.ClassDef | ast.AnnAssign) or not _annotated(node):
        return None
    return statement.code(file, postponed=True)


def _annotated(node: ast.stmt) -> bool:
    return any(
        isinstance(one, ast.AnnAssign)
        or (isinstance(one, ast.arg) and one.annotation is not None)
        or (isinstance(one, Function) and one.returns is not None)
        for one in ast.walk(node)
    )


def _run_code(code: types.CodeType, space: dict[str, Any]) -> None:
    if not code.co_flags & inspect.CO_COROUTINE:
        exec(code, space)  # in the worker: this is what a worker is for
        return
    # A notebook's `await` at the top level.
    from autograder.sandbox.guest.imports import load

    loop = load("asyncio").new_event_loop()
    try:
        loop.run_until_complete(eval(code, space))
    finally:
        loop.close()


def run_file(file: str, data: bytes, space: dict[str, Any], faults: Faults, *, seconds: float = 0.0) -> None:
    """Runs a Python file as far as Python does; behind a statement that fails it goes on with the next one.

    A file without a fault is compiled and run as a whole. `seconds` is the time for all of it, 0 without a limit.
    """
    text = text_of(data)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    statements: list[Statement] = []
    with _until(seconds) as left:
        try:
            code = compile(data, file, "exec", dont_inherit=True)
        except UNREADABLE as fault:  # ValueError: it holds NUL
            statements, broken = split(text)
            for piece in broken:
                faults.add(file, piece.binds, piece.fault(file))
            faults.add(file, (), fault)  # what Python would say of the file, where no piece of it is at fault
        else:
            try:
                with limited(left()):
                    exec(code, space)  # in the worker: this is what a worker is for
            except BaseException as fault:  # SystemExit and KeyboardInterrupt too
                statements = split(text)[0]
                at = _failed_at(fault, code, statements)
                again = postponed(statements[at], file, fault) if at < len(statements) else None
                try:
                    if again is None:
                        raise fault
                    with limited(left()):
                        _run_code(again, space)
                except BaseException:
                    faults.add(file, _bound(statements[at]) if at < len(statements) else (), fault)
                statements = statements[at + 1 :]
        _run_each(file, statements, space, faults, lambda _statement: left())


def _failed_at(fault: BaseException, code: types.CodeType, statements: Sequence[Statement]) -> int:
    """The index of the statement that raised it; behind the last one where that cannot be told."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_frame.f_code is not code:
        trace = trace.tb_next
    if trace is None:
        return len(statements)
    before = [index for index, one in enumerate(statements) if one.line <= trace.tb_lineno]
    return before[-1] if before else len(statements)


def remember_lines(file: str, statements: Iterable[Statement]) -> None:
    """Has linecache know the cells' lines, for tracebacks, `inspect.getsource` and torch.jit.script."""
    lines: dict[str, dict[int, str]] = {}
    for one in statements:
        if not one.origin:
            cell = lines.setdefault(one.place(file), {})
            cell |= {one.line + at: f"{line}\n" for at, line in enumerate(one.text.split("\n"))}
    for name, known in lines.items():
        old = linecache.cache.get(name)
        merged = dict(enumerate(old[2], 1)) if old is not None and len(old) == 4 else {}
        merged |= known
        text = [merged.get(number, "\n") for number in range(1, max(merged) + 1)]
        linecache.cache[name] = (sum(map(len, text)), None, text, name)


# --------------------------------------------------------------------------------------------------- time


@contextlib.contextmanager
def _until(seconds: float) -> Iterator[Callable[[], float]]:
    """How much is left of these seconds; always 0, which is no limit, where they are 0."""
    end = time.monotonic() + seconds
    yield lambda: max(end - time.monotonic(), 0.05) if seconds else 0.0


AGAIN = 0.2
"""Seconds after which what swallowed `OutOfTime` meets it again."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises `OutOfTime` in what runs longer, if this is the main thread; 0 is no limit.

    Students' code can switch that off and gains nothing: the judge's own deadline ends the worker.
    """
    if seconds <= 0:
        yield
        return

    def stop(_signal: int, _frame: Any) -> None:
        raise OutOfTime

    try:
        before = signal.signal(signal.SIGALRM, stop)
    except ValueError:  # another thread
        yield
        return
    started = time.monotonic()
    try:
        outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
        if outer:  # of the file that imports this one
            signal.setitimer(signal.ITIMER_REAL, max(outer - (time.monotonic() - started), 0.01), AGAIN)
