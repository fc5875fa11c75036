"""Reads a course.toml. Every fault is told in one sentence with the key, its line and what is allowed."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from autograder.core import CheckFailed
from autograder.intake import late
from autograder.intake.course import Course, table_of
from autograder.intake.places import COURSE
from autograder.intake.settings import FAULTS, Settings
from autograder.intake.tomllines import line_of
from autograder.text import clean

MAX_BYTES = 64 * 1024
NEWLINE = b"\n"


def read(path: Path) -> Settings:
    """The settings in the file at `path`.

    Raises `CheckFailed` with a sentence, a line each, for all that is wrong in it.
    """
    name = path.name
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CheckFailed(f"{name} is larger than {MAX_BYTES // 1024} kB.")
        data = path.read_bytes()
    except OSError as error:
        raise CheckFailed(f"{path} cannot be read: {error.strerror}.") from None
    settings = parsed(data, name)
    own = settings.course.late
    if own is None or own.extensions is None:
        return settings
    try:
        listed = path.with_name(own.extensions).read_bytes()
    except OSError as error:
        line = line_of(settings.text, ("late", "extensions"))
        raise CheckFailed(f"{name}, line {line}: {own.extensions} cannot be read: {error.strerror}.") from None
    return replace(settings, extensions=late.extensions(listed, own.extensions), data=listed)


def parsed(data: bytes, name: str = COURSE) -> Settings:
    """The settings that a file holds, without the list of extensions. Raises `CheckFailed` as `read` does."""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise CheckFailed(f"{name}, line {data[: error.start].count(NEWLINE) + 1}, is not UTF-8.") from None
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CheckFailed(f"{name}{_where(str(error), text)}, is not valid TOML: {_what(str(error))}") from None
    try:
        course = Course.model_validate(tree)
    except ValidationError as error:
        faults = [(line_of(text, _path(tree, one["loc"])), one) for one in error.errors()]
        told = dict.fromkeys(
            f"{name}, line {line}: {_sentence(one)}" for line, one in sorted(faults, key=lambda f: f[0])
        )
        raise CheckFailed("\n".join(list(told)[:FAULTS])) from None
    if faults_between := [f"{name}, line {line_of(text, path)}: {said}" for path, said in _between(course)]:
        raise CheckFailed("\n".join(faults_between))
    return Settings(course, text, name)


def _between(course: Course) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong about several keys together."""
    own = course.late
    if own is None:
        return
    if not own.percent and own.last_days is None and own.late_due is None:
        yield ("late",), "[late] deducts nothing. Expected: percent, last_days or late_due in it."
    if own.at_most_percent < own.percent:
        yield (
            ("late", "at_most_percent"),
            (
                f"at_most_percent in [late] is {own.at_most_percent:g}, less than percent. "
                f"Expected: {own.percent:g} to 100."
            ),
        )
    if own.due and own.late_due and own.late_due < own.due:
        yield ("late", "late_due"), "late_due in [late] is before due. Expected: a time that is not before due."
    if own.late_due and own.last_days is not None:
        yield ("late", "late_due"), "[late] has both late_due and last_days. Expected: one of them."


def _path(tree: Any, where: Sequence[Any]) -> list[Any]:
    """The keys of the file that lead to a fault: in a table of patterns those that were written, dots or not."""
    found: list[Any] = []
    for key in where:
        if isinstance(tree, dict) and key not in tree and isinstance(key, str):
            step = next((one for one in tree if key.startswith(f"{one}.")), None)
            if step is None:
                break
            return [*found, step, *_path(tree[step], [key[len(step) + 1 :]])]
        if not isinstance(tree, dict):
            break
        found.append(key)
        tree = tree[key]
    return found


def _where(error: str, text: str) -> str:
    """ ", line 3" of tomllib's word on where it stopped."""
    at = error.rpartition("(at line ")[2].partition(",")[0]
    return f", line {at if at.isdigit() else text.rstrip().count(chr(10)) + 1}"


def _what(error: str) -> str:
    said = error.rpartition(" (at ")[0] or error
    return f"{clean(said, limit=200, line=True)}. Put texts and names with a dot in quotes. [name] begins a table."


def _sentence(error: Any) -> str:
    """One fault that pydantic found: which key, what stands there, what is allowed."""
    keys, place, shown = list(error["loc"]), "", _shown(error["input"])
    table: type[BaseModel] = Course
    while True:
        key = str(keys.pop(0))
        info = table.model_fields.get(key)
        if info is None:
            return _unknown(key, place, table)
        inner = table_of(info.annotation)
        if inner is None:
            break
        if not keys:
            return f"{key} is {shown}. Expected: a table, [{key}], with any of {', '.join(inner.model_fields)}."
        table, place = inner, f" in [{key}]"
    if error["type"] == "dict_type":
        return f"{key} is {shown}. Expected: a table, [{key}], and in each of its lines a part and {info.title}."
    if keys and isinstance(keys[0], int):
        number = not isinstance(error["input"], bool) and isinstance(error["input"], int | float)
        hint = " Put a number in quotes, because 4.10 would become 4.1." if number else ""
        return f"entry {keys[0] + 1} of {key}{place} is {shown}. Expected: {info.title}.{hint}"
    if keys:
        key, place = str(keys[0]), f" in [{key}]"
    return f"{_quoted(key)}{place} is {shown}. Expected: {info.title}."


def _quoted(key: str) -> str:
    shown = clean(key, limit=60, line=True, numbers=True)
    return shown if key.isidentifier() else f'"{shown}"'


def _unknown(key: str, place: str, table: type[BaseModel]) -> str:
    tables = {name: inner for name, info in Course.model_fields.items() if (inner := table_of(info.annotation))}
    owners = [f"[{name}]" for name, inner in tables.items() if key in inner.model_fields and inner is not table]
    owners += ["the top of the file"] if key in Course.model_fields and table is not Course else []
    near = difflib.get_close_matches(key, table.model_fields, 1, 0.5)
    meant = f" It belongs to {owners[0]}." if owners else f" Did you mean {near[0]}?" if near else ""
    where = place.removeprefix(" in ") or "the file"
    return f"{_quoted(key)} is not a key of {where}.{meant} Expected: {', '.join(table.model_fields)}."


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f'"{clean(value, limit=60, line=True, numbers=True)}"' if value else "empty"
    return clean(str(value), limit=60, line=True, numbers=True)
