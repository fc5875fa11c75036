"""What the homework's statistical checks rest on: the proof of each alpha, how many tests share it, what it can see."""

from __future__ import annotations

from math import comb, log, sqrt

import numpy as np
from scipy import optimize
from scipy.special import softmax

from autograder.audit import falsefails
from autograder.audit.falsefails import MISS
from autograder.audit.homework import FalsePositiveBound
from autograder.core import Assignment, Values
from autograder.hw11.continual_learning import data
from autograder.hw11.gan import loss as gan
from autograder.hw11.policy_gradient import loss as policy
from autograder.hw11.vae import bound, sample

ROUNDS = {
    "gan_vae/utils.py": 100,
    "gan_vae/models/vae.py": 70,
    "gan_vae/models/gan.py": 70,
    "policy_gradient.ipynb": 10,
    "continual_learning.ipynb": 250,
}
"""How often each right solution of a file is graded. A grading takes 6 (continual learning) to 160 CPU ms (policy
gradient), and all of them, more than 20,000, are to take less than 15 CPU minutes."""

MARGINS = {
    "policy_gradient.training": "One problem with a fixed seed, the numbers to draw actions with included: a right "
    "loss takes the reference's path, up to rounding, to 67 % of new points, baselines to 66 or 68 %; the mark is 60 %."
    " A loop that draws by itself reaches 65 to 69 % (sd 0.6), and is taken for one that knows the classes with "
    "probability 1e-12 (Azuma).",
    "policy_gradient.notebook": "Over 1,408 seeds no right network was below 69 % (fewer than 0.22 % are, 95 %); the "
    "mark is 62 %. A network right on 69 % of all points is below that on the 4,096 with probability 4e-18 "
    "(Hoeffding), one that is right on 58 % reaches it with probability below 1e-6 (binomial).",
    "continual_learning.behaviour": "One problem: right solutions gain 0.17 and more over naive training, whatever "
    "order or labels they draw; the mark is 0.05. That 0.25 more of all images show as less than 0.05 more of the "
    "1,500 has probability 1e-13 (Hoeffding).",
    "summarization.log_better": "The grader draws nothing, and the texts are the student's own. T5 fails where its "
    "summaries score less than 1.96 standard errors above those of the next document: the weakest seen were 10 above, "
    "the reference's are 13. Of summaries that ignore their documents about one in forty passes, by the normal "
    "approximation.",
    "summarization.layer_work": "Counted multiplications, exactly, and beside them CPU time: 40 steps may take 1 s and "
    "four times the reference's, where right ones take 0.06 s and recomputing ones 6 s.",
    "vae.picture": "The picture is the student's own: after training 162 and more of 200 digits look like digits "
    "(seven seeds); the mark is 120. No proof: with the 99 % lower bound of the share that five seeds had together it "
    "is missed with probability 2e-10 (Chernoff), with that of the worst of them with 1.4e-4.",
    "gan.picture": "As for the VAE's: 175 and more after training (two seeds); the mark is 120.",
}
"""Checks whose inputs are the same for everybody or the student's own: how far right solutions are from the mark."""

Shape = tuple[int, int, int]
"""Calls, batch, dimensions."""

# How many findings a battery of stats.py has, and how many single tests are in them: alpha is divided among the
# findings, and each of these among its own tests.
CELLS, CUTS, PARAMETERS = 16, 6, 10
MARGINAL, DEPENDENCE, REPETITION = 9, 9, 4


def _marginal(shape: Shape) -> int:
    return 5 + CELLS + CUTS + shape[1] + shape[2]  # mean, variance, distance, largest, evenness are one each


def _dependence(shape: Shape) -> int:
    return comb(shape[1], 2) + comb(shape[2], 2) + 7  # pairs; five groupings and neighbours along two axes


def _repetition(shape: Shape) -> int:
    return comb(shape[0], 2) + 3


BONFERRONI = "Bonferroni over all tests"
NORMAL = (
    "normal, chi-squared and binomial distributions, exact; Massart 1990 for the distance of CDFs; union bounds for "
    "the largest value and for too even counts"
)
CONTRASTS = "Student's t of Pearson correlations and Beta of shares of the sum of squares, exact"
RELATIONS = "Student's t of Pearson correlations and Fisher's F of groups, exact"


def _shape(given: Values, calls: int) -> Shape:
    batch, dim = np.shape(given["m"])
    return calls, batch, dim


def _percent(factor: float) -> str:
    return f"{100 * (factor - 1):+.1f} %"


def _distribution(shape: Shape, p: float) -> str:
    """What the tests of single values see where each finding has the level p."""
    n = int(np.prod(shape))
    below, above = falsefails.scale(n, p)
    return (
        f"a mean off by {falsefails.shift(n, p):.3f} standard deviations; a standard deviation off by "
        f"{_percent(below)} or {_percent(above)}; {falsefails.tail(n, p / CUTS, 3.0):.1f} times as many values beyond 3"
    )


def _relations(shape: Shape, p: float) -> str:
    """What the tests of dependence within a call see."""
    calls, batch, dim = shape
    rows, columns = (
        falsefails.correlation(calls * other, p / comb(axis, 2)) for axis, other in ((batch, dim), (dim, batch))
    )
    both = falsefails.shared(dim, calls * batch, p)
    return f"a correlation of {both:.3f} of all dimensions, of {columns:.2f} of two of them, of {rows:.2f} of two rows"


def _calls(shape: Shape, p: float) -> str:
    calls, batch, dim = shape
    return f"a correlation of {falsefails.correlation(batch * dim, p / comb(calls, 2)):.2f} of two calls"


def bounds(assignment: Assignment) -> dict[str, FalsePositiveBound]:
    """By the id of every statistical check of the homework. Sizes follow from closed formulas or, for
    policy_gradient.unbiased, from the inequality that proves the alpha, used once more for the miss."""
    alpha = {check.id: check.judge.alpha for question in assignment.questions for check in question.checks}
    rng = np.random.default_rng(0)  # of the shapes alone
    large = _shape(sample._noise(rng), sample.CALLS)
    deep = _shape(bound._noise(rng), 16)
    wide = (gan.CALLS, len(gan._noise(rng)["x"]), len(gan._noise(rng)["a"]))  # type: ignore[arg-type]
    every = MARGINAL + DEPENDENCE + REPETITION + PARAMETERS
    n, level = int(np.prod(large)), alpha["vae.sample.parameters"] / PARAMETERS
    fresh = alpha["gan.fresh"] / (DEPENDENCE + REPETITION)
    return {
        "vae.sample.noise": FalsePositiveBound(
            f"{NORMAL}; {BONFERRONI}", _marginal(large), n, _distribution(large, alpha["vae.sample.noise"] / MARGINAL)
        ),
        "vae.sample.parameters": FalsePositiveBound(
            f"{CONTRASTS}; {BONFERRONI}",
            PARAMETERS,
            n,
            f"a centre that moves by {falsefails.covariate(n, level):.3f} of its standard deviation with that of m or "
            f"of log v; a standard deviation {_percent(falsefails.halves(n, level))} in one half of m or v",
        ),
        "vae.sample.independence": FalsePositiveBound(
            f"{RELATIONS}; {BONFERRONI}",
            _dependence(large),
            n,
            _relations(large, alpha["vae.sample.independence"] / DEPENDENCE),
        ),
        "vae.sample.fresh": FalsePositiveBound(
            f"{RELATIONS}, and equal calls never; {BONFERRONI}",
            _repetition(large),
            n,
            _calls(large, alpha["vae.sample.fresh"] / REPETITION),
        ),
        "vae.bound.posterior": FalsePositiveBound(
            f"all four batteries of the sampler; {BONFERRONI}",
            _marginal(deep) + _dependence(deep) + _repetition(deep) + PARAMETERS,
            int(np.prod(deep)),
            f"{_distribution(deep, alpha['vae.bound.posterior'] / every)}; "
            f"{_relations(deep, alpha['vae.bound.posterior'] / every)}; "
            f"{_calls(deep, alpha['vae.bound.posterior'] / every)}",
        ),
        "gan.noise": FalsePositiveBound(
            f"{NORMAL}; {BONFERRONI}",
            _marginal(wide),
            int(np.prod(wide)),
            _distribution(wide, alpha["gan.noise"] / MARGINAL),
        ),
        "gan.fresh": FalsePositiveBound(
            f"{RELATIONS}, and equal calls never; {BONFERRONI}",
            _dependence(wide) + _repetition(wide),
            int(np.prod(wide)),
            f"{_relations(wide, fresh)}; {_calls(wide, fresh)}",
        ),
        "policy_gradient.unbiased": FalsePositiveBound(
            f"Bernstein's inequality along each direction; {BONFERRONI}. Where every gradient is right given its "
            "actions, nothing is left to luck",
            DIRECTIONS,
            policy.CALLS * policy.ROWS,
            f"an estimate {_percent(_bias(alpha['policy_gradient.unbiased'], -1))} or "
            f"{_percent(_bias(alpha['policy_gradient.unbiased'], 1))} too large along the exact gradient",
        ),
        "continual_learning.rehearsal": FalsePositiveBound(
            "counting: a shuffle leaves the tasks' images in one piece each with probability below "
            f"{data.in_one_piece(data.SIZES) + data.in_one_piece((data.PER_TASK, data.PER_TASK, data.SIZES[-1])):.0e}",
            2,
            sum(data.SIZES),
            "tasks one behind the other, always",
        ),
    }


DIRECTIONS = 5 + policy.CLASSES


def _deviation(n: int, variance: float, largest: float, chance: float) -> float:
    """Bernstein: a mean of n terms deviates by more than this, to either side, with probability `chance` at most.

    The positive root t of n t^2 = 2 log(2 / chance) (variance + largest t / 3).
    """
    nats = log(2 / chance)
    return (2 * nats * largest / 3 + sqrt((2 * nats * largest / 3) ** 2 + 8 * n * nats * variance)) / (2 * n)


def _bias(alpha: float, side: int, *, problems: int = 100) -> float:
    """The factor of the exact gradient, above 1 or below, that is seen in each of so many problems of `_sampled`.

    It takes the estimate further off than luck does at alpha, whatever luck it has itself, but for MISS.
    """
    n, most = policy.CALLS * policy.ROWS, float(max(policy.REWARDS))

    def needed(seed: int) -> float:
        given = policy._sampled(np.random.default_rng(seed))
        p, table = softmax(np.asarray(given["logits"], float), axis=1), np.asarray(given["table"], float)
        exact = -p * (table - (p * table).sum(1, keepdims=True))
        along = (np.eye(policy.CLASSES)[None] - p[:, None]) @ exact[:, :, None]  # as in policy._bias
        variance, largest = most**2 * float((p * along[..., 0] ** 2).sum(1).mean()), most * float(np.abs(along).max())
        size = float((exact**2).sum(1).mean())
        allowed = _deviation(n, variance, largest, alpha / DIRECTIONS)

        def spare(off: float) -> float:
            factor = 1 + side * off
            return off * size - allowed - _deviation(n, factor**2 * variance, factor * largest, MISS)

        return float(optimize.brentq(spare, 0.0, 0.99))

    return 1 + side * max(map(needed, range(problems)))
