"""One step of Lloyd's algorithm is held against its closed form, k-means++ against the chances that it draws by."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from autograder.core import Array, Check, CheckFailed, Question, Request, Specs, Trial, Values, Verdict
from autograder.judging.batteries import categorical, identity, smallest_bias
from autograder.judging.judges import Exact, Statistical, array, at_level
from autograder.judging.stats import gamma
from autograder.sandbox.returns import entries

FILE = "kmeans.py"
N, DIM, K = 60, 3, 4
CALLS = 4000
POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 4.0]])
"""From the first, the third is chosen 16 times as often as the second by squared distance, 4 times by distance."""


def points(rng: Generator) -> Values:
    """Groups around the corners of a simplex: every centre is nearest to some points, by far more than rounding."""
    corners = 10 * np.eye(K, DIM)
    of = np.arange(N) % K
    return {"x": corners[of] + rng.uniform(-1, 1, (N, DIM)), "centres": corners + rng.uniform(-0.5, 0.5, (K, DIM))}


STEP = Request(
    "probes:step", points, returns=lambda _given: {"centres": entries(K * DIM)}, needs=(FILE,), arrays="numpy"
)


def step(trial: Trial) -> Verdict:
    """Each new centre is the mean of the points that are nearest to the old one."""
    x, old = array(trial.given, "x"), array(trial.given, "centres")
    got = array(trial.got, "centres", shape=(K, DIM), what="What step returned")
    nearest = ((x[:, None] - old) ** 2).sum(-1).argmin(1)
    want = np.stack([x[nearest == k].mean(0) for k in range(K)])
    # A mean of m numbers errs by gamma(m) times the mean of their sizes, in float64.
    bound = np.stack([gamma(N + 2, u=2.0**-53) * np.abs(x[nearest == k]).mean(0) for k in range(K)])
    if np.array_equal(got, old):
        raise CheckFailed("The centres did not move. Expected: the mean of the nearest points.", diagnosis="not_moved")
    expected = "Expected: each centre becomes the mean of the points that are nearest to it."
    return identity(got, want, bound, what="A new centre", expected=expected, right="The new centres are right.")


def shift(rng: Generator) -> Values:
    """The three points, moved together: distances stay, up to rounding."""
    return {"x": POINTS + rng.integers(-3, 4, size=2), "calls": CALLS}


def chosen(_given: Values) -> Specs:
    return {"index": entries(2 * CALLS)}


FIRST = Request("probes:first", shift, returns=chosen, needs=(FILE,), arrays="numpy")
ALPHA, TESTS = 1e-9, 2 * 9
"""The count of each of the nine ordered pairs is tested, and how often two calls agree: two findings share alpha."""
BIAS = smallest_bias(CALLS, 1 / 51, ALPHA / TESTS)
DETECTS = (
    f"at {CALLS:,} calls: a pair's chance of 1/51 that is off by {BIAS:.3f}, where 1/15 is that of plain distances"
)


def plus_plus() -> Array:
    """P(first is i, second is j) of k-means++ (Arthur and Vassilvitskii 2007): uniform, then by squared distance."""
    squares = ((POINTS[:, None] - POINTS) ** 2).sum(-1)
    table: Array = squares / squares.sum(1, keepdims=True) / len(POINTS)
    return table


def first_centres(trial: Trial, alpha: float) -> Verdict:
    """The pairs are drawn from the nine probabilities, independently in each call."""
    index = array(trial.got, "index", shape=(CALLS, 2), what="What first_centres returned in all calls").astype(int)
    if (index < 0).any():
        raise CheckFailed("A chosen centre is no row of x. Expected: two different rows of x.", diagnosis="no_row")
    if (index[:, 0] == index[:, 1]).any():
        raise CheckFailed(
            "The same row was chosen twice. Expected: two different rows of x.", diagnosis="same_row_twice"
        )
    findings = categorical(3 * index[:, :1] + index[:, 1:], plus_plus().reshape(1, -1))
    verdict, worst = at_level(findings, alpha, "The first two centres are drawn as k-means++ draws them.")
    if verdict:
        return verdict
    expected = "Expected: the first uniformly, the second with a probability that grows with its squared distance."
    for diagnosis, power in (("uniform_second", 0), ("distance_not_squared", 1)):
        weights = np.where(np.eye(3, dtype=bool), 0.0, ((POINTS[:, None] - POINTS) ** 2).sum(-1) ** (power / 2))
        table = weights / weights.sum(1, keepdims=True) / 3
        if at_level(categorical(3 * index[:, :1] + index[:, 1:], table.reshape(1, -1)), 1e-6, "")[0]:
            words = "without regard to distance" if power == 0 else "by its distance, not by the square of it"
            return Verdict(0.0, f"The second centre was drawn {words}. {expected}", diagnosis, p=worst.p)
    return Verdict(0.0, f"The first two centres are not drawn as they should be. {expected}", p=worst.p)


QUESTION = Question(
    id="kmeans",
    number=1,
    title="k-means",
    files=(FILE,),
    checks=(
        Check("kmeans.step", "step: means of the nearest points", 3, STEP, Exact(step)),
        Check("kmeans.first", "first_centres: k-means++", 3, FIRST, Statistical(first_centres, ALPHA, DETECTS)),
    ),
)
