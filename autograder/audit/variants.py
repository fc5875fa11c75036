"""What a wrong or a differently written right solution is, and how it becomes a submission."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree


@dataclass(frozen=True)
class Variant:
    """A solution that differs from the reference in the definitions of one file.

    `source` holds the definitions that replace those of the same name (a method is written at top level
    as `def negative_elbo_bound(self, x):`, or, where several classes have one of that name, below the line
    `class VAE:`; there it may also be new). `prelude` is put at the top of the file. `caught_by` are the
    ids of the checks that must fail whatever is drawn, () for a right solution, `sometimes` of those that it
    depends on the draw; `diagnosis` is the misconception that the feedback must name, "" where none is expected.
    """

    id: str
    about: str
    file: str
    source: str
    caught_by: tuple[str, ...] = ()
    diagnosis: str = ""
    prelude: str = ""
    sometimes: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """A digest of all that the variant is."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


def written(
    prefix: str,
    file: str,
    id: str,
    about: str,
    source: str,
    *,
    caught_by: tuple[str, ...] = (),
    diagnosis: str = "",
    prelude: str = "",
    sometimes: tuple[str, ...] = (),
) -> Variant:
    """One way to write a function of `file`, in the bank as "prefix-id"; source and prelude may be indented."""
    return Variant(
        id=f"{prefix}-{id}",
        about=about,
        file=file,
        source=textwrap.dedent(source).lstrip("\r\n"),
        caught_by=caught_by,
        diagnosis=diagnosis,
        prelude=textwrap.dedent(prelude).lstrip("\r\n"),
        sometimes=sometimes,
    )


def applied(variant: Variant, reference: str) -> str:
    """The reference file's text with the variant's definitions in place of its own.

    In a notebook the cells that define them are changed; the prelude goes to the top of the first of those.
    """
    if not variant.file.endswith(".ipynb"):
        return _changed(variant.source, variant.prelude, reference)
    notebook = json.loads(reference)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    prelude = variant.prelude
    for node in ast.parse(variant.source).body:
        assert isinstance(node, Definition), f"{variant.id}: only functions and classes can be replaced"
        kind = "class" if isinstance(node, ast.ClassDef) else "def"
        start = re.compile(rf"^[ \t]*{kind} {node.name}\b", re.M)
        chosen = next(cell for cell in cells if start.search("".join(cell["source"])))
        lines = variant.source.splitlines(keepends=True)
        own = "".join(lines[_first_line(node) - 1 : node.end_lineno])
        chosen["source"] = _changed(own, prelude, "".join(chosen["source"])).splitlines(keepends=True)
        prelude = ""
    return json.dumps(notebook, indent=1, ensure_ascii=False)


def _changed(source: str, prelude: str, reference: str) -> str:
    """Python text with the source's definitions in place of its own."""
    crlf, source = "\r\n" in source, source.replace("\r\n", "\n").strip("\n")
    if "\n\t" in source:  # one file has one kind of indentation
        reference = re.sub(r"^(?: {4})+", lambda spaces: "\t" * (len(spaces[0]) // 4), reference, flags=re.M)
    lines, pieces = reference.splitlines(keepends=True), source.splitlines(keepends=True)
    tree = ast.parse(reference)
    places = {node.name: node for node in _definitions(tree)}
    swaps = []
    for node in ast.parse(source).body:
        assert isinstance(node, Definition)
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
    return result.replace("\n", "\r\n") if crlf else result


Definition = ast.FunctionDef | ast.ClassDef


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _first_line(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _definitions(tree: ast.AST) -> list[Definition]:
    """All functions and classes; of several with one name the last counts."""
    return [node for node in ast.walk(tree) if isinstance(node, Definition)]


def write(variant: Variant, reference: Path, folder: Path) -> Path:
    """Makes `folder` a submission: a copy of the reference with the variant applied."""
    copytree(reference, folder, dirs_exist_ok=True)
    target = folder / variant.file
    target.write_bytes(applied(variant, (reference / variant.file).read_text()).encode())
    return folder
