"""Reads what `negative_elbo_bound` returned: which z counted, in which order the values come, what is right.

With q = N(m, diag v), p = N(0, I), x in {0, 1}^784 and logits l(z):
    KL(q || p)      1/2 sum_j (v_j + m_j^2 - 1 - log v_j)          (Kingma and Welling 2014, appendix B)
    reconstruction  -log p(x|z) = sum_i max(l_i, 0) - l_i x_i + log(1 + exp(-|l_i|))
    nelbo           mean over the batch of KL + reconstruction     (ibid., eq. 7, one sample)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from scipy.special import expit, logsumexp

from autograder.core import Array, CheckFailed, Trial
from autograder.hw11.epsilon import EPSILON, of_log_probability, of_variance
from autograder.judging.judges import Misconception, array, parts_of, tolerance_ratio, within
from autograder.judging.stats import UNIT, gamma
from autograder.sandbox.parts import each, item

PIXELS = 784
STEEPEST = 3.5  # the stub decoder's logits are 3.5 tanh(z W + b)
MOST_SAMPLES = 64  # of z for each example
FURTHEST = 50  # standard deviations
CASES = ((1, 1), (1, 3), (1, 8), (2, 3), (5, 8), (7, 1))
"""(batch, dim). One example at a time tells what the terms are; larger batches, how they are averaged."""
ALONE = tuple(case for case, (batch, _) in enumerate(CASES) if batch == 1)
TOGETHER = tuple(case for case, (batch, _) in enumerate(CASES) if batch > 1)


@dataclass(frozen=True)
class BoundCase:
    """One case of the bound, read: what was given, what was returned, and what is right given the z.

    `kl` and `rec` are per example, (batch,); `rec` is the mean over the z that were decoded for it.
    """

    batch: int
    dim: int
    m: Array
    v: Array
    x: Array
    logits: Array  # (samples, batch, 784)
    terms: Array  # (samples, batch, 784): -log of the probability of every pixel
    doubt: Array  # (samples, batch, 784): what rounding may change z W + b by
    z: Array  # (samples, batch, dim)
    parts: tuple[Array, Array, Array]
    kl: Array
    monte_carlo: Array
    rec: Array
    rec_bound: float
    kl_bound: float
    mc_bound: float
    tiny: dict[str, float]  # what of the bounds "rec", "kl" and "mc" is for a tiny constant, not for rounding

    def used(self, which: str, got: float, *, sign: int = 1) -> float:
        """The share of the rounding bound by which the mean over the batch differs from a right one."""
        truths = {
            "rec": (self.rec, self.rec_bound),
            "kl": (self.kl, self.kl_bound),
            "mc": (self.monte_carlo, self.mc_bound),
        }
        return min(
            tolerance_ratio(got, sign * truth.mean(), bound - self.tiny[name], beside=self.tiny[name])
            for name, (truth, bound) in truths.items()
            if (name == "rec") == (which == "rec")
        )

    @property
    def kl_truths(self) -> tuple[tuple[Array, float], tuple[Array, float]]:
        """The closed form and the unbiased estimate at z, (batch,), each with its rounding bound."""
        return (self.kl, self.kl_bound), (self.monte_carlo, self.mc_bound)


def divergence(m: Array, v: Array) -> Array:
    """KL(N(m, diag v) || N(0, I)) for each row, (batch,)."""
    result: Array = 0.5 * (v + m**2 - 1 - np.log(v)).sum(axis=-1)
    return result


def log_ratio(z: Array, m: Array, v: Array) -> Array:
    """log q(z|x) - log p(z) for each row, averaged over the z (samples, batch, dim): (batch,)."""
    result: Array = 0.5 * (z**2 - (z - m) ** 2 / v - np.log(v)).sum(-1).mean(0)
    return result


def cross_entropy(logits: Array, x: Array) -> Array:
    """-log Bernoulli(x; sigmoid(logits)), elementwise."""
    result: Array = _softplus(logits) - logits * x
    return result


def _softplus(logits: Array) -> Array:
    """log(1 + exp(logits)), elementwise."""
    result: Array = np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits)))
    return result


def readings(case: Trial, batch: int, dim: int) -> Iterator[BoundCase]:
    """All readings of one case: which decoded z count, and how their rows belong to the `batch` examples.

    One reading is the usual answer; decoding several samples per example, in a loop or stacked in
    either order, gives more. Identities are tried on each, the likely ones first: a reading costs up to 40 ms.
    """
    given, got = case.given, case.got
    if got.get("other_x") is not False:
        raise CheckFailed(
            "Something other than x was passed to the encoder. Expected: self.enc.encode(x).", diagnosis="encodes_other"
        )
    x, m, v, w, b = (array(given, name) for name in "xmvwb")
    z = array(got, "z", what="The decoded z")
    rows = parts_of(got, "rows", total=len(z) if z.ndim else 0)
    if z.ndim != 2 or z.shape[1] != dim or len(z) % batch or not len(z) or rows is None:
        raise CheckFailed(
            f"The z passed to the decoder has shape {list(z.shape)} in all, for a batch of {batch} examples and "
            f"{dim} latent dimensions. Expected: shape [{batch}, {dim}], or a multiple of it.",
            diagnosis="shape",
        )
    raw = tuple(array(got, item("parts", i), what=f"Value {i + 1} of the three") for i in range(3))
    if len(z) > MOST_SAMPLES * batch:
        raise CheckFailed(
            f"The decoder received {len(z)} z for a batch of {batch} examples. Expected: one z for each example. At "
            f"most {MOST_SAMPLES} z for each example can be judged."
        )
    spread = np.abs(z.reshape(-1, batch, dim) - m) / np.sqrt(v)
    if np.minimum(spread, np.abs(z.reshape(batch, -1, dim) - m[:, None]).swapaxes(0, 1) / np.sqrt(v)).max() > FURTHEST:
        # The rounding bounds below grow with z: a z that is chosen large would make them meaningless.
        raise CheckFailed(
            f"A decoded z lies more than {FURTHEST} standard deviations from the mean m. Expected: a draw from "
            "q(z|x) = N(m, diag v).",
            diagnosis="far_z",
        )
    # Usually one z per example. Several may be averaged, stacked in either order or in a loop; or only
    # the first or the last of several decodes may count (the others were for display, say).
    chosen = [z.reshape(-1, batch, dim)]
    if len(z) > batch:
        chosen.append(z.reshape(batch, -1, dim).swapaxes(0, 1))
        chosen += [part.reshape(1, batch, dim) for part in (z[:batch], z[-batch:])]
    for one in chosen:
        yield _reading(batch, dim, x, m, v, w, b, one, raw)  # type: ignore[arg-type]


def _reading(
    batch: int, dim: int, x: Array, m: Array, v: Array, w: Array, b: Array, z: Array,
    parts: tuple[Array, Array, Array],
) -> BoundCase:  # fmt: skip
    logits = STEEPEST * np.tanh(z @ w + b)
    normalizer = _softplus(logits)
    terms = normalizer - logits * x  # their cross-entropy
    rec = terms.sum(-1).mean(0)
    # Rounding of the reconstruction. (1) s = z W + b errs by gamma_{dim+4} (|z||W| + |b|), a logit 3.5 tanh(s) by 3.5
    # times that, and a term by at most what its logit does. (2) A term that is written with the sigmoid p errs by
    # 8u / (1 - p) <= 8u (1 + e^3.5) < 300u, and by what a small constant beside p changes (epsilon.py). (3) Sums of 784
    # pixels and averages, in any order: gamma_{1000} of what is added up. That need not be the terms, none of which
    # is negative: it may be two sums, of log(1 + exp(l)) and of l x, or of log(1 + exp(-l)) and of l (1 - x).
    doubt = gamma(dim + 4) * (np.abs(z) @ np.abs(w) + np.abs(b))
    unsure = of_log_probability(terms)
    per_term = STEEPEST * doubt + 300 * UNIT + unsure
    size = np.abs(logits)
    added = np.maximum(
        (normalizer + size * x).sum(-1),
        (normalizer - logits + size * (1 - x)).sum(-1),  # log(1 + exp(-l)) = log(1 + exp(l)) - l
    )
    rec_bound = float((per_term.sum(-1) + gamma(1000) * added).mean())
    # KL: v + m^2 - 1 - log v over two. Each addend carries at most 40 roundings, however it is written (as squares of a
    # root, with the logarithm of a quotient, with the prior's 0 and 1); then dim and batch are added up. With small
    # constants v and m^2 may be divided by 1 + e, v may be larger by w = of_variance(v) wherever it stands, which
    # changes its logarithm by w / v, and log(1 + e) may stand for log 1.
    size = 0.5 * (v + m**2 + 1 + np.abs(np.log(v))).sum(-1)
    wider = of_variance(v)
    tiny = 0.5 * (wider + wider / v + EPSILON * (v + m**2 + 1)).sum(-1)
    e2 = (z - m) ** 2 / v
    # A Monte-Carlo KL, log q(z) - log p(z) = 1/2 sum (z^2 - e^2 - log v), forms z - m first; it may add and subtract
    # log(2 pi) < 2 for each dimension. Small constants change e^2 by its share w / v, log v as above, and z^2 by e.
    size_mc = 0.5 * (z**2 + e2 + np.abs(np.log(v)) + 4 + 4 * np.abs(z - m) * (np.abs(z) + np.abs(m)) / v).sum(-1)
    tiny_mc = 0.5 * (e2 * wider / v + wider / v + EPSILON * (z**2 + 1)).sum(-1)
    several = gamma(dim + batch + 40)
    kl_bound = several * float(size.mean()) + float(tiny.mean())
    mc_bound = several * float(size.mean() + size_mc.mean()) + float(tiny_mc.mean())
    monte_carlo = log_ratio(z, m, v)
    closed = divergence(m, v)
    return BoundCase(
        batch, dim, m, v, x, logits, terms, doubt, z, parts, closed, monte_carlo, rec, rec_bound, kl_bound, mc_bound,
        {"rec": float(unsure.sum(-1).mean()), "kl": float(tiny.mean()), "mc": float(tiny_mc.mean())},
    )  # fmt: skip


def _log_density(z: Array, m: Array, v: Array, *, constant: bool = True) -> Array:
    """log N(z; m, diag v) for each example, averaged over the z, (batch,); without its log(2 pi), if so wished."""
    terms = (z - m) ** 2 / v + np.log(v) + (np.log(2 * np.pi) if constant else 0)
    result: Array = -0.5 * terms.sum(-1).mean(0)
    return result


def _log_q(s: BoundCase, *, constant: bool = True) -> Array:
    return _log_density(s.z, s.m, s.v, constant=constant)


def _log_p(s: BoundCase, *, constant: bool = True) -> Array:
    return _log_density(s.z, np.zeros_like(s.m), np.ones_like(s.v), constant=constant)


def _entropy(s: BoundCase) -> Array:
    """That of q, (batch,): minus what log q(z|x) is on average."""
    result: Array = 0.5 * (1 + np.log(2 * np.pi * s.v)).sum(-1)
    return result


LOG_Q = "It consists of log q(z|x) alone. The prior's log p(z), which must be subtracted, is missing."
LOG_P = "It consists of the prior's log p(z) alone. The term log q(z|x) is missing."
KL_MISTAKES = (
    Misconception(
        "kl_swapped",
        "It is KL(p || q), with the prior first. Expected: KL(q || p).",
        lambda s: 0.5 * (np.log(s.v) + (1 + s.m**2) / s.v - 1).sum(-1),
    ),
    Misconception("kl_sign", "It has the wrong sign. A divergence is never negative.", lambda s: -s.kl),
    Misconception(
        "variance_as_std",
        "The variance was squared, but v is the variance already.",
        lambda s: divergence(s.m, s.v**2),
    ),
    Misconception(
        "std_as_variance", "The standard deviation was used instead of the variance.",
        lambda s: divergence(s.m, np.sqrt(s.v)),
    ),
    Misconception(
        "variance_as_log_variance", "v was used as a logarithm, but it is the variance itself.",
        lambda s: divergence(s.m, np.exp(s.v)),
    ),
    Misconception("kl_without_half", "It is twice as large, because the factor 1/2 is missing.", lambda s: 2 * s.kl),
    Misconception("kl_without_minus_one", "The term -1 of each dimension is missing.", lambda s: s.kl + s.dim / 2),
    Misconception("kl_without_log", "The term -log v is missing.", lambda s: s.kl + 0.5 * np.log(s.v).sum(-1)),
    Misconception(
        "kl_log_of_std", "log v has half its weight, which makes it the logarithm of the standard deviation.",
         lambda s: s.kl + 0.25 * np.log(s.v).sum(-1),
    ),
    Misconception("kl_log_sign", "log v has the wrong sign.", lambda s: s.kl + np.log(s.v).sum(-1)),
    Misconception("kl_without_mean", "The term m^2 is missing.", lambda s: s.kl - 0.5 * (s.m**2).sum(-1)),
    Misconception("kl_mean_not_squared", "m is not squared.", lambda s: s.kl + 0.5 * (s.m - s.m**2).sum(-1)),
    Misconception("kl_without_variance", "The term +v is missing.", lambda s: s.kl - 0.5 * s.v.sum(-1)),
    Misconception(
        "kl_mean_over_dimensions",
        "It is averaged over the latent dimensions. Expected: their sum.",
        lambda s: s.kl / s.dim,
    ),
    Misconception("kl_ignored", "It is always 0.", lambda s: 0 * s.kl),
    Misconception(
        "kl_sign",
        "It has the wrong sign: it is log p(z) - log q(z|x). Expected: KL(q || p), which is log q(z|x) - log p(z) "
        "on average.",
        lambda s: -s.monte_carlo,
    ),
    *(Misconception("kl_without_prior", LOG_Q, formula) for formula in (
        _log_q, partial(_log_q, constant=False), lambda s: -_entropy(s))
    ),
    *(Misconception("kl_without_prior", f"{LOG_Q} It has the wrong sign, too.", formula) for formula in (
        lambda s: -_log_q(s), lambda s: -_log_q(s, constant=False), _entropy)
    ),
    *(Misconception("kl_without_entropy", LOG_P, formula) for formula in (
        lambda s: -_log_p(s), lambda s: -_log_p(s, constant=False), lambda s: 0.5 * (s.v + s.m**2).sum(-1))
    ),
    *(Misconception("kl_without_entropy", f"{LOG_P} It has the wrong sign, too.", formula) for formula in (
        _log_p, partial(_log_p, constant=False))
    ),
    Misconception("kl_weighted", "It is half as large, because the factor 1/2 was applied twice.", lambda s: s.kl / 2),
)  # fmt: skip


def _gaussian(s: BoundCase, *, sigmoid: bool) -> Array:
    """-log N(x; mean, 1) with the decoder's probabilities or logits for the mean, (batch,)."""
    mean = expit(s.logits) if sigmoid else s.logits
    result: Array = 0.5 * ((mean - s.x) ** 2 + np.log(2 * np.pi)).sum(-1).mean(0)
    return result


REC_MISTAKES = (
    Misconception(
        "rec_sign",
        "It has the wrong sign: it is log p(x|z). The negative ELBO adds -log p(x|z).",
        lambda s: -s.rec,
    ),
    Misconception(
        "mean_over_pixels",
        "It is averaged over the 784 pixels, but log p(x|z) is their sum.",
        lambda s: s.rec / PIXELS,
    ),
    Misconception(
        "mean_over_pixels",
        "It is averaged over the 784 pixels and has the wrong sign. Expected: -log p(x|z), which is a sum over the "
        "pixels.",
        lambda s: -s.rec / PIXELS,
    ),
    Misconception(
        "sigmoid_twice",
        "The sigmoid was applied twice. The decoder returns logits, and this loss function applies the sigmoid "
        "itself.",
        lambda s: cross_entropy(expit(s.logits), s.x).sum(-1).mean(0),
    ),
    Misconception(
        "mse_reconstruction",
        "It is a squared error. Expected: the Bernoulli log-likelihood.",
        lambda s: ((expit(s.logits) - s.x) ** 2).sum(-1).mean(0),
    ),
    Misconception(
        "mse_reconstruction",
        "It is a squared error of the logits. Expected: the Bernoulli log-likelihood.",
        lambda s: ((s.logits - s.x) ** 2).sum(-1).mean(0),
    ),
    Misconception(
        "mse_reconstruction",
        "It is a mean squared error. Expected: the Bernoulli log-likelihood, summed over the pixels.",
        lambda s: ((expit(s.logits) - s.x) ** 2).mean(-1).mean(0),
    ),
    Misconception(
        "mse_reconstruction",
        "It is an absolute error. Expected: the Bernoulli log-likelihood.",
        lambda s: np.abs(expit(s.logits) - s.x).sum(-1).mean(0),
    ),
    Misconception(
        "x_and_logits_swapped",
        "x and the logits are swapped.",
        lambda s: cross_entropy(np.broadcast_to(s.x, s.logits.shape), s.logits).sum(-1).mean(0),
    ),
    Misconception(
        "targets_flipped", "Black and white are swapped: it is the loss for 1 - x.",
        lambda s: cross_entropy(s.logits, 1 - s.x).sum(-1).mean(0),
    ),
    Misconception(
        "only_ones", "Only the pixels that are 1 are counted. The term (1 - x) log(1 - p) is missing.",
        lambda s: (s.x * cross_entropy(s.logits, s.x)).sum(-1).mean(0),
    ),
    Misconception("rec_ignored", "It is always 0.", lambda s: 0 * s.rec),
    Misconception(
        "x_and_logits_swapped",
        "x and the probabilities are swapped. With x as the prediction, every logarithm is log 0 or log 1, and "
        "binary_cross_entropy limits it to -100.",
        lambda s: 100 * np.abs(expit(s.logits) - s.x).sum(-1).mean(0),
    ),
    Misconception(
        "x_and_logits_swapped",
        "x and the logits are swapped. With x as the prediction, every logarithm is log 0 or log 1, and "
        "binary_cross_entropy limits it to -100.",
        lambda s: 100 * (s.x * (1 - s.logits) + (1 - s.x) * s.logits).sum(-1).mean(0),
    ),
    Misconception(
        "rec_without_x",
        "x does not appear in it. It compares the decoder's probabilities with themselves.",
        lambda s: cross_entropy(s.logits, expit(s.logits)).sum(-1).mean(0),
    ),
    Misconception(
        "softmax_over_pixels",
        "A softmax was taken over the pixels, as if they were 784 classes. Expected: one probability for each pixel.",
        lambda s: -(s.x * (s.logits - logsumexp(s.logits, axis=-1, keepdims=True))).sum(-1).mean(0),
    ),
    *(Misconception(
        "rec_without_log", "The logarithm is missing. Probabilities were added, not their logarithms.", formula
    ) for formula in (
        lambda s: -np.exp(-s.terms).sum(-1).mean(0), lambda s: np.exp(-s.terms).sum(-1).mean(0),
        lambda s: (1 - np.exp(-s.terms)).sum(-1).mean(0),
    )),
    Misconception(
        "mse_reconstruction",
        "It is half a squared error. Expected: the Bernoulli log-likelihood.",
        lambda s: 0.5 * ((expit(s.logits) - s.x) ** 2).sum(-1).mean(0),
    ),
    Misconception(
        "mse_reconstruction",
        "It is half a squared error of the logits. Expected: the Bernoulli log-likelihood.",
        lambda s: 0.5 * ((s.logits - s.x) ** 2).sum(-1).mean(0),
    ),
    *(Misconception(
        "mse_reconstruction",
        "It is the likelihood of a Gaussian with variance 1. Expected: the Bernoulli log-likelihood.",
        partial(_gaussian, sigmoid=sigmoid),
    ) for sigmoid in (True, False)),
    Misconception(
        "mse_reconstruction",
        "It counts the pixels whose rounded probability differs from x. Expected: the Bernoulli log-likelihood, "
        "which has a gradient.",
        lambda s: ((s.logits > 0) != (s.x > 0.5)).sum(-1).mean(0),
    ),
    Misconception(
        "log_of_average",
        "The likelihoods of several z were averaged before the logarithm, which gives another bound. Expected: the "
        "average of -log p(x|z).",
        lambda s: np.log(len(s.z)) - logsumexp(-s.terms.sum(-1), axis=0),
    ),
    Misconception(
        "logits_clamped", "The logits were clamped to [0, 1] as if they were probabilities.",
        lambda s: cross_entropy(np.clip(s.logits, 0, 1), s.x).sum(-1).mean(0),
    ),
)  # fmt: skip


WORDS = {"nelbo": "negative ELBO", "kl": "KL term", "rec": "reconstruction term"}
Order = tuple[str, str, str]
ORDERS: tuple[Order, ...] = (("nelbo", "kl", "rec"), ("nelbo", "rec", "kl"))
"""Both are right: the starter code and the handout name the three values in different orders."""
WRONG_ORDERS: tuple[Order, ...] = (
    ("kl", "rec", "nelbo"),
    ("rec", "kl", "nelbo"),
    ("kl", "nelbo", "rec"),
    ("rec", "nelbo", "kl"),
)


@dataclass(frozen=True)
class BoundReading:
    """The whole answer, read in the order and with the decoded z that fit it best.

    `alike` holds for each case every reading that explains the three values as well as the one in `cases`:
    a wrong choice of z can come within the rounding bound by chance, so what is said of z must be allowed
    to hold for any of them.
    """

    cases: tuple[BoundCase, ...]
    alike: tuple[tuple[BoundCase, ...], ...]
    order: Order

    def part(self, case: int, which: str) -> Array:
        return self.cases[case].parts[self.order.index(which)]

    def single(self, case: int, which: str) -> float:
        """The value for a batch of one, whether it came as a scalar or as (1,)."""
        part = self.part(case, which)
        if part.size != 1:
            raise CheckFailed(
                f"For a batch of one example the {WORDS[which]} has shape {list(part.shape)}. Expected: a single "
                "number.",
                diagnosis="shape",
            )
        return float(part.reshape(()))

    def kl_used(self, case: int, *, sign: int = 1) -> float:
        """Share of the rounding bound, against the closed form and the unbiased estimate at z."""
        return self.cases[case].used("kl", self.single(case, "kl"), sign=sign)

    def rec_used(self, case: int, *, sign: int = 1) -> float:
        return self.cases[case].used("rec", self.single(case, "rec"), sign=sign)

    def sign(self, which: str) -> int:
        """1 where the term is right for every single example, -1 where it is its negative, else 0."""
        used = self.kl_used if which == "kl" else self.rec_used
        return next((sign for sign in (1, -1) if all(used(case, sign=sign) <= 1 for case in ALONE)), 0)

    @property
    def kl_closed(self) -> bool:
        """Whether the KL term is the closed form for every single example; its sign is judged elsewhere."""
        seen = ((case, self.cases[case]) for case in ALONE)
        return all(within(abs(self.single(case, "kl")), s.kl.mean(), s.kl_bound) for case, s in seen)

    def nelbo_right(self, cases: tuple[int, ...] = ALONE, *, sign: int = 1) -> bool:
        """Whether nelbo is the bound itself at the decoded z, whatever the returned parts are."""
        for case in cases:
            s, part = self.cases[case], self.part(case, "nelbo")
            if part.size != 1 or not is_bound(sign * float(part.reshape(())), s):
                return False
        return True


def is_bound(value: float, s: BoundCase) -> bool:
    """Whether the value is the negative bound at the z that was decoded, with either KL."""
    rec = float(s.rec.mean())
    return any(
        within(value, rec + float(kl.mean()), s.rec_bound + bound + gamma(4) * (abs(rec) + abs(float(kl.mean()))))
        for kl, bound in s.kl_truths
    )


def is_mistake(value: float, known: Misconception, s: BoundCase) -> bool:
    """Whether the value is what this misconception gives. The bound follows the size of what it gives.

    That of a KL allows for a small constant beside v in any of the formulas: none has a slope in v of more than
    v + exp(v) + (1 + m^2) / v^2 for each dimension. This decides about words alone, never about points.
    """
    given = float(np.mean(known.formula(s)))
    if known in REC_MISTAKES:
        scale = abs(given) / float(s.rec.mean()) * s.rec_bound
    else:
        slope = s.v + np.exp(s.v) + (1 + s.m**2) / s.v**2
        scale = s.kl_bound + s.mc_bound + float((of_variance(s.v) * slope).sum(-1).mean())
    return within(value, given, scale + gamma(100) * abs(given) + 1e-6)


def weight(pairs: Sequence[tuple[float, float, float]]) -> float | None:
    """The one factor that makes every value (value, term, bound) its multiple of the term; None where there is none."""
    value, term, bound = max(pairs, key=lambda pair: abs(pair[1]))
    if abs(term) <= bound:
        return None
    factor = value / term
    same = all(within(value, factor * term, (1 + abs(factor)) * 2 * bound) for value, term, bound in pairs)
    return factor if same else None


RIGHT = 4


def _score(s: BoundCase, place: int, which: str) -> int:
    """4 where the value at this place is right for the term, 1 where it is a known mistake, else 0.

    Mistakes are looked for in single examples alone: these tell what the terms are, and the work stays bounded.
    """
    if s.parts[place].size != 1:
        return 0
    value = float(s.parts[place].reshape(()))
    if which == "nelbo":
        return RIGHT if is_bound(value, s) else int(is_bound(-value, s))
    truths, mistakes = (s.kl_truths, KL_MISTAKES) if which == "kl" else (((s.rec, s.rec_bound),), REC_MISTAKES)
    if any(within(value, truth.mean(), bound) for truth, bound in truths):
        return RIGHT
    return int(s.batch == 1 and any(is_mistake(value, known, s) for known in mistakes))


@lru_cache(maxsize=2)
def read(trial: Trial) -> BoundReading:
    """The best reading of all cases: one order of the three values, and for each case the z that count.

    A wrong order is believed only where it explains more than both right ones, and does so in every single example.
    """
    found = [list(readings(case, *shape)) for case, shape in zip(each(trial), CASES, strict=True)]
    scores: dict[tuple[int, int, str], int] = {}

    def score(s: BoundCase, place: int, which: str) -> int:
        key = (id(s), place, which)
        if key not in scores:
            scores[key] = _score(s, place, which)
        return scores[key]

    def qualities(order: Order) -> list[list[int]]:
        """For each case and reading, how well this order explains its three values."""
        return [[sum(score(s, place, which) for place, which in enumerate(order)) for s in ones] for ones in found]

    for order in ORDERS:
        quality = qualities(order)
        if sum(map(max, quality)) == 3 * RIGHT * len(CASES):  # all of it is explained: the usual case
            alike = tuple(
                tuple(seen for seen, points in zip(ones, each, strict=True) if points == max(each))
                for ones, each in zip(found, quality, strict=True)
            )
            place = order.index("rec")
            return BoundReading(tuple(min(ones, key=lambda seen: _far(seen, place)) for ones in alike), alike, order)

    def explained(order: Order, kind: int) -> tuple[int, int]:
        """How well the order and one choice of z explain each value in every single example; and all of it, summed.

        In one of the examples anything can come within the bounds by chance; not in all of them.
        """
        chosen = [ones[min(kind, len(ones) - 1)] for ones in found]
        places = list(enumerate(order))
        throughout = sum(min(score(chosen[case], place, which) for case in ALONE) for place, which in places)
        return throughout, sum(score(seen, place, which) for seen in chosen for place, which in places)

    kinds = range(max(map(len, found)))
    best = max((*ORDERS, *WRONG_ORDERS), key=lambda order: max(explained(order, kind)[0] for kind in kinds))
    kind = max(kinds, key=lambda each: explained(best, each))
    cases = tuple(ones[min(kind, len(ones) - 1)] for ones in found)
    alike = tuple(
        tuple(seen for seen, points in zip(ones, each, strict=True) if points == each[min(kind, len(ones) - 1)])
        for ones, each in zip(found, qualities(best), strict=True)
    )
    return BoundReading(cases, alike, best)


def looked_at(z: Array, batch: int) -> list[int]:
    """The calls of z (calls, rows, dim) whose values are compared with their z: all, or of many samples some.

    So many that the judge computes as much as for four z for each example; which ones, the z themselves decide.
    """
    calls, copies = len(z), max(1, z.shape[1] // batch)
    if copies <= 4:
        return list(range(calls))
    chosen = np.argsort(z[:, 0, 0], kind="stable")[: max(2, 4 * calls // copies)]
    return [int(call) for call in chosen]


def explanation(mistakes: Sequence[Misconception], pairs: Sequence[tuple[float, BoundCase]]) -> Misconception | None:
    """The mistake that explains the value of every (value, case); None where none does, or several that differ do."""
    found = [known for known in mistakes if all(is_mistake(value, known, seen) for value, seen in pairs)]
    for other in found[1:]:
        first, second = ([float(np.mean(one.formula(seen))) for _, seen in pairs] for one in (found[0], other))
        if other.id != found[0].id and not np.allclose(first, second, rtol=1e-9, atol=1e-9):
            return None  # not one formula in two forms
    return found[0] if found else None


def _far(s: BoundCase, place: int) -> float:
    """How far the value at this place is from the reconstruction term, as a share of the rounding bound."""
    return (
        tolerance_ratio(float(s.parts[place].reshape(())), s.rec.mean(), s.rec_bound)
        if s.parts[place].size == 1
        else 0.0
    )
