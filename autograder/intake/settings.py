"""A course's settings in force: the homework as they make it, and what they make of a submission's points."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from autograder.core import Assignment, Check, CheckFailed, Question
from autograder.intake import late, parts
from autograder.intake.course import Course
from autograder.intake.late import HandedIn, Lateness, Policy
from autograder.intake.places import COURSE
from autograder.intake.points import by_narrowness, counting, divisible, shared
from autograder.intake.tomllines import line_of
from autograder.message import Message

Look = Callable[[Message], Message]
DECIMALS = 2
"""Gradescope shows points with so many."""
FAULTS = 20
"""Sentences for one file."""


@dataclass(frozen=True)
class PointsTally:
    """A submission's points: of the required and the optional questions, what counts, and what lateness left of it."""

    required: float
    optional: float
    counted: float
    before: float
    score: float
    lateness: Lateness | None


@dataclass(frozen=True)
class Settings:
    """A course.toml that was read: `name` is what messages call it, `extensions` the list that it names."""

    course: Course
    text: str
    name: str = COURSE
    extensions: Mapping[str, Any] | None = None
    data: bytes = b""

    @property
    def digest(self) -> str:
        """Of all that the file says, and of the list of extensions."""
        said = json.dumps(self.course.model_dump(mode="json"), sort_keys=True).encode()
        return hashlib.sha256(b"%d\0%b\0%b" % (len(said), said, self.data)).hexdigest()[:12]

    @property
    def policy(self) -> Policy | None:
        own = self.course.late
        if own is None:
            return None
        return Policy(
            *(timedelta(minutes=own.grace_minutes), own.percent, timedelta(hours=own.every_hours), own.at_most_percent),
            *(None if own.last_days is None else timedelta(days=own.last_days), own.due, own.late_due),
            self.extensions or {},
        )

    def applied(self, assignment: Assignment) -> Assignment:
        """The homework as the course has it.

        Raises `CheckFailed` with a sentence for each name or number that cannot be.
        """
        faults = list(self._faults(assignment))
        if faults:
            raise CheckFailed("\n".join(faults[:FAULTS]))
        course = self.course
        made = parts.selected(assignment, course.only)
        if course.title:
            made = replace(made, title=course.title)
        if course.optional.questions is not None:
            named = {id(q) for one in course.optional.questions for q in made.questions if _is(q, one)}
            questions = tuple(replace(q, optional=id(q) in named) for q in made.questions)
            made = replace(made, questions=questions)
        points = self._points(made)
        seen = {check.id: check.visibility for question in made.questions for check in question.checks}
        for selector, visibility in course.visibility.items():
            seen |= {check.id: visibility for check in parts.of(made, selector)}
        questions = tuple(
            replace(
                question,
                decimals=DECIMALS,
                checks=tuple(
                    replace(check, points=points[check.id], visibility=seen[check.id]) for check in question.checks
                ),
            )
            for question in made.questions
        )
        return replace(made, questions=questions)

    def tally(self, assignment: Assignment, scores: Mapping[str, float], handed_in: HandedIn) -> PointsTally:
        """What counts of the checks' `scores`, by id, for an assignment to which these settings were applied."""
        required, optional = (
            round(
                sum(
                    scores.get(check.id, 0.0) for q in assignment.questions if q.optional == kind for check in q.checks
                ),
                DECIMALS,
            )
            for kind in (False, True)
        )
        rule = self.course.optional
        counted = counting(rule.count, rule.most, required, optional, assignment.points)
        before = round(required + counted, DECIMALS)
        policy = self.policy
        late_by = late.lateness(policy, handed_in) if policy else None
        score = round(before * late_by.kept, DECIMALS) if late_by else before
        return PointsTally(required, optional, round(counted, DECIMALS), before, score, late_by)

    def look(self, handed_in: HandedIn | None) -> Look | None:
        """What is left of a message for this submission of a student; None where nothing is taken from any.

        Nothing is taken either where the time of the submission is not known: then nobody knows which one it is.
        """
        rungs, number = self.course.hints, self._number(handed_in)
        if rungs is None or number is None:
            return None
        return partial(Message.until, look=number, example=rungs.example, named=rungs.misconception)

    def ladder(self, handed_in: HandedIn | None) -> str:
        """What students are told of hints that come later, "" where none do; of no submission the rule itself."""
        rungs, number = self.course.hints, self._number(handed_in)
        if rungs is None or (handed_in is not None and number is None):
            return ""
        kinds = {"the smallest example": rungs.example, "the name of a known mistake": rungs.misconception}
        due = {what: first for what, first in kinds.items() if first > (number or 0)}
        if not due:
            return ""
        told = " and ".join(f"{what} from submission {first} on" for what, first in due.items())
        which = f" This is submission {number}." if number else ""
        return f"Messages say more with further submissions: {told}.{which}"

    def _number(self, handed_in: HandedIn | None) -> int | None:
        """Which graded submission of the student this is, from 1; None where that is not known."""
        if handed_in is None or handed_in.at is None:
            return None
        return 1 + len(late.before(handed_in))

    def warnings(self, assignment: Assignment) -> list[str]:
        """What course staff should know before they hand this out, about an assignment to which it was applied."""
        found = []
        checks = [check for question in assignment.questions for check in question.checks]
        if hidden := [check for check in checks if check.visibility == "hidden"]:
            found.append(
                f'{_count(hidden)} hidden, so Gradescope never shows students their total. With "after_published" '
                "they see it when grades are published."
            )
        later = [check for check in checks if check.visibility in ("after_due_date", "after_published")]
        if later:
            found.append(f"{_count(later)} shown later. Until then Gradescope also hides the total from students.")
        if self.course.late is not None and self.course.late.due is None:
            found.append(
                "[late] has no due date of its own. So Gradescope's due date counts, and `class` cannot grade "
                "without one."
            )
        if (self.course.limits.seconds or 0) > 540:
            found.append("Gradescope stops a grading after 10 minutes unless the assignment has a higher time limit.")
        return found

    # ------------------------------------------------------------------------------------- points

    def _points(self, assignment: Assignment) -> dict[str, float]:
        """Every check's points: those that the course gives, rescaled to its total."""
        points = {check.id: float(check.points) for q in assignment.questions for check in q.checks}
        for group, share in by_narrowness(assignment, self.course.points):
            points |= shared(share, {name: points[name] for name in group})
        total = self.course.total
        if total is None:
            return points
        kinds = [
            {check.id: points[check.id] for q in assignment.questions if q.optional == kind for check in q.checks}
            for kind in (False, True)
        ]
        whole = sum(kinds[0].values())
        extra = round(sum(kinds[1].values()) * total / whole, DECIMALS)
        return shared(total, kinds[0]) | shared(extra, kinds[1])

    def _faults(self, assignment: Assignment) -> Iterator[str]:
        """Names that name nothing, and points that cannot be shared out."""
        course = self.course
        try:
            part = parts.selected(assignment, course.only)
        except CheckFailed:
            for one in course.only:
                if not parts.of(assignment, one):
                    yield self._at(("only",), parts.nothing(assignment, one))
            return
        for one in course.optional.questions or ():
            if not any(_is(question, one) for question in assignment.questions):
                listed = ", ".join(f'"{question.id}" ({question.number})' for question in assignment.questions)
                yield self._at(("optional", "questions"), (f'"{one}" names no question. The questions are: {listed}.'))
        for table in ("visibility", "points"):
            for one in getattr(course, table):
                if not parts.of(assignment, one):
                    yield self._at((table, one), parts.nothing(assignment, one))
                elif not parts.of(part, one):
                    yield self._at((table, one), f'"{one}" is outside the part that `only` selects.')
        own = {one: parts.of(part, one) for one in course.points}
        if not all(own.values()):
            return
        for one, checks in own.items():
            yield from self._faults_of_points(one, checks, own)
        if course.optional.questions is not None:
            part = replace(
                part,
                questions=tuple(
                    replace(q, optional=any(_is(q, one) for one in course.optional.questions)) for q in part.questions
                ),
            )
        if course.total is not None:
            yield from self._faults_of_total(part, course.total)

    def _faults_of_points(self, one: str, checks: Sequence[Check], own: Mapping[str, Sequence[Check]]) -> Iterator[str]:
        mine, said = {check.id for check in checks}, self.course.points
        inside = []
        for other, held in own.items():
            theirs = {check.id for check in held}
            if other == one or not mine & theirs:
                continue
            if theirs == mine or not (mine < theirs or theirs < mine):
                if list(own).index(other) < list(own).index(one):
                    same = (
                        "the same checks"
                        if theirs == mine
                        else ("some of the same checks, but neither contains the other")
                    )
                    yield self._at(
                        ("points", one), (f'"{one}" and "{other}" name {same}. Expected: one part inside the other.')
                    )
            elif theirs < mine:
                inside.append((theirs, said[other]))
        if all(check.manual for check in checks) and said[one]:
            yield self._at(("points", one), f'"{one}" is read by a person, who gives its points in Gradescope.')
            return
        outer = [(held, value) for held, value in inside if not any(held < more for more, _ in inside)]
        taken, left = sum(value for _, value in outer), mine - {name for held, _ in outer for name in held}
        weights = [check.points for check in checks if check.id in left]
        if taken > said[one] + 1e-9 or (not sum(weights) and abs(taken - said[one]) > 1e-9 and (outer or said[one])):
            what = (
                f"its parts with points of their own already have {taken:g}"
                if outer
                else "none of its checks has points that can be scaled"
            )
            yield self._at(("points", one), f'"{one}" is {said[one]:g}, but {what}. Expected: points that fit.')
        elif not divisible(said[one] - taken, weights):
            yield self._at(
                ("points", one), (f'"{one}" is {said[one]:g}, which leaves a check with less than 0.01 points.')
            )

    def _faults_of_total(self, part: Assignment, total: float) -> Iterator[str]:
        try:
            points = replace(self, course=self.course.model_copy(update={"total": None}))._points(part)
        except (ValueError, ZeroDivisionError):
            return  # the points' own faults are told
        weights = [points[check.id] for q in part.questions if not q.optional for check in q.checks]
        if not sum(weights):
            yield self._at(("total",), f"total is {total:g}, but no required question has any points.")
        elif not divisible(total, weights):
            yield self._at(
                ("total",),
                (
                    f"total is {total:g}, which leaves a check with less than 0.01 points, the least that "
                    "Gradescope shows."
                ),
            )

    def _at(self, path: Sequence[str], sentence: str) -> str:
        where = f"{'.'.join(path[:1]) if len(path) == 1 else f'[{path[0]}]'}"
        return f"{self.name}, line {line_of(self.text, path)}, {where}: {sentence}"


def _is(question: Question, name: str) -> bool:
    return name.casefold() in (question.id.casefold(), str(question.number))


def _count(checks: Sequence[Check]) -> str:
    return "1 check is" if len(checks) == 1 else f"{len(checks)} checks are"
