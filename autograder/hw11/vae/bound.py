"""Asks and judges `negative_elbo_bound(x)`: its three values, their gradients, and the z behind them.

One error is charged once. A term that is wrong loses the points of its value. The gradient of a negative ELBO that is
made of it is wrong as well, but follows from it: where following.py knows what the value is made of, the gradients need
only be those of this value. One that does not arrive, or is zero, earns nothing whatever the value is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from scipy.special import expit

from autograder.core import Array, CheckFailed, Counterexample, Request, Spec, Specs, Trial, Values, Verdict
from autograder.hw11.epsilon import ALLOWED, EPSILON, of_log_probability, of_root_slope, of_variance
from autograder.hw11.precision import refuse_half
from autograder.hw11.vae.following import decoder_follows, encoder_follows, followed
from autograder.hw11.vae.interpretation import (
    ALONE,
    CASES,
    KL_MISTAKES,
    MOST_SAMPLES,
    ORDERS,
    PIXELS,
    REC_MISTAKES,
    STEEPEST,
    TOGETHER,
    WORDS,
    BoundCase,
    BoundReading,
    explanation,
    is_bound,
    looked_at,
    read,
    readings,
    weight,
)
from autograder.hw11.vae.sample import RESIDUALS, family, moments, same, unrepeated
from autograder.judging.judges import (
    Misconception,
    apart,
    array,
    at_level,
    got_and_expected,
    passed,
    shown,
    tolerance_ratio,
    whole,
    within,
)
from autograder.judging.stats import UNIT, everything, gamma, smallest_p
from autograder.sandbox.parts import each, item, items, pack, section, take
from autograder.sandbox.returns import count, declared, flag, numbers, parts

# ------------------------------------------------------------------------------------- what is asked


def _case(rng: Generator, batch: int, dim: int) -> dict[str, Array]:
    m, v = moments(rng, batch, dim, 0.1, 4.0)
    x = (rng.random((batch, PIXELS)) < rng.uniform(0.2, 0.6, (batch, 1))).astype(np.float32)
    w = rng.standard_normal((dim, PIXELS)) / np.sqrt(dim)
    b = 0.5 * rng.standard_normal(PIXELS)
    return {"x": x, "m": m, "v": v, "w": w.astype(np.float32), "b": b.astype(np.float32)}


def _noise(rng: Generator) -> Values:
    return {**_case(rng, 32, 16), "calls": 16}


def _again(rng: Generator) -> Values:
    """One example whose logits do not depend on z."""
    case = _case(rng, 1, 3)
    return {**case, "w": np.zeros_like(case["w"])}


def _everything(rng: Generator) -> Values:
    return pack(values={"cases": [_case(rng, *case) for case in CASES]}, noise=_noise(rng), again=_again(rng))


def _bounds(given: Values) -> dict[str, Spec]:
    """What `values` returns of each case: terms that were not averaged may have an entry for every pixel."""
    cases = []
    for case in items(given, "cases"):
        (batch, pixels), (_, dim) = np.shape(case["x"]), np.shape(case["m"])
        cases.append(
            {
                "parts": 3 * [numbers(most=4 * batch * pixels)],
                "is_tensor": 3 * [flag()],
                "count": count(),
                "other_x": flag(),
                "z": numbers(None, None, most=max(1000, MOST_SAMPLES * batch * dim), what="the decoded z"),
                "rows": numbers(None, most=1000, dtypes="i", what="the calls of the decoder"),
                **{f"to_{name}": numbers(batch, dim) for name in "mv"},
                "to_b": numbers(pixels),
            }
        )
    return declared(cases=cases)


def _returns(given: Values) -> Specs:
    noise = take(given, "noise")
    most = int(noise["calls"]) * MOST_SAMPLES * int(np.size(noise["m"]))
    calls, entries = int(noise["calls"]), 4 * int(np.size(noise["x"]))
    drawn = {
        "z": numbers(None, None, None, most=most),
        "parts": 3 * [numbers(calls, None, most=calls * entries)],
    }
    again = {"calls": 2 * [{"parts": 3 * [numbers(most=4 * PIXELS)]}]}
    return parts(values=_bounds(take(given, "values")), noise=drawn, again=again)


REQUEST = Request("vae.private_probes:bound", _everything, returns=_returns, needs=("gan_vae/models/vae.py",))

# ------------------------------------------------------------------------------------ how it is judged


def _names(order: tuple[str, ...]) -> str:
    return f"({', '.join(order)})"


def _some_right(reading: BoundReading) -> None:
    if not (reading.sign("kl") or reading.sign("rec") or reading.nelbo_right()):
        raise CheckFailed(
            "Neither the KL term nor the reconstruction term is right yet, so this check cannot be judged. "
            "Expected: at least one of the two terms is right for a single example, up to its sign."
        )


def contract(trial: Trial) -> Verdict:
    trial = section(trial, "values")
    reading = read(trial)
    for case, seen in zip(each(trial), reading.cases, strict=True):
        count = whole(case.got, "count", least=3, most=10_000)
        if count != 3:
            raise CheckFailed(
                f"The method returned {count} values. Expected: three values, the negative ELBO, the KL term and "
                "the reconstruction term.",
                diagnosis="fourth_value",
            )
        for index, part in enumerate(seen.parts):
            if part.size != 1:
                raise CheckFailed(
                    f"Value {index + 1} of the three has shape {list(part.shape)} for a batch of {seen.batch} "
                    "examples. Expected: a scalar, the average over the batch.",
                    diagnosis="not_averaged",
                )
            refuse_half(case.got, item("parts", index), f"Value {index + 1} of the three")
            if case.got.get(item("is_tensor", index)) is not True:
                raise CheckFailed(
                    f"Value {index + 1} of the three is a plain number. Expected: a scalar tensor.",
                    diagnosis="item",
                )
    if reading.order not in ORDERS:
        raise CheckFailed(
            f"The three values were returned in the order {_names(reading.order)}. Expected: the negative ELBO "
            "first, because training minimises the first value.",
            diagnosis="wrong_order",
        )
    return passed(f"The method returned three finite scalars. They were read as {_names(reading.order)}.")


def kl(trial: Trial) -> Verdict:
    asked, trial = trial, section(trial, "values")
    reading = read(trial)
    if reading.sign("kl") == 1:
        used = max(reading.kl_used(case) for case in ALONE)
        return passed(f"For a single example the KL term is KL(q(z|x) || p(z)). {ALLOWED}", tolerance_used=used)
    return _wrong_term(asked, reading, "kl", KL_MISTAKES)


def reconstruction(trial: Trial) -> Verdict:
    """A sigmoid with its cross entropy is right where logits are moderate, as the decoder's are: it is allowed."""
    asked, trial = trial, section(trial, "values")
    reading = read(trial)
    if reading.sign("rec") == 1:
        used = max(reading.rec_used(case) for case in ALONE)
        return passed(
            "For a single example the reconstruction term is -log p(x|z) at the decoded z. You may compute it from "
            "the logits or from a sigmoid and its cross entropy. The second way is less exact for logits beyond 16. "
            f"{ALLOWED}",
            tolerance_used=used,
        )
    return _wrong_term(asked, reading, "rec", REC_MISTAKES)


def _wrong_term(trial: Trial, reading: BoundReading, which: str, mistakes: tuple[Misconception, ...]) -> Verdict:
    case = ALONE[1]
    seen = reading.cases[case]
    told, wanted = apart(reading.single(case, which), float(getattr(seen, which).mean()))
    begin = f"For one example with {seen.dim} latent dimensions the {WORDS[which]} was {told}; expected {wanted}" + (
        " at the decoded z." if which == "rec" else "."
    )
    known = explanation(mistakes, [(reading.single(c, which), reading.cases[c]) for c in ALONE])
    if known is not None:
        detail = known.sentence
        if known.id in ("kl_sign", "rec_sign") and _signs_right(reading):
            detail = "Its sign is right in the negative ELBO, but the sign of the returned term is wrong."
            return Verdict(0.0, f"{begin} {detail}", "wrong_signed_part")
        return Verdict(0.0, f"{begin} {detail}", known.id)
    bounds = [(c, s.kl_bound if which == "kl" else s.rec_bound) for c, s in enumerate(reading.cases)]
    factor = weight(
        [(reading.single(c, which), float(getattr(reading.cases[c], which).mean()), bounds[c][1]) for c in ALONE]
    )
    if factor is not None:
        return Verdict(0.0, f"{begin} It is {shown(factor, 3)} times the expected value.", f"{which}_weighted")
    if _changes(trial, reading, which):
        if which == "rec":
            detail = (
                "It changes from call to call, although x and all logits stay the same. Something is drawn at "
                "random in it, for example pixels from their probabilities. Expected: log p(x|z), computed from the "
                "logits."
            )
        else:
            detail = (
                "It changes from call to call, although m and v stay the same, and it is not an estimate of the "
                "divergence at the decoded z. Expected: the closed form, in which nothing is drawn."
            )
        return Verdict(0.0, f"{begin} {detail}", f"{which}_of_samples")
    return Verdict(0.0, f"{begin} The three values were read as {_names(reading.order)}.")


def _changes(trial: Trial, reading: BoundReading, which: str) -> bool:
    """Whether the term differs between two calls with the same x, m, v and logits."""
    key = item("parts", reading.order.index(which))
    try:
        one, other = (array(call, key) for call in items(section(trial, "again").got, "calls", 2))
    except CheckFailed:
        return False
    return one.shape == other.shape and not np.array_equal(one, other)


TINY = (
    ([0], [1], 0, 0),
    ([0], [4], 0, 0),
    ([1], [1], 0, 0),
    ([2], [1], 0, 0),
    ([2], [4], 0, 0),
    ([0, 1], [1, 4], 0, 0),
    ([0], [1], 1, 0),
    ([0], [1], 1, 1),
)
"""m, v, the logit and the value of every pixel; one example each."""


def _tiny(_rng: Generator) -> Values:
    cases = []
    for m, v, logit, pixel in TINY:
        named = {"x": np.full((1, PIXELS), pixel), "m": [m], "v": [v], "w": np.zeros((len(m), PIXELS))}
        named["b"] = np.full(PIXELS, np.arctanh(logit / STEEPEST))
        cases.append({name: np.array(value, np.float32) for name, value in named.items()})
    return pack(cases=cases)


def _first(failed: Trial, tiny: Trial, which: str) -> str:
    """The sentence for the first tiny example whose KL or reconstruction term is wrong."""
    place = read(section(failed, "values")).order.index(which)
    for case, (m, v, logit, pixel) in zip(each(tiny), TINY, strict=True):
        seen = list(readings(case, 1, len(m)))
        part = seen[0].parts[place]
        if part.size != 1:
            return ""
        truths = [truth for s in seen for truth in (s.kl_truths if which == "kl" else ((s.rec, s.rec_bound),))]
        if not any(within(part, truth.mean(), bound) for truth, bound in truths):
            given = f"m = {shown(m)}, v = {shown(v)}"
            if which == "rec":
                given = f"every logit {logit} and every pixel {pixel}"
            told = got_and_expected(part.reshape(()), truths[0][0].mean())
            return f"Smallest example: {given} gave a {WORDS[which]} of {told}"
    return ""


_TINY_REQUEST = Request("vae.private_probes:tiny", _tiny, seconds=3, deterministic=True, returns=_bounds)
SMALLEST_KL, SMALLEST_REC = (Counterexample(_TINY_REQUEST, partial(_first, which=which)) for which in ("kl", "rec"))


def closed_form(trial: Trial) -> Verdict:
    trial = section(trial, "values")
    reading = read(trial)
    if reading.kl_closed:
        return passed("The KL term uses the closed form.")
    if reading.sign("kl") == 1:
        raise CheckFailed(
            "The KL term is the estimate log q(z|x) - log p(z) at the decoded z. This estimate is unbiased but "
            "noisy. Expected: the closed form for two Gaussians, which has no noise.",
            diagnosis="kl_monte_carlo",
        )
    if reading.sign("kl") == -1:
        raise CheckFailed(
            "The KL term is minus an estimate of KL(q(z|x) || p(z)) at the decoded z. Expected: the closed form for "
            "two Gaussians."
        )
    raise CheckFailed(
        "The KL term is neither the closed form of KL(q(z|x) || p(z)) nor an estimate of it. Expected: the closed "
        "form for two Gaussians."
    )


@dataclass(frozen=True)
class _Sum:
    """The three values of a single example, the parts with the signs that they should have."""

    nelbo: float
    kl: float
    rec: float

    @classmethod
    def of(cls, reading: BoundReading, case: int, signs: dict[str, int]) -> _Sum:
        kl, rec = (signs[which] * reading.single(case, which) for which in ("kl", "rec"))
        return cls(reading.single(case, "nelbo"), kl, rec)

    @property
    def slack(self) -> float:
        """Rounding of one float32 addition of terms that were themselves rounded to float32."""
        return gamma(4) * (abs(self.kl) + abs(self.rec) + abs(self.nelbo))

    def used(self, of_kl: float, of_rec: float) -> float:
        """The share of the rounding bound by which nelbo differs from the sum with these weights."""
        return tolerance_ratio(self.nelbo, of_kl * self.kl + of_rec * self.rec, self.slack)


def _with(sign: int, value: float) -> str:
    """A part's value as it should have been returned, and a word where its sign was another one."""
    return shown(value) + (" (returned with the opposite sign)" if sign < 0 else "")


def _signs(reading: BoundReading) -> dict[str, int]:
    """-1 for a term that was returned with the wrong sign and is right otherwise, else 1."""
    return {which: -1 if reading.sign(which) == -1 else 1 for which in ("kl", "rec")}


def _signs_right(reading: BoundReading) -> bool:
    """Whether nelbo is the sum of the two terms with their right signs, in whichever sign these were returned."""
    signs = _signs(reading)
    return reading.nelbo_right() or all(_Sum.of(reading, case, signs).used(1, 1) <= 1 for case in ALONE)


SUMS = (
    ("kl_subtracted", -1, 1, "The KL term was subtracted. The ELBO subtracts it, so the negative ELBO adds it."),
    ("rec_subtracted", 1, -1, "The reconstruction loss was subtracted. The negative ELBO adds -log p(x|z)."),
    ("elbo_not_negated", -1, -1, "It is the negative of their sum."),
    ("mean_over_pixels", 1 / PIXELS, 1 / PIXELS, "It was divided by the number of pixels."),
    ("mean_over_pixels", 1, 1 / PIXELS, "Its reconstruction term was divided by the number of pixels."),
    ("kl_ignored", 0, 1, "The KL term is missing."),
    ("rec_ignored", 1, 0, "The reconstruction term is missing."),
)
"""Known ways to add KL and reconstruction up: the mistake's id, the two weights, and a sentence."""


def adds_up(trial: Trial) -> Verdict:
    trial = section(trial, "values")
    reading = read(trial)
    _some_right(reading)
    if reading.nelbo_right():
        return passed("The negative ELBO is the KL term plus the reconstruction term.")
    signs = _signs(reading)
    if reading.nelbo_right(sign=-1) and not signs["kl"] == signs["rec"] == -1:
        raise CheckFailed(
            "The first value is the ELBO itself. Expected: the negative ELBO (KL + reconstruction), because "
            "training minimises the first value.",
            diagnosis="elbo_not_negated",
        )
    sums = [_Sum.of(reading, case, {"kl": 1, "rec": 1}) for case in ALONE]
    used = max(one.used(1, 1) for one in sums)
    if used <= 1:
        return passed("The negative ELBO is the sum of the two returned terms.", tolerance_used=used)
    # A term that was returned with the wrong sign is an earlier check's matter: here its right sign counts.
    sums = [_Sum.of(reading, case, signs) for case in ALONE]
    used = max(one.used(1, 1) for one in sums)
    if used <= 1:
        return passed("The negative ELBO is the sum of the two terms with the right signs.", tolerance_used=used)
    first = max(sums, key=lambda one: abs(one.nelbo - one.kl - one.rec))
    kl_told, rec_told = (_with(sign, value) for sign, value in zip(signs.values(), (first.kl, first.rec), strict=True))
    begin = (
        f"With a KL term of {kl_told} and a reconstruction term of {rec_told} the negative ELBO was "
        f"{got_and_expected(first.nelbo, first.kl + first.rec).replace('expected', 'expected their sum,')}"
    )
    sentences = [
        (diagnosis, sentence)
        for diagnosis, of_kl, of_rec, sentence in SUMS
        if all(one.used(of_kl, of_rec) <= 1 for one in sums)
    ]
    if len({diagnosis for diagnosis, _ in sentences}) == 1:
        return Verdict(0.0, f"{begin} {sentences[0][1]}", sentences[0][0])
    for diagnosis, name, pairs in (
        ("kl_weighted", "The KL term", [(one.nelbo - one.rec, one.kl, one.slack) for one in sums]),
        ("rec_weighted", "The reconstruction term", [(one.nelbo - one.kl, one.rec, one.slack) for one in sums]),
    ):
        factor = weight(pairs)
        if factor is not None:
            return Verdict(0.0, f"{begin} {name} has the weight {got_and_expected(factor, 1, 3)}", diagnosis)
    extra = [one.nelbo - one.kl - one.rec for one in sums]
    if np.ptp(extra) <= 2 * max(one.slack for one in sums):
        return Verdict(
            0.0, f"{begin} A constant of {shown(float(np.median(extra)))} was added to it.", "constant_added"
        )
    return Verdict(0.0, begin)


def average(trial: Trial) -> Verdict:
    trial = section(trial, "values")
    reading = read(trial)
    _some_right(reading)
    used = 0.0
    for case in TOGETHER:
        s = reading.cases[case]
        for which, truths in (("kl", s.kl_truths), ("rec", ((s.rec, s.rec_bound),))):
            sign = reading.sign(which)
            if not sign:
                continue
            got = _scalar(reading, case, which)
            one = s.used(which, got, sign=sign)
            used = max(used, one)
            if one > 1:
                message = _batch(s.batch, which, got, sign * float(truths[0][0].mean()))
                if any(within(got, sign * truth.sum(), s.batch * bound) for truth, bound in truths):
                    return Verdict(0.0, f"{message} It is the sum over the batch.", "sum_not_mean")
                if any(within(got, sign * truth.mean() / s.batch, bound) for truth, bound in truths):
                    return Verdict(0.0, f"{message} It was divided by the batch size twice.", "averaged_twice")
                return Verdict(0.0, message)
        if reading.nelbo_right() and not reading.nelbo_right((case,)):
            got, want = _scalar(reading, case, "nelbo"), float((s.kl + s.rec).mean())
            message = _batch(s.batch, "nelbo", got, want)
            if within(got, s.batch * want, s.batch * (s.kl_bound + s.rec_bound + gamma(4) * want)):
                return Verdict(0.0, f"{message} It is the sum over the batch.", "sum_not_mean")
            return Verdict(0.0, message)
    return passed("For larger batches the values are averages over the examples.", tolerance_used=used)


def _batch(batch: int, which: str, got: float, want: float) -> str:
    told, wanted = apart(got, want)
    return (
        f"For a batch of {batch} examples the {WORDS[which]} was {told}. Expected: {wanted}, the average over the "
        "examples."
    )


def _scalar(reading: BoundReading, case: int, which: str) -> float:
    part = reading.part(case, which)
    if part.size != 1:
        raise CheckFailed(
            f"For a batch of {reading.cases[case].batch} examples the {WORDS[which]} has shape {list(part.shape)}. "
            "Expected: a scalar, the average over the examples.",
            diagnosis="not_averaged",
        )
    return float(part.reshape(()))


def _slopes(trial: Trial, reading: BoundReading, case: int, name: str) -> Array:
    shape = (PIXELS,) if name == "b" else CASES[case]
    got = each(trial)[case].got
    if f"to_{name}" not in got:
        _in_order(reading)
        raise CheckFailed(
            f"No gradient of the negative ELBO reached {'the decoder' if name == 'b' else f'the encoder ({name})'}. "
            "Was a tensor detached, or computed under torch.no_grad()? Expected: a gradient for the encoder and for "
            "the decoder.",
            diagnosis="no_gradient",
        )
    return array(got, f"to_{name}", shape=shape, what="The gradient")


def _in_order(reading: BoundReading) -> None:
    """Raises `CheckFailed` where the gradient is not right because the first value is not the negative ELBO."""
    if reading.order[0] != "nelbo":
        raise CheckFailed(
            f"Training minimises the first value, but the first value here is the {WORDS[reading.order[0]]}. "
            "Expected: the negative ELBO first, so that its gradient trains both networks.",
            diagnosis="wrong_order",
        )


@dataclass(frozen=True)
class Slopes:
    """Gradients of nelbo to m and v, (1, dim) each, that are right for one reading, and what they may err by."""

    seen: BoundCase
    through_rec: tuple[Array, Array]
    closed: tuple[Array, Array]  # the KL's own, in closed form
    sampled: tuple[Array, Array]  # the KL's own, estimated at z
    bounds: tuple[Array, Array]
    tiny: tuple[Array, Array]  # what a tiny constant may change beside rounding

    def used(self, to_m: Array, to_v: Array, *parts: tuple[Array, Array]) -> float:
        """Share of the rounding bound that the gradients use against the sum of `parts`."""
        want_m, want_v = (sum(both) for both in zip(*parts, strict=True))
        both = ((to_m, want_m), (to_v, want_v))
        return max(
            tolerance_ratio(got, want, bound, beside=tiny)
            for (got, want), bound, tiny in zip(both, self.bounds, self.tiny, strict=True)
        )


def _pixel_slopes(s: BoundCase) -> tuple[Array, Array, Array]:
    """d term / ds of every pixel, s = z W + b, and what rounding and a tiny constant may change it by.

    All three are (samples, batch, 784).

    It is t(s) = (sigmoid(l) - x) 3.5 (1 - h^2) with h = tanh(s) and l = 3.5 h. Where s is off by `doubt`, t is off by
    at most |dt/ds| <= 3.5^2 / 4 + 2 * 3.5 |h| (1 - h^2) < 6 times that. Where it is written with sigmoids its first
    factor errs by 8u (1 + e^3.5) < 290 u, and 1 - h^2 by 5 u; with e beside p it is t p / (p + e).
    """
    inner = (expit(s.logits) - s.x) * STEEPEST * (1 - (s.logits / STEEPEST) ** 2)
    return inner, 6 * s.doubt + 300 * UNIT * STEEPEST, np.abs(inner) * of_log_probability(s.terms)


def _encoder_slopes(s: BoundCase, w: Array) -> Slopes:
    """By the chain rule through z = m + sqrt(v) n, with g = d rec / dz and dz/dv = (z - m) / (2 v).

    rec: g and g (z - m) / (2 v). KL in closed form: m and 1/2 (1 - 1/v). KL as log q - log p at z:
    z and -1/(2v) + z (z - m) / (2 v).
    """
    inner, doubt, unsure = _pixel_slopes(s)
    g, rough = inner @ w.T, np.abs(inner) @ np.abs(w).T
    # Each pixel's slope errs by its doubt; then 784 products are summed and the z averaged, in any order.
    g_doubt = doubt @ np.abs(w).T + gamma(1000) * rough
    half = (s.z - s.m) / (2 * s.v)
    # dz/dv was made of the noise n itself, but is judged by z, which is rounded: z - m errs by u (|z| + |m|), and four
    # more roundings are n's and the quotient's. A constant beside v makes it smaller by a share.
    half_doubt = gamma(4) * (np.abs(s.z) + np.abs(s.m)) / (2 * s.v)
    half_unsure = np.abs(half) * of_root_slope(s.v)
    # The KL's slopes carry fewer than 40 roundings of each of their parts. At z the parts (z - m) / v and half its
    # square come twice, with either sign. With constants: m, z and v over 1 + e; and 1/v of a v that is larger by w,
    # times what (sqrt(v) + e)^2 has for a slope in v, 1 + e / sqrt(v).
    apart_by, e2 = np.abs(s.z - s.m) / s.v, (s.z - s.m) ** 2 / s.v
    to_m = np.abs(s.m) + np.abs(s.z) + apart_by
    to_v = 0.5 * (1 + 1 / s.v) + np.abs(s.z * half) + e2 / s.v + rough * np.abs(half)
    larger = of_variance(s.v) / s.v
    tiny_m = EPSILON * (np.abs(s.m) + np.abs(s.z)) + larger * apart_by
    tiny_v = (larger + EPSILON / np.sqrt(s.v) + EPSILON) * (0.5 * (1 + 1 / s.v) + np.abs(s.z * half) + e2 / s.v)
    g_unsure = unsure @ np.abs(w).T
    bound_m = g_doubt + gamma(40) * to_m
    onto = rough + np.abs(s.z) + apart_by  # what is multiplied by dz/dv
    bound_v = g_doubt * np.abs(half) + onto * half_doubt + gamma(40) * to_v
    return Slopes(
        s,
        through_rec=(g.mean(0), (g * half).mean(0)),
        closed=(s.m, 0.5 * (1 - 1 / s.v)),
        sampled=(s.z.mean(0), -0.5 / s.v + (s.z * half).mean(0)),
        bounds=(bound_m.mean(0), bound_v.mean(0)),
        tiny=((g_unsure + tiny_m).mean(0), (g_unsure * np.abs(half) + onto * half_unsure + tiny_v).mean(0)),
    )


def _judged(reading: BoundReading) -> list[tuple[int, float]]:
    """Cases whose gradients are judged, each with the weight of one example in it.

    Larger batches only where their values are averages, so that a sum is not punished twice.
    """
    more = TOGETHER if reading.nelbo_right((*ALONE, *TOGETHER)) else ()
    return [(case, 1 / CASES[case][0]) for case in (*ALONE, *more)]


ITS_OWN = (
    "The gradient matches the negative ELBO that was returned. That value itself is wrong, but it lost its points "
    "in an earlier check and loses none here."
)


def _encoder_follows(trial: Trial, reading: BoundReading) -> bool:
    """Whether the gradients to m and v are those of a value that is wrong in a known way."""
    if reading.nelbo_right():
        return False
    slopes = [[_slopes(trial, reading, case, name) for name in "mv"] for case in ALONE]
    if not all(np.any(slope) for pair in slopes for slope in pair):
        return False
    return any(
        all(
            encoder_follows(one, reading.cases[case], *_network(trial, case), to_m, to_v)
            for case, (to_m, to_v) in zip(ALONE, slopes, strict=True)
        )
        for one in followed(reading)
    )


def _decoder_follows(trial: Trial, reading: BoundReading) -> bool:
    """The same of the gradient to the decoder's b."""
    if reading.nelbo_right():
        return False
    slopes = [_slopes(trial, reading, case, "b") for case in ALONE]
    if not all(np.any(slope) for slope in slopes):
        return False
    return any(
        all(
            decoder_follows(one, reading.cases[case], *_network(trial, case), slope)
            for case, slope in zip(ALONE, slopes, strict=True)
        )
        for one in followed(reading)
    )


def _network(trial: Trial, case: int) -> tuple[Array, Array]:
    """The decoder's w (dim, 784) and b (784,)."""
    given = each(trial)[case].given
    return array(given, "w"), array(given, "b")


def gradient_encoder(trial: Trial) -> Verdict:
    asked, trial = trial, section(trial, "values")
    reading = read(trial)
    used = 0.0
    for case, part in _judged(reading):
        w, _ = _network(trial, case)
        alike = [_encoder_slopes(seen, w) for seen in reading.alike[case]]
        to_m, to_v = _slopes(trial, reading, case, "m") / part, _slopes(trial, reading, case, "v") / part
        one = min(min(s.used(to_m, to_v, s.through_rec, kl) for kl in (s.closed, s.sampled)) for s in alike)
        used = max(used, one)
        if one > 1:
            _in_order(reading)
            if _encoder_follows(trial, reading):
                return passed(ITS_OWN)
            batch = f" For a batch of {CASES[case][0]} examples:" if part < 1 else ""
            message = (
                f"{batch} The gradient of the negative ELBO with respect to the encoder's m and v is wrong. "
                "Expected: it comes from the KL term and, through the reparametrised sample, from the "
                "reconstruction term."
            ).strip()
            # Only where the term itself is right: a tiny one would look like a missing one.
            if reading.sign("rec") == 1 and any(s.used(to_m, to_v, s.closed) <= 1 for s in alike):
                if "to_b" not in each(trial)[case].got:
                    raise CheckFailed(
                        f"{message} The gradient of the reconstruction term is missing.", diagnosis="rec_detached"
                    )
                if _from_prior(asked):
                    raise CheckFailed(
                        f"{message} Only the gradient of the KL term is there. The decoded z comes from the prior, "
                        "so it does not depend on m and v.",
                        diagnosis="decodes_prior",
                    )
                raise CheckFailed(
                    f"{message} Only the gradient of the KL term is there, because z was detached.",
                    diagnosis="detached_sample",
                )
            if reading.sign("kl") == 1 and any(s.used(to_m, to_v, s.through_rec) <= 1 for s in alike):
                raise CheckFailed(
                    f"{message} Only the gradient of the reconstruction term is there.", diagnosis="kl_detached"
                )
            raise CheckFailed(message)
    return passed("The gradients of the negative ELBO with respect to m and v are right.", tolerance_used=used)


def _from_prior(trial: Trial) -> bool:
    """Whether the z that are decoded are noise of the prior, as the check of z says."""
    try:
        return posterior(trial, 1e-6).diagnosis == "decodes_prior"
    except CheckFailed:
        return False


def _decoder_used(s: BoundCase, to_b: Array) -> float:
    """Share of the rounding bound; d nelbo / db_i is the mean of the pixel's slope over z and batch."""
    inner, doubt, unsure = _pixel_slopes(s)
    bound = (doubt + gamma(1000) * np.abs(inner)).mean((0, 1))
    return tolerance_ratio(to_b, inner.mean((0, 1)), bound, beside=unsure.mean((0, 1)))


def gradient_decoder(trial: Trial) -> Verdict:
    trial = section(trial, "values")
    reading = read(trial)
    used = 0.0
    for case, _ in _judged(reading):
        to_b = _slopes(trial, reading, case, "b")
        one = min(_decoder_used(seen, to_b) for seen in reading.alike[case])
        used = max(used, one)
        if one > 1:
            _in_order(reading)
            if _decoder_follows(trial, reading):
                return passed(ITS_OWN)
            if any(_decoder_used(seen, -to_b) <= 1 for seen in reading.alike[case]):
                raise CheckFailed(
                    "The gradient with respect to the decoder has the wrong sign, so training would make the pixels "
                    "less likely. Expected: minimising the negative ELBO raises log p(x|z).",
                    diagnosis="elbo_not_negated" if reading.nelbo_right(sign=-1) else "rec_subtracted",
                )
            raise CheckFailed(
                "The gradient of the negative ELBO with respect to the decoder is not the gradient of -log p(x|z). "
                "Expected: sigmoid(logit) - x at every pixel, for a single example."
            )
    return passed("The gradient of the negative ELBO with respect to the decoder is right.", tolerance_used=used)


def _made_of(asked: Trial, noise: Trial, z: Array) -> None:
    """Raises `CheckFailed` where these values are not made of the z (calls, rows, dim) that came with them.

    Whose reconstruction or bound is right for single examples makes it so of any z, up to how a batch is averaged. Code
    that knows what is done with its z can show others, and a tensor's clone can be made something else; but then these
    values do not fit.
    """
    try:
        reading = read(section(asked, "values"))
    except CheckFailed:
        return  # what is wrong there has cost its points
    sign = reading.sign("rec")
    which = "rec" if sign else "nelbo" if reading.nelbo_right() else ""
    if not which:
        return
    signed = 0 if which == "nelbo" else sign
    of_batch = [
        factor
        for factor in FACTORS
        if all(
            (part := reading.part(case, which)).size in (1, CASES[case][0])
            and _fits(float(part.mean()), factor(CASES[case][0]) if part.size == 1 else 1.0, seen, signed)
            for case, seen in ((case, reading.cases[case]) for case in TOGETHER)
        )
    ]
    if not of_batch:
        return  # how it treats a batch is another check's matter
    m, batch = array(noise.given, "m"), len(array(noise.given, "m"))
    parts = array(noise.got, item("parts", reading.order.index(which)), what=f"The {WORDS[which]}")
    for call in looked_at(z, batch):
        rows = z[call]
        got = pack(parts=3 * [parts[call]], z=rows, rows=np.array([len(rows)]), other_x=False)
        seen = readings(Trial(noise.given, got), batch, m.shape[1])
        value = float(parts[call].mean())
        factors = [factor(batch) if parts.shape[1] == 1 else 1.0 for factor in of_batch]
        if not any(_fits(value, factor, one, signed) for one in seen for factor in factors):
            raise CheckFailed(
                f"In {len(z)} calls with one batch the {WORDS[which]} does not match the z that was passed to the "
                "decoder. Expected: both terms are computed from the decoded z.",
                diagnosis="z_exchanged",
            )


FACTORS: tuple[Callable[[int], float], ...] = (lambda batch: 1.0, float, lambda batch: 1 / batch)
"""What the average over a batch may be multiplied by: nothing, the batch in a sum, or it was divided by it twice."""


def _fits(value: float, factor: float, seen: BoundCase, sign: int) -> bool:
    """Whether the value is `factor` times the reconstruction term with this sign, or the bound where it is 0."""
    if sign:
        return within(value, factor * sign * float(seen.rec.mean()), factor * seen.rec_bound)
    return is_bound(value / factor, seen)


def posterior(trial: Trial, alpha: float) -> Verdict:
    asked, trial = trial, section(trial, "noise")
    m, v = array(trial.given, "m"), array(trial.given, "v")
    calls, (batch, dim) = int(trial.given["calls"]), m.shape
    z = array(trial.got, "z", what="The decoded z")
    if z.ndim != 3 or z.shape[0] != calls or z.shape[2] != dim or z.shape[1] % batch or not z.shape[1]:
        raise CheckFailed(
            f"The z passed to the decoder has shape {list(z.shape[1:])}. Expected: shape [{batch}, {dim}]."
        )
    _made_of(asked, trial, z)
    # Of many samples the first few of each call are enough, and keep the judge's work bounded.
    stacked = z.reshape(calls, -1, batch, dim)[:, :4].reshape(-1, batch, dim)
    interleaved = z.reshape(calls, batch, -1, dim)[:, :, :4].swapaxes(1, 2).reshape(-1, batch, dim)
    # One z per example is the usual answer. Of several all count, stacked in either order; or some were
    # for display, and the first or the last of each call counts.
    readings = [stacked] if z.shape[1] == batch else [stacked, interleaved, z[:, :batch], z[:, -batch:]]
    right = "The decoded z are draws from q(z|x), new ones for every example and every call."
    best: Verdict | None = None
    # More readings are more chances to pass, never to fail: alpha bounds a false fail of the right one.
    for rows in readings:
        verdict, worst = at_level([*everything((rows - m) / np.sqrt(v), m, v)], alpha, right)
        if verdict:
            return verdict
        best = best or _not_posterior(rows, m, v, worst.what, worst.p)
    assert best is not None
    return best


def _not_posterior(z: Array, m: Array, v: Array, what: str, p: float) -> Verdict:
    expected = "Expected: z is drawn from q(z|x) = N(m, diag v), independently for every example, dimension and call."
    e = (z - m) / np.sqrt(v)
    if np.ptp(e) < 1e-3:
        return Verdict(0.0, f"The mean m was passed to the decoder, not a sample. {expected}", "decodes_mean", p=p)
    if smallest_p([*everything(z, m, v)]).p >= 1e-6:
        return Verdict(0.0, f"Noise from the prior N(0, I) was passed to the decoder. {expected}", "decodes_prior", p=p)
    for diagnosis, sentence, residual in RESIDUALS:
        if smallest_p([*everything(residual(z, m, v), m, v)]).p >= 1e-6:
            return Verdict(0.0, f"{sentence} {expected}", diagnosis, p=p)
    if len(unrepeated(e)) < len(e):
        return Verdict(0.0, f"Every call decoded the same z. {expected}", "seeded_inside", p=p)
    if same(e, 1) or same(e, 2):
        return Verdict(
            0.0,
            f"All {'examples' if same(e, 1) else 'dimensions'} got the same noise. {expected}",
            "shared_noise",
            p=p,
        )
    if bool(np.ptp(z, axis=1).max() < 1e-6):
        return Verdict(0.0, f"All examples of a batch were decoded from the same z. {expected}", "shared_noise", p=p)
    sentence, diagnosis = family(e)
    message = f"The z passed to the decoder do not look like draws from q(z|x): {what}.{sentence} {expected}"
    return Verdict(0.0, message, diagnosis, p=p)
