"""Univariate distributions by family and parameters, and whether D(P || Q) of two of them is finite.

D(P || Q) = E_P[log p] - E_P[log q], and E_P[log p] is finite for every family here. So what decides is q:
1. P continuous and Q discrete, or the other way round: infinite, since all of P lies where Q has probability 0.
2. P has probability outside of Q's support: infinite.
3. Otherwise E_P[-log q] decides, and only at an end where P's support has no bound. (At a bound, or a pole, log q goes
   to infinity like a power of log x, and that has an expectation under every density here: at worst x^(a-1), a > 0.)
   There -log q grows
       like log x or (log x)^2     Student's t, Cauchy, half-Cauchy, Pareto, lognormal
       like x                      exponential, Laplace, gamma, chi^2, logistic, geometric; Poisson like x log x
       like x^k                    Weibull of shape k
       like x^2                    normal, half-normal, truncated normal, Rayleigh
   and P has an expectation of x^k for every k (all families but the next), or for k < a only: Student's t
   (a = degrees of freedom), Pareto (a = its exponent), Cauchy (a = 1). Logarithms have one under all of them.
   So it is infinite exactly where -log q grows like x^k and P has no E[x^k].
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.special import betaln, gammaln, log_ndtr, xlog1py, xlogy

from autograder.core import Array, CheckFailed

INF = math.inf
Number = float
Outcome = float | str
Given = Number | Sequence[Outcome]


@dataclass(frozen=True, eq=False)
class Distribution:
    """A distribution, with `low` and `high` around its support; -log q `grows` like that power of |x| at either end.

    0 stands for a logarithm. E|x|^k is finite below `moments` only. `marks` are places that tell where its mass lies,
    `log` is the log density, or the log probability of whole numbers. `table` holds the outcomes of a discrete one
    where they are listed.
    """

    name: str
    low: float
    high: float
    log: Callable[[Array], Array]
    grows: tuple[float, float] = (0.0, 0.0)
    moments: float = INF
    marks: tuple[float, ...] = ()
    discrete: bool = False
    table: Mapping[Outcome, float] | None = None


# --------------------------------------------------------------------------------------- parameters


def _least(value: float, least: float, name: str, *, strict: bool = True) -> float:
    if not (value > least if strict else value >= least):
        raise CheckFailed(
            f"{name} is {_shown(value)}. Expected: {'more than' if strict else 'at least'} {_shown(least)}."
        )
    return value


def _finite(**values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise CheckFailed(f"{name} is {_shown(value)}. Expected: a finite number.")


def _ordered(low: float, high: float) -> None:
    if math.isnan(low) or math.isnan(high) or not low < high:
        raise CheckFailed(f"low is {_shown(low)} and high is {_shown(high)}. Expected: low below high.")


def _share(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise CheckFailed(f"{name} is {_shown(value)}. Expected: a probability, between 0 and 1.")
    return value


def _integer(value: float, name: str) -> int:
    if not math.isfinite(value) or value != int(value) or abs(value) > 2**53:
        raise CheckFailed(f"{name} is {_shown(value)}. Expected: a whole number with less than 16 digits.")
    return int(value)


def _shown(value: float) -> str:
    return f"{value:.6g}"


# --------------------------------------------------------------------------------------- continuous


def _around(centre: float, spread: float) -> tuple[float, ...]:
    return tuple(centre + spread * step for step in (-30, -6, -2, -0.5, 0, 0.5, 2, 6, 30))


def _uniform(low: float, high: float) -> Distribution:
    _finite(low=low, high=high)
    _ordered(low, high)
    size = math.log(high - low)
    return Distribution(f"uniform on [{_shown(low)}, {_shown(high)}]", low, high, lambda x: np.full_like(x, -size))


def _normal(mean: float, std: float) -> Distribution:
    _finite(mean=mean, std=std)
    _least(std, 0, "std")
    constant = math.log(std) + 0.5 * math.log(2 * math.pi)
    return Distribution(
        f"normal({_shown(mean)}, std {_shown(std)})",
        -INF,
        INF,
        lambda x: -(((x - mean) / std) ** 2) / 2 - constant,
        (2, 2),
        marks=_around(mean, std),
    )


def _truncated_normal(mean: float, std: float, low: float, high: float) -> Distribution:
    _finite(mean=mean, std=std)
    _least(std, 0, "std")
    _ordered(low, high)
    a, b = (low - mean) / std, (high - mean) / std
    if a > 0:  # the upper tail is the lower one of -x, where log_ndtr keeps its digits
        a, b = -b, -a
    with np.errstate(all="ignore"):
        upper, lower = float(log_ndtr(b)), float(log_ndtr(a))
        mass = upper + (math.log1p(-math.exp(lower - upper)) if lower < upper else 0.0)
    constant = math.log(std) + 0.5 * math.log(2 * math.pi) + mass
    return Distribution(
        f"normal({_shown(mean)}, std {_shown(std)}) truncated to [{_shown(low)}, {_shown(high)}]",
        low,
        high,
        lambda x: -(((x - mean) / std) ** 2) / 2 - constant,
        (2, 2),
        marks=_around(mean, std),
    )


def _laplace(loc: float, scale: float) -> Distribution:
    _finite(loc=loc, scale=scale)
    _least(scale, 0, "scale")
    return Distribution(
        f"Laplace({_shown(loc)}, scale {_shown(scale)})",
        -INF,
        INF,
        lambda x: -np.abs(x - loc) / scale - math.log(2 * scale),
        (1, 1),
        marks=_around(loc, scale),
    )


def _logistic(loc: float, scale: float) -> Distribution:
    _finite(loc=loc, scale=scale)
    _least(scale, 0, "scale")

    def log(x: Array) -> Array:
        u = np.abs(x - loc) / scale
        value: Array = -u - 2 * np.log1p(np.exp(-u)) - math.log(scale)
        return value

    return Distribution(
        f"logistic({_shown(loc)}, scale {_shown(scale)})", -INF, INF, log, (1, 1), marks=_around(loc, scale)
    )


def _exponential(rate: float, loc: float) -> Distribution:
    _finite(rate=rate, loc=loc)
    _least(rate, 0, "rate")
    told = f"exponential(rate {_shown(rate)})" + (f" from {_shown(loc)} on" if loc else "")
    return Distribution(
        told, loc, INF, lambda x: math.log(rate) - rate * (x - loc), (0, 1), marks=_around(loc, 1 / rate)
    )


def _gamma(shape: float, scale: float, loc: float) -> Distribution:
    _finite(shape=shape, scale=scale, loc=loc)
    _least(shape, 0, "shape")
    _least(scale, 0, "scale")
    return Distribution(
        f"gamma(shape {_shown(shape)}, scale {_shown(scale)})",
        loc,
        INF,
        lambda x: xlogy(shape - 1, (x - loc) / scale) - (x - loc) / scale - gammaln(shape) - math.log(scale),
        (0, 1),
        marks=_around(loc + shape * scale, math.sqrt(shape) * scale),
    )


def _weibull(shape: float, scale: float, loc: float) -> Distribution:
    _finite(shape=shape, scale=scale, loc=loc)
    _least(shape, 0, "shape")
    _least(scale, 0, "scale")

    def log(x: Array) -> Array:
        u = (x - loc) / scale
        value: Array = math.log(shape / scale) + xlogy(shape - 1, u) - u**shape
        return value

    return Distribution(
        f"Weibull(shape {_shown(shape)}, scale {_shown(scale)})", loc, INF, log, (0, shape), marks=_around(loc, scale)
    )


def _beta(a: float, b: float, low: float, high: float) -> Distribution:
    _finite(a=a, b=b, low=low, high=high)
    _least(a, 0, "a")
    _least(b, 0, "b")
    _ordered(low, high)

    def log(x: Array) -> Array:
        u = (x - low) / (high - low)
        value: Array = xlogy(a - 1, u) + xlog1py(b - 1, -u) - betaln(a, b) - math.log(high - low)
        return value

    deviation = math.sqrt(a * b / (a + b + 1)) / (a + b) * (high - low)
    told = f"beta({_shown(a)}, {_shown(b)})"
    if (low, high) != (0, 1):
        told += f" on [{_shown(low)}, {_shown(high)}]"
    return Distribution(told, low, high, log, marks=_around(low + (high - low) * a / (a + b), deviation))


def _triangular(low: float, high: float, mode: float) -> Distribution:
    _finite(low=low, high=high)
    _ordered(low, high)
    mode = (low + high) / 2 if math.isnan(mode) else mode
    if not low <= mode <= high:
        raise CheckFailed(f"mode is {_shown(mode)}. Expected: a number from low to high.")

    def log(x: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            up = np.log((x - low) / max(mode - low, 1e-300))
            down = np.log((high - x) / max(high - mode, 1e-300))
        value: Array = math.log(2 / (high - low)) + np.where(x < mode, up, down)
        return value

    return Distribution(f"triangular on [{_shown(low)}, {_shown(high)}]", low, high, log, marks=(mode,))


def _student_t(df: float, loc: float, scale: float) -> Distribution:
    _finite(df=df, loc=loc, scale=scale)
    _least(df, 0, "df")
    _least(scale, 0, "scale")
    constant = float(gammaln((df + 1) / 2) - gammaln(df / 2)) - 0.5 * math.log(df * math.pi) - math.log(scale)
    return Distribution(
        f"Student's t({_shown(df)} degrees of freedom)",
        -INF,
        INF,
        lambda x: constant - (df + 1) / 2 * np.log1p(((x - loc) / scale) ** 2 / df),
        moments=df,
        marks=_around(loc, scale),
    )


def _cauchy(loc: float, scale: float) -> Distribution:
    _finite(loc=loc, scale=scale)
    _least(scale, 0, "scale")
    return Distribution(
        f"Cauchy({_shown(loc)}, scale {_shown(scale)})",
        -INF,
        INF,
        lambda x: -math.log(math.pi * scale) - np.log1p(((x - loc) / scale) ** 2),
        moments=1,
        marks=_around(loc, scale),
    )


def _doubled(whole: Distribution) -> Callable[[Array], Array]:
    """The log density of one half of a symmetric distribution."""
    return lambda x: whole.log(x) + math.log(2)


def _half_cauchy(loc: float, scale: float) -> Distribution:
    whole = _cauchy(loc, scale)
    return Distribution(f"half-Cauchy(scale {_shown(scale)})", loc, INF, _doubled(whole), moments=1, marks=whole.marks)


def _half_normal(scale: float, loc: float) -> Distribution:
    whole = _normal(loc, scale)
    return Distribution(f"half-normal(scale {_shown(scale)})", loc, INF, _doubled(whole), (0, 2), marks=whole.marks)


def _rayleigh(scale: float) -> Distribution:
    _finite(scale=scale)
    _least(scale, 0, "scale")
    return Distribution(
        f"Rayleigh(scale {_shown(scale)})",
        0,
        INF,
        lambda x: xlogy(1, x / scale) - math.log(scale) - (x / scale) ** 2 / 2,
        (0, 2),
        marks=_around(0, scale),
    )


def _lognormal(mu: float, sigma: float, loc: float) -> Distribution:
    _finite(mu=mu, sigma=sigma, loc=loc)
    _least(sigma, 0, "sigma")

    def log(x: Array) -> Array:
        with np.errstate(divide="ignore"):
            y = np.log(x - loc)
        value: Array = -y - ((y - mu) / sigma) ** 2 / 2 - math.log(sigma) - 0.5 * math.log(2 * math.pi)
        return value

    marks = tuple(loc + math.exp(max(min(mu + step * sigma, 700), -700)) for step in (-8, -4, -2, -1, 0, 1, 2, 4, 8))
    return Distribution(f"lognormal({_shown(mu)}, sigma {_shown(sigma)})", loc, INF, log, marks=marks)


def _pareto(alpha: float, minimum: float, loc: float) -> Distribution:
    _finite(alpha=alpha, minimum=minimum, loc=loc)
    _least(alpha, 0, "alpha")
    _least(minimum, 0, "minimum")
    return Distribution(
        f"Pareto(exponent {_shown(alpha)}, from {_shown(loc + minimum)} on)",
        loc + minimum,
        INF,
        lambda x: math.log(alpha / minimum) - (alpha + 1) * np.log((x - loc) / minimum),
        moments=alpha,
        marks=tuple(loc + minimum * 2**step for step in (1, 4)),
    )


# ----------------------------------------------------------------------------------------- discrete


def _listed(name: str, table: Mapping[Outcome, float]) -> Distribution:
    kept = {outcome: p for outcome, p in table.items() if p > 0}
    return Distribution(name, INF, -INF, np.zeros_like, discrete=True, table=kept)


def _bernoulli(p: float) -> Distribution:
    _share(p, "p")
    return _listed(f"Bernoulli({_shown(p)})", {0.0: 1 - p, 1.0: p})


def _binomial(n: float, p: float) -> Distribution:
    count = _integer(_least(n, 0, "n", strict=False), "n")
    _share(p, "p")
    told = f"binomial({count}, {_shown(p)})"
    if p in (0, 1):
        return _listed(told, {float(count * p): 1.0})

    def log(x: Array) -> Array:
        value: Array = (
            gammaln(count + 1) - gammaln(x + 1) - gammaln(count - x + 1) + xlogy(x, p) + xlog1py(count - x, -p)
        )
        return value

    return Distribution(told, 0, count, log, discrete=True)


def _poisson(rate: float) -> Distribution:
    _finite(rate=rate)
    _least(rate, 0, "rate")
    return Distribution(
        f"Poisson({_shown(rate)})",
        0,
        INF,
        lambda x: xlogy(x, rate) - rate - gammaln(x + 1),
        (0, 1),
        marks=(rate, math.sqrt(rate)),
        discrete=True,
    )


def _geometric(p: float, start: float) -> Distribution:
    _share(_least(p, 0, "p"), "p")
    first = _integer(start, "start")
    told = f"geometric({_shown(p)}) from {first} on"
    if p == 1:
        return _listed(told, {float(first): 1.0})
    return Distribution(
        told,
        first,
        INF,
        lambda x: math.log(p) + (x - first) * math.log1p(-p),
        (0, 1),
        marks=(first + 1 / p, 1 / p),
        discrete=True,
    )


def _discrete_uniform(low: float, high: float) -> Distribution:
    first, last = _integer(low, "low"), _integer(high, "high")
    if first > last:
        raise CheckFailed(f"low is {first} and high is {last}. Expected: low at most high.")
    count = math.log(last - first + 1)
    told = f"uniform on the whole numbers {first} to {last}"
    return Distribution(told, first, last, lambda x: np.full_like(x, -count), discrete=True)


def _point(value: float) -> Distribution:
    _finite(value=value)
    return _listed(f"the point mass at {_shown(value)}", {value: 1.0})


def _table(probabilities: Sequence[Outcome], outcomes: Sequence[Outcome]) -> Distribution:
    places = list(outcomes) or [float(at) for at in range(len(probabilities))]
    if not probabilities:
        raise CheckFailed("probabilities is empty. Expected: a list of numbers that sum to 1.")
    shares = [one for one in probabilities if isinstance(one, float)]
    if len(shares) < len(probabilities):
        raise CheckFailed("probabilities holds a text. Expected: numbers.")
    if len(places) != len(shares):
        raise CheckFailed(
            f"there are {len(places)} outcomes and {len(shares)} probabilities. Expected: one probability for each "
            "outcome."
        )
    if any(isinstance(one, float) and not math.isfinite(one) for one in places):
        raise CheckFailed("an outcome is a nan or an infinity. Expected: finite numbers, or texts.")
    if len(set(places)) < len(places):
        raise CheckFailed("an outcome appears twice. Expected: different outcomes.")
    for one in shares:
        _share(one, "one of the probabilities")
    # Three decimals of a third do not sum to 1 exactly; each may be off by half of the third.
    if abs(sum(shares) - 1) > max(0.0005 * len(shares), 0.001):
        raise CheckFailed(f"the probabilities sum to {_shown(sum(shares))}. Expected: 1.")
    total = sum(shares)
    return _listed(f"a table of {len(shares)} outcomes", {at: p / total for at, p in zip(places, shares, strict=True)})


# ------------------------------------------------------------------------------------------ families


@dataclass(frozen=True)
class Family:
    """How a family is made of what the file says: its names, its parameters, and what else they are called.

    `needed` must be given, `spare` has defaults. `called` maps another name to the parameter's, or to a pair of it and
    what makes the parameter out of the value.
    """

    names: tuple[str, ...]
    build: Callable[..., Distribution]
    needed: tuple[str, ...] = ()
    spare: Mapping[str, Given] = field(default_factory=dict)
    called: Mapping[str, str | tuple[str, Callable[[float], float]]] = field(default_factory=dict)


def _root(value: float) -> float:
    if not value > 0:
        raise CheckFailed(f"the variance is {_shown(value)}. Expected: more than 0.")
    return math.sqrt(value)


def _inverse(value: float) -> float:
    if not value > 0:
        raise CheckFailed(f"the scale is {_shown(value)}. Expected: more than 0.")
    return 1 / value


Synonyms = dict[str, str | tuple[str, Callable[[float], float]]]
_ENDS: Synonyms = {"a": "low", "b": "high", "lower": "low", "upper": "high", "min": "low", "max": "high",
                   "minimum": "low", "maximum": "high", "left": "low", "right": "high"}  # fmt: skip
_MEAN: Synonyms = {"mu": "mean", "loc": "mean", "location": "mean", "m": "mean"}
_STD: Synonyms = {"sigma": "std", "scale": "std", "s": "std", "sd": "std", "stddev": "std", "standarddeviation": "std",
                  "variance": ("std", _root), "var": ("std", _root), "sigma2": ("std", _root)}  # fmt: skip
_LOC: Synonyms = {"mean": "loc", "mu": "loc", "location": "loc", "x0": "loc", "median": "loc", "m": "loc"}
_SCALE: Synonyms = {"b": "scale", "s": "scale", "gamma": "scale", "sigma": "scale", "diversity": "scale"}
_RATE: Synonyms = {"lambda": "rate", "lam": "rate", "scale": ("rate", _inverse), "mean": ("rate", _inverse),
                   "beta": ("rate", _inverse), "location": "loc", "low": "loc"}  # fmt: skip
_SHAPE: Synonyms = {"a": "shape", "k": "shape", "alpha": "shape", "theta": "scale", "rate": ("scale", _inverse),
                    "beta": ("scale", _inverse), "lambda": ("scale", _inverse)}  # fmt: skip
_P: Synonyms = {"probability": "p", "prob": "p", "theta": "p", "mean": "p", "probs": "p"}

FAMILIES = (
    Family(("uniform", "unif", "u", "continuousuniform"), _uniform, ("low", "high"), called=_ENDS),
    Family(("normal", "gaussian", "norm", "n", "gauss"), _normal, ("mean", "std"), called={**_MEAN, **_STD}),
    Family(("laplace", "doubleexponential"), _laplace, ("loc", "scale"), called={**_LOC, **_SCALE}),
    Family(("exponential", "exp", "expon"), _exponential, ("rate",), {"loc": 0.0}, _RATE),
    Family(("gamma",), _gamma, ("shape",), {"scale": 1.0, "loc": 0.0}, _SHAPE),
    Family(("erlang",), _gamma, ("shape",), {"scale": 1.0, "loc": 0.0}, _SHAPE),
    Family(
        ("chi2", "chisquared", "chisquare"),
        lambda df: _gamma(_least(df, 0, "df") / 2, 2.0, 0.0),
        ("df",),
        called={"k": "df", "nu": "df"},
    ),
    Family(
        ("weibull", "weibullmin"), _weibull, ("shape",), {"scale": 1.0, "loc": 0.0},
        {"k": "shape", "c": "shape", "lambda": "scale"},
    ),
    Family(("beta",), _beta, ("a", "b"), {"low": 0.0, "high": 1.0}, {"alpha": "a", "beta": "b"}),
    Family(
        ("truncatednormal", "truncnormal", "truncnorm", "truncatedgaussian"), _truncated_normal,
        ("mean", "std", "low", "high"), called={**_ENDS, **_MEAN, **_STD},
    ),
    Family(
        ("studentt", "t", "student", "studentst"), _student_t, ("df",), {"loc": 0.0, "scale": 1.0},
        {"nu": "df", "v": "df", "dof": "df", "degreesoffreedom": "df", **_LOC, "sigma": "scale"},
    ),
    Family(("cauchy", "lorentz"), _cauchy, (), {"loc": 0.0, "scale": 1.0}, {**_LOC, **_SCALE}),
    Family(("halfcauchy",), _half_cauchy, (), {"loc": 0.0, "scale": 1.0}, _SCALE),
    Family(
        ("halfnormal", "halfnorm", "halfgaussian"), _half_normal, (), {"scale": 1.0, "loc": 0.0},
        {"sigma": "scale", "std": "scale", "s": "scale", "variance": ("scale", _root)},
    ),
    Family(("rayleigh",), _rayleigh, (), {"scale": 1.0}, {"sigma": "scale"}),
    Family(
        ("lognormal", "lognorm"), _lognormal, (), {"mu": 0.0, "sigma": 1.0, "loc": 0.0},
        {"mean": "mu", "std": "sigma", "s": "sigma", "m": "mu", "scale": ("mu", lambda v: -math.log(_inverse(v)))},
    ),
    Family(
        ("pareto",), _pareto, ("alpha",), {"minimum": 1.0, "loc": 0.0},
        {"a": "alpha", "b": "alpha", "shape": "alpha", "scale": "minimum", "xm": "minimum", "m": "minimum",
         "min": "minimum", "low": "minimum"},
    ),
    Family(("logistic",), _logistic, (), {"loc": 0.0, "scale": 1.0}, {**_LOC, "s": "scale"}),
    Family(
        ("triangular", "triangle", "triang"), _triangular, ("low", "high"), {"mode": math.nan},
        {**_ENDS, "c": "mode", "peak": "mode"},
    ),
    Family(("bernoulli", "bern"), _bernoulli, ("p",), called=_P),
    Family(("binomial", "binom"), _binomial, ("n", "p"), called={**_P, "trials": "n"}),
    Family(("poisson", "pois"), _poisson, ("rate",), called={"lambda": "rate", "lam": "rate", "mu": "rate",
                                                             "mean": "rate"}),
    Family(("geometric", "geom"), _geometric, ("p",), {"start": 1.0}, {**_P, "low": "start", "loc": "start"}),
    Family(
        ("discreteuniform", "uniformdiscrete", "randint", "uniforminteger"), _discrete_uniform, ("low", "high"),
        called=_ENDS,
    ),
    Family(
        ("point", "pointmass", "dirac", "delta", "constant", "degenerate"), _point, ("value",),
        called={"at": "value", "loc": "value", "x": "value", "c": "value", "mean": "value", "point": "value"},
    ),
    Family(
        ("table", "categorical", "discrete", "pmf", "finite", "multinoulli", "custom"), _table, ("probabilities",),
        {"outcomes": ()},
        {"p": "probabilities", "probs": "probabilities", "pmf": "probabilities", "weights": "probabilities",
         "values": "outcomes", "support": "outcomes", "x": "outcomes", "table": "probabilities"},
    ),
)  # fmt: skip
KNOWN = (
    "uniform, normal, laplace, exponential, gamma, chi2, weibull, beta, truncated_normal, student_t, cauchy, "
    "half_cauchy, half_normal, rayleigh, lognormal, pareto, logistic, triangular, bernoulli, binomial, poisson, "
    "geometric, discrete_uniform, point, table"
)


def plain(name: str) -> str:
    """A name without case, spaces and signs: "Half-Normal distribution" is "halfnormal"."""
    return re.sub(r"[^a-z0-9]", "", name.casefold()).removesuffix("distribution")


def parameters_of(family: str) -> tuple[str, ...]:
    """The names of a family's parameters in the order of formulas, () where there is no such family."""
    found = next((one for one in FAMILIES if plain(family) in one.names), None)
    return () if found is None else (*found.needed, *found.spare)


def distribution(family: str, parameters: Mapping[str, Given]) -> Distribution:
    """The distribution that these words stand for. Raises `CheckFailed` with what is wrong with them."""
    found = next((one for one in FAMILIES if plain(family) in one.names), None)
    if found is None:
        raise CheckFailed(
            f'the family "{family}" is not known here. Expected: one of {KNOWN}. Put its parameters on lines of '
            "their own.",
            diagnosis="example_family",
        )
    values: dict[str, Given] = {}
    allowed = [*found.needed, *found.spare]
    for key, given in parameters.items():
        name = next((one for one in allowed if plain(one) == plain(key)), None)
        target = name or found.called.get(plain(key))
        if target is None:
            raise CheckFailed(f'{found.names[0]} has no parameter "{key}". Expected: {_listing(allowed)}.')
        name, change = (target, None) if isinstance(target, str) else target
        if name in values:
            raise CheckFailed(f"{name} is given twice, once under another name. Expected: once.")
        if name not in allowed:
            raise CheckFailed(f'{found.names[0]} has no parameter "{key}". Expected: {_listing(allowed)}.')
        many = name in ("probabilities", "outcomes")
        if many != (not isinstance(given, float)):
            raise CheckFailed(f"{key} is {'a number' if not many else 'one number'}. Expected: a list." if many else
                         f"{key} is a list. Expected: a number.")  # fmt: skip
        values[name] = _changed(change, given) if change is not None and isinstance(given, float) else given
    missing = [name for name in found.needed if name not in values]
    if missing:
        raise CheckFailed(f"{_listing(missing)} of the {found.names[0]} distribution is not given. Expected: "
                     f"{_listing(allowed)}.")  # fmt: skip
    try:
        return found.build(**{**found.spare, **values})
    except (ArithmeticError, ValueError):  # numbers that no double holds, such as the logarithm of 1e-320 / 1e10
        raise CheckFailed(EXTREME) from None


EXTREME = "its parameters are too large or too small for double precision. Expected: numbers of an ordinary size."


def _changed(change: Callable[[float], float], given: float) -> float:
    """The parameter that another one stands for: the rate of a scale. Raises `CheckFailed` where no double holds it."""
    try:
        return change(given)
    except (ArithmeticError, ValueError):  # the logarithm of 1 / inf, and the like
        raise CheckFailed(EXTREME) from None


def _listing(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


# ---------------------------------------------------------------------------------------- divergence


@dataclass(frozen=True)
class Divergence:
    """Whether D(P || Q) is finite, why where it is not, and its value where integration found one."""

    finite: bool
    why: str = ""
    value: float | None = None


def divergence(p: Distribution, q: Distribution, names: tuple[str, str] = ("P", "Q")) -> Divergence:
    """D(p || q) in nats, by the rules at the top of this file."""
    P, Q = names
    if p.discrete != q.discrete:
        kinds = ("discrete", "continuous") if p.discrete else ("continuous", "discrete")
        return Divergence(False, f"{P} is {kinds[0]} and {Q} is {kinds[1]}")
    if outside := _outside(p, q):
        return Divergence(False, f"{P} has positive probability {outside}, but {Q} has none there")
    for end, bound in enumerate((p.low, p.high)):
        if math.isinf(bound) and p.table is None and q.grows[end] > 0 and p.moments <= q.grows[end]:
            power = f"|x|^{_shown(q.grows[end])}" if q.grows[end] != 1 else "|x|"
            return Divergence(False, f"-log {Q.lower()}(x) grows like {power}, which has no expectation under {P}")
    try:
        with np.errstate(all="ignore"):
            return Divergence(True, value=_summed(p, q) if p.discrete else _integrated(p, q))
    except (ArithmeticError, ValueError):  # extreme parameters: the rules above hold without a value
        return Divergence(True)


def _outside(p: Distribution, q: Distribution) -> str:
    """Where p has probability and q has none, in words; "" where there is no such place."""
    if p.table is not None:
        lost = [one for one in p.table if not _holds(q, one)]
        return f"at {_outcome(lost[0])}" if lost else ""
    if q.table is not None:  # p is on a range of whole numbers
        if math.isinf(p.high) or p.high - p.low >= len(q.table):
            return "at more outcomes than are in the table"
        lost = [one for one in range(int(p.low), int(p.high) + 1) if float(one) not in q.table]
        return f"at {lost[0]}" if lost else ""
    if p.low < q.low:
        return f"below {_shown(q.low)}"
    return f"above {_shown(q.high)}" if p.high > q.high else ""


def _outcome(outcome: Outcome) -> str:
    return _shown(outcome) if isinstance(outcome, float) else f'"{outcome}"'


def _holds(q: Distribution, outcome: Outcome) -> bool:
    if q.table is not None:
        return outcome in q.table
    return isinstance(outcome, float) and q.low <= outcome <= q.high and outcome == math.floor(outcome)


TERMS = 200_000
MASS = 1e-6
"""A value is told where the sum or integral of p that it rests on is as near to 1."""


def _probability(law: Distribution, outcome: Outcome) -> float:
    if law.table is not None:
        return law.table.get(outcome, 0.0)
    return math.exp(float(law.log(np.array([outcome], dtype=float))[0]))


def _summed(p: Distribution, q: Distribution) -> float | None:
    if p.table is not None:
        logs = [(one, _probability(q, outcome)) for outcome, one in p.table.items()]
        if any(other <= 0 for _, other in logs):  # an underflow
            return None
        return max(0.0, sum(one * math.log(one / other) for one, other in logs))
    last = p.high if math.isfinite(p.high) else p.low + p.marks[0] + 60 * p.marks[1] + 60
    if last - p.low > TERMS:
        return None
    x = np.arange(p.low, last + 1, dtype=float)
    logs_p = p.log(x)
    logs_q = q.log(x) if q.table is None else np.log([q.table[float(one)] for one in x])
    return _checked(np.exp(logs_p), logs_p - logs_q)


def _checked(weights: Array, ratios: Array) -> float | None:
    """The sum of weights times ratios, None where something of it is not finite or the weights do not sum to 1."""
    terms = np.where(weights > 0, weights * ratios, 0.0)
    if not np.isfinite(terms).all() or not abs(weights.sum() - 1) < MASS:
        return None
    return max(0.0, float(terms.sum()))


STEP = 1 / 16
T: Array = np.arange(-6.0, 6.0 + STEP / 2, STEP)
"""Nodes of the double-exponential rules (Takahasi and Mori 1974): beyond 6 they lie within 1e-270 of an end."""


def _rule(low: float, high: float, scale: float) -> tuple[Array, Array]:
    """Nodes and weights of an integral from low to high, one of which may be infinite; poles at the ends are fine."""
    u = np.pi / 2 * np.sinh(T)
    if math.isfinite(low) and math.isfinite(high):
        half = (high - low) / 2
        # The distance from the nearer end keeps its digits: (1 - tanh u) / 2 = 1 / (1 + exp(2 u)).
        away = (high - low) / (1 + np.exp(2 * np.abs(u)))
        x = np.where(u < 0, low + away, high - away)
        return x, STEP * half * np.pi / 2 * np.cosh(T) / np.cosh(u) ** 2
    away = scale * np.exp(np.clip(u, -700, 700))
    x = low + away if math.isfinite(low) else high - away
    return x, STEP * away * np.pi / 2 * np.cosh(T)


def _integrated(p: Distribution, q: Distribution) -> float | None:
    """D by quadrature between p's marks and q's bounds and marks. None where p's own integral is not 1."""
    marks = sorted({one for one in (*p.marks, *q.marks) if p.low < one < p.high and math.isfinite(one)})
    if not marks:
        marks = [(p.low + p.high) / 2]
    spread = max(marks[-1] - marks[0], 1e-9 * (1 + abs(marks[0])))
    edges = [p.low, *marks, p.high]
    rules = [_rule(low, high, spread) for low, high in pairwise(edges) if low < high]
    x, weight = (np.concatenate(parts) for parts in zip(*rules, strict=True))
    inside = (x > p.low) & (x < p.high) & (weight > 0) & np.isfinite(x)
    x, weight = x[inside], weight[inside]
    logs = p.log(x)
    ratios = logs - q.log(x)
    mass = weight * np.exp(logs)
    kept = mass > 0
    return _checked(mass[kept], ratios[kept])
