"""What a wrong or a differently written right solution is, and how it becomes a submission."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree


@dataclass(frozen=True)
class Variant:
    """A solution that differs from the reference in the definitions of one file.

    `source` holds the definitions that replace those of the same name (a method is written at top level
    as `def negative_elbo_bound(self, x):`), `prelude` what is put at the top of the file. `caught_by`
    are the ids of the checks that must fail, () for a right solution; `diagnosis` is the misconception
    that the feedback must name, "" where none is expected.
    """

    id: str
    about: str
    file: str
    source: str
    caught_by: tuple[str, ...] = ()
    diagnosis: str = ""
    prelude: str = ""


def applied(variant: Variant, reference: str) -> str:
    """The reference file's text with the variant's definitions in place of its own."""
    lines = reference.splitlines(keepends=True)
    new = ast.parse(variant.source.replace("\r\n", "\n").strip("\n"))
    pieces = variant.source.replace("\r\n", "\n").strip("\n").splitlines(keepends=True)
    places = {node.name: node for node in _functions(ast.parse(reference))}
    swaps = []
    for node in new.body:
        assert isinstance(node, ast.FunctionDef), f"{variant.id}: only functions can be replaced"
        old = places[node.name]
        first = min([old.lineno, *(d.lineno for d in old.decorator_list)]) - 1
        begin = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
        text = "".join(pieces[begin : node.end_lineno]).rstrip("\n") + "\n"
        indent = " " * old.col_offset
        if "\t" in text and indent:
            indent = "\t" * (old.col_offset // 4)
        swaps.append((first, old.end_lineno, "".join(indent + line if line.strip() else line for line in text.splitlines(keepends=True))))
    for first, last, text in sorted(swaps, reverse=True):
        lines[first:last] = [text]
    result = variant.prelude + ("\n" if variant.prelude and not variant.prelude.endswith("\n") else "") + "".join(lines)
    return result.replace("\n", "\r\n") if "\r\n" in variant.source else result


def _functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def write(variant: Variant, reference: Path, folder: Path) -> Path:
    """Makes `folder` a submission: a copy of the reference with the variant applied."""
    copytree(reference, folder, dirs_exist_ok=True)
    target = folder / variant.file
    target.write_bytes(applied(variant, (reference / variant.file).read_text()).encode())
    return folder
