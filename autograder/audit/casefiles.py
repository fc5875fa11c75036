"""Reads case files: right, wrong and half-right solutions as text. docs/solutions.md says how to write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from autograder.audit.solutions import Bank, CaseError, Solution
from autograder.core import Assignment

CASE, HEADING, TOP = "# %%", "##", "# ---"
"""What begins a case; what begins a heading, which ends the case before it; what ends the lines for the file's top."""
FIELDS = ("fails", "sometimes", "diagnosis", "lost", "from", "file", "newlines", "note")
LISTS = ("fails", "sometimes")
"""Fields whose lists may go on in another line of the same field."""
_TITLE = re.compile(r"# %% (?P<id>[\w.-]+): (?P<about>\S.*)")
_FIELD = re.compile(r"# (?P<name>[\w-]+):(?: +(?P<value>.*))?")
_NEXT = re.compile(rf"; (?=(?:{'|'.join(FIELDS)}):)")
"""Between the fields of one line: a semicolon that another text has stays its own."""
_GROUP = re.compile(r"# group (?P<name>\S+): *(?P<ids>.*)")
_GROUP_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def bank_of(assignment: Assignment) -> Bank:
    """The homework's bank. Raises CaseError, also for checks and files that the homework does not have."""
    solutions = read(*assignment.solutions)
    checks = {check.id for question in assignment.questions for check in question.checks}
    for solution in solutions:
        if solution.file not in assignment.graded:
            raise CaseError(solution.place, f"No question of the homework grades the file {solution.file}.")
        for check in (*solution.fails, *solution.sometimes):
            if check not in checks:
                raise CaseError(solution.place, f"The homework has no check {check}.")
    return Bank.of(solutions)


def read(*paths: Path) -> tuple[Solution, ...]:
    """The solutions of these case files, in their order. Raises CaseError."""
    places: dict[str, str] = {}
    found = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise CaseError(f"{path}:{line}", "This line is no UTF-8.") from None
        except OSError as error:
            raise CaseError(str(path), f"This file cannot be read: {error.strerror}.") from None
        for solution in parsed(text, path):
            if solution.id in places:
                raise CaseError(solution.place, f"The id {solution.id} is taken: see {places[solution.id]}.")
            places[solution.id] = solution.place
            found.append(solution)
    return tuple(found)


# ------------------------------------------------------------------------------------------- one file


@dataclass(frozen=True)
class _Line:
    number: int
    text: str


@dataclass(frozen=True)
class _Case:
    """A case as it is written: its title's line, its fields, and what is below them without blank lines around."""

    line: int
    id: str
    about: str
    fields: Mapping[str, tuple[int, str]]
    body: tuple[_Line, ...]


def parsed(text: str, path: Path) -> tuple[Solution, ...]:
    """The solutions of one case file with this text; `path` is for messages. Raises CaseError."""
    lines = [_Line(number, line) for number, line in enumerate(text.split("\n"), 1)]
    starts = [place for place, line in enumerate(lines) if line.text.startswith(CASE)] or [len(lines)]
    file, groups = _header(lines[: starts[0]], path)
    cases: dict[str, _Case] = {}
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        if start < end:
            case = _case(lines[start:end], path)
            if case.id in cases:
                raise CaseError(f"{path}:{case.line}", f"The id {case.id} is taken: see line {cases[case.id].line}.")
            cases[case.id] = case
    return tuple(_solution(case, cases, file, groups, path) for case in cases.values())


def _header(lines: Sequence[_Line], path: Path) -> tuple[str, Mapping[str, tuple[str, ...]]]:
    """The file that all cases of this one change, "" where none is named, and the groups of checks by name."""
    file, groups = "", dict[str, tuple[str, ...]]()
    for line in lines:
        if line.text.strip() and not line.text.startswith("#"):
            raise CaseError(f"{path}:{line.number}", f"This line is in no case; one begins with `{CASE} id: sentence`.")
        if group := _GROUP.fullmatch(line.text):
            name = group["name"]
            if not _GROUP_NAME.fullmatch(name):
                raise CaseError(f"{path}:{line.number}", f"The name of a group is in capitals, and {name} is not.")
            groups[name] = groups.get(name, ()) + _expanded(group["ids"], groups, path, line.number)
        elif (own := _FIELD.fullmatch(line.text)) and own["name"] == "file":
            file = (own["value"] or "").strip()
    return file, groups


def _case(lines: Sequence[_Line], path: Path) -> _Case:
    """The case that begins with the first of these lines."""
    title, *rest = lines
    match = _TITLE.fullmatch(title.text.rstrip())
    if not match:
        raise CaseError(f"{path}:{title.number}", f"A case begins with `{CASE} id: sentence`; the id has no spaces.")
    header = next((place for place, line in enumerate(rest) if not line.text.startswith("# ")), len(rest))
    header = next((place for place, line in enumerate(rest[:header]) if line.text == TOP), header)
    end = next((place for place, line in enumerate(rest) if line.text.startswith(HEADING)), len(rest))
    fields = _fields(rest[: min(header, end)], path)
    for line in rest[end:]:
        if line.text.strip() and not line.text.startswith("#"):
            raise CaseError(f"{path}:{line.number}", "A heading ends a case, so this line belongs to none.")
    body = list(rest[min(header, end) : end])
    while body and not body[0].text.strip():
        del body[0]
    while body and not body[-1].text.strip():
        del body[-1]
    for line in body:
        if (own := _FIELD.match(line.text)) and own["name"] in FIELDS:
            raise CaseError(f"{path}:{line.number}", f"`# {own['name']}:` stands in the code, not below the title.")
    if not body:
        raise CaseError(f"{path}:{title.number}", f"The case {match['id']} has no code.")
    return _Case(title.number, match["id"], match["about"], fields, tuple(body))


def _fields(lines: Sequence[_Line], path: Path) -> dict[str, tuple[int, str]]:
    """Line and text of each field of a case."""
    fields: dict[str, tuple[int, str]] = {}
    for line in lines:
        for part in _NEXT.split(line.text.removeprefix("# ")):
            match = _FIELD.fullmatch(f"# {part}".rstrip())
            name, value = (match["name"], match["value"] or "") if match else (part, "")
            if name not in FIELDS:
                known = ", ".join(FIELDS)
                raise CaseError(f"{path}:{line.number}", f"`{name}` is no field. Expected: {known}, or code.")
            if not value:
                raise CaseError(f"{path}:{line.number}", f"The field {name} is empty. Leave it out, or fill it.")
            if name in fields and name not in LISTS:
                raise CaseError(f"{path}:{line.number}", f"The field {name} stands here twice.")
            before = f"{fields[name][1]}, " if name in fields else ""
            fields[name] = line.number, before + value
    return fields


def _solution(
    case: _Case, cases: Mapping[str, _Case], file: str, groups: Mapping[str, tuple[str, ...]], path: Path
) -> Solution:
    """What a case stands for."""

    def value(name: str) -> str:
        return case.fields[name][1] if name in case.fields else ""

    def wrong(name: str, sentence: str) -> CaseError:
        return CaseError(f"{path}:{case.fields[name][0] if name in case.fields else case.line}", sentence)

    lists = {
        name: _expanded(value(name), groups, path, case.fields[name][0]) if name in case.fields else ()
        for name in LISTS
    }
    for name in ("sometimes", "diagnosis", "lost"):
        if name in case.fields and not lists["fails"]:
            raise wrong(name, f"`{name}:` needs `fails:`, the checks that fail. A right solution has neither.")
    if twice := {*lists["fails"]} & {*lists["sometimes"]}:
        raise wrong("sometimes", f"{min(twice)} stands in `fails:` and in `sometimes:`.")
    points, _, reason = value("lost").partition(", ")
    try:
        lost = float(Fraction(points or "0"))
    except (ValueError, ZeroDivisionError, OverflowError):
        lost = 0.0
    if points and not (lost > 0 and reason):
        raise wrong("lost", "Expected points above 0 and the reason, as in `lost: 1/2, The sum is right.`")
    if value("newlines") not in ("", "crlf"):
        raise wrong("newlines", "Expected `newlines: crlf`, for the line ends of Windows.")
    if not (own := value("file") or file):
        raise wrong("file", "No file is named. Put `# file: NAME` at the top, the file that all these cases change.")
    body = _changed(case, cases, path) if "from" in case.fields else [line.text for line in case.body]
    if body.count(TOP) > 1:
        raise CaseError(f"{path}:{case.line}", f"The case {case.id} has more than one line `{TOP}`.")
    middle = body.index(TOP) if TOP in body else -1
    source, prelude = "\n".join(body[middle + 1 :]), "\n".join(body[: max(middle, 0)])
    if not source.strip():
        raise CaseError(f"{path}:{case.line}", f"The case {case.id} has no code below `{TOP}`.")
    return Solution(
        id=case.id,
        about=case.about,
        file=own,
        source=source.replace("\n", "\r\n") if value("newlines") else source,
        fails=lists["fails"],
        diagnosis=value("diagnosis"),
        prelude=prelude,
        sometimes=lists["sometimes"],
        lost=lost,
        reason=reason,
        place=f"{path}:{case.line}",
    )


def _expanded(ids: str, groups: Mapping[str, tuple[str, ...]], path: Path, line: int) -> tuple[str, ...]:
    """The checks of a list; a name in capitals is a group."""
    found: list[str] = []
    for id in (part.strip() for part in ids.split(",")):
        if not re.fullmatch(r"[\w.-]+", id):
            raise CaseError(f"{path}:{line}", f"Expected ids with commas between them, not `{ids}`.")
        if _GROUP_NAME.fullmatch(id) and id not in groups:
            known = ", ".join(groups) or "none"
            raise CaseError(f"{path}:{line}", f"There is no group {id} above. Known: {known}.")
        found += groups.get(id, (id,))
    if twice := [id for id in found if found.count(id) > 1]:
        raise CaseError(f"{path}:{line}", f"{twice[0]} stands here twice.")
    return tuple(found)


def _changed(case: _Case, cases: Mapping[str, _Case], path: Path) -> list[str]:
    """The lines of the case that this one is made from, with its changes.

    `-` takes away the next such line, a space finds it and keeps it, `+` puts a line where the last one was.
    """
    number, id = case.fields["from"]
    base = cases.get(id)
    if base is None:
        raise CaseError(f"{path}:{number}", f"This file has no case {id}.")
    if "from" in base.fields:
        first = base.fields["from"][1]
        raise CaseError(f"{path}:{number}", f"{id} is itself made from {first}. Make this one from {first}, too.")
    lines, done = [line.text for line in base.body], 0
    result: list[str] = []
    for line in case.body:
        sign, text = line.text[:1], line.text[1:]
        if sign == "+":
            result.append(text)
        elif sign in ("-", " "):
            if text not in lines[done:]:
                further = " from here on" if text in lines else ""
                raise CaseError(f"{path}:{line.number}", f"{id} has no such line{further}: {text}")
            place = lines.index(text, done)
            result += lines[done:place]
            result += [text] * (sign == " ")
            done = place + 1
        elif line.text:
            raise CaseError(f"{path}:{line.number}", "A change begins with `-` (old), `+` (new) or a space (kept).")
    if not any(line.text[:1] in ("-", "+") for line in case.body):
        raise CaseError(f"{path}:{case.line}", f"The case {case.id} changes nothing of {id}.")
    return result + lines[done:]
