"""Question 4: the reparametrised sample and the negative evidence lower bound.

What is graded and how. The random part of an answer is taken out first: stub networks of ours record
the z that the student's code drew, and given z nearly every property is an identity that holds up to
rounding. Statistics remain for one question only: is the noise in z iid N(0, 1)?

Equations, with q = N(m, diag v), p = N(0, I), x in {0, 1}^784, logits l(z):
    sample          z = m + sqrt(v) e,  e ~ N(0, I)                          (Kingma and Welling 2014, eq. 4)
    KL(q || p)      1/2 sum_j (v_j + m_j^2 - 1 - log v_j)                    (ibid., appendix B)
    reconstruction  -log p(x|z) = sum_i max(l_i, 0) - l_i x_i + log(1 + exp(-|l_i|))
    nelbo           mean over the batch of KL + reconstruction               (ibid., eq. 7, one sample)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from scipy.special import expit

from autograder.core import Array, Ask, Check, Question, Reject, Trial, Values, Verdict
from autograder.judges import Exact, Misconception, Statistical, array, fits, luck, passed, share, whole
from autograder.stats import (
    UNIT,
    cells,
    dependence,
    distance,
    distinct,
    everything,
    gamma,
    marginal,
    parameters,
    repetition,
    smallest,
    tails,
    variance,
)

ALPHA = 1e-11
"""For each statistical check and attempt; five of them make 5e-11, and a fail needs two attempts."""
PIXELS = 784
CALLS = 8  # of sample_gaussian, with the same m and v
STEEPEST = 3.5  # the stub decoder's logits are 3.5 tanh(z W + b)

# ----------------------------------------------------------------------------------- what is asked

SHAPES = ((1, 1), (1, 7), (5, 1), (3, 5), (7, 64), (6, 4))
CASES = ((1, 1), (1, 3), (1, 8), (2, 3), (5, 4), (7, 2))
"""(batch, dim). One example at a time tells what the terms are; larger batches, how they are averaged."""
ALONE = tuple(case for case, (batch, _) in enumerate(CASES) if batch == 1)
TOGETHER = tuple(case for case, (batch, _) in enumerate(CASES) if batch > 1)


def _moments(rng: Generator, batch: int, dim: int, low: float, high: float) -> tuple[Array, Array]:
    """Means of N(1, 2^2) and variances log-uniform in [low, high], as float32 (batch, dim)."""
    m = 1 + 2 * rng.standard_normal((batch, dim))
    v = np.exp(rng.uniform(np.log(low), np.log(high), (batch, dim)))
    return m.astype(np.float32), v.astype(np.float32)


def shapes(rng: Generator) -> Values:
    pairs = [_moments(rng, *shape, 0.1, 4.0) for shape in SHAPES]
    return {f"{name}{i}": value for i, pair in enumerate(pairs) for name, value in zip("mv", pair, strict=True)}


def noise(rng: Generator) -> Values:
    m, v = _moments(rng, 32, 128, 1e-4, 1e2)
    return {"m": m, "v": v, "calls": CALLS}


def gradient(rng: Generator) -> Values:
    m, v = _moments(rng, 16, 8, 0.05, 20.0)
    w = rng.choice([-1.0, 1.0], m.shape) * rng.uniform(0.5, 2.0, m.shape)
    return {"m": m, "v": v, "w": w.astype(np.float32)}


def _case(rng: Generator, batch: int, dim: int) -> dict[str, Array]:
    m, v = _moments(rng, batch, dim, 0.1, 4.0)
    x = (rng.random((batch, PIXELS)) < rng.uniform(0.2, 0.6, (batch, 1))).astype(np.float32)
    w = rng.standard_normal((dim, PIXELS)) / np.sqrt(dim)
    b = 0.5 * rng.standard_normal(PIXELS)
    return {"x": x, "m": m, "v": v, "w": w.astype(np.float32), "b": b.astype(np.float32)}


def bound(rng: Generator) -> Values:
    return {f"{name}{i}": value for i, case in enumerate(CASES) for name, value in _case(rng, *case).items()}


def bound_noise(rng: Generator) -> Values:
    return {**_case(rng, 16, 16), "calls": 32}


SHAPES_ASK = Ask("vae:sample_shapes", shapes)
NOISE_ASK = Ask("vae:sample_noise", noise)
GRADIENT_ASK = Ask("vae:sample_gradient", gradient)
BOUND_ASK = Ask("with_sampler:bound", bound)
BOUND_NOISE_ASK = Ask("with_sampler:bound_noise", bound_noise)

# ------------------------------------------------------------------------- judging sample_gaussian


def sample_contract(trial: Trial) -> Verdict:
    for case, shape in enumerate(SHAPES):
        z = trial.got.get(f"z{case}")
        array(trial.got, f"z{case}", shape=shape, what=f"For m of shape {list(shape)} the sample")
        if isinstance(z, np.ndarray) and z.dtype != np.float32:
            raise Reject(f"For float32 m and v the sample has type {z.dtype}; expected float32.", diagnosis="dtype")
    return passed("The sample has m's shape and type, for every shape that was tried.")


def sample_inputs(trial: Trial) -> Verdict:
    for case, shape in enumerate(SHAPES):
        for name, word in (("m", "mean"), ("v", "variance")):
            after = array(trial.got, f"{name}{case}", shape=shape, what=f"The {word} after the call")
            if not np.array_equal(after, trial.given[f"{name}{case}"]):
                raise Reject(
                    f"After the call the {word} {name} that was passed in has changed. Expected: {name} as it was; "
                    "operations that end in an underscore, and +=, write into their argument.",
                    diagnosis="in_place",
                )
    return passed("m and v are as they were before the call.")


def _residual(trial: Trial, name: str) -> tuple[Array, Array, Array]:
    """The noise that must have been used: e = (z - m) / sqrt(v), (calls, batch, dim); and m, v."""
    m, v = array(trial.given, "m"), array(trial.given, "v")
    if name == "standard":
        m, v = np.zeros_like(m), np.ones_like(v)
    z = array(trial.got, name, shape=(CALLS, *m.shape), what="The stack of samples")
    return (z - m) / np.sqrt(v), m, v


def _no_noise(e: Array) -> None:
    if np.ptp(e) < 1e-3:  # residuals carry rounding of about u |m| / sqrt(v) < 1e-4
        raise Reject(
            "Every sample was the same number of standard deviations away from its mean. "
            "Expected: random noise, drawn anew for every entry.",
            diagnosis="no_noise",
        )


def sample_noise(trial: Trial, alpha: float) -> Verdict:
    e, _, _ = _residual(trial, "standard")
    _no_noise(e)
    verdict, worst = luck(marginal(e), alpha, "With m = 0 and v = 1 the samples are standard normal.")
    if verdict:
        return verdict
    seen = f"mean {e.mean():.2f}, variance {e.var():.2f}, largest {np.abs(e).max():.1f}"
    message = (
        f"With m = 0 and v = 1 the samples are not standard normal: {worst.what} does not fit "
        f"({e.size} values: {seen}). Expected: noise from N(0, 1)."
    )
    sentence, diagnosis = _family(e)
    return Verdict(0.0, message + sentence, diagnosis, p=worst.p)


def _family(e: Array) -> tuple[str, str]:
    """What the noise may be instead of standard normal, as a sentence and a misconception's id."""
    e = distinct(e)
    low, high, most = e.min(), e.max(), np.abs(e).max()

    def normal(scaled: Array) -> bool:
        return min(cells(scaled).p, tails(scaled).p, distance(scaled).p) >= 1e-6

    if low >= 0 and high <= 1:
        return " They lie between 0 and 1: is it rand (uniform) instead of randn (normal)?", "uniform_noise"
    if e.size >= 1000 and most <= np.sqrt(3) * 1.001 and distance_to_uniform(e) < 0.02:
        return " They end sharply on both sides: is the noise uniform instead of normal?", "uniform_noise"
    if low >= 0:
        return " None is negative.", "positive_noise"
    if e.size >= 10_000 and most <= 3.2 and abs(e.mean()) < 0.1:
        return f" None is further out than {most:.2f}: is the noise clipped or truncated?", "truncated_noise"
    if normal(e - e.mean()):
        return f" They are shifted by {e.mean():.2f}.", "shifted_noise"
    if normal(e / e.std()):
        return f" They are scaled by {e.std():.2f}.", "noise_scaled"
    return "", ""


def distance_to_uniform(e: Array) -> float:
    """sup |F_N - F| against the uniform distribution on the values' own range."""
    u = (np.sort(e.ravel()) - e.min()) / np.ptp(e)
    return float(np.abs(u - np.linspace(0, 1, e.size)).max())


Residual = Callable[[Array, Array, Array], Array]
RESIDUALS: tuple[tuple[str, str, Residual], ...] = (
    (
        "variance_as_std",
        "Your noise was scaled by v itself: v is the variance, so the standard deviation is its square root.",
        lambda z, m, v: (z - m) / v,
    ),
    (
        "variance_as_log_variance",
        "Your noise was scaled by exp(v / 2): v is the variance already, not its logarithm.",
        lambda z, m, v: (z - m) / np.exp(v / 2),
    ),
    ("variance_squared", "Your noise was scaled by v^2 instead of sqrt(v).", lambda z, m, v: (z - m) / v**2),
    (
        "root_of_std",
        "The root was taken twice: your noise was scaled by v^(1/4).",
        lambda z, m, v: (z - m) / v**0.25,
    ),
    (
        "softplus_twice",
        "v went through softplus once more: it is positive already.",
        lambda z, m, v: (z - m) / np.sqrt(np.log1p(np.exp(v))),
    ),
    (
        "inverse_scale",
        "Your noise was divided by sqrt(v), not multiplied.",
        lambda z, m, v: (z - m) * np.sqrt(v),
    ),
    ("variance_ignored", "Your noise was not scaled: v was not used.", lambda z, m, v: z - m),
    (
        "variance_averaged",
        "All entries got the same spread: v was averaged, though every entry has a variance of its own.",
        lambda z, m, v: (z - m) / np.sqrt(v.mean()),
    ),
    (
        "variance_averaged",
        "All examples got the same spread: v was averaged over the batch.",
        lambda z, m, v: (z - m) / np.sqrt(v.mean(0)),
    ),
    (
        "first_example_only",
        "All examples got the spread of the first one.",
        lambda z, m, v: (z - m) / np.sqrt(v[:1]),
    ),
    ("mean_ignored", "Your samples are centred on 0: m was not used.", lambda z, m, v: z / np.sqrt(v)),
    (
        "mean_subtracted",
        "Your samples are centred on -m: m was subtracted.",
        lambda z, m, v: (z + m) / np.sqrt(v),
    ),
    (
        "mean_averaged",
        "All entries got the same centre: m was averaged.",
        lambda z, m, v: (z - m.mean()) / np.sqrt(v),
    ),
    (
        "mean_scaled",
        "m was scaled by sqrt(v) together with the noise.",
        lambda z, m, v: (z - m * np.sqrt(v)) / np.sqrt(v),
    ),
    ("both_ignored", "Your samples do not depend on m and v at all.", lambda z, m, v: z),
)


def sample_parameters(trial: Trial, alpha: float) -> Verdict:
    e, m, v = _residual(trial, "varied")
    _no_noise(e)
    verdict, worst = luck(parameters(e, m, v), alpha, "The samples' centre follows m and their spread sqrt(v).")
    if verdict:
        return verdict
    z = array(trial.got, "varied")
    for diagnosis, sentence, residual in RESIDUALS:
        r = residual(z, m, v)
        # Its scale too: the contrasts do not see a factor that all entries have in common.
        if smallest([variance(r), *parameters(r, m, v)]).p >= 1e-6:
            return Verdict(0.0, f"{sentence} Expected: z = m + sqrt(v) e with e from N(0, I).", diagnosis, p=worst.p)
    message = f"With varied m and v {worst.what}, entry by entry. Expected: z = m + sqrt(v) e with e from N(0, I)."
    return Verdict(0.0, message, p=worst.p)


def _same(e: Array, axis: int) -> bool:
    return bool(np.ptp(e, axis=axis).max() < 1e-6)


def sample_independence(trial: Trial, alpha: float) -> Verdict:
    e, _, _ = _residual(trial, "standard")
    _no_noise(e)
    if _same(e, 0):
        e = e[:1]  # the same noise in every call is the next check's matter
    verdict, worst = luck(dependence(e), alpha, "The noise of different entries is independent.")
    if verdict:
        return verdict
    expected = "Expected: independent noise for every entry, so a noise tensor of m's full shape."
    if _same(e, 1) or _same(e, 2):
        whom = "every entry" if _same(e, 1) and _same(e, 2) else "every row" if _same(e, 1) else "every column"
        return Verdict(0.0, f"Within one call {whom} got the same noise. {expected}", "shared_noise", p=worst.p)
    diagnosis = "sorted_noise" if _ordered(e) else "antithetic_noise" if _mirrored(e) else ""
    return Verdict(0.0, f"Within one call the noise is related {worst.what}. {expected}", diagnosis, p=worst.p)


def _ordered(e: Array) -> bool:
    return any(bool((np.diff(e, axis=axis) >= 0).all() or (np.diff(e, axis=axis) <= 0).all()) for axis in (1, 2))


def _mirrored(e: Array) -> bool:
    size = np.sort(np.abs(e[0]).ravel())
    return bool(np.mean(np.diff(size) < 1e-9) > 0.45)  # every value comes twice, with either sign


def sample_fresh(trial: Trial, alpha: float) -> Verdict:
    e, _, _ = _residual(trial, "standard")
    _no_noise(e)
    for axis in (1, 2):
        if _same(e, axis):  # noise shared within a call is the previous check's matter
            e = np.take(e, [0], axis=axis)
    verdict, worst = luck(repetition(e), alpha, "Every call draws new noise.")
    if verdict:
        return verdict
    if _same(e, 0):
        message = (
            "Two calls with the same m and v returned the same sample. Expected: new noise at every call; "
            "is a seed set, or the noise made once and kept, inside the code?"
        )
        return Verdict(0.0, message, "seeded_inside", p=worst.p)
    grid = all(np.array_equal(np.sort(e[0], axis=None), np.sort(call, axis=None)) for call in e[1:])
    message = f"The noise is related {worst.what}. Expected: new, independent noise at every call."
    return Verdict(0.0, message, "noise_from_grid" if grid else "", p=worst.p)


def sample_gradient(trial: Trial) -> Verdict:
    m, v, w = (array(trial.given, name) for name in "mvw")
    z = array(trial.got, "z", shape=m.shape, what="The sample")
    expected = "Expected: dz/dm = 1 and dz/dv = (z - m) / (2 v), so that training can move both."
    reached = [name for name in ("to_m", "to_v") if name in trial.got]
    if not reached:
        raise Reject(
            "No gradient flows from the sample to m or v. Is the sample detached, made under no_grad, "
            f"or drawn by a call that cannot be differentiated (normal(m, s), .sample())? {expected}",
            diagnosis="detached_sample",
        )
    if len(reached) == 1:
        lost = "v" if reached == ["to_m"] else "m"
        raise Reject(f"No gradient flows from the sample to {lost}. {expected}", diagnosis=f"no_gradient_to_{lost}")
    to_m, to_v = (array(trial.got, name, shape=m.shape, what="The gradient") for name in reached)
    # Rounding: z carries u |z|, so z - m errs by u (|z| + |m|); sqrt, product and quotient of the
    # backward pass add a few u each. 16 covers every way of writing it, exp(log(v) / 2) included.
    slope = w * (z - m) / (2 * v)
    bound_m = gamma(16) * np.abs(w)
    bound_v = gamma(16) * (np.abs(slope) + np.abs(w) * (np.abs(z) + np.abs(m)) / (2 * v))
    used = max(share(to_m, w, bound_m), share(to_v, slope, bound_v))
    if used <= 1:
        return passed("The gradients of the sample to m and v are right.", used=used)
    if fits(to_m, w, bound_m) and fits(to_v, 2 * slope, 2 * bound_v):
        raise Reject(
            "The gradient to v is that of z = m + v e: v was used as the standard deviation, but it is the "
            f"variance. {expected}",
            diagnosis="variance_as_std",
        )
    if fits(to_m, w, bound_m) and fits(to_v, v * slope, v * bound_v):
        raise Reject(
            f"The gradient to v is that of z = m + exp(v / 2) e: v is the variance, not its logarithm. {expected}",
            diagnosis="variance_as_log_variance",
        )
    wrong = "m" if share(to_m, w, bound_m) > 1 else "v"
    raise Reject(f"The gradient of the sample to {wrong} is not right. {expected}")


# ---------------------------------------------------------------------- judging negative_elbo_bound


@dataclass(frozen=True)
class Seen:
    """One case of the bound, read: what was given, what was returned, and what is right given the z.

    `kl` and `rec` are per example, (batch,); `rec` is the mean over the z that were decoded for it.
    """

    batch: int
    dim: int
    m: Array
    v: Array
    x: Array
    logits: Array  # (samples, batch, 784)
    z: Array  # (samples, batch, dim)
    parts: tuple[Array, Array, Array]
    kl: Array
    monte_carlo: Array
    rec: Array
    rec_bound: float
    kl_bound: float


def _divergence(m: Array, v: Array) -> Array:
    """KL(N(m, diag v) || N(0, I)) for each row, (batch,)."""
    result: Array = 0.5 * (v + m**2 - 1 - np.log(v)).sum(axis=-1)
    return result


def _cross_entropy(logits: Array, x: Array) -> Array:
    """-log Bernoulli(x; sigmoid(logits)), elementwise."""
    result: Array = np.maximum(logits, 0) - logits * x + np.log1p(np.exp(-np.abs(logits)))
    return result


def _read(trial: Trial, case: int) -> list[Seen]:
    """All readings of one case: which decoded z count, and how their rows belong to the examples.

    One reading is the usual answer; decoding several samples per example, in a loop or stacked in
    either order, gives more. Identities are tried on each.
    """
    batch, dim = CASES[case]
    given, got = trial.given, trial.got
    if got.get(f"{case}.other_x") is not False:
        raise Reject("The encoder was given something else than x.", diagnosis="encodes_other")
    x, m, v, w, b = (array(given, f"{name}{case}") for name in "xmvwb")
    z = array(got, f"{case}.z", what="The z that was decoded")
    rows = array(got, f"{case}.rows").astype(int)
    if z.ndim != 2 or z.shape[1] != dim or len(z) % batch or not len(z) or rows.sum() != len(z) or rows.ndim != 1:
        raise Reject(
            f"The decoder was given z of shape {list(z.shape)} in all, for a batch of {batch} and {dim} latent "
            f"dimensions; expected [{batch}, {dim}], or a multiple of it.",
            diagnosis="shape",
        )
    raw = tuple(array(got, f"{case}.part{i}", what=f"Value {i + 1} of the three") for i in range(3))
    # Usually one z per example. Several may be averaged, stacked in either order or in a loop; or only
    # the first or the last of several decodes may count (the others were for display, say).
    chosen = [z.reshape(-1, batch, dim)]
    if len(z) > batch:
        chosen.append(z.reshape(batch, -1, dim).swapaxes(0, 1))
        chosen += [part.reshape(1, batch, dim) for part in (z[:batch], z[-batch:])]
    readings = [_reading(batch, dim, x, m, v, w, b, one, raw) for one in chosen]  # type: ignore[arg-type]
    return readings


def _reading(
    batch: int, dim: int, x: Array, m: Array, v: Array, w: Array, b: Array, z: Array,
    parts: tuple[Array, Array, Array],
) -> Seen:  # fmt: skip
    logits = STEEPEST * np.tanh(z @ w + b)
    terms = _cross_entropy(logits, x)
    rec = terms.sum(-1).mean(0)
    # Rounding of the reconstruction: (1) a logit l = 3.5 tanh(a) inherits the error of a, at most
    # gamma_{dim+4} (|z||W| + |b|), with slope <= 3.5, and each unit of l moves a term by at most 1;
    # (2) a term written with the sigmoid p errs by 8u / (1 - p) <= 8u (1 + e^3.5) < 300u, or by 1e-7 / p
    # where p + 1e-8 stands under the logarithm; (3) summing 784 terms and averaging: gamma_{1000}.
    slopes = STEEPEST * gamma(dim + 4) * (np.abs(z) @ np.abs(w) + np.abs(b))
    per_term = slopes + 300 * UNIT + 2e-8 * (1 + np.exp(STEEPEST))
    rec_bound = float((per_term.sum(-1) + gamma(1000) * terms.sum(-1)).mean())
    # KL: each of the four addends carries a few u (log included); sum over dim and batch.
    size = 0.5 * (v + m**2 + 1 + np.abs(np.log(v))).sum(-1)
    e2 = (z - m) ** 2 / v
    # A Monte-Carlo KL, log q(z) - log p(z) = 1/2 sum (z^2 - e^2 - log v), forms z - m first.
    size_mc = 0.5 * (z**2 + e2 + np.abs(np.log(v)) + 4 + 4 * np.abs(z - m) * (np.abs(z) + np.abs(m)) / v).sum(-1)
    kl_bound = gamma(dim + batch + 40) * float(size.mean() + size_mc.mean())
    monte_carlo = 0.5 * (z**2 - e2 - np.log(v)).sum(-1).mean(0)
    return Seen(batch, dim, m, v, x, logits, z, parts, _divergence(m, v), monte_carlo, rec, rec_bound, kl_bound)


KL_MISTAKES = (
    Misconception(
        "kl_swapped",
        "It is KL(p || q), with the prior first; expected KL(q || p).",
        lambda s: 0.5 * (np.log(s.v) + (1 + s.m**2) / s.v - 1).sum(-1),
    ),
    Misconception("kl_sign", "It has the wrong sign: a divergence is never negative.", lambda s: -s.kl),
    Misconception(
        "variance_as_std",
        "The variance was squared once more: v is the variance already.",
        lambda s: _divergence(s.m, s.v**2),
    ),
    Misconception(
        "std_as_variance", "The standard deviation was used where the variance belongs.",
        lambda s: _divergence(s.m, np.sqrt(s.v)),
    ),
    Misconception(
        "variance_as_log_variance", "v was used as a logarithm: it is the variance itself.",
        lambda s: _divergence(s.m, np.exp(s.v)),
    ),
    Misconception("kl_without_half", "It is twice as large: the factor 1/2 is missing.", lambda s: 2 * s.kl),
    Misconception("kl_without_minus_one", "The -1 for each dimension is missing.", lambda s: s.kl + s.dim / 2),
    Misconception("kl_without_log", "The -log v is missing.", lambda s: s.kl + 0.5 * np.log(s.v).sum(-1)),
    Misconception("kl_log_of_std", "It has the logarithm of the standard deviation where that of the variance belongs.", lambda s: s.kl + 0.25 * np.log(s.v).sum(-1)),
    Misconception("kl_log_sign", "log v has the wrong sign.", lambda s: s.kl + np.log(s.v).sum(-1)),
    Misconception("kl_without_mean", "The m^2 is missing.", lambda s: s.kl - 0.5 * (s.m**2).sum(-1)),
    Misconception("kl_mean_not_squared", "m is there, but not squared.", lambda s: s.kl + 0.5 * (s.m - s.m**2).sum(-1)),
    Misconception("kl_without_variance", "The +v is missing.", lambda s: s.kl - 0.5 * s.v.sum(-1)),
    Misconception(
        "kl_mean_over_dimensions",
        "It is averaged over the latent dimensions; expected their sum.",
        lambda s: s.kl / s.dim,
    ),
    Misconception("kl_ignored", "It is always 0.", lambda s: 0 * s.kl),
)  # fmt: skip

REC_MISTAKES = (
    Misconception(
        "rec_sign",
        "It has the wrong sign: it is log p(x|z); the negative bound adds -log p(x|z).",
        lambda s: -s.rec,
    ),
    Misconception(
        "mean_over_pixels",
        "It is averaged over the 784 pixels; log p(x|z) is their sum.",
        lambda s: s.rec / PIXELS,
    ),
    Misconception(
        "mean_over_pixels",
        "It is averaged over the 784 pixels and has the wrong sign; -log p(x|z) is their sum.",
        lambda s: -s.rec / PIXELS,
    ),
    Misconception(
        "sigmoid_twice",
        "The sigmoid was applied twice: the decoder returns logits, and so does the function expect them.",
        lambda s: _cross_entropy(expit(s.logits), s.x).sum(-1).mean(0),
    ),
    Misconception(
        "mse_reconstruction",
        "It is a squared error; expected the Bernoulli log-likelihood.",
        lambda s: ((expit(s.logits) - s.x) ** 2).sum(-1).mean(0),
    ),
    Misconception(
        "mse_reconstruction",
        "It is a squared error of the logits; expected the Bernoulli log-likelihood.",
        lambda s: ((s.logits - s.x) ** 2).sum(-1).mean(0),
    ),
    Misconception(
        "mse_reconstruction",
        "It is a mean squared error; expected the Bernoulli log-likelihood, summed over pixels.",
        lambda s: ((expit(s.logits) - s.x) ** 2).mean(-1).mean(0),
    ),
    Misconception(
        "mse_reconstruction",
        "It is an absolute error; expected the Bernoulli log-likelihood.",
        lambda s: np.abs(expit(s.logits) - s.x).sum(-1).mean(0),
    ),
    Misconception(
        "x_and_logits_swapped",
        "x and the logits have changed places.",
        lambda s: _cross_entropy(np.broadcast_to(s.x, s.logits.shape), s.logits).sum(-1).mean(0),
    ),
    Misconception(
        "targets_flipped", "Black and white have changed places: it is the loss for 1 - x.",
        lambda s: _cross_entropy(s.logits, 1 - s.x).sum(-1).mean(0),
    ),
    Misconception(
        "only_ones", "Only the pixels that are 1 are counted: the (1 - x) log(1 - p) term is missing.",
        lambda s: (s.x * _cross_entropy(s.logits, s.x)).sum(-1).mean(0),
    ),
    Misconception("rec_ignored", "It is always 0.", lambda s: 0 * s.rec),
)  # fmt: skip


WORDS = {"nelbo": "negative ELBO", "kl": "KL term", "rec": "reconstruction term"}
ORDERS = (("nelbo", "kl", "rec"), ("nelbo", "rec", "kl"))
"""Both are right: the starter code and the handout name the three values in different orders."""
WRONG_ORDERS = (
    ("kl", "rec", "nelbo"),
    ("rec", "kl", "nelbo"),
    ("kl", "nelbo", "rec"),
    ("rec", "nelbo", "kl"),
)


@dataclass(frozen=True)
class Reading:
    """The whole answer, read in the order and with the decoded z that fit it best."""

    cases: tuple[Seen, ...]
    order: tuple[str, str, str]

    def part(self, case: int, which: str) -> Array:
        return self.cases[case].parts[self.order.index(which)]

    def single(self, case: int, which: str) -> float:
        """The value for a batch of one, whether it came as a scalar or as (1,)."""
        part = self.part(case, which)
        if part.size != 1:
            raise Reject(
                f"For a batch of one the {WORDS[which]} has shape {list(part.shape)}; expected a single number.",
                diagnosis="shape",
            )
        return float(part.reshape(()))

    def kl_used(self, case: int, *, sign: int = 1) -> float:
        """Share of the rounding bound, against the closed form and the unbiased estimate at z."""
        s, got = self.cases[case], self.single(case, "kl")
        return min(share(got, sign * truth.mean(), s.kl_bound) for truth in (s.kl, s.monte_carlo))

    def rec_used(self, case: int, *, sign: int = 1) -> float:
        s = self.cases[case]
        return share(self.single(case, "rec"), sign * s.rec.mean(), s.rec_bound)

    def sign(self, which: str) -> int:
        """1 where the term is right for every single example, -1 where it is its negative, else 0."""
        used = self.kl_used if which == "kl" else self.rec_used
        return next((sign for sign in (1, -1) if all(used(case, sign=sign) <= 1 for case in ALONE)), 0)

    @property
    def kl_closed(self) -> bool:
        seen = ((case, self.cases[case]) for case in ALONE)
        return all(fits(self.single(case, "kl"), s.kl.mean(), s.kl_bound) for case, s in seen)

    def nelbo_right(self, cases: tuple[int, ...] = ALONE, *, sign: int = 1) -> bool:
        """Whether nelbo is the bound itself at the decoded z, whatever the returned parts are."""
        for case in cases:
            s, part = self.cases[case], self.part(case, "nelbo")
            if part.size != 1 or not _is_bound(sign * float(part.reshape(())), s):
                return False
        return True


def _is_bound(value: float, s: Seen) -> bool:
    rec = float(s.rec.mean())
    slack = s.rec_bound + s.kl_bound + gamma(4) * (abs(rec) + float(np.abs(s.kl).mean()))
    return any(fits(value, rec + float(kl.mean()), slack) for kl in (s.kl, s.monte_carlo))


def _match(seen: Seen) -> dict[tuple[int, str], int]:
    """For each place and term: 4 where the value there is right for the term, 1 where a known mistake."""
    found = {}
    for place, part in enumerate(seen.parts):
        for which in WORDS:
            found[place, which] = 0
            if part.size == 1:
                found[place, which] = _score(float(part.reshape(())), which, seen)
    return found


def _score(value: float, which: str, s: Seen) -> int:
    if which == "nelbo":
        return 4 if _is_bound(value, s) else 1 if _is_bound(-value, s) else 0
    right, known, bound = (
        ((s.kl, s.monte_carlo), KL_MISTAKES, 2 * s.kl_bound) if which == "kl" else ((s.rec,), REC_MISTAKES, s.rec_bound)
    )
    if any(fits(value, truth.mean(), bound) for truth in right):
        return 4
    return int(any(fits(value, float(np.mean(mistake.formula(s))), bound) for mistake in known))


@lru_cache(maxsize=2)
def read(trial: Trial) -> Reading:
    """The best reading of all cases: one order of the three values, and for each case the z that count.

    A wrong order is believed only where it explains more than both right ones.
    """
    readings = [_read(trial, case) for case in range(len(CASES))]
    matches = [[_match(seen) for seen in seens] for seens in readings]

    def quality(order: tuple[str, str, str], match: dict[tuple[int, str], int]) -> int:
        return sum(match[place, which] for place, which in enumerate(order))

    def total(order: tuple[str, str, str]) -> int:
        return sum(max(quality(order, match) for match in ones) for ones in matches)

    best = max((*ORDERS, *WRONG_ORDERS), key=total)  # the first of equals
    chosen = [
        seens[max(range(len(seens)), key=lambda i, ones=ones: quality(best, ones[i]))]  # type: ignore[misc]
        for seens, ones in zip(readings, matches, strict=True)
    ]
    return Reading(tuple(chosen), best)


def _names(order: tuple[str, ...]) -> str:
    return f"({', '.join(order)})"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _some_right(reading: Reading) -> None:
    if not (reading.sign("kl") or reading.sign("rec") or reading.nelbo_right()):
        raise Reject(
            "Neither the KL term nor the reconstruction term is right yet, so this cannot be judged. "
            "Expected: at least one of the two right for a single example, up to its sign."
        )


def bound_contract(trial: Trial) -> Verdict:
    reading = read(trial)
    for case, seen in enumerate(reading.cases):
        count = whole(trial.got, f"{case}.count", least=3, most=10_000)
        if count != 3:
            raise Reject(
                f"{count} values were returned; expected three: negative ELBO, KL, reconstruction.",
                diagnosis="fourth_value",
            )
        for index, part in enumerate(seen.parts):
            if part.size != 1:
                raise Reject(
                    f"Value {index + 1} of the three has shape {list(part.shape)} for a batch of {seen.batch}; "
                    "expected a scalar, the average over the batch.",
                    diagnosis="not_averaged",
                )
            if trial.got.get(f"{case}.is_tensor{index}") is not True:
                raise Reject(
                    f"Value {index + 1} of the three is a plain number; expected a scalar tensor.",
                    diagnosis="item",
                )
    if reading.order not in ORDERS:
        raise Reject(
            f"The three values were returned in the order {_names(reading.order)}; expected the negative ELBO "
            "first, since that is what training minimises.",
            diagnosis="wrong_order",
        )
    return passed(f"Three finite scalars, read as {_names(reading.order)}.")


def bound_kl(trial: Trial) -> Verdict:
    reading = read(trial)
    if reading.sign("kl") == 1:
        used = max(reading.kl_used(case) for case in ALONE)
        return passed("The KL term of a single example is KL(q(z|x) || p(z)).", used=used)
    return _wrong_term(reading, "kl", KL_MISTAKES)


def bound_reconstruction(trial: Trial) -> Verdict:
    reading = read(trial)
    if reading.sign("rec") == 1:
        used = max(reading.rec_used(case) for case in ALONE)
        return passed(
            "The reconstruction term of a single example is -log p(x|z) at the z that was decoded.", used=used
        )
    return _wrong_term(reading, "rec", REC_MISTAKES)


def _wrong_term(reading: Reading, which: str, mistakes: tuple[Misconception, ...]) -> Verdict:
    def value(seen: Seen, formula: Callable[..., Array | float]) -> float:
        return float(np.mean(formula(seen)))

    def bound(seen: Seen) -> float:
        return 2 * seen.kl_bound if which == "kl" else seen.rec_bound

    case = ALONE[1]
    seen = reading.cases[case]
    got, want = reading.single(case, which), value(seen, lambda s: getattr(s, which))
    begin = (
        f"For one example with {seen.dim} latent dimensions the {WORDS[which]} was {_number(got)}; "
        f"expected {_number(want)}" + (" at the z that was decoded." if which == "rec" else ".")
    )
    for known in mistakes:
        if all(
            fits(reading.single(c, which), value(reading.cases[c], known.formula), bound(reading.cases[c]))
            for c in ALONE
        ):
            detail = known.sentence
            if known.id in ("kl_sign", "rec_sign") and reading.nelbo_right():
                detail = "The negative ELBO is right, but this part of it is returned with the wrong sign."
                return Verdict(0.0, f"{begin} {detail}", "wrong_signed_part")
            return Verdict(0.0, f"{begin} {detail}", known.id)
    return Verdict(0.0, f"{begin} Three values were read as {_names(reading.order)}.")


def bound_closed_form(trial: Trial) -> Verdict:
    reading = read(trial)
    if reading.kl_closed:
        return passed("The KL term is the closed form.")
    if reading.sign("kl") == 1:
        raise Reject(
            "The KL term was estimated as log q(z|x) - log p(z) at the z that was drawn. That is unbiased, but "
            "noisy; expected the closed form for two Gaussians, which has no noise at all.",
            diagnosis="kl_monte_carlo",
        )
    raise Reject(
        "The KL term is neither the closed form of KL(q(z|x) || p(z)) for two Gaussians, which was expected, "
        "nor an estimate of it."
    )


def bound_sum(trial: Trial) -> Verdict:
    reading = read(trial)
    _some_right(reading)
    if reading.nelbo_right():
        return passed("The negative ELBO is KL + reconstruction.")
    if reading.nelbo_right(sign=-1) and not reading.sign("kl") == reading.sign("rec") == -1:
        raise Reject(
            "The first value is the ELBO itself. Expected: its negative, KL + reconstruction, since that is "
            "what training minimises.",
            diagnosis="elbo_not_negated",
        )
    used = 0.0
    for case in ALONE:
        nelbo, kl, rec = (reading.single(case, which) for which in ("nelbo", "kl", "rec"))
        # Rounding of one float32 addition of terms that were themselves rounded to float32.
        slack = gamma(4) * (abs(kl) + abs(rec) + abs(nelbo))
        used = max(used, share(nelbo, kl + rec, slack))
        if share(nelbo, kl + rec, slack) > 1:
            begin = (
                f"With KL {_number(kl)} and reconstruction {_number(rec)} the negative ELBO was {_number(nelbo)}; "
                f"expected their sum, {_number(kl + rec)}."
            )
            for diagnosis, value, sentence in (
                (
                    "kl_subtracted",
                    rec - kl,
                    "KL was subtracted: the bound subtracts it, so the negative bound adds it.",
                ),
                (
                    "rec_subtracted",
                    kl - rec,
                    "The reconstruction loss was subtracted: it is -log p(x|z) already.",
                ),
                ("elbo_not_negated", -kl - rec, "It is the negative of their sum."),
                ("kl_ignored", rec, "KL was left out."),
                ("rec_ignored", kl, "The reconstruction was left out."),
            ):
                if share(nelbo, value, slack) <= 1:
                    return Verdict(0.0, f"{begin} {sentence}", diagnosis)
            return Verdict(0.0, begin)
    return passed("The negative ELBO is the sum of the two terms that were returned.", used=used)


def bound_average(trial: Trial) -> Verdict:
    reading = read(trial)
    _some_right(reading)
    used = 0.0
    for case in TOGETHER:
        s = reading.cases[case]
        for which, truths, bound in (
            ("kl", (s.kl, s.monte_carlo), s.kl_bound),
            ("rec", (s.rec,), s.rec_bound),
        ):
            sign = reading.sign(which)
            if not sign:
                continue
            got = _scalar(reading, case, which)
            one = min(share(got, sign * truth.mean(), bound) for truth in truths)
            used = max(used, one)
            if one > 1:
                message = (
                    f"For a batch of {s.batch} the {WORDS[which]} was {_number(got)}; expected the average over "
                    f"the examples, {_number(sign * float(truths[0].mean()))}."
                )
                if any(fits(got, sign * truth.sum(), s.batch * bound) for truth in truths):
                    return Verdict(0.0, f"{message} It is their sum.", "sum_not_mean")
                if any(fits(got, sign * truth.mean() / s.batch, bound) for truth in truths):
                    return Verdict(0.0, f"{message} It was divided by the batch size twice.", "averaged_twice")
                return Verdict(0.0, message)
        if reading.nelbo_right() and not reading.nelbo_right((case,)):
            got, want = _scalar(reading, case, "nelbo"), float((s.kl + s.rec).mean())
            message = (
                f"For a batch of {s.batch} the negative ELBO was {_number(got)}; expected the average over the "
                f"examples, {_number(want)}."
            )
            if fits(got, s.batch * want, s.batch * (s.kl_bound + s.rec_bound + gamma(4) * want)):
                return Verdict(0.0, f"{message} It is their sum.", "sum_not_mean")
            return Verdict(0.0, message)
    return passed("Larger batches give the average over their examples.", used=used)


def _scalar(reading: Reading, case: int, which: str) -> float:
    part = reading.part(case, which)
    if part.size != 1:
        raise Reject(
            f"For a batch of {reading.cases[case].batch} the {WORDS[which]} has shape {list(part.shape)}; "
            "expected a scalar, the average over the examples.",
            diagnosis="not_averaged",
        )
    return float(part.reshape(()))


def _slopes(trial: Trial, case: int, name: str) -> Array:
    shape = (PIXELS,) if name == "b" else CASES[case]
    key = f"{case}.to_{name}"
    if key not in trial.got:
        raise Reject(
            f"No gradient of the negative ELBO reached {'the decoder' if name == 'b' else f'the encoder ({name})'}. "
            "Is something detached, or computed under no_grad? Expected: training can move every network.",
            diagnosis="no_gradient",
        )
    return array(trial.got, key, shape=shape, what="The gradient")


def bound_gradient_encoder(trial: Trial) -> Verdict:
    """d nelbo / dm = m + g and d nelbo / dv = 1/2 (1 - 1/v) + g (z - m) / (2 v), with g = d rec / dz.

    With a Monte-Carlo KL, log q - log p at z, the first terms become z and -1/(2v) + z (z - m) / (2 v).
    """
    reading = read(trial)
    used = 0.0
    for case in ALONE:
        s = reading.cases[case]
        w = array(trial.given, f"w{case}")
        inner = (expit(s.logits) - s.x) * STEEPEST * (1 - (s.logits / STEEPEST) ** 2)  # (samples, 1, 784)
        g = inner @ w.T
        half = (s.z - s.m) / (2 * s.v)
        closed = (s.m + g.mean(0), 0.5 * (1 - 1 / s.v) + (g * half).mean(0))
        sampled = (s.z.mean(0) + g.mean(0), -0.5 / s.v + ((s.z + g) * half).mean(0))
        # Each pixel's slope errs by what its logit errs (see _reading) times at most 3.5, plus 300 u; then
        # 784 products are summed. The factor 4 covers the chain through z, whose error is u (|z| + |m|).
        rough = np.abs(inner) @ np.abs(w).T
        per_pixel = 4 * STEEPEST * gamma(s.dim + 300)
        slack = per_pixel * np.abs(w).sum(1) + gamma(1000) * rough.mean(0)
        size = np.abs(s.m) + np.abs(s.z).mean(0) + 1 + 1 / s.v
        bound_m = slack + gamma(40) * size
        bound_v = (
            slack * np.abs(half).max(0)
            + gamma(60) * size * (1 + np.abs(half).max(0))
            + gamma(16) * (rough.mean(0) * (np.abs(s.z) + np.abs(s.m)).max(0) / (2 * s.v))
        )
        to_m, to_v = _slopes(trial, case, "m"), _slopes(trial, case, "v")
        one = min(max(share(to_m, a, bound_m), share(to_v, c, bound_v)) for a, c in (closed, sampled))
        used = max(used, one)
        if one > 1:
            through = fits(to_m, s.m, bound_m) and fits(to_v, 0.5 * (1 - 1 / s.v), bound_v)
            without = fits(to_m, g.mean(0), bound_m) and fits(to_v, (g * half).mean(0), bound_v)
            message = (
                "The gradient of the negative ELBO to the encoder's m and v is not right. Expected: it comes "
                "through the KL term and, by the reparametrised sample, through the reconstruction."
            )
            trusted = reading.sign("rec") == 1  # a tiny reconstruction would look like a missing one
            if through and trusted and f"{case}.to_b" not in trial.got:
                raise Reject(f"{message} The reconstruction's did not arrive.", diagnosis="rec_detached")
            if through and trusted:
                raise Reject(f"{message} Only the KL term's arrived: z was detached.", diagnosis="detached_sample")
            if without and reading.sign("kl") == 1:
                raise Reject(f"{message} Only the reconstruction's arrived.", diagnosis="kl_detached")
            raise Reject(message)
    return passed("The gradients of the negative ELBO to m and v are right.", used=used)


def bound_gradient_decoder(trial: Trial) -> Verdict:
    """d nelbo / db_i = (sigmoid(l_i) - x_i) 3.5 (1 - tanh^2), averaged over the z that were decoded."""
    reading = read(trial)
    used = 0.0
    for case in ALONE:
        s = reading.cases[case]
        want = ((expit(s.logits) - s.x) * STEEPEST * (1 - (s.logits / STEEPEST) ** 2)).mean((0, 1))
        w, b = array(trial.given, f"w{case}"), array(trial.given, f"b{case}")
        slopes = STEEPEST * gamma(s.dim + 4) * (np.abs(s.z) @ np.abs(w) + np.abs(b)).max((0, 1))
        bound = 2 * STEEPEST * slopes + 300 * UNIT * STEEPEST
        one = share(_slopes(trial, case, "b"), want, bound)
        used = max(used, one)
        if one > 1:
            if fits(_slopes(trial, case, "b"), -want, bound):
                raise Reject(
                    "The gradient to the decoder has the wrong sign: training would make the pixels less likely. "
                    "Expected: minimising the negative ELBO raises log p(x|z).",
                    diagnosis="elbo_not_negated" if reading.nelbo_right(sign=-1) else "rec_subtracted",
                )
            raise Reject(
                "The gradient of the negative ELBO to the decoder is not that of -log p(x|z). Expected: "
                "sigmoid(logit) - x at every pixel, for a single example."
            )
    return passed("The gradient of the negative ELBO to the decoder is right.", used=used)


def bound_posterior(trial: Trial, alpha: float) -> Verdict:
    m, v = array(trial.given, "m"), array(trial.given, "v")
    calls, (batch, dim) = int(trial.given["calls"]), m.shape
    z = array(trial.got, "z", what="The decoded z")
    if z.ndim != 3 or z.shape[0] != calls or z.shape[2] != dim or z.shape[1] % batch or not z.shape[1]:
        raise Reject(f"The z given to the decoder have shape {list(z.shape[1:])}; expected [{batch}, {dim}].")
    stacked = z.reshape(-1, batch, dim)
    interleaved = z.reshape(calls, batch, -1, dim).swapaxes(1, 2).reshape(-1, batch, dim)
    readings = [stacked] if z.shape[1] == batch else [stacked, interleaved]
    right = "The decoded z are draws from q(z|x), new ones for every example and call."
    best: Verdict | None = None
    # Two readings are two chances to pass, never to fail: alpha bounds a false fail of the right one.
    for rows in readings:
        verdict, worst = luck([*everything((rows - m) / np.sqrt(v), m, v)], alpha, right)
        if verdict:
            return verdict
        best = best or _not_posterior(rows, m, v, worst.what, worst.p)
    assert best is not None
    return best


def _not_posterior(z: Array, m: Array, v: Array, what: str, p: float) -> Verdict:
    expected = "Expected: z drawn from q(z|x) = N(m, diag v), anew for every example, dimension and call."
    e = (z - m) / np.sqrt(v)
    if np.ptp(e) < 1e-3:
        return Verdict(0.0, f"The decoder was given the mean m, not a sample. {expected}", "decodes_mean", p=p)
    if smallest([*everything(z, m, v)]).p >= 1e-6:
        return Verdict(0.0, f"The decoder was given noise from the prior N(0, I). {expected}", "decodes_prior", p=p)
    for diagnosis, sentence, residual in RESIDUALS[:2]:
        if smallest([*everything(residual(z, m, v), m, v)]).p >= 1e-6:
            return Verdict(0.0, f"{sentence} {expected}", diagnosis, p=p)
    if _same(e, 0):
        return Verdict(0.0, f"Every call decoded the same z. {expected}", "seeded_inside", p=p)
    if _same(e, 1) or _same(e, 2):
        return Verdict(
            0.0,
            f"All {'examples' if _same(e, 1) else 'dimensions'} got the same noise. {expected}",
            "shared_noise",
            p=p,
        )
    if bool(np.ptp(z, axis=1).max() < 1e-6):
        return Verdict(0.0, f"All examples of the batch were decoded from the same z. {expected}", "shared_noise", p=p)
    return Verdict(0.0, f"The z given to the decoder do not look like draws from q(z|x): {what}. {expected}", p=p)


# --------------------------------------------------------------------------------------- the checks

LARGE = "at 32,768 values: a mean off by 0.07, a variance by 10 %, P(|e| > 3) by a factor of 4"

QUESTION = Question(
    id="vae",
    number=4,
    title="VAE",
    checks=(
        Check("vae.sample.contract", "sample_gaussian returns a sample like m", 1, SHAPES_ASK, Exact(sample_contract)),
        Check("vae.sample.inputs", "sample_gaussian leaves m and v alone", 1, SHAPES_ASK, Exact(sample_inputs)),
        Check(
            "vae.sample.noise", "its noise is standard normal", 2, NOISE_ASK,
            Statistical(sample_noise, ALPHA, LARGE),
        ),
        Check(
            "vae.sample.parameters", "it follows every entry of m and v", 2, NOISE_ASK,
            Statistical(sample_parameters, ALPHA, "at 32,768 values: a correlation of 0.07 with m or log v"),
        ),
        Check(
            "vae.sample.independence", "its entries are independent", 1, NOISE_ASK,
            Statistical(sample_independence, ALPHA, "a correlation of 0.02 shared by all dimensions"),
        ),
        Check(
            "vae.sample.fresh", "every call draws new noise", 1, NOISE_ASK,
            Statistical(sample_fresh, ALPHA, "a correlation of 0.2 between two calls"),
        ),
        Check("vae.sample.gradient", "gradients flow through the sample", 2, GRADIENT_ASK, Exact(sample_gradient)),
        Check("vae.bound.contract", "negative_elbo_bound returns three scalars", 1, BOUND_ASK, Exact(bound_contract)),
        Check("vae.bound.kl", "the KL term", 3, BOUND_ASK, Exact(bound_kl)),
        Check("vae.bound.closed_form", "KL in closed form", 1, BOUND_ASK, Exact(bound_closed_form)),
        Check("vae.bound.reconstruction", "the reconstruction term", 3, BOUND_ASK, Exact(bound_reconstruction)),
        Check("vae.bound.sum", "negative ELBO = KL + reconstruction", 2, BOUND_ASK, Exact(bound_sum)),
        Check("vae.bound.average", "averages over the batch", 1, BOUND_ASK, Exact(bound_average)),
        Check("vae.bound.gradient_encoder", "gradients reach the encoder", 1, BOUND_ASK, Exact(bound_gradient_encoder)),
        Check("vae.bound.gradient_decoder", "gradients reach the decoder", 1, BOUND_ASK, Exact(bound_gradient_decoder)),
        Check(
            "vae.bound.posterior", "z is drawn from q(z|x)", 2, BOUND_NOISE_ASK,
            Statistical(bound_posterior, ALPHA, "at 8,192 values: a mean off by 0.14, a variance by 20 %"),
        ),
    ),
)  # fmt: skip
