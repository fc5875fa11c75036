"""A homework of one question: its checks are in checks.py, what runs beside students' code in probes.py."""

from __future__ import annotations

from pathlib import Path

from autograder.core import Assignment

from .checks import QUESTION

HERE = Path(__file__).resolve().parent
TITLE = "A first homework"

ASSIGNMENT = Assignment(
    id=HERE.name,
    title=TITLE,
    questions=(QUESTION,),
    probes=__name__,  # the package in which the grader looks for modules called `probes`
    reference=HERE / "reference",
    template=HERE / "student_template",  # made from the reference by the command `template`
    solutions=(HERE / "solutions.cases",),
)
