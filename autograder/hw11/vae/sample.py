"""Asks and judges `sample_gaussian(m, v)`: z = m + sqrt(v) e, e ~ N(0, I) (Kingma and Welling 2014, eq. 4)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from autograder.core import Array, CheckFailed, Counterexample, Request, Specs, Trial, Values, Verdict
from autograder.hw11.epsilon import ALLOWED, EPSILON, of_root_slope, of_variance
from autograder.hw11.precision import HALF, is_half
from autograder.judging.judges import array, at_level, passed, shown, tolerance_ratio, within
from autograder.judging.stats import (
    cells,
    dependence,
    distance,
    distinct,
    gamma,
    marginal,
    mean,
    parameters,
    repetition,
    smallest_p,
    tails,
    variance,
)
from autograder.sandbox.parts import each, pack, section
from autograder.sandbox.returns import declared, entries, numbers, parts


def moments(rng: Generator, batch: int, dim: int, low: float, high: float) -> tuple[Array, Array]:
    """Means of N(1, 2^2) and variances log-uniform in [low, high], as float32 (batch, dim)."""
    m = 1 + 2 * rng.standard_normal((batch, dim))
    v = np.exp(rng.uniform(np.log(low), np.log(high), (batch, dim)))
    return m.astype(np.float32), v.astype(np.float32)


SIZES = ((1, 1), (1, 7), (5, 1), (3, 5), (7, 64), (6, 4))
CALLS = 8  # with the same m and v

# ------------------------------------------------------------------------------------- what is asked


def _shapes(rng: Generator) -> Values:
    pairs = [moments(rng, *shape, 0.1, 4.0) for shape in SIZES]
    return pack(cases=[{"m": m, "v": v} for m, v in pairs])


def _noise(rng: Generator) -> Values:
    m, v = moments(rng, 32, 128, 1e-4, 50.0)
    return {"m": m, "v": v, "calls": CALLS}


def _gradient(rng: Generator) -> Values:
    m, v = moments(rng, 16, 8, 0.05, 20.0)
    w = rng.choice([-1.0, 1.0], m.shape) * rng.uniform(0.5, 2.0, m.shape)
    return {"m": m, "v": v, "w": w.astype(np.float32)}


def _everything(rng: Generator) -> Values:
    return pack(shapes=_shapes(rng), noise=_noise(rng), gradient=_gradient(rng))


def _returns(given: Values) -> Specs:
    """A sample of a wrong shape may have as many entries as m's rows and columns make together."""
    shapes = [dict.fromkeys(("z", "m", "v"), entries(batch * dim)) for batch, dim in SIZES]
    calls, batch, dim = CALLS, *np.shape(given["noise.m"])
    drawn = numbers(most=calls * batch * batch * dim, what="the return values of all calls of sample_gaussian")
    slope = numbers(*np.shape(given["gradient.m"]))
    return parts(
        shapes={"cases": shapes},
        noise={"standard": drawn, "varied": drawn, "few": entries(calls * 15)},
        gradient={"z": entries(slope.most), "to_m": slope, "to_v": slope},
    )


REQUEST = Request("vae.probes:sample", _everything, returns=_returns, needs=("gan_vae/utils.py",))

# ------------------------------------------------------------------------------------ how it is judged


def contract(trial: Trial) -> Verdict:
    for case in each(section(trial, "shapes")):
        z, shape = case.got.get("z"), np.shape(case.given["m"])
        array(case.got, "z", shape=shape, what=f"For m of shape {list(shape)} the sample")
        if isinstance(z, np.ndarray) and z.dtype != np.float32:
            raise CheckFailed(
                f"For float32 m and v the sample has type {z.dtype}. Expected: float32.", diagnosis="dtype"
            )
    return passed("The sample has the shape and the type of m for every shape that was tried.")


def inputs(trial: Trial) -> Verdict:
    for case in each(section(trial, "shapes")):
        for name, word in (("m", "mean"), ("v", "variance")):
            before = case.given[name]
            after = array(case.got, name, shape=np.shape(before), what=f"The {word} after the call")
            if not np.array_equal(after, before):
                raise CheckFailed(
                    f"After the call the {word} {name} that was passed in has changed. Expected: {name} is "
                    "unchanged. Operations that end in an underscore, and +=, write into their argument.",
                    diagnosis="in_place",
                )
    return passed("The call left m and v unchanged.")


def _residual(trial: Trial, name: str) -> tuple[Array, Array, Array]:
    """The noise that must have been used: e = (z - m) / sqrt(v), (calls, batch, dim); and m, v."""
    m, v = array(trial.given, "m"), array(trial.given, "v")
    if name == "standard":
        m, v = np.zeros_like(m), np.ones_like(v)
    return (_samples(trial, name, m.shape) - m) / np.sqrt(v), m, v


def _samples(trial: Trial, name: str, shape: tuple[int, ...]) -> Array:
    """All calls' samples, (calls, batch, dim); flat ones are put into shape, which another check judges."""
    z = array(trial.got, name, what="The return values of all calls of sample_gaussian")
    if z.size != CALLS * int(np.prod(shape)):
        array(trial.got, name, shape=(CALLS, *shape), what="The return values of all calls of sample_gaussian")
    return z.reshape(CALLS, *shape)


CONSTANT = 1e-3
"""Numbers whose range is smaller are taken for one number. Residuals that ought to be one number differ by rounding,
u (|z| + |m|) / sqrt(v) < 1e-4 for |m| < 10 and v >= 1e-4, and 15 normal ones have a range below CONSTANT with a
probability below 15 (CONSTANT / sqrt(2 pi))^14 = 1e-46: the density of a normal is at most 1 / sqrt(2 pi)."""


def _no_noise(trial: Trial, e: Array, *, name: str = "standard") -> None:
    if np.ptp(e) < CONSTANT:
        other, _, _ = _residual(trial, "varied" if name == "standard" else "standard")
        where = "With m = 0 and v = 1 every sample" if name == "standard" else "Every sample"
        raise CheckFailed(
            f"{where} was the same number of standard deviations away from its mean. Expected: independent random "
            "noise for every entry.",
            diagnosis="no_noise" if np.ptp(other) < CONSTANT else "",
        )


def noise(trial: Trial, alpha: float) -> Verdict:
    trial = section(trial, "noise")
    e, _, _ = _residual(trial, "standard")
    _no_noise(trial, e)
    verdict, worst = at_level(marginal(e), alpha, "With m = 0 and v = 1 the samples are standard normal.")
    if verdict and is_half(e):
        raise CheckFailed(
            "With m = 0 and v = 1 the samples are half-precision numbers, which have three digits and no value "
            "between 2 and 2.002. Expected: noise as fine as float32, the type of m and v.",
            diagnosis=HALF,
        )
    if verdict:
        return verdict
    seen = f"mean {e.mean():.3g}, variance {e.var():.3g}, largest {np.abs(e).max():.3g}"
    message = (
        f"With m = 0 and v = 1 the samples are not standard normal: {worst.what} does not match ({e.size} values: "
        f"{seen})."
    )
    sentence, diagnosis = family(e)
    return Verdict(0.0, f"{message}{sentence} Expected: noise from N(0, 1).", diagnosis, p=worst.p)


PILED = 0.01
"""Share of the noise in one and the same outermost number. Of normal numbers in float32 hardly two are the same."""


def family(e: Array) -> tuple[str, str]:
    """What the noise may be instead of standard normal, as a sentence and a misconception's id."""
    ends = [float(end) for end in (e.min(), e.max()) if (e == end).mean() >= PILED]
    if e.size >= 1000 and ends and np.unique(e).size > 200:
        told = shown(ends, 3)
        return f" Many of them are exactly {told.strip('[]')}. Were they clamped?", "truncated_noise"
    e = distinct(e)
    low, high, most = e.min(), e.max(), np.abs(e).max()
    scale = e.std() or 1.0
    few = np.unique(np.round(e / scale, 4)) * scale

    def normal(scaled: Array) -> bool:
        return min(cells(scaled).p, tails(scaled).p, distance(scaled).p) >= 1e-6

    if e.size >= 1000 and len(few) <= 200:  # of so many normal numbers more than 900 differ in their fourth digit
        told = shown(few, 3) if len(few) <= 8 else f"between {low:.3g} and {high:.3g}"
        return f" It takes only {len(few)} different values: {told}.", "discrete_noise"
    if low >= 0 and high <= 1:
        return " All values lie between 0 and 1. Was rand (uniform) used instead of randn (normal)?", "uniform_noise"
    if e.size >= 1000 and most <= np.sqrt(3) * 1.001 and distance_to_uniform(e) < 0.02:
        return " The values end sharply on both sides. Is the noise uniform instead of normal?", "uniform_noise"
    if low >= 0:
        return " No value is negative.", "positive_noise"
    if mean(e).p < 1e-6 and normal(e - e.mean()):
        return f" The values are shifted by {e.mean():.3g}.", "shifted_noise"
    if variance(e).p < 1e-6 and normal(e / e.std()):
        return f" The values are scaled by {e.std():.3g}.", "noise_scaled"
    if e.size >= 10_000 and 1.9 <= most <= 3.2 and abs(e.mean()) < 0.1:
        return f" No value is further from zero than {most:.3g}. Is the noise clipped or truncated?", "truncated_noise"
    return "", ""


def distance_to_uniform(e: Array) -> float:
    """sup |F_N - F| against the uniform distribution on the values' own range."""
    u = (np.sort(e.ravel()) - e.min()) / np.ptp(e)
    return float(np.abs(u - np.linspace(0, 1, e.size)).max())


def _again(inner: Callable[[Array], Array], outer: Callable[[Array], Array]) -> Residual:
    """The noise behind n = normal(m, inner(v)), z = m + outer(v) n."""
    return lambda z, m, v: ((z - m) / outer(v) - m) / inner(v)


def _plain(v: Array) -> Array:
    return v


Residual = Callable[[Array, Array, Array], Array]
TWICE = (
    "The noise already had mean m and the spread of v, as normal(m, ...) gives it, and then m and v were applied "
    "again. The noise must come from N(0, 1)."
)
RESIDUALS: tuple[tuple[str, str, Residual], ...] = (
    (
        "variance_as_std",
        "The noise was scaled by v itself, but v is the variance. The standard deviation is sqrt(v).",
        lambda z, m, v: (z - m) / v,
    ),
    (
        "variance_as_log_variance",
        "The noise was scaled by exp(v / 2), but v is the variance already, not its logarithm.",
        lambda z, m, v: (z - m) / np.exp(v / 2),
    ),
    (
        "variance_as_log_std",
        "The noise was scaled by exp(v), but v is the variance already, not the logarithm of a standard deviation.",
        lambda z, m, v: (z - m) / np.exp(v),
    ),
    (
        "mean_and_std_swapped",
        "m and sqrt(v) are swapped in the sample.",
        lambda z, m, v: (z - np.sqrt(v)) / m,
    ),
    ("variance_squared", "The noise was scaled by v^2 instead of sqrt(v).", lambda z, m, v: (z - m) / v**2),
    (
        "root_of_std",
        "The square root was taken twice, so the noise was scaled by v^(1/4).",
        lambda z, m, v: (z - m) / v**0.25,
    ),
    (
        "softplus_twice",
        "Softplus was applied to v, but v is the variance already.",
        lambda z, m, v: (z - m) / np.sqrt(np.log1p(np.exp(v))),
    ),
    (
        "inverse_scale",
        "The noise was divided by sqrt(v), not multiplied by it.",
        lambda z, m, v: (z - m) * np.sqrt(v),
    ),
    ("variance_ignored", "The noise was not scaled, so v was not used.", lambda z, m, v: z - m),
    (
        "variance_averaged",
        "All entries got the same spread because v was averaged. Every entry has its own variance.",
        lambda z, m, v: (z - m) / np.sqrt(v.mean()),
    ),
    (
        "variance_averaged",
        "All examples got the same spread because v was averaged over the batch.",
        lambda z, m, v: (z - m) / np.sqrt(v.mean(0)),
    ),
    (
        "first_example_only",
        "All examples got the spread of the first example.",
        lambda z, m, v: (z - m) / np.sqrt(v[:1]),
    ),
    ("mean_ignored", "The samples are centred on 0, so m was not used.", lambda z, m, v: z / np.sqrt(v)),
    (
        "mean_subtracted",
        "The samples are centred on -m, so m was subtracted.",
        lambda z, m, v: (z + m) / np.sqrt(v),
    ),
    (
        "mean_averaged",
        "All entries got the same centre because m was averaged.",
        lambda z, m, v: (z - m.mean()) / np.sqrt(v),
    ),
    (
        "mean_scaled",
        "m was scaled by sqrt(v) together with the noise.",
        lambda z, m, v: (z - m * np.sqrt(v)) / np.sqrt(v),
    ),
    ("both_ignored", "The samples do not depend on m and v.", lambda z, m, v: z),
    (
        "variance_halved",
        "The noise was scaled by v / 2 instead of sqrt(v).",
        lambda z, m, v: (z - m) / (v / 2),
    ),
    (
        "softplus_twice",
        "The noise was scaled by softplus(v), but v is the variance already. The standard deviation is sqrt(v).",
        lambda z, m, v: (z - m) / np.log1p(np.exp(v)),
    ),
    (
        "mean_times_noise",
        "The noise also multiplies m. It may multiply sqrt(v) only.",
        lambda z, m, v: z / (m + np.sqrt(v)),
    ),
    (
        "mean_times_noise",
        "The noise multiplies m, and m is added as well. The noise may multiply sqrt(v) only.",
        lambda z, m, v: (z - m) / (m * np.sqrt(v)),
    ),
    *(
        ("moments_used_twice", TWICE, _again(inner, outer))
        for inner in (np.sqrt, _plain)
        for outer in (np.sqrt, _plain)
    ),
    (
        "moments_used_twice",
        "The noise already had mean m, as normal(m, ...) gives it, and then m was added again. The noise must come "
        "from N(0, 1).",
        lambda z, m, v: (z - 2 * m) / np.sqrt(v),
    ),
)
TOO_LARGE = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
"""Constants beside v or its root that are looked for by name."""


def _too_large(size: float) -> str:
    return (
        f"A constant of about {size:g} is added to v or to its root, so small variances are lost. A constant of up "
        "to 1e-6, which avoids the root of 0, is allowed."
    )


def _constant(z: Array, m: Array, v: Array) -> float | None:
    """The constant that was added to v or to its root, if one of TOO_LARGE explains the samples; else None."""
    for size in TOO_LARGE:
        for spread in (np.sqrt(v + size), np.sqrt(v) + size):
            r = (z - m) / spread
            if smallest_p([variance(r), *parameters(r, m, v)]).p >= 1e-6:
                return size
    return None


def follows(trial: Trial, alpha: float) -> Verdict:
    trial = section(trial, "noise")
    e, m, v = _residual(trial, "varied")
    _no_noise(trial, e, name="varied")
    e = unrepeated(e)  # the same noise in several calls is another check's matter
    doubt = 1 - np.sqrt(v / (v + of_variance(v)))
    right = f"The mean of the samples follows m and their standard deviation follows sqrt(v). {ALLOWED}"
    verdict, worst = at_level(parameters(e, m, v, doubt=doubt), alpha, right)
    if verdict:
        return verdict
    z = _samples(trial, "varied", m.shape)
    # Where v is tiny, z - m has lost its digits for whoever scaled by less than sqrt(v).
    usable = np.broadcast_to(v > 0.1, z.shape)
    for diagnosis, sentence, residual in RESIDUALS:
        r = residual(z, m, v)[usable].reshape(len(z), -1)
        # Its scale too: the contrasts do not see a factor that all entries have in common.
        if smallest_p([variance(r), *parameters(r, m[v > 0.1], v[v > 0.1])]).p >= 1e-6:
            return Verdict(0.0, f"{sentence} Expected: z = m + sqrt(v) e with e from N(0, I).", diagnosis, p=worst.p)
    expected = "Expected: z = m + sqrt(v) e with e from N(0, I)."
    size = _constant(unrepeated(z), m, v)
    if size is not None:
        return Verdict(0.0, f"{_too_large(size)} {expected}", "epsilon_too_large", p=worst.p)
    return Verdict(0.0, f"With varied m and v {worst.what}, entry by entry. {expected}", p=worst.p)


TINY = (
    ([[0]], [[1]]),
    ([[0]], [[4]]),
    ([[1]], [[1]]),
    ([[2]], [[4]]),
    ([[0]], [[0.25]]),
    ([[0, 2]], [[1, 4]]),
    ([[0], [2]], [[1], [4]]),
    ([[0]], [[0.0001]]),
)
TINY_CALLS = 200


def _tiny(_rng: Generator) -> Values:
    cases = [{"m": np.array(m, np.float32), "v": np.array(v, np.float32)} for m, v in TINY]
    return pack(cases=cases, calls=TINY_CALLS)


def _off(_failed: Trial, tiny: Trial) -> str:
    """The first m, v whose samples have another mean or spread than N(m, v).

    Sum and sum of squares of the residuals are exactly N(0, n) and chi^2; each is tried at 1e-11 for at most 4 entries
    of 8 cases, so that a right sampler is told such a sentence with a probability below 4e-10.
    """
    drawn = [(case, array(case.got, "z", shape=(TINY_CALLS, *np.shape(case.given["m"])))) for case in each(tiny)]
    if all(same(z, 0) for _, z in drawn):  # that no noise is there, or always the same, is another check's matter
        return ""
    for case, z in drawn:
        m, v = array(case.given, "m"), array(case.given, "v")
        e = (z - m) / np.sqrt(v)
        if min(find(e[:, i, j]).p for i, j in np.ndindex(m.shape) for find in (mean, variance)) < 1e-11:
            return (
                f"Smallest example: with m = {shown(m)} and v = {shown(v)} {TINY_CALLS} samples had the mean "
                f"{shown(z.mean(0), 2)} and the standard deviation {shown(z.std(0), 2)}; "
                f"expected about {shown(m)} and {shown(np.sqrt(v))}."
            )
    return ""


def _tiny_returns(_given: Values) -> Specs:
    return declared(cases=[{"z": entries(TINY_CALLS * np.size(m))} for m, _ in TINY])


SMALLEST = Counterexample(Request("vae.probes:tiny", _tiny, seconds=3, deterministic=True, returns=_tiny_returns), _off)


FEW = (3, 5)
"""The shape of the samples `few`, as the probe asks for them."""


def same(e: Array, axis: int) -> bool:
    return bool(np.ptp(e, axis=axis).max() < CONSTANT)


def independence(trial: Trial, alpha: float) -> Verdict:
    trial = section(trial, "noise")
    e, _, _ = _residual(trial, "standard")
    _no_noise(trial, e)
    e = unrepeated(e)
    verdict, worst = at_level(dependence(e), alpha, "The noise of different entries is independent.")
    if verdict:
        return verdict
    expected = "Expected: independent noise for every entry, drawn with the full shape of m."
    if same(e, 1) or same(e, 2):
        whom = "every entry" if same(e, 1) and same(e, 2) else "every row" if same(e, 1) else "every column"
        return Verdict(0.0, f"Within one call {whom} got the same noise. {expected}", "shared_noise", p=worst.p)
    if _grid(e):
        diagnosis = "noise_from_grid"
    else:
        diagnosis = "sorted_noise" if _ordered(e) else "antithetic_noise" if _mirrored(e) else ""
    return Verdict(0.0, f"Within one call the noise is not independent {worst.what}. {expected}", diagnosis, p=worst.p)


def unrepeated(e: Array) -> Array:
    """The calls whose noise no earlier call had: all of them, unless something is seeded or kept."""
    first = {call.tobytes(): place for place, call in reversed(list(enumerate(e)))}
    return e[sorted(first.values())]


def _grid(e: Array) -> bool:
    """Whether every call has the very same values, in whatever order."""
    return len(e) > 1 and all(np.array_equal(np.sort(e[0], axis=None), np.sort(call, axis=None)) for call in e[1:])


def _ordered(e: Array) -> bool:
    return any(bool((np.diff(e, axis=axis) >= 0).all() or (np.diff(e, axis=axis) <= 0).all()) for axis in (1, 2))


def _mirrored(e: Array) -> bool:
    size = np.sort(np.abs(e[0]).ravel())
    return bool(np.mean(np.diff(size) < 1e-9) > 0.45)  # every value comes twice, with either sign


def fresh(trial: Trial, alpha: float) -> Verdict:
    trial = section(trial, "noise")
    e, _, _ = _residual(trial, "standard")
    _no_noise(trial, e)
    for axis in (1, 2):
        if same(e, axis):  # noise shared within a call is the previous check's matter
            e = np.take(e, [0], axis=axis)
    verdict, worst = at_level(repetition(e), alpha, "Every call draws new noise.")
    # That 15 new normals come within 1e-3 of those of all 7 other calls has a probability below 1e-300.
    few = same(_samples(trial, "few", FEW), 0)
    if verdict and not few:
        return verdict
    if few or len(unrepeated(e)) < len(e):
        message = (
            "Two calls with the same m and v returned the same sample. Does the code set a seed, or keep its noise "
            "between calls? Expected: new noise in every call."
        )
        return Verdict(0.0, message, "seeded_inside", p=0.0 if few else worst.p)
    message = f"The noise is not independent {worst.what}. Expected: new, independent noise in every call."
    return Verdict(0.0, message, "noise_from_grid" if _grid(e) else "", p=worst.p)


def gradient(trial: Trial) -> Verdict:
    trial = section(trial, "gradient")
    m, v, w = (array(trial.given, name) for name in "mvw")
    z = array(trial.got, "z", shape=m.shape, what="The return value of sample_gaussian")
    expected = "Expected: dz/dm = 1 and dz/dv = (z - m) / (2 v), so that m and v can be trained."
    # torch.normal(m, s) hands back gradients, but they are all zero.
    reached = [name for name in ("to_m", "to_v") if name in trial.got and np.any(trial.got[name])]
    if not reached:
        raise CheckFailed(
            "No gradient flows from the sample to m or v. Was the sample detached, computed under torch.no_grad(), "
            f"or drawn by a function that has no gradient (torch.normal(m, s), .sample())? {expected}",
            diagnosis="detached_sample",
        )
    if len(reached) == 1:
        lost = "v" if reached == ["to_m"] else "m"
        raise CheckFailed(
            f"No gradient flows from the sample to {lost}. {expected}", diagnosis=f"no_gradient_to_{lost}"
        )
    to_m, to_v = (array(trial.got, name, shape=m.shape, what="The gradient") for name in reached)
    # Rounding: z carries u |z|, so z - m errs by u (|z| + |m|); sqrt, product and quotient of the
    # backward pass add a few u each. 16 covers every way of writing it, exp(log(v) / 2) included. Noise
    # may be put together from terms that cancel, of at most 6 standard deviations each (torch's normals
    # end at 5.8): two such terms of size sqrt(v) err by u 12 sqrt(v), however small z - m comes out.
    slope = w * (z - m) / (2 * v)
    bound_m = gamma(16) * np.abs(w)
    rough = gamma(16) * (np.abs(slope) + np.abs(w) * (np.abs(z) + np.abs(m) + 12 * np.sqrt(v)) / (2 * v))
    tiny = np.abs(slope) * of_root_slope(v)
    bound_v = rough + tiny
    used = max(tolerance_ratio(to_m, w, bound_m), tolerance_ratio(to_v, slope, rough, beside=tiny))
    if used <= 1:
        return passed(f"The gradients of the sample with respect to m and v are right. {ALLOWED}", tolerance_used=used)
    if within(to_m, w, bound_m) and within(to_v, 2 * slope, 2 * bound_v):
        raise CheckFailed(
            "The gradient with respect to v is the one of noise multiplied by v. So v was used as the standard "
            f"deviation, but it is the variance. {expected}",
            diagnosis="variance_as_std",
        )
    if within(to_m, w, bound_m) and within(to_v, v * slope, v * bound_v):
        raise CheckFailed(
            "The gradient with respect to v is the one of z = m + exp(v / 2) e, but v is the variance, not its "
            f"logarithm. {expected}",
            diagnosis="variance_as_log_variance",
        )
    if within(to_m, w, bound_m) and (size := _added(slope, to_v, v, rough)):
        raise CheckFailed(f"{_too_large(size)} {expected}", diagnosis="epsilon_too_large")
    wrong = "m" if tolerance_ratio(to_m, w, bound_m) > 1 else "v"
    raise CheckFailed(f"The gradient of the sample with respect to {wrong} is wrong. {expected}")


def _added(slope: Array, to_v: Array, v: Array, rough: Array) -> float:
    """The constant e that makes z = m + sqrt(v + e) n, or m + (sqrt(v) + e) n, have the gradient to_v; 0 if none does.

    `slope` is what to_v should be, and `rough` the rounding of it: their quotient is 1 + e / v, or 1 + e / sqrt(v).
    """
    clear = np.abs(to_v) > 100 * rough
    if not clear.any():
        return 0.0
    more = slope[clear] / to_v[clear] - 1
    for grown in (v[clear] * more, np.sqrt(v[clear]) * more):
        size = float(np.median(grown))
        if size > EPSILON and np.ptp(grown) < 0.1 * size:
            return float(f"{size:.1g}")
    return 0.0
