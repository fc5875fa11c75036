"""An example without torch: one step of k-means in NumPy, and the choice of its first centres."""

from __future__ import annotations

from pathlib import Path

from autograder.core import Assignment

from .checks import QUESTION

HERE = Path(__file__).resolve().parent

ASSIGNMENT = Assignment(
    id=HERE.name,
    title="Clustering",
    questions=(QUESTION,),
    probes=__name__,
    reference=HERE / "reference",
    template=HERE / "student_template",
    solutions=(HERE / "step.cases", HERE / "first_centres.cases"),
)
