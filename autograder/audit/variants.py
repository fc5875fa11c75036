"""What a wrong or a differently written right solution is, and how it becomes a submission."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from textwrap import dedent


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
) -> Variant:
    """One way to write a function of `file`, in the bank as "prefix-id"; source and prelude may be indented."""
    return Variant(
        id=f"{prefix}-{id}",
        about=about,
        file=file,
        source=dedent(source).lstrip("\r\n"),
        caught_by=caught_by,
        diagnosis=diagnosis,
        prelude=dedent(prelude).lstrip("\r\n"),
    )


def applied(variant: Variant, reference: str) -> str:
    """The reference file's text with the variant's definitions in place of its own.

    In a notebook the first cell that defines one of them is changed; the prelude goes to its top.
    """
    if not variant.file.endswith(".ipynb"):
        return _changed(variant, reference)
    notebook = json.loads(reference)
    names = [node.name for node in _functions(ast.parse(variant.source.strip("\r\n")))]
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    chosen = next(cell for cell in cells if any(f"def {name}(" in "".join(cell["source"]) for name in names))
    chosen["source"] = _changed(variant, "".join(chosen["source"])).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False)


def _changed(variant: Variant, reference: str) -> str:
    """Python text with the variant's definitions in place of its own."""
    source = variant.source.replace("\r\n", "\n").strip("\n")
    if "\n\t" in source:  # one file has one kind of indentation
        reference = re.sub(r"^(?: {4})+", lambda spaces: "\t" * (len(spaces[0]) // 4), reference, flags=re.M)
    lines, pieces = reference.splitlines(keepends=True), source.splitlines(keepends=True)
    places = {node.name: node for node in _functions(ast.parse(reference))}
    swaps = []
    for node in ast.parse(source).body:
        assert isinstance(node, ast.FunctionDef), f"{variant.id}: only functions can be replaced"
        old = places[node.name]
        indent = re.match(r"\s*", lines[old.lineno - 1])[0]  # type: ignore[index]
        own = pieces[_first_line(node) - 1 : node.end_lineno]
        text = "".join(indent + line if line.strip() else line for line in own).rstrip("\n") + "\n"
        swaps.append((_first_line(old) - 1, old.end_lineno, text))
    for first, last, text in sorted(swaps, reverse=True):
        lines[first:last] = [text]
    prelude = variant.prelude.rstrip("\n") + "\n" if variant.prelude else ""
    result = prelude + "".join(lines)
    return result.replace("\n", "\r\n") if "\r\n" in variant.source else result


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def write(variant: Variant, reference: Path, folder: Path) -> Path:
    """Makes `folder` a submission: a copy of the reference with the variant applied."""
    copytree(reference, folder, dirs_exist_ok=True)
    target = folder / variant.file
    target.write_bytes(applied(variant, (reference / variant.file).read_text()).encode())
    return folder
