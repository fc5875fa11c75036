"""What homework 11 gives its audit."""

from __future__ import annotations

import re
from pathlib import Path

from autograder.audit.homework import (
    Draws,
    ExtremeValues,
    FalseFails,
    Fuzzing,
    HomeworkAudit,
    Promised,
    Reproducing,
)
from autograder.hw11.audit import cheaters, draws, formats, proofs, whole_run
from autograder.hw11.audit.attacks import ATTACKED
from autograder.hw11.audit.methods import METHODS
from autograder.hw11.audit.variations import VARIATIONS

HERE = Path(__file__).resolve().parent
DOCUMENTS = HERE.parents[2] / "docs"
SLOW = 3_000
"""Changed answers for a judge that reads pictures or texts; the others get 20,000, a million in all."""

LOGGED = ("modules", "rouge", "better")


def _shortened(notebook: str) -> str:
    """A notebook's text with a single training step."""
    return re.sub(r"\biterations = \d+", "iterations = 1", notebook)


AUDIT = HomeworkAudit(
    equivalents=HERE / "equivalents.toml",
    falsefails=FalseFails(proofs.bounds, proofs.MARGINS, proofs.ROUNDS),
    draws=Draws(
        rounds=draws.ROUNDS,
        usual_rounds=0,
        methods=METHODS,
        tried=draws.tried,
        studies=draws.STUDIES,
        chosen=draws.CHOSEN,
    ),
    variations=VARIATIONS,
    reproducing=Reproducing(cheaters.CHEATERS, cheaters.MIXED, times=50),
    attacks=ATTACKED,
    fuzzing=Fuzzing(
        targets=formats.TARGETS,
        inputs={"frames": 50_000, "zips": 12_000, "folders": 4_000, "metadata": 12_000, "notebooks": 12_000},
    ),
    values=ExtremeValues(
        inputs=dict.fromkeys(("vae.picture", "gan.picture", *(f"summarization.log_{one}" for one in LOGGED)), SLOW),
        usual_inputs=20_000,
        answers=dict.fromkeys(("policy_gradient.notebook", "policy_gradient.answer"), whole_run.answer),
    ),
    promised=Promised(
        typical="gan_vae/",
        functions={"summarization": 2.0, "continual_learning": 1.0, "distributions": 0.5},
        shortened=_shortened,
        right_gradings={"summarization": 500},
        usual_gradings=2000,
    ),
    audit_document=DOCUMENTS / "audit.md",
    bench_document=DOCUMENTS / "figures.md",
)
"""`right_gradings`: there is no luck in question 1, and it is slow."""
