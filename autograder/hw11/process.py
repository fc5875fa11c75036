"""Question 7: whether sources, study group and hours are told; whatever they are is right."""

from __future__ import annotations

from collections.abc import Callable

from autograder.core import Check, CheckFailed, Question, Trial, Verdict
from autograder.hw11.answers.fields import FILE, REQUEST, SHOWN, figures, named, opened, text
from autograder.judging.judges import Exact, passed
from autograder.text import clean


def filled_in(field: str, none: str) -> Callable[[Trial], Verdict]:
    """A judge's rule: something is there. `none` is what may stand there where there was none."""

    def rule(trial: Trial) -> Verdict:
        if not any(character.isalnum() for character in text(opened(trial), f"process.{field}")):
            raise CheckFailed(
                f"{named(f'process.{field}')} is not filled in yet. Expected: {none}.", diagnosis="unfilled"
            )
        return passed("The answer is filled in.")

    return rule


def hours(trial: Trial) -> Verdict:
    """A number above 0, or a text with one in it, such as "about 12"."""
    written = text(opened(trial), "process.hours")
    if not written:
        raise CheckFailed('hours in [process] is not filled in yet. Expected: a number, or a text such as "about 12".',
                     diagnosis="unfilled")  # fmt: skip
    if not any(one.value > 0 for one in figures(written)):
        raise CheckFailed(
            f'hours in [process] is "{clean(written, limit=SHOWN, line=True)}". Expected: a number above 0, or a text '
            'that contains one, such as "about 12".',
            diagnosis="answers_type",
        )
    return passed("The answer is filled in.")


SOURCES = filled_in("sources", 'what you used, or "none"')
COLLABORATORS = filled_in("collaborators", 'names and student IDs, the group, or "none"')

QUESTION = Question(
    id="process",
    number=7,
    title="Process",
    files=(FILE,),
    checks=(
        Check("process.sources", "answers: sources", 2, REQUEST, Exact(SOURCES)),
        Check("process.collaborators", "answers: study group", 1, REQUEST, Exact(COLLABORATORS)),
        Check("process.hours", "answers: hours", 2, REQUEST, Exact(hours)),
    ),
)
