"""Make the students' template from the reference, by cutting the marked solutions out of it.

A region between `# BEGIN SOLUTION hint` and `# END SOLUTION` becomes
`raise NotImplementedError("function: hint")`, and in a TOML file the hint itself, which is the line that the student
fills in; all else is copied byte for byte. Only text is handled here: nothing of the homework is imported or run.
"""

from __future__ import annotations

import ast
import json
import re
import stat
import sys
import textwrap
import tomllib
from pathlib import Path, PurePosixPath

from autograder import storage
from autograder.text import many

_MARKER = re.compile(r"#[\W_]*(BEGIN|END)[\W_]*SOLUTION", re.IGNORECASE)  # generous: a misspelt marker must not leak
_BEGIN = re.compile(r"(?P<indent>[ \t]*)# BEGIN SOLUTION (?P<hint>\S.*)")
_END = re.compile(r"(?P<indent>[ \t]*)# END SOLUTION")
_DEFINITION = re.compile(r"(?P<indent>[ \t]*)(?:async[ \t]+)?def[ \t]+(?P<name>\w+)")
_LEFT_BY_RUNS = {  # and whatever begins with a dot
    *("__pycache__", "data", "results", "submission_log.json", "vae_samples.png", "gan_samples.png", "submission.zip")
}
_WIDTH = 100  # columns of a raised sentence


def cut(text: str, where: str, *, as_it_stands: bool = False) -> tuple[str, int]:
    """`text` with each solution region replaced, and how many there were.

    The hint replaces it as it stands, or, without `as_it_stands`, as the sentence of a NotImplementedError.
    Raises ValueError naming `where` and the line when markers are unbalanced, nested, misspelt, without a
    hint or not on lines of their own.
    """
    lines = text.split("\n")  # not splitlines(): form feeds and the like stay inside their line
    kept: list[str] = []
    begin: re.Match[str] | None = None
    begun = regions = 0
    for number, line in enumerate(lines, start=1):
        here = f"{where}, line {number}"
        body = line.removesuffix("\r")
        if _MARKER.search(body) is None:
            if begin is None:
                kept.append(line)
            continue
        if opening := _BEGIN.fullmatch(body):
            if begin is not None:
                raise ValueError(f"{here}: BEGIN SOLUTION inside the solution that line {begun} began.")
            begin, begun = opening, number
        elif closing := _END.fullmatch(body):
            if begin is None:
                raise ValueError(f"{here}: END SOLUTION without BEGIN SOLUTION.")
            if closing["indent"] != begin["indent"]:
                raise ValueError(
                    f"{here}: END SOLUTION has another indentation than its BEGIN SOLUTION in line {begun}."
                )
            name, hint = _enclosing(lines[: begun - 1], begin["indent"]), begin["hint"].strip()
            stubs = [begin["indent"] + hint] if as_it_stands else _stub(begin["indent"], name, hint)
            ending = "\r" if line.endswith("\r") else ""
            kept += [stub + ending for stub in stubs]
            begin, regions = None, regions + 1
        else:
            raise ValueError(
                f"{here}: a solution marker is a line of its own, either '# BEGIN SOLUTION' with a hint for "
                "the student, or '# END SOLUTION'."
            )
    if begin is not None:
        raise ValueError(f"{where}, line {begun}: BEGIN SOLUTION has no END SOLUTION.")
    return "\n".join(kept), regions


def code_cells(notebook: str) -> list[str]:
    """The sources of the code cells of a notebook of ours, whose text this is."""
    return ["".join(cell["source"]) for cell in json.loads(notebook)["cells"] if cell["cell_type"] == "code"]


def _enclosing(before: list[str], indent: str) -> str:
    """The name of the function that a region with this indentation stands in, or nothing outside of all."""
    for line in reversed(before):
        found = _DEFINITION.match(line)
        if found and len(found["indent"]) < len(indent):
            return found["name"]
    return ""


def _stub(indent: str, name: str, hint: str) -> list[str]:
    sentence = f"{name}: {hint}" if name else hint
    line = f"{indent}raise NotImplementedError({_quoted(sentence)})"
    if len(line) <= _WIDTH:
        return [line]
    *parts, last = textwrap.wrap(sentence, _WIDTH - len(indent) - 8, break_on_hyphens=False)
    inner = [f"{indent}    {_quoted(part)}" for part in (*(f"{part} " for part in parts), last)]
    return [f"{indent}raise NotImplementedError(", *inner, f"{indent})"]


def _quoted(text: str) -> str:
    """A Python string literal in double quotes, as the formatter would write it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def cut_notebook(text: str, where: str) -> tuple[str, int]:
    """The notebook `text` with solutions cut out of its code cells, its outputs and execution counts dropped.

    The marks that a run leaves in the metadata (timings, the state of widgets) go too, since they can show
    what a solution printed. Raises ValueError as `cut` does, naming the cell as well.
    """
    notebook = json.loads(text)
    regions = 0
    for index, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] != "code":
            continue
        source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        source, found = cut(source, f"{where}, cell {index}")
        regions += found
        cell["source"] = source.splitlines(keepends=True)
        cell["outputs"] = []
        cell["execution_count"] = None
        for left in ("execution", "executionInfo", "outputId"):
            cell.get("metadata", {}).pop(left, None)
    notebook.get("metadata", {}).pop("widgets", None)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", regions


def cut_toml(text: str, where: str) -> tuple[str, int]:
    """The TOML `text` with each solution region replaced by its hint: a key with an empty value, and a comment.

    Raises ValueError as `cut` does, and where the hints leave what is not TOML.
    """
    text, regions = cut(text, where, as_it_stands=True)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where}: with the hints instead of the solutions it is not valid TOML: {error}.") from None
    return text, regions


_CUTTERS = {".py": cut, ".ipynb": cut_notebook, ".toml": cut_toml}


def _files(folder: Path) -> list[PurePosixPath]:
    """The files below `folder`, relative to it and sorted, without what runs leave behind."""
    found = (PurePosixPath(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(part in _LEFT_BY_RUNS or part[0] == "." for part in path.parts))


def _planned(reference: Path) -> tuple[dict[PurePosixPath, bytes], int]:
    """Every file of the template with its content, and the number of solutions cut."""
    if not reference.is_dir():
        raise ValueError(f"{reference}: no such folder.")
    plan: dict[PurePosixPath, bytes] = {}
    total = 0
    for name in _files(reference):
        content = (reference / name).read_bytes()
        if cutter := _CUTTERS.get(name.suffix):
            text, regions = cutter(content.decode("utf-8"), str(name))
            content, total = text.encode("utf-8"), total + regions
        plan[name] = content
    return plan, total


def generate(reference: Path, template: Path) -> list[Path]:
    """Make the folder `template` what `reference` says, and return its files.

    Nothing is written before all of the reference has been read and cut. Each file is written by rename, so that a run
    that is killed leaves old and new files, and never a part of one. Files that do not belong are removed; what runs
    leave behind (`__pycache__`, `data`, `results`, names with a leading dot) is let be.
    Raises ValueError when markers are wrong, or one folder holds the other.
    """
    _generate(reference, template)
    return [template / name for name in _files(template)]


def _generate(reference: Path, template: Path) -> int:
    source, target = reference.resolve(), template.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise ValueError(f"The template {template} and the reference {reference} must be folders side by side.")
    plan, regions = _planned(reference)
    for name, content in plan.items():
        storage.save(template / name, content, mode=stat.S_IMODE((reference / name).stat().st_mode))
    for name in _files(template):
        if name not in plan:
            (template / name).unlink()
    for left in template.rglob(f"{storage.NEW}*"):  # of a run that was killed
        left.unlink(missing_ok=True)
    for folder in sorted((path for path in template.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return regions


def differences(reference: Path, template: Path) -> list[str]:
    """A sentence for each file of `template` that is not what would be generated from `reference`."""
    plan, _ = _planned(reference)
    there = set(_files(template)) if template.is_dir() else set()
    sentences = []
    for name in sorted(set(plan) | there):
        if name not in there:
            sentences.append(f"{name} is missing in the template.")
        elif name not in plan:
            sentences.append(f"{name} is in the template, but not in the reference.")
        elif (template / name).read_bytes() != plan[name]:
            sentences.append(f"{name} differs from the file that the reference generates.")
    return sentences


def signatures(source: str) -> dict[str, str]:
    """The signature of each function and class in Python text, by its dotted name."""
    found: dict[str, str] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                returns = f" -> {ast.unparse(child.returns)}" if child.returns else ""
                found[prefix + child.name] = f"({ast.unparse(child.args)}){returns}"
            elif isinstance(child, ast.ClassDef):
                found[prefix + child.name] = f"({', '.join(map(ast.unparse, child.bases))})"
                visit(child, f"{prefix}{child.name}.")
            else:
                visit(child, prefix)

    visit(ast.parse(source), "")
    return found


def signature_differences(reference: Path, template: Path) -> list[str]:
    """A sentence for each function or class of a .py file whose signature is not the same in both folders.

    Functions inside functions do not count: they belong to the solution.
    """
    sentences = []
    for name in _files(reference):
        if name.suffix != ".py" or not (template / name).is_file():
            continue
        ours, theirs = (signatures((folder / name).read_text("utf-8")) for folder in (reference, template))
        sentences += [
            f"{name}: {function} is {ours.get(function, 'absent')} in the reference "
            f"and {theirs.get(function, 'absent')} in the template."
            for function in sorted(set(ours) | set(theirs))
            if ours.get(function) != theirs.get(function)
        ]
    return sentences


def run(reference: Path, template: Path) -> int:
    """Makes the folder `template` from `reference`; says what changed. Returns 0, or 2 if it cannot."""
    try:
        before = len(differences(reference, template))
        regions = _generate(reference, template)
    except (ValueError, OSError) as error:  # a solution marker that is not right; a file that cannot be read
        print(error, file=sys.stderr)
        return 2
    files = len(_files(template))
    print(
        f"{template.name}: {many(files, 'file')} from {reference.name}, {many(regions, 'solution')} cut out, "
        f"{many(before, 'file') if before else 'no files'} changed."
    )
    return 0
