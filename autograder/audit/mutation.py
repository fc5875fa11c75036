"""Systematic mutants of the reference: each of its solutions with one small change, as a slip would make it."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from autograder.core import Assignment

WIDTH = 100
"""Characters that are shown of a changed line, before and after."""


@dataclass(frozen=True)
class Mutant:
    """A file of the reference with one change in a graded function.

    `id` is question.function:line:operator:n, with the line counted from the function's `def` (1) and n from 1 among
    this operator's changes in the line: it stays when other functions change. `text` is the whole file.
    """

    id: str
    question: str
    file: str
    operator: str
    diff: str
    text: str

    @property
    def function(self) -> str:
        """The question and the function, as in the id."""
        return self.id.partition(":")[0]

    @property
    def code(self) -> str:
        """A digest of the file's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Change:
    """One change of a source: where (the line as in `Mutant.id`), by which operator, and the source after it."""

    function: str
    line: int
    operator: str
    number: int
    diff: str
    source: str


def of(assignment: Assignment) -> list[Mutant]:
    """All mutants of the assignment's reference, in the order of the handout and of the lines."""
    return [
        Mutant(
            f"{question.id}.{change.function}:{change.line}:{change.operator}:{change.number}",
            *(question.id, file, change.operator, change.diff, text),
        )
        for question in assignment.questions
        for file in question.files
        if file.endswith((".py", ".ipynb"))
        for change, text in _of_file(assignment.reference / file)
    ]


def _of_file(path: Path) -> Iterator[tuple[Change, str]]:
    """The changes of one file, and the file's text after each."""
    text = path.read_text()
    if path.suffix == ".py":
        yield from ((change, change.source) for change in changes(text))
        return
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        lines, cell["source"] = cell["source"], [MARK]
        whole = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"  # once: it takes longer than the rest
        cell["source"] = lines
        for change in changes("".join(lines)):
            quoted = (json.dumps(line, ensure_ascii=False) for line in change.source.splitlines(keepends=True))
            yield change, whole.replace(json.dumps(MARK), ",\n    ".join(quoted))


MARK = "the source of the cell that is changed"


# --------------------------------------------------------------------------------------- one source

_REGION = re.compile(r"^[ \t]*# BEGIN SOLUTION .*?^[ \t]*# END SOLUTION$", re.M | re.S)  # template.py holds them to it


def changes(source: str) -> list[Change]:
    """Every change of every function's solution region, none of them equal in code to the source or to another.

    What is not changed stays as it is, byte for byte; a changed node is written anew by ast.unparse.
    """
    lines = source.split("\n")
    marked = {
        line
        for found in _REGION.finditer(source)
        for line in range(source.count("\n", 0, found.start()) + 1, source.count("\n", 0, found.end()) + 2)
    }
    counts: dict[tuple[str, int, str], int] = {}
    found = []
    for place, (name, function) in enumerate(_functions(ast.parse(source))):
        own = range(function.lineno, (function.end_lineno or 0) + 1)
        region = Region.of(function, "\n".join(lines[line - 1] for line in own if line in marked))
        for index, statement in enumerate(function.body):
            inside = [node for node in _shown(statement) if node.lineno in marked and node.end_lineno in marked]
            for operator, old, new, wanted in _swaps(statement, inside, region):
                key = (name, old.lineno - function.lineno + 1, operator)
                counts[key] = counts.get(key, 0) + 1
                text, diff = _written(source, old, new, (place, index), wanted)
                found.append(Change(*key, counts[key], diff, text))
    return found


Placed = ast.stmt | ast.expr
"""What has a place in the source."""
Swap = tuple[Placed, Placed]
"""A node, and what is to stand in its place."""


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions and methods, methods as Class.method; what is defined inside of a function belongs to it."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{own.name}", own) for own in node.body if isinstance(own, ast.FunctionDef))


def _shown(statement: ast.stmt) -> list[Placed]:
    """The statement's nodes that have a place of their own; Python 3.11 misplaces those inside of an f-string."""
    hidden = {id(node) for text in ast.walk(statement) if isinstance(text, ast.JoinedStr) for node in ast.walk(text)}
    return [node for node in ast.walk(statement) if isinstance(node, Placed) and id(node) not in hidden]


class _Swapped(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def _swaps(statement: ast.stmt, nodes: list[Placed], region: Region) -> Iterator[tuple[str, Placed, Placed, str]]:
    """What the operators make of these nodes of a statement: operator, swap, and the statement after it as text."""
    known = {ast.dump(statement)}
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        for operator, mutator in OPERATORS.items():
            for old, new in mutator(node, region):
                wanted = _dumped_with(statement, old, new)
                if wanted not in known:
                    known.add(wanted)
                    yield operator, old, new, wanted


def _dumped_with(statement: ast.stmt, old: Placed, new: Placed) -> str:
    """The statement with `new` in the place of `old`, as text."""
    text = ast.dump(_Swapped(old, new).visit(statement))
    _Swapped(new, old).visit(statement)
    return text


def _written(source: str, old: Placed, new: Placed, place: tuple[int, int], wanted: str) -> tuple[str, str]:
    """The source with `new` written over `old`, and what changed, in a line.

    In parentheses where only so the statement at `place` (which function, which of its statements) reads as `wanted`.
    """
    lines = source.encode().splitlines(keepends=True)  # places are counted in UTF-8's bytes
    end = (old.end_lineno or old.lineno) - 1
    before, after = lines[old.lineno - 1][: old.col_offset], lines[end][old.end_col_offset :]
    for form in ("{}", "({})"):
        own = before + form.format(ast.unparse(new)).encode() + after
        text = b"".join([*lines[: old.lineno - 1], own, *lines[end + 1 :]]).decode()
        with contextlib.suppress(SyntaxError):
            if ast.dump(list(_functions(ast.parse(text)))[place[0]][1].body[place[1]]) == wanted:
                shown = b"".join(lines[old.lineno - 1 : end + 1]).decode()
                return text, _diff(shown, own.decode())
    raise ValueError(f"line {old.lineno}: {ast.unparse(new)} cannot be written in the place of {ast.unparse(old)}")


def _diff(*versions: str) -> str:
    """Before and after in a line, without comments; of long ones what is about the change."""
    flat = [" ".join(re.sub(r"(^|\s)#.*", "", text, flags=re.M).split()) for text in versions]
    pairs = zip(*flat, strict=False)
    start = max(0, next((at for at, (old, new) in enumerate(pairs) if old != new), 0) - WIDTH // 2)
    return "  ->  ".join(
        ("..." if start else "") + text[start : start + WIDTH] + ("..." if len(text) > start + WIDTH else "")
        for text in flat
    )


# ---------------------------------------------------------------------------------------- operators


@dataclass(frozen=True)
class Region:
    """What mutators know of a solution beyond the node: which library it is written in, and what is defined there.

    `graded` says that gradients matter; `locals_of` are the names that a return could give instead, `literal` the
    numbers behind a minus sign, which are one number with it.
    """

    numpy: bool
    graded: bool
    locals_of: Mapping[int, tuple[str, ...]]
    literal: frozenset[int]

    @staticmethod
    def of(function: ast.FunctionDef, text: str) -> Region:
        nodes = list(ast.walk(function))
        locals_of = {}
        for scope in nodes:  # the outer functions come first, so that the innermost one's names remain
            if isinstance(scope, ast.FunctionDef):
                for node in ast.walk(scope):
                    if isinstance(node, ast.Return):
                        locals_of[id(node)] = _locals(scope)
        literal = (id(node.operand) for node in nodes if isinstance(node, ast.UnaryOp) and _number(node) is not None)
        numpy = "np." in text and "torch" not in text and "F." not in text
        graded = not numpy and not any("no_grad" in ast.unparse(one) for one in function.decorator_list)
        return Region(numpy, graded, locals_of, frozenset(literal))


def _locals(function: ast.FunctionDef) -> tuple[str, ...]:
    arguments = [one.arg for one in [*function.args.args, *function.args.kwonlyargs] if one.arg != "self"]
    stored = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return tuple(dict.fromkeys([*arguments, *stored]))


def _number(node: ast.AST) -> int | float | None:
    """The value of a number that is written out, with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return -inner if inner is not None and isinstance(node.operand, ast.Constant) else None
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    return None


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _called(receiver: ast.expr, method: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(receiver, method, ast.Load()), list(arguments), [])


EXCHANGED: Mapping[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitOr: (ast.BitAnd, ast.BitXor),
}


def _arithmetic(node: ast.AST, _region: Region) -> Iterator[Swap]:
    if isinstance(node, ast.BinOp):
        yield from ((node, ast.BinOp(node.left, new(), node.right)) for new in EXCHANGED.get(type(node.op), ()))
    elif isinstance(node, ast.AugAssign):
        yield from ((node, ast.AugAssign(node.target, new(), node.value)) for new in EXCHANGED.get(type(node.op), ()))


COMPARED: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


def _comparison(node: ast.AST, _region: Region) -> Iterator[Swap]:
    if isinstance(node, ast.Compare):
        for place, old in enumerate(node.ops):
            for new in COMPARED[type(old)]:
                yield node, ast.Compare(node.left, [*node.ops[:place], new(), *node.ops[place + 1 :]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _sign(node: ast.AST, _region: Region) -> Iterator[Swap]:
    """A minus, a `not` or a `~` left out; a minus added to what is returned."""
    if isinstance(node, ast.UnaryOp) and _number(node) is None:
        yield node, node.operand
    elif isinstance(node, ast.Return) and node.value is not None:
        plain = (value for value in _parts(node.value) if not isinstance(value, ast.UnaryOp))
        yield from ((value, ast.UnaryOp(ast.USub(), value)) for value in plain)


def _parts(value: ast.expr) -> list[ast.expr]:
    """The elements of a tuple, or the value alone."""
    return list(value.elts) if isinstance(value, ast.Tuple) else [value]


def _constant(node: ast.AST, region: Region) -> Iterator[Swap]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, ast.Constant(not node.value)
        return
    value = _number(node)
    if value is not None and isinstance(node, ast.expr) and id(node) not in region.literal:
        others = dict.fromkeys(type(value)(other) for other in (0, 1, -1, 2 * value, -value))
        yield from ((node, _expression(repr(other))) for other in others if other != value)


TWINS = (
    *(("sum", "mean", "max"), ("mean", "sum", "max"), ("max", "min"), ("min", "max"), ("any", "all"), ("all", "any")),
    *(("argmax", "argmin"), ("argmin", "argmax"), ("argsort", "sort"), ("log", "exp", "log2"), ("exp", "log")),
    *(("sqrt", "square", "abs"), ("square", "sqrt", "abs"), ("logsigmoid", "sigmoid", "softplus")),
    *(("log_softmax", "softmax"), ("relu", "gelu"), ("zeros_like", "ones_like"), ("zeros", "ones")),
    *(("randn_like", "rand_like", "zeros_like"), ("randn", "rand", "zeros"), ("eval", "train"), ("long", "float")),
    *(("cross_entropy", "nll_loss"), ("concatenate", "stack"), ("cat", "stack"), ("repeat_interleave", "tile")),
)


def _function(node: ast.AST, _region: Region) -> Iterator[Swap]:
    """A function or method that is taken for its sibling; of reductions, another one."""
    if isinstance(node, ast.Attribute):
        for name, *others in TWINS:
            if node.attr == name:
                yield from ((node, ast.Attribute(node.value, other, node.ctx)) for other in others)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max"):
        other = "max" if node.func.id == "min" else "min"
        yield node.func, ast.Name(other, ast.Load())


REDUCTIONS = ("sum", "mean", "max", "min", "any", "all", "argmax", "prod")


def _axis(node: ast.AST, _region: Region) -> Iterator[Swap]:
    """A reduction over everything that is done along one axis. Axes that are written out are `_constant`'s."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in REDUCTIONS:
        module = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "torch")
        if len(node.args) == module and not node.keywords:
            yield from ((node, ast.Call(node.func, [*node.args, _expression(axis)], [])) for axis in ("0", "-1"))


def _arguments(node: ast.AST, _region: Region) -> Iterator[Swap]:
    """Two neighbouring arguments, or two values of a returned tuple, that changed places."""
    if isinstance(node, ast.Call):
        yield from ((node, ast.Call(node.func, swapped, node.keywords)) for swapped in _neighbours(node.args))
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        yield from ((node.value, ast.Tuple(swapped, ast.Load())) for swapped in _neighbours(node.value.elts))


def _neighbours(items: list[ast.expr]) -> Iterator[list[ast.expr]]:
    for place in range(len(items) - 1):
        yield [*items[:place], items[place + 1], items[place], *items[place + 2 :]]


def _dropped(node: ast.AST, _region: Region) -> Iterator[Swap]:
    """A keyword argument, or the last of the others, left out."""
    if isinstance(node, ast.Call):
        for place in range(len(node.keywords)):
            yield node, ast.Call(node.func, node.args, [*node.keywords[:place], *node.keywords[place + 1 :]])
        if node.args:
            yield node, ast.Call(node.func, node.args[:-1], node.keywords)


def _term(node: ast.AST, _region: Region) -> Iterator[Swap]:
    """A term or a factor left out; a term doubled."""
    if isinstance(node, ast.BinOp):
        yield from ((node, part) for part in (node.left, node.right))
        if isinstance(node.op, ast.Add | ast.Sub):
            twice = [ast.BinOp(ast.Constant(2), ast.Mult(), part) for part in (node.left, node.right)]
            yield node, ast.BinOp(twice[0], node.op, node.right)
            yield node, ast.BinOp(node.left, node.op, twice[1])


MODULES = ("np", "torch", "F", "nn", "ut", "self")


def _unwrapped(node: ast.AST, _region: Region) -> Iterator[Swap]:
    """A call left out: what it was called on, or its only argument, stands alone. A missing `.detach()` is one."""
    if not isinstance(node, ast.Call):
        return
    inner = node.func.value if isinstance(node.func, ast.Attribute) else None
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    if isinstance(node.func, ast.Attribute) and not (isinstance(inner, ast.Name) and inner.id in MODULES):
        yield node, node.func.value
    elif len(node.args) == 1 and not isinstance(node.args[0], ast.Starred):
        yield node, node.args[0]


def _detach(node: ast.AST, region: Region) -> Iterator[Swap]:
    """A `.detach()` where there is none: at operands, arguments, assigned and returned values."""
    if not region.graded:
        return
    values: list[ast.expr] = []
    if isinstance(node, ast.BinOp):
        values = [node.left, node.right]
    elif isinstance(node, ast.Call):
        values = node.args
    elif isinstance(node, ast.Assign | ast.Return) and node.value is not None:
        values = _parts(node.value)
    yield from ((value, _called(value, "detach")) for value in values if isinstance(value, ast.Name | ast.Call))


IN_PLACE: Mapping[type[ast.operator], str] = {
    ast.Add: "__iadd__",
    ast.Sub: "__isub__",
    ast.Mult: "__imul__",
    ast.Div: "__itruediv__",
    ast.Pow: "__ipow__",
}
WITH_UNDERSCORE = ("sqrt", "square", "relu", "exp", "log", "masked_fill", "squeeze", "unsqueeze", "add", "mul")


def _in_place(node: ast.AST, region: Region) -> Iterator[Swap]:
    """The left operand, or the argument, changed in place of a new value made."""
    if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Name) and type(node.op) in IN_PLACE:
        yield node, _called(node.left, IN_PLACE[type(node.op)], node.right)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WITH_UNDERSCORE:
        name, module = f"{node.func.attr}_", node.func.value
        if region.numpy and len(node.args) == 1 and isinstance(node.args[0], ast.Name):
            yield node, ast.Call(node.func, node.args, [*node.keywords, ast.keyword("out", node.args[0])])
        elif isinstance(module, ast.Name) and module.id in MODULES and node.args:
            yield node, _called(node.args[0], name, *node.args[1:])
        else:
            yield node, ast.Call(ast.Attribute(module, name, ast.Load()), node.args, node.keywords)


def _dtype(node: ast.AST, region: Region) -> Iterator[Swap]:
    """An assigned or returned value in another precision."""
    if isinstance(node, ast.Assign | ast.Return) and node.value is not None:
        for value in _parts(node.value):
            if isinstance(value, ast.Tuple | ast.List | ast.Dict | ast.Constant):
                continue
            if region.numpy:
                for name in ("float32", "float16"):
                    yield value, ast.Call(_expression(f"np.{name}"), [value], [])
            else:
                yield from ((value, _called(value, name)) for name in ("float", "double", "half"))


def _statement(node: ast.AST, _region: Region) -> Iterator[Swap]:
    """A statement left out."""
    if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.Pass):
        documented = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not documented:
            yield node, ast.Pass()


def _condition(node: ast.AST, _region: Region) -> Iterator[Swap]:
    tests: list[ast.expr] = []
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        tests = [node.test]
    elif isinstance(node, ast.GeneratorExp | ast.ListComp | ast.DictComp | ast.SetComp):
        tests = [test for one in node.generators for test in one.ifs]
    yield from ((test, ast.UnaryOp(ast.Not(), test)) for test in tests)


def _slice(node: ast.AST, _region: Region) -> Iterator[Swap]:
    """The bounds of a slice or of a range one more or one less; a slice from or up to the end that loses an item."""
    if isinstance(node, ast.Slice):
        for bound in (node.lower, node.upper):
            yield from _beside(bound)
        if node.lower is None:
            yield node, ast.Slice(ast.Constant(1), node.upper, node.step)
        if node.upper is None:
            yield node, ast.Slice(node.lower, _expression("-1"), node.step)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("range", "np.arange", "torch.arange"):
        for bound in node.args:
            yield from _beside(bound)


def _beside(bound: ast.expr | None) -> Iterator[Swap]:
    if bound is None:
        return
    value = _number(bound)
    for step in (1, -1):
        if value is not None:
            yield bound, _expression(repr(value + step))
        else:
            yield bound, ast.BinOp(bound, ast.Add() if step == 1 else ast.Sub(), ast.Constant(1))


def _returned(node: ast.AST, region: Region) -> Iterator[Swap]:
    """Another local value returned."""
    if isinstance(node, ast.Return) and node.value is not None:
        for value in _parts(node.value):
            for name in region.locals_of[id(node)]:
                yield value, ast.Name(name, ast.Load())


OPERATORS: Mapping[str, Callable[[ast.AST, Region], Iterator[Swap]]] = {
    "arithmetic": _arithmetic,
    "comparison": _comparison,
    "sign": _sign,
    "constant": _constant,
    "function": _function,
    "axis": _axis,
    "arguments": _arguments,
    "dropped": _dropped,
    "term": _term,
    "unwrapped": _unwrapped,
    "detach": _detach,
    "in_place": _in_place,
    "dtype": _dtype,
    "statement": _statement,
    "condition": _condition,
    "slice": _slice,
    "returned": _returned,
}
"""The kinds of change, by the names that ids have."""
