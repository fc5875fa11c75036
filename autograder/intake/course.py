"""What may stand in a course's own settings, course.toml: every key, with what it does and what is allowed.

`title` of a field says what is allowed, `description` what the key does: messages, the example and docs are made of
these. Imported only where such a file is, since pydantic takes a moment to import.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from autograder.core import Visibility
from autograder.intake import late


def _flat(value: Any) -> Any:
    """A table whose dotted keys were not quoted, `vae.sample = 1`, as if they were."""
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, one in value.items():
        inner = _flat(one)
        found |= {f"{key}.{name}": each for name, each in inner.items()} if isinstance(inner, dict) else {key: inner}
    return found


class _Table(BaseModel):
    """Nothing is converted and no key passed over: what was not meant so is told."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Names = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(strict=False, max_length=200)]
Line = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Points = Annotated[float, Field(ge=0, le=10_000)]


class OptionalQuestions(_Table):
    """What becomes of the points for optional questions."""

    questions: Names | None = Field(
        default=None,
        title="a list of questions, by id or number in quotes",
        description="The optional questions. This list replaces the homework's own choice.",
    )
    count: Literal["beside", "capped", "no"] = Field(
        default="beside",
        title='"beside", "capped" or "no"',
        description="beside: their points are added, and the score may exceed the total. capped: their points are "
        "added, but the score never exceeds the total. no: their points are shown but not added.",
    )
    most: Points | None = Field(
        default=None,
        title="a number of points from 0 to 10000",
        description="At most this many points of optional questions count.",
    )


class Late(_Table):
    """What is taken off for lateness. The times are Gradescope's, never the clock of the machine that grades."""

    grace_minutes: int = Field(
        default=0,
        ge=0,
        le=7 * 24 * 60,
        title="a whole number of minutes from 0 to 10080",
        description="A delay of this length after the due date costs nothing. All later limits move by it, too.",
    )
    percent: float = Field(
        default=0.0,
        ge=0,
        le=100,
        title="a number from 0 to 100",
        description="Percent of the student's points that are deducted at the beginning of each step.",
    )
    every_hours: float = Field(
        default=24.0,
        ge=0.25,
        le=24 * 366,
        title="a number of hours from 0.25 to 8784",
        description="The length of a step: with 24 the percentage is deducted for each day, with 1 for each hour.",
    )
    at_most_percent: float = Field(
        default=100.0,
        ge=0,
        le=100,
        title="a number from 0 to 100",
        description="The deduction never exceeds this percentage.",
    )
    last_days: float | None = Field(
        default=None,
        ge=0,
        le=late.MAX_DAYS,
        title="a number of days from 0 to 366",
        description="A submission gets points until this many days after the due date. If it is not set, the limit is "
        "the late due date, if there is one.",
    )
    due: AwareDatetime | None = Field(
        default=None,
        title="a time with its offset, such as 2026-11-23T23:59:00-08:00",
        description=(
            "The due date. If it is not set, Gradescope's due date counts. `class` needs it, because an export does "
            "not contain one."
        ),
    )
    late_due: AwareDatetime | None = Field(
        default=None,
        title="a time with its offset, not before due, such as 2026-11-28T23:59:00-08:00",
        description="The late due date, which replaces Gradescope's.",
    )
    extensions: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^/\\\x00-\x1f]+\.csv$")] | None = Field(
        default=None,
        title="the name of a CSV file beside course.toml",
        description="Students with a later due date: a CSV file with the columns email and due (a time with its "
        "offset), or email and days. For a group the longest extension counts.",
    )


class SubmissionLimits(_Table):
    """How much a submission may take."""

    seconds: float | None = Field(
        default=None,
        ge=10,
        le=2400,
        title="a number of seconds from 10 to 2400",
        description="The time for grading one submission. Set Gradescope's own time limit one minute higher. It is 10 "
        "minutes by default and 40 minutes at most.",
    )
    submissions_a_day: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        title="a whole number from 1 to 1000",
        description="At most this many submissions of a student are graded in 24 hours. For a further one, the student "
        "learns when the next is graded, and the last graded result stays. Gradescope knows the earlier "
        "submissions, but `class` does not.",
    )
    leaderboard: bool | None = Field(
        default=None,
        title="true or false",
        description="Whether the homework's leaderboard entries are shown.",
    )


class Hints(_Table):
    """Messages that say more from submission to submission. Every result says what was seen and what was expected."""

    example: int = Field(
        default=2,
        ge=1,
        le=1000,
        title="a whole number from 1 to 1000",
        description="From which submission of a student on the smallest example is shown, too.",
    )
    misconception: int = Field(
        default=3,
        ge=1,
        le=1000,
        title="a whole number from 1 to 1000",
        description="From which submission on the misconception is named, too. Gradescope's earlier submissions count, "
        "if they were graded. `class`, its pages and the staff's output always show all.",
    )


class Words(_Table):
    """What students read."""

    top: Annotated[str, Field(max_length=1000)] = Field(
        default="",
        title="a text of at most 1000 characters",
        description="This text appears at the top of every result.",
    )


class Course(_Table):
    """The whole file. `only`, `points` and `visibility` name parts as `--only` does."""

    title: Line = Field(
        default="",
        title="a text of one line, at most 200 characters",
        description="The name of the assignment in reports and in Canvas's grade table.",
    )
    only: Names = Field(
        default=(),
        title="a list of parts in quotes",
        description="The part of the homework that is graded: questions, groups or checks, by id or by the number that "
        "students see. * stands for any characters. Other parts are neither started nor read nor mentioned.",
    )
    total: Annotated[float, Field(gt=0, le=10_000)] | None = Field(
        default=None,
        title="a number above 0, at most 10000",
        description="All points are rescaled so that the points of the required questions add up to this number. "
        "Checks have hundredths of a point, as Gradescope shows them, and add up exactly.",
    )
    points: Annotated[dict[str, Points], BeforeValidator(_flat)] = Field(
        default={},
        title="a number of points from 0 to 10000",
        description="The points of a question, a group or a check, before rescaling. The points of a group are "
        "divided in proportion to the homework's points for its checks. An entry for a smaller part overrides one "
        "for a larger part.",
    )
    optional: OptionalQuestions = Field(default=OptionalQuestions(), title="a table")
    visibility: Annotated[dict[str, Visibility], BeforeValidator(_flat)] = Field(
        default={},
        title=" or ".join(f'"{one}"' for one in get_args(Visibility)),
        description="When students see a check, in Gradescope's words. If several lines name a check, the last one "
        "counts. While one check is hidden from students, Gradescope hides the total, too.",
    )
    late: Late | None = Field(default=None, title="a table")
    limits: SubmissionLimits = Field(default=SubmissionLimits(), title="a table")
    hints: Hints | None = Field(default=None, title="a table")
    words: Words = Field(default=Words(), title="a table")


def table_of(annotation: Any) -> type[BaseModel] | None:
    """The table that a field holds, None where it is no table of its own."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None
