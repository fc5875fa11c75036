"""The command `course`: checks a course.toml against its homework, and shows an example of one; settings in words."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from autograder import homeworks
from autograder.core import Assignment, CheckFailed
from autograder.intake import coursefile
from autograder.intake.chosen import Asked, courses
from autograder.intake.course import Course, table_of
from autograder.intake.places import COURSE
from autograder.intake.settings import Settings
from autograder.text import shown


def run(path: Path | None, homework: str, *, example: bool) -> int:
    """Returns 0, or 2 with a sentence on stderr, a line each, for all that is wrong in the file."""
    assignment = homeworks.load(homework)
    if example:
        print(example_of(assignment), end="")
        return 0
    found = courses(homework, Asked(course=path))
    if not found:
        looked = " or ".join(str(place / COURSE) for place in homeworks.places(homework))
        print(f"There is no {looked}. `course --example` shows what it can contain.", file=sys.stderr)
        return 2
    place, *unread = found
    try:
        settings = coursefile.read(place)
        applied = settings.applied(assignment)
    except CheckFailed as fault:
        print(fault, file=sys.stderr)
        return 2
    print(f"{place} is valid (digest {settings.digest}).")
    print(*described(settings, applied), sep="\n")
    for line in (*settings.warnings(applied), *([] if path else shadowed(place, unread))):
        print(f"note: {line}")
    return 0


def shadowed(place: Path | str, unread: Sequence[Path]) -> list[str]:
    """A sentence for each file of settings that does not count, since `place` does."""
    return [f"{one} is not read, because {place} takes precedence." for one in unread]


def _bare(key: str) -> str:
    """A key as it stands in TOML: in quotes where it has a dot or a star."""
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key)


def example_of(assignment: Assignment) -> str:
    """A course.toml that shows and explains every key. Each stands behind a #, so the file as it is changes nothing."""
    first = assignment.questions[0]
    check = max((one for one in first.checks if not one.manual), key=lambda one: one.points)
    optional = [question.id for question in assignment.questions if question.optional] or [assignment.questions[-1].id]
    values: dict[tuple[str, ...], Any] = {
        ("title",): f"{assignment.title} (Code)",
        ("only",): [question.id for question in assignment.questions],
        ("total",): 100,
        ("points",): {first.id: 40} | ({check.id: 5} if len(first.checks) > 1 else {}),
        ("optional", "questions"): optional,
        ("optional", "count"): "capped",
        ("optional", "most"): 10,
        ("visibility",): {"*": "visible", first.numbered[-1][0]: "after_published"},
        ("late", "grace_minutes"): 15,
        ("late", "percent"): 10,
        ("late", "every_hours"): 24,
        ("late", "at_most_percent"): 50,
        ("late", "last_days"): 5,
        ("late", "due"): "2026-11-23T23:59:00-08:00",
        ("late", "late_due"): "2026-11-28T23:59:00-08:00",
        ("late", "extensions"): "extensions.csv",
        ("limits", "seconds"): 480,
        ("limits", "submissions_a_day"): 10,
        ("limits", "leaderboard"): True,
        ("hints", "example"): 2,
        ("hints", "misconception"): 3,
        ("words", "top"): "Questions about this result? Office hours are on Monday at 10.",
    }
    said = [
        f"A course's own settings for {assignment.title}: as {COURSE} beside run_autograder, or with --course.",
        "Every key is optional. Remove the # in front of the keys that you want, and check the file with",
        "`python3 -m autograder course FILE`. [late] has either last_days or late_due.",
    ]
    lines = [f"# {line}" for line in said]
    for name, info in Course.model_fields.items():
        inner = table_of(info.annotation)
        if inner is not None:
            lines += ["", f"#[{name}]", *_explained(" ".join((inner.__doc__ or "").split()))]
            for key, one in inner.model_fields.items():
                value = values[name, key]
                written = value if key in ("due", "late_due") else json.dumps(value)
                lines += [*_explained(f"{one.description} Allowed: {one.title}."), f"#{key} = {written}"]
        elif isinstance(values[name,], dict):
            lines += ["", f"#[{name}]", *_explained(f"{info.description} Allowed: {info.title}.")]
            lines += [f"#{json.dumps(key)} = {json.dumps(value)}" for key, value in values[name,].items()]
        else:
            lines += [
                "",
                *_explained(f"{info.description} Allowed: {info.title}."),
                f"#{name} = {json.dumps(values[name,])}",
            ]
    return "\n".join(lines) + "\n"


def _explained(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def described(settings: Settings, assignment: Assignment) -> list[str]:
    """What is in force, a line for each key that the file gives; `assignment` is that to which it was applied."""
    said = [f"{key} = {value}" for key, value in flat(settings).items()]
    extra = f", and {shown(assignment.extra)} optional" if assignment.extra else ""
    questions = ", ".join(f"{q.title} {shown(q.points)}" for q in assignment.questions)
    lines = [f"{assignment.title}: {shown(assignment.points)} points{extra} ({questions})", *said]
    if settings.course.hints is not None:
        lines.append(settings.ladder(None))
    if settings.extensions:
        lines.append(f"extensions for {len(settings.extensions)} e-mail addresses")
    return lines


def flat(settings: Settings) -> dict[str, str]:
    """Every key that the file gives, "late.percent", with its value as text: for people, and to compare gradings."""

    def walk(value: Any, at: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict) and value:
            for key, one in value.items():
                yield from walk(one, f"{at}.{_bare(key)}" if at else str(key))
        else:
            yield at, json.dumps(value, ensure_ascii=False) if at else ""

    found = dict(walk(settings.course.model_dump(mode="json", exclude_unset=True), ""))
    if settings.data:
        found["late.extensions"] = f"{found['late.extensions']} ({hashlib.sha256(settings.data).hexdigest()[:12]})"
    return {key: value for key, value in found.items() if key}
