"""When a submission was handed in, and what a course's late policy makes of that; never from this machine's clock.

Gradescope tells the time in submission_metadata.json and in a class's export, so that a regrade gives the same answer.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from autograder.core import CheckFailed
from autograder.text import clean, many

MAX_BYTES = 64 * 1024**2
"""Of submission_metadata.json, which holds the results of all earlier submissions."""
MAX_LIST = 1024**2
"""Bytes of a list of extensions."""
MAX_DAYS = 366
DAY = timedelta(days=1)


@dataclass(frozen=True)
class HandedIn:
    """What is known of a submission's time: None where nothing is.

    `previous` are Gradescope's records of earlier submissions, each with `submission_time`, `score` and `results`.
    """

    at: datetime | None = None
    due: datetime | None = None
    late_due: datetime | None = None
    emails: tuple[str, ...] = ()
    previous: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Policy:
    """How lateness costs. The grace moves every limit; an extension moves the due date and the last day alike.

    `percent` of the points are taken off at the beginning of each `step` after the due date, but no more than `at_most`
    percent. After `last` days nothing is left; where it is None, after Gradescope's late due date, if there is one.
    `due` and `late_due` stand in the place of Gradescope's.
    """

    grace: timedelta = timedelta()
    percent: float = 0.0
    step: timedelta = DAY
    at_most: float = 100.0
    last: timedelta | None = None
    due: datetime | None = None
    late_due: datetime | None = None
    extensions: Mapping[str, datetime | timedelta] = field(default_factory=dict)


@dataclass(frozen=True)
class Lateness:
    """What a policy says of one submission: the share of the points that is kept, and the sentence that tells why.

    `by` is how long after the due date it came, with the extension and without the grace; 0 where it was in time.
    """

    kept: float
    told: str
    by: timedelta = timedelta()


def lateness(policy: Policy, handed_in: HandedIn) -> Lateness:
    """The share that is kept, from 0 to 1. It never grows with the time of the submission.

    Where a time is not known nothing is taken off, and the sentence says so.
    """
    due = policy.due or handed_in.due
    if handed_in.at is None or due is None:
        what = "time of this submission" if handed_in.at is None else "due date"
        return Lateness(1.0, f"The {what} is not known, so there is no deduction for lateness.")
    shift = _extension(policy, due, handed_in.emails)
    last = due + policy.last if policy.last is not None else policy.late_due or handed_in.late_due
    due, extended = due + shift, ", with your extension" if shift else ""
    by = max(handed_in.at - due, timedelta())
    when = f"due {_shown(due, due)}{extended}"
    if not by:
        return Lateness(1.0, f"Handed in {_shown(handed_in.at, due)}, on time ({when}).")
    told = f"Handed in {_shown(handed_in.at, due)}, {_length(by)} late ({when})"
    if by <= policy.grace:
        return Lateness(
            1.0, (f"{told}. This is within the grace period of {_length(policy.grace)}, so there is no deduction."), by
        )
    if last is not None and handed_in.at > max(last + shift, due) + policy.grace:
        return Lateness(
            0.0, (f"{told}. The last day was {_shown(max(last + shift, due), due)}, so there are no points left."), by
        )
    steps = math.ceil((by - policy.grace) / policy.step)
    off = min(policy.percent * steps, policy.at_most, 100.0)
    if not off:
        return Lateness(1.0, f"{told}. There is no deduction.", by)
    return Lateness(1.0 - off / 100.0, f"{told}. The deduction is {_percent(off)}.", by)


def _extension(policy: Policy, due: datetime, emails: Sequence[str]) -> timedelta:
    """By how much the dates move: of several students who hand in together, the longest extension counts."""
    found = [
        policy.extensions[email.strip().casefold()] for email in emails if email.strip().casefold() in policy.extensions
    ]
    shifts = [one - due if isinstance(one, datetime) else one for one in found]
    return max([timedelta(), *shifts])


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + " %"


def _shown(time: datetime, like: datetime) -> str:
    """The time in the other's zone: 2026-11-23 23:59 UTC-08:00."""
    return time.astimezone(like.tzinfo).strftime("%Y-%m-%d %H:%M ") + (like.tzname() or "UTC")


def _length(length: timedelta) -> str:
    """1 day 2 hours; 12 minutes; 30 seconds. The two largest units count, rounded down."""
    seconds = int(length.total_seconds())
    units = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
    parts = []
    for name, size in units:
        if count := seconds // size:
            parts.append(many(count, name))
            seconds -= count * size
    return " ".join(parts[:2]) or "less than a second"


# ------------------------------------------------------------------------------------- what Gradescope tells

TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?:\.(?P<part>\d{1,9}))?\s*"
    r"(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def time_of(text: object) -> datetime | None:
    """The moment that a text of Gradescope's names, with or without `T` and fractions; None where it is none.

    Without a zone it is UTC.
    """
    found = TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    zone = found["zone"] or "Z"
    offset = "+00:00" if zone in ("Z", "UTC") else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    part = (found["part"] or "0").ljust(6, "0")[:6]
    clock = found["time"] if found["time"].count(":") == 2 else f"{found['time']}:00"
    try:
        time = datetime.fromisoformat(f"{found['date']}T{clock}.{part}{offset}")
        return time if timedelta(days=1) < time - datetime.min.replace(tzinfo=UTC) < timedelta(days=3_650_000) else None
    except (ValueError, OverflowError):
        return None


def handed_in(path: Path) -> HandedIn:
    """What Gradescope's submission_metadata.json tells; nothing where it is not there or not as it should be."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return HandedIn()
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return HandedIn()
    tree = tree if isinstance(tree, dict) else {}
    assignment = tree.get("assignment")
    assignment = assignment if isinstance(assignment, dict) else {}
    users, previous = (
        one if isinstance(one := tree.get(name), list) else [] for name in ("users", "previous_submissions")
    )
    emails = tuple(one["email"] for one in users if isinstance(one, dict) and isinstance(one.get("email"), str))
    return HandedIn(
        time_of(tree.get("created_at")),
        time_of(assignment.get("due_date")),
        time_of(assignment.get("late_due_date")),
        emails,
        tuple(one for one in previous if isinstance(one, dict)),
    )


# ------------------------------------------------------------------------------------- extensions


def extensions(data: bytes, name: str) -> dict[str, datetime | timedelta]:
    """Who may hand in later, by e-mail: a CSV with the columns `email` and `due` or `days`, or both.

    Raises `CheckFailed` with a sentence that names the line.
    """
    if len(data) > MAX_LIST:
        raise CheckFailed(f"{name} is larger than {MAX_LIST // 1024**2} MB.")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig", "replace"))))
    head = [cell.strip().casefold() for cell in rows[0]] if rows else []
    if "email" not in head or not {"due", "days"} & set(head):
        raise CheckFailed(
            f"{name}, line 1: the columns are {_told(rows[0] if rows else [])}. "
            "Expected: email and due, or email and days."
        )
    found: dict[str, datetime | timedelta] = {}
    for number, row in enumerate(rows[1:], 2):
        cells = dict(zip(head, (cell.strip() for cell in row), strict=False))
        if not any(cells.values()):
            continue
        where, email = f"{name}, line {number}", cells.get("email", "").casefold()
        if "@" not in email:
            raise CheckFailed(f'{where}: "{clean(email, limit=60, line=True)}" is not an e-mail address.')
        if email in found:
            raise CheckFailed(
                f"{where}: {clean(email, limit=60, line=True)} appears twice. Expected: each address once."
            )
        found[email] = _moved(cells, where)
    return found


def _moved(cells: Mapping[str, str], where: str) -> datetime | timedelta:
    due, days = cells.get("due", ""), cells.get("days", "")
    if bool(due) == bool(days):
        raise CheckFailed(
            f"{where}: {'both due and days are' if due else 'neither due nor days is'} given. Expected: one of them."
        )
    if due:
        time = time_of(due)
        if time is None or not re.search(r"(Z|UTC|[+-]\d\d:?\d\d)$", due):
            raise CheckFailed(
                f'{where}: due is "{clean(due, limit=60, line=True)}". '
                "Expected: a time with its offset, such as 2026-11-25T23:59:00-08:00."
            )
        return time
    try:
        number = float(days)
    except ValueError:
        number = math.nan
    if not 0 <= number <= MAX_DAYS:
        raise CheckFailed(
            f'{where}: days is "{clean(days, limit=60, line=True)}". Expected: a number from 0 to {MAX_DAYS}.'
        )
    return timedelta(days=number)


def _told(cells: Sequence[str]) -> str:
    return clean(", ".join(cells), limit=100, line=True) or "missing"


# ------------------------------------------------------------------------------------- submissions a day


STANDS = "beyond_limit"
"""In `extra_data` of a result that repeats an earlier one, since the day's submissions were used up."""


@dataclass(frozen=True)
class Standing:
    """What stands in the place of a grading that the day's limit does not allow: the last graded result."""

    told: str
    score: float
    tests: tuple[Mapping[str, Any], ...]
    board: tuple[Mapping[str, Any], ...] = ()


def beyond(limit: int, handed_in: HandedIn) -> Standing | None:
    """The standing result where `limit` submissions were graded in the 24 hours before this one; else None.

    Counted are earlier submissions that were graded: no faults of the grader, and none that the limit itself stopped,
    whose results hold `STANDS` in `extra_data`. Where the time is not known there is no limit.
    """
    at = handed_in.at
    if at is None:
        return None
    graded = before(handed_in)
    counted = [when for when, _ in graded if at - when < DAY]
    if len(counted) < limit:
        return None
    _, last = graded[-1]
    results = last.get("results")
    results = results if isinstance(results, dict) else {}
    tests, board = (tuple(_mappings(results.get(name))) for name in ("tests", "leaderboard"))
    score = last.get("score")
    score = float(score) if isinstance(score, int | float | str) and _is_number(score) else 0.0
    free = counted[-limit] + DAY
    return Standing(
        f"At most {many(limit, 'submission')} in 24 hours {'is' if limit == 1 else 'are'} graded, so this one was "
        f"not graded. The next submission that you hand in after {_shown(free, at)} is graded again. Until then the "
        f"result of {_shown(graded[-1][0], at)} counts, which is shown below.",
        score,
        tests,
        board,
    )


def before(handed_in: HandedIn) -> list[tuple[datetime, Mapping[str, Any]]]:
    """The earlier submissions that were graded, with their times, the first one first.

    Neither those at which the grader failed nor those that a day's limit stopped: their results hold `STANDS`.
    """
    graded: list[tuple[datetime, Mapping[str, Any]]] = []
    for one in handed_in.previous:
        when, results = time_of(one.get("submission_time")), one.get("results")
        extra = results.get("extra_data") if isinstance(results, dict) else None
        stopped = isinstance(extra, dict) and bool(extra.get(STANDS))
        if (
            when is not None
            and handed_in.at is not None
            and when <= handed_in.at
            and not (one.get("autograder_error") or stopped)
        ):
            graded.append((when, one))
    return sorted(graded, key=lambda pair: pair[0])


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _is_number(value: object) -> bool:
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]
    except ValueError:
        return False
