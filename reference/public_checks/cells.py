"""Reads the definitions of a notebook without running the rest of it: no training, no download, no plot.

Of all statements at the top level of the code cells only those run that define a name which the wanted functions need:
imports, functions, classes, and assignments of values. Loops and calls whose value is not kept never run, and nor does
an assignment that trains a network.
"""

import ast
import json
import linecache
import re
import symtable
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = re.compile(r"^(\s*)(?:[%!?]|[\w.]+\s*=\s*[%!]|[\w.]+\?+\s*$)")
KEPT_CELL = re.compile(r"%%(?:capture|time|timeit|prun)\b")
RUN = re.compile(
    r"^\s*%run\s+(?:-\w+\s+)*(?P<quote>[\"']?)(?P<name>[^\"'#]+?\.(?:ipynb|py))(?P=quote)(?:\s|$)", re.MULTILINE
)
TRAINS = {"backward"}
"""Who calls a method of this name trains."""


class Unreadable(Exception):
    """The file is no notebook; says why."""


@dataclass
class Statement:
    """A statement at the top level of a code cell: the names that it binds, and those that it needs."""

    node: ast.stmt
    place: str
    binds: set = field(default_factory=set)
    needs: set = field(default_factory=set)
    calls: set = field(default_factory=set)
    methods: set = field(default_factory=set)

    @property
    def defines(self):
        """Whether it may be run: it defines something, and is no loop and no call whose value is lost."""
        return _defines(self.node)


def _defines(node):
    simple = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if isinstance(node, (*simple, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Pass, ast.Raise, ast.Delete)):
        return True
    if isinstance(node, ast.Expr):  # a docstring, or a call inside of an if that defines something else, too
        return isinstance(node.value, (ast.Constant, ast.Call))
    if isinstance(node, ast.If):
        return all(map(_defines, [*node.body, *node.orelse]))
    if isinstance(node, ast.With):
        return all(map(_defines, node.body))
    if isinstance(node, ast.Try):
        handlers = [one for handler in node.handlers for one in handler.body]
        return all(map(_defines, [*node.body, *handlers, *node.orelse, *node.finalbody]))
    return False


@dataclass
class Source:
    """The statements of a notebook, and a sentence for each cell that is no Python."""

    statements: list = field(default_factory=list)
    broken: list = field(default_factory=list)  # (place, sentence, text)


def read(path):
    """The `Source` of a notebook file (or of a Python file that a notebook runs). Raises `Unreadable`."""
    source = Source()
    _add(source, Path(path), set())
    return source


def _add(source, path, seen):
    seen.add(path.resolve())
    for number, text in _texts(path):
        place = f"{path.name}, code cell {number}" if number else path.name
        for run in RUN.finditer(text):
            other = path.parent / run["name"].strip()
            if other.is_file() and other.resolve() not in seen:
                _add(source, other, seen)
        plain = _python(text)
        linecache.cache[place] = (len(plain), None, plain.splitlines(keepends=True), place)
        try:
            tree = ast.parse(plain, place)
        except (SyntaxError, ValueError, RecursionError) as error:
            line = f", line {error.lineno}" if getattr(error, "lineno", None) else ""
            words = getattr(error, "msg", None) or str(error)
            source.broken.append((place, f"{place}{line} is not Python: {words}.", plain))
            continue
        source.statements += [_statement(node, place) for node in tree.body]


def _texts(path):
    """(number, text) of each code cell, counted from 1; (0, text) of a Python file."""
    try:
        data = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be read: {error.strerror}.") from None
    if path.suffix == ".py":
        return [(0, data)]
    try:
        tree = json.loads(data)
        sheets = tree.get("worksheets") or [tree]
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        sources = [cell.get("source", cell.get("input", "")) for cell in cells]
        return [(at, one if isinstance(one, str) else "".join(one)) for at, one in enumerate(sources, start=1)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        what = "It is empty." if not data.strip() else "Its content is no JSON with cells."
        raise Unreadable(
            f"{path.name} is not a notebook. {what} Expected: the file as Jupyter or Colab saves it (.ipynb)."
        ) from None


def _python(text):
    """The cell without what Jupyter alone understands; each line stays at its place."""
    if text.lstrip().startswith("%%"):
        text = text.lstrip("\n")
        if not KEPT_CELL.match(text.lstrip()):
            return ""
        text = "#" + text
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        pass
    else:
        return text  # plain Python: a line of a text that begins with a % stays
    lines = text.split("\n")
    return "\n".join(found[1] + "pass" if (found := MAGIC.match(line)) else line for line in lines)


def _statement(node, place):
    one = Statement(node, place)
    table = symtable.symtable(ast.unparse(node), place, "exec")
    one.binds = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    if isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names):
        one.binds.add("*")
    for target in getattr(node, "targets", [getattr(node, "target", None)]):  # Layer.forward = mine changes Layer
        changed = target
        while isinstance(changed, (ast.Attribute, ast.Subscript)):
            changed = changed.value
        if changed is not target and isinstance(changed, ast.Name):
            one.binds.add(changed.id)
    one.needs = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()} | _globals(table)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        one.needs.discard(node.name)
        one.needs |= {node.name} & _globals(table)
    for child in ast.walk(node):
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name):
            one.calls.add(child.func.id)
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            one.methods.add(child.func.attr)
    return one


def _globals(table):
    """The global names that functions and classes inside of this table use."""
    found = set()
    for inner in table.get_children():
        found |= {one.get_name() for one in inner.get_symbols() if one.is_global() and one.is_referenced()}
        found |= _globals(inner)
    return found


def names_in(text):
    """The names that a module's text needs and does not define itself."""
    found = [_statement(node, "checks") for node in ast.parse(text).body]
    binds = {name for one in found for name in one.binds}
    return {name for one in found for name in one.needs} - binds


def load(source, wanted, given):
    """Runs what defines the names `wanted` and all that they need.

    `given` are names that are there already. Returns (namespace, faults): a sentence for each name that could not be
    defined, because its statement raised, or because it is made by a part that is not run.
    """
    chosen, skipped = _chosen(source, set(wanted))
    space = {"__name__": "notebook", **given}
    faults = {}
    for one in source.statements:
        if id(one) not in chosen:
            continue
        try:
            exec(compile(ast.Module([one.node], []), one.place, "exec", dont_inherit=True), space)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            for name in one.binds:
                if name not in space:
                    faults[name] = error
    for name in skipped:
        if name not in space:
            faults.setdefault(name, None)
    return space, faults


def _chosen(source, wanted):
    """The ids of the statements to run, and the names that only statements bind which are not run."""
    by_name, trains = {}, _training(source)
    for one in source.statements:
        if one.defines and not (one.calls & trains or (one.methods & TRAINS and not _is_code(one.node))):
            for name in one.binds:
                by_name.setdefault(name, []).append(one)
    others = {name for one in source.statements for name in one.binds} - set(by_name)
    chosen, todo, known = set(), set(wanted) | {"*"}, set()
    while todo:
        name = todo.pop()
        known.add(name)
        for one in _last(by_name.get(name, [])):
            if id(one) not in chosen:
                chosen.add(id(one))
                todo |= one.needs - known
    return chosen, others & known


def _last(statements):
    """The statements that make a name what it is in the end: the last one that does not build on those before it."""
    for at in range(len(statements) - 1, -1, -1):
        one = statements[at]
        if isinstance(one.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not one.node.decorator_list:
            return statements[at:]
    return statements


def _is_code(node):
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def _training(source):
    """The names of the notebook's functions that train, themselves or by another one."""
    functions = [one for one in source.statements if _is_code(one.node)]
    found = {one.node.name for one in functions if one.methods & TRAINS}
    while more := {one.node.name for one in functions if one.calls & found} - found:
        found |= more
    return found
