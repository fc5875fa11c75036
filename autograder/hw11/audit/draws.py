"""What the audit of draws tries: right solutions, numerical methods, trained marks; and what is chosen here."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from autograder.audit import bank
from autograder.audit.homework import Method, StudyPlan
from autograder.core import Array, CheckFailed, Trial, Values
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.audit import training
from autograder.hw11.distributions import fit, kl
from autograder.hw11.distributions import probes as probe
from autograder.hw11.policy_gradient import training as marks
from autograder.sandbox.guest.student import Student
from autograder.sandbox.parts import items

ROUNDS = {
    "comparing_distributions.ipynb": 1000,
    "continual_learning.ipynb": 1000,
    "gan_vae/utils.py": 100,
    "gan_vae/models/vae.py": 100,
    "gan_vae/models/gan.py": 100,
    "policy_gradient.ipynb": 100,
    "summarization.ipynb": 170,
}
"""How often each right solution of a file is graded: at least 1,000 fresh inputs for every check in all."""

# --------------------------------------------------------------------------------------- methods of question 2


def tried(method: Method, draws: int) -> Mapping[str, Any]:
    """What the notebook's own check says of a method, and how it fares in so many draws of both directions.

    The same function is given the same targets again and again: what it made of one is kept.
    """
    with bank.submitted(method.solution, ASSIGNMENT) as received, contextlib.redirect_stdout(io.StringIO()):
        student = Student(received.workspace, received.absent)
        own, classes = probe.loaded(student, "fit_gaussian")
        refused = ""
        try:
            getattr(student.definitions(method.solution.file, method.check), method.check)()
        except Exception as error:  # whatever stops the check stops the student
            refused = f"{type(error).__name__}: {error}"[:200]

        @cache
        def fitted(weights: tuple[float, ...], means: tuple[float, ...], stds: tuple[float, ...], way: str) -> Any:
            return own(classes["Mixture"](weights, means, stds), way)

        failed, used = 0, 0.0
        for number in range(draws):
            given = fit._mixtures(np.random.Generator(np.random.Philox(key=number)))
            scores = []
            for way, judge in (("forward", fit.forward), ("reverse", fit.reverse)):
                with np.errstate(all="ignore"):
                    got = _answers(given, fitted, way)
                try:
                    verdict = judge(Trial(given, got))
                except CheckFailed:
                    scores.append(0.0)
                    continue
                scores.append(verdict.score)
                used = max(used, verdict.tolerance_used or 0.0) if verdict.score == 1 else used
            failed += min(scores) < 1
    return {"refused": refused, "failed": failed, "used": used}


def _answers(given: Values, fitted: Any, way: str) -> dict[str, Any]:
    """What comes back for every target; a method that raises has no answer."""
    got: dict[str, Any] = {"unknown.raised": "ValueError"}
    for case, target in enumerate(items(given, "cases")):
        parts = (tuple(np.asarray(target[name]).tolist()) for name in ("weights", "means", "stds"))
        with contextlib.suppress(Exception):
            found = fitted(*parts, way)
            got |= {f"cases.{case}.mean": np.array(float(found.mean)), f"cases.{case}.std": np.array(float(found.std))}
    return got


# ------------------------------------------------------------------------------------------------- trained marks

MARK = 62.0
"""Percent: of the notebook's own network (`proofs.MARGINS`)."""


def trained(seeds: int, *, sampled: bool) -> Mapping[str, Any]:
    """Trains one network a seed, with data and first weights of its own."""
    reached: Array = training.study(seeds, sampled=sampled, first=100_000)[:, 0]
    return {"failed": int((reached < MARK).sum()), "worst": f"{reached.min():.1f} %"}


STUDIES = {
    name: StudyPlan(f"policy gradient, {how}, 3,000 steps", f"{MARK:g} %", 64, partial(trained, sampled=sampled))
    for name, how, sampled in (
        ("argmax", "the most probable action taken", False),
        ("sampled", "actions drawn from the policy", True),
    )
}
"""`python -m autograder.hw11.audit.training` takes thousands of seeds."""


# ---------------------------------------------------------------------------------------------- what is chosen

CHOSEN: tuple[tuple[str, str, str], ...] = (
    (
        "nats above the least divergence that are right",
        f"{fit.MOST:g}",
        "an error of 2 % in both; the notebook says so",
    ),
    ("nats that are half right", f"{fit.NEAR:g}", "an error of 14 % of std in std, of 20 % in the mean"),
    ("nats between the best Gaussian and another optimum", f"{fit.CLEAR:g}", "every fixed target keeps it, by test"),
    ("share of std within which a mistake is named", f"{fit.SAME:g}", "a sentence for the student, no point"),
    ("what zeros, infinite values and lists cost each", f"{kl.DEFECT:g}", "half of a hint is worth as much"),
    ("times the effect of 1e-6 that tables may be off", f"{kl.FORGIVEN:g}", "as much as the notebook's check forgives"),
    (
        "accuracy of a network trained with the loss",
        f"{marks.TRAINED:g}",
        "the reference's path on a fixed problem: 69 %",
    ),
)
"""Question 2's, and what else has its pass mark from measurements (see also `proofs.MARGINS`)."""
