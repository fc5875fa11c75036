"""Question 1: noise is added to a batch. What is asked of `add_noise`, and how the answer is judged."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from autograder.core import Check, CheckFailed, Question, Request, Specs, Trial, Values, Verdict
from autograder.judging.batteries import smallest_scale, smallest_shift, standard_normal
from autograder.judging.judges import Exact, Statistical, array, at_level, passed
from autograder.judging.stats import smallest_p
from autograder.sandbox.returns import entries

CALLS, BATCH, DIM = 8, 64, 32
SIZE = CALLS * BATCH * DIM


def inputs(rng: Generator) -> Values:
    """Drawn anew for each submission, from its content. sigma is far from 1, where sigma and its square are alike."""
    x = rng.standard_normal((BATCH, DIM)).astype(np.float32)
    return {"x": x, "sigma": float(rng.uniform(1.5, 3)), "calls": CALLS}


def returns(_given: Values) -> Specs:
    """Every value that the probe may answer with. `entries` leaves room for wrong shapes, which the judge names."""
    return {"y": entries(SIZE), "after": entries(BATCH * DIM)}


REQUEST = Request("probes:noise", inputs, returns=returns, needs=("noise.py",))

# ------------------------------------------------------------------------------- the deterministic check


def contract(trial: Trial) -> Verdict:
    """The shape is that of x, and x is not changed."""
    array(trial.got, "y", shape=(CALLS, BATCH, DIM), what="What add_noise returned in all calls")
    if not np.array_equal(array(trial.got, "after"), trial.given["x"]):
        raise CheckFailed(
            "After the call x has changed. Expected: x as it was, and a new tensor.", diagnosis="in_place"
        )
    return passed("The shape is right, and x is as it was.")


# --------------------------------------------------------------------------------- the statistical check

ALPHA = 1e-10
"""A right answer fails this check with a smaller probability, and a fail needs two attempts."""
TESTS = len(standard_normal(np.random.default_rng(0).standard_normal((CALLS, BATCH, DIM))))
DETECTS = (
    f"at {SIZE:,} values: a mean off by {smallest_shift(SIZE, ALPHA / TESTS):.2f} sigma, "
    f"a standard deviation {100 * (smallest_scale(SIZE, ALPHA / TESTS) - 1):.0f} % too large or too small"
)


def normal(trial: Trial, alpha: float) -> Verdict:
    """(y - x) / sigma is independent standard normal noise: then nothing else is left to judge."""
    y = array(trial.got, "y", shape=(CALLS, BATCH, DIM), what="What add_noise returned in all calls")
    x, sigma = array(trial.given, "x"), float(np.asarray(trial.given["sigma"]))
    verdict, worst = at_level(
        standard_normal((y - x) / sigma), alpha, "The noise is normal with standard deviation sigma."
    )
    if verdict:
        return verdict
    expected = "Expected: y = x + sigma e with new, independent e from N(0, 1) for every entry and every call."
    for diagnosis, sentence, scale in (
        ("sigma_as_variance", "The noise was scaled by the root of sigma, but sigma is the standard deviation.", 0.5),
        ("sigma_squared", "The noise was scaled by sigma squared, which is the variance.", 2.0),
    ):
        if smallest_p(standard_normal((y - x) / sigma**scale)).p > 1e-6:  # then this explains all of it
            return Verdict(0.0, f"{sentence} {expected}", diagnosis, p=worst.p)
    return Verdict(0.0, f"This is not as it should be: {worst.what}. {expected}", p=worst.p)


QUESTION = Question(
    id="noise",
    number=1,
    title="Noise",
    files=("noise.py",),
    checks=(
        Check("noise.contract", "add_noise: shape, and x left alone", 1, REQUEST, Exact(contract)),
        Check("noise.normal", "add_noise: normal noise", 3, REQUEST, Statistical(normal, ALPHA, DETECTS)),
    ),
)
