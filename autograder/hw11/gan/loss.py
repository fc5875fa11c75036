"""Asks and judges `loss_nonsaturating(x_real, device)`: its two losses, their gradients, and the z behind them.

One error is charged once. A loss whose value is wrong loses the points of its value. Its gradient is wrong as well, but
follows from it: where explaining.py knows what the loss is, the gradient need only be that of this loss. One that does
not arrive, or is zero, earns nothing whatever the loss is, and so does one of a loss that nothing known explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.random import Generator
from scipy.special import expit

from autograder.core import Array, CheckFailed, Counterexample, Request, Spec, Specs, Trial, Values, Verdict
from autograder.hw11.gan.explaining import explanation
from autograder.hw11.gan.interpretation import (
    AGGREGATED,
    CASES,
    PIXELS,
    RIGHT,
    SEEN,
    STEEPEST,
    STEEPEST_CURVE,
    UNEVEN,
    WORDS,
    D,
    Fakes,
    G,
    LossCase,
    LossReading,
    count,
    match,
    read,
    returned,
    seen_of,
    softplus,
)
from autograder.hw11.precision import HALF, refuse_half
from autograder.hw11.vae.interpretation import looked_at
from autograder.hw11.vae.sample import family, same, unrepeated
from autograder.judging.judges import (
    array,
    at_level,
    got_and_expected,
    parts_of,
    passed,
    shown,
    tolerance_ratio,
    within,
)
from autograder.judging.stats import dependence, gamma, marginal, repetition
from autograder.sandbox.parts import each, items, pack, section
from autograder.sandbox.returns import count as times
from autograder.sandbox.returns import declared, entries, flag, numbers, parts, scalar

# ------------------------------------------------------------------------------------- what is asked


def _case(rng: Generator, batch: int, dim: int) -> dict[str, Array]:
    """Real images, a generator tanh(z A) + b and a discriminator 3.5 tanh(x w + c), with logits of either sign.

    The discriminator looks at 32 pixels only: the fewer products are summed, the less rounding must be allowed.
    Their weights add up to 0, or the images' mean would drive the tanh to where it is flat and no gradient is left.
    """
    weights = 0.3 * rng.standard_normal(SEEN)
    w = np.zeros(PIXELS)
    w[rng.choice(PIXELS, SEEN, replace=False)] = weights - weights.mean()
    return {
        "x": rng.beta(0.4, 0.4, (batch, PIXELS)).astype(np.float32),
        "a": (rng.standard_normal((dim, PIXELS)) / np.sqrt(dim)).astype(np.float32),
        "b": rng.uniform(0.2, 0.8, PIXELS).astype(np.float32),
        "w": w.astype(np.float32),
        "c": np.array(rng.uniform(-0.3, 0.3), np.float32),
    }


BESIDE = 0.9998
"""Half precision makes 20, 60 and 100 of the logits below, which moves their averages by 0.005 or more."""
FARTHEST = 100 * BESIDE
REAL = tuple(BESIDE * size for size in (20, -20, 60, -60, 100, -100, 100, -100))


def _extreme(rng: Generator) -> Values:
    return {"real": rng.permutation(REAL).astype(np.float32), "size": FARTHEST}


CALLS = 24


def _noise(rng: Generator) -> Values:
    return {**_case(rng, 48, 7), "calls": CALLS}


def _everything(rng: Generator) -> Values:
    return pack(values={"cases": [_case(rng, *case) for case in CASES]}, extreme=_extreme(rng), noise=_noise(rng))


def _losses(batch: int, slope: Spec) -> list[dict[str, Spec]]:
    """Two losses; one that was not averaged may have an entry for every pair of images."""
    return 2 * [{"loss": entries(batch), "is_tensor": flag(), "to_w": slope, "to_b": slope}]


def _returns(given: Values) -> Specs:
    cases = [
        {
            "losses": _losses(batch, numbers(PIXELS)),
            "count": times(),
            "z": numbers(None, None, most=64 * batch * dim, what="the z passed to the generator"),
            "rows": numbers(None, most=1000, dtypes="i", what="the calls of the generator"),
            "other": numbers(None, batch, PIXELS, most=4 * batch * PIXELS),
        }
        for batch, dim in CASES
    ]
    extreme = {"losses": _losses(8, scalar())}
    drawn = CALLS * 64 * int(np.shape(given["noise.x"])[0]) * int(np.shape(given["noise.a"])[0])
    noise = {
        "z": numbers(None, None, None, most=drawn),
        "rows": numbers(None, most=1000, dtypes="i"),
        "losses": 2 * [{"loss": entries(CALLS * int(np.shape(given["noise.x"])[0]))}],
    }
    return parts(values={"cases": cases}, extreme=extreme, noise=noise)


REQUEST = Request("gan.private_probes:loss", _everything, returns=_returns, needs=("gan_vae/models/gan.py",))

# ------------------------------------------------------------------------------------ how it is judged


def contract(trial: Trial) -> Verdict:
    trial = section(trial, "values")
    reading = read(trial)
    for case, seen in enumerate(reading.cases):
        if count(trial, case) != 2:
            raise CheckFailed(
                f"The method returned {count(trial, case)} values. Expected: two values, d_loss and g_loss.",
                diagnosis="third_value",
            )
        for index, (which, told) in enumerate(zip((D, G), returned(trial, case), strict=True)):
            if seen.losses[index].size != 1:
                raise CheckFailed(
                    f"{which} has shape {list(seen.losses[index].shape)} for a batch of {seen.batch} images. "
                    "Expected: a scalar, the average over the batch.",
                    diagnosis="not_averaged",
                )
            refuse_half(told, "loss", which)
            if told.get("is_tensor") is not True:
                raise CheckFailed(
                    f"{which} is a plain number. Expected: a scalar tensor, because backward() needs one.",
                    diagnosis="item",
                )
    if reading.order != (D, G):
        raise CheckFailed(
            "loss_nonsaturating returned (g_loss, d_loss). Expected: (d_loss, g_loss).", diagnosis="order_swapped"
        )
    return passed("The method returned two finite scalars, the discriminator's loss and the generator's loss.")


def _value(trial: Trial, which: str, right: str) -> Verdict:
    values = section(trial, "values")
    reading = read(values)
    found = reading.found[which]
    if found is not None:
        if which in _labels_drawn(trial):
            rule = "1 for real and 0 for generated images" if which == D else "1"
            return Verdict(
                0.0,
                f"The {WORDS[which]} is right in some calls only: in others of {CALLS} calls with one batch it is that "
                f"of other labels, as if some of them were drawn or turned round. Expected: {rule}, in every call.",
                "random_labels",
            )
        return passed(right, tolerance_used=max(match.tolerance_used for match in found))
    case = len(CASES) - 1
    seen, loss = reading.cases[case], reading.loss(case, which)
    want = seen.terms(RIGHT[which], seen.fakes[0])
    told = f"of shape {list(loss.shape)}; expected {shown(want)}"
    if loss.size == 1:
        told = got_and_expected(loss.reshape(()), want).removesuffix(".")
    formula = "-log D(x) - log(1 - D(G(z)))" if which == D else "-log D(G(z))"
    begin = f"For a batch of {seen.batch} the {WORDS[which]} was {told}, the average of {formula}."
    known = explanation(values, reading, which)
    return Verdict(0.0, f"{begin} {known.sentence}" if known else begin, known.id if known else "")


def discriminator(trial: Trial) -> Verdict:
    return _value(
        trial,
        D,
        (
            "The discriminator's loss is the cross entropy with label 1 for real images and label 0 for generated "
            "images."
        ),
    )


def generator(trial: Trial) -> Verdict:
    return _value(trial, G, "The generator's loss is the non-saturating loss -log D(G(z)).")


TINY: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = (
    *(((real,), (fake,)) for real, fake in ((0, 0), (1, 0), (0, 1), (1, 1), (-1, 0), (0, -1), (2, 0), (0, 2))),
    *(((0, 2), fake) for fake in ((0, 0), (0, 1))),
    ((0, 0), (0, 1)),
)
"""The discriminator's logits of real and of generated images."""


def _tiny(_rng: Generator) -> Values:
    return pack(cases=[{"real": np.array(real, np.float32), "fake": np.array(fake, np.float32)} for real, fake in TINY])


def _first(failed: Trial, tiny: Trial, which: str) -> str:
    """The sentence for the first tiny batch whose loss is wrong."""
    place = read(section(failed, "values")).index(which)
    for case in each(tiny):
        real, fake = array(case.given, "real"), array(case.given, "fake")
        loss = array(items(case.got, "losses", 2)[place], "loss", what="The loss")
        if loss.size != 1:
            return ""
        want = float(RIGHT[which].formula(real, fake))
        # Rounding as in `match`: of a sigmoid under a logarithm, and of sums over at most two rows.
        size = float(np.abs(real).mean() + np.abs(fake).mean()) + 2
        if not within(loss.reshape(()), want, 2 * UNEVEN + gamma(100) * size):
            return (
                f"Smallest example: the logits {shown(real)} of real images and {shown(fake)} of generated images "
                f"gave a {which} of {got_and_expected(loss.reshape(()), want)}"
            )
    return ""


def _tiny_returns(_given: Values) -> Specs:
    return declared(cases=len(TINY) * [{"losses": 2 * [{"loss": entries(2), "is_tensor": flag()}]}])


_TINY_REQUEST = Request("gan.private_probes:tiny", _tiny, seconds=3, deterministic=True, returns=_tiny_returns)
SMALLEST_D, SMALLEST_G = (Counterexample(_TINY_REQUEST, partial(_first, which=which)) for which in (D, G))


def average(trial: Trial) -> Verdict:
    """A loss that is wrong in a known way can be an average, too: what is wrong has cost its points."""
    values = section(trial, "values")
    reading = read(values)
    hows = {which: reading.how(which) for which in (D, G)}
    for which in (D, G):
        if hows[which] is None and (known := explanation(values, reading, which)) is not None:
            hows[which] = known.how
    if all(how is None for how in hows.values()):
        raise CheckFailed(
            "Neither loss is right yet, and neither error is a known one, so this check cannot be judged. Expected: "
            "at least one loss is right except for its average."
        )
    for which, how in hows.items():
        if how:
            raise CheckFailed(
                f"The {WORDS[which]} is not the average over the batch. {AGGREGATED[how]} Expected: the average.",
                diagnosis=how,
            )
    return passed("The losses are averages over the batch.")


OWN = {D: "to_w", G: "to_b"}
"""The gradient of each loss to its own network."""


def _slope(trial: Trial, reading: LossReading, case: int, which: str) -> Array:
    """The gradient of a loss to its own network, (784,): to the discriminator's w or the generator's b."""
    key, got = OWN[which], returned(trial, case)[reading.index(which)]
    if key not in got:
        network = "discriminator" if which == D else "generator"
        known = reading.known(which) if reading.found[which] is None else None
        if which == G and known and known.id == "g_uses_real":
            raise CheckFailed(
                "No gradient of the generator's loss reached the generator. The loss is computed from the real "
                "images, which do not depend on the generator. Expected: each loss has a gradient for its own "
                "network.",
                diagnosis=known.id,
            )
        reason = (
            ""
            if which == D
            else " Were the generated images detached for this loss too, computed under torch.no_grad(), or rounded?"
        )
        raise CheckFailed(
            f"No gradient of the {WORDS[which]} reached the {network}, so it cannot be trained.{reason} Expected: "
            "each loss has a gradient for its own network.",
            diagnosis="no_gradient" if which == D else "detached_generator",
        )
    return array(got, key, shape=(PIXELS,), what="The gradient")


def _want(seen: LossCase, fakes: Fakes, which: str) -> tuple[Array, Array]:
    """The right gradient (784,) and what rounding may change it by."""
    parts, doubt = _terms(seen, fakes, which)
    return parts[0] + parts[-1] if which == D else parts[0], doubt


def _terms(seen: LossCase, fakes: Fakes, which: str) -> tuple[list[Array], Array]:
    """The terms of the right gradient, (784,) each, and what rounding may change their sum by.

    d softplus(h) / dh = sigmoid(h), dh/ds = 3.5 (1 - (h / 3.5)^2) with s = x w + c, and ds/dw = x, ds/dx = w.
    """

    def steep(h: Array) -> Array:
        result: Array = STEEPEST * (1 - (h / STEEPEST) ** 2)
        return result

    # Each row's slope t = (sigmoid(h) - y) 3.5 (1 - (h / 3.5)^2) errs by at most |dt/ds| < 6 times what s does, a
    # 3.5th of what its logit does (as in vae/bound.py), by 3.5 times 300 u and what a small constant changes as it is
    # written with sigmoids, and with fewer than 50 roundings of itself, at most 3.5, as batch and pixels are averaged.
    rough = STEEPEST_CURVE / STEEPEST * seen.slack + STEEPEST * UNEVEN + gamma(50) * STEEPEST
    if which == D:
        real, fake = (expit(seen.h) - 1) * steep(seen.h), expit(fakes.h) * steep(fakes.h)
        terms = [real @ seen.x / len(real), fake @ fakes.x / len(fake)]
        return terms, rough * (np.abs(seen.x).mean(0) + np.abs(fakes.x).mean(0)) + STEEPEST * seen.pixels
    slope = float(((expit(fakes.h) - 1) * steep(fakes.h)).mean())
    return [slope * seen.w], rough * np.abs(seen.w)


ITS_OWN = (
    "The gradient matches the {0} that was returned. That loss itself is wrong, but it lost its points in an "
    "earlier check and loses none here."
)


def _slopes_of(trial: Trial, reading: LossReading, which: str) -> list[Array]:
    return [_slope(trial, reading, case, which) for case in range(len(reading.cases))]


def _gradient(trial: Trial, which: str, right: str) -> Verdict:
    trial = section(trial, "values")
    reading = read(trial)
    used = 0.0
    known = explanation(trial, reading, which) if reading.found[which] is None else None
    own = known is not None and all(
        known.used(case, _slope(trial, reading, case, which)) <= 1 for case in range(len(reading.cases))
    )
    for case, seen in enumerate(reading.cases):
        slope = _slope(trial, reading, case, which)
        found = reading.found[which]
        fakes = seen.fakes if found is None else found[case].fakes
        factor = reading.scale(which, seen.batch, summed=True)
        pairs = [_want(seen, one, which) for one in fakes]
        one = min(tolerance_ratio(slope, factor * want, factor * bound + 1e-12) for want, bound in pairs)
        if one > 1 and own and max(np.abs(slope).max() for slope in _slopes_of(trial, reading, which)) > 0:
            return passed(ITS_OWN.format(WORDS[which]))
        used = max(used, one)
        if one > 1:
            network = "discriminator" if which == D else "generator"
            formula = "-log D(x) - log(1 - D(G(z)))." if which == D else "-log D(G(z)), through D and G."
            message = (
                f"The gradient of the {WORDS[which]} with respect to the {network} is wrong. Expected: the gradient "
                f"of the average of {formula}"
            )
            if min(tolerance_ratio(slope, -factor * want, factor * bound + 1e-12) for want, bound in pairs) <= 1:
                raise CheckFailed(f"{message} It has the wrong sign.", diagnosis="d_sign" if which == D else "g_sign")
            for place, (there, lost) in enumerate((("real", "generated"), ("generated", "real"))):
                halves = [(terms[place], doubt) for terms, doubt in (_terms(seen, each, D) for each in fakes)]
                if (
                    which == D
                    and min(tolerance_ratio(slope, factor * half, factor * doubt) for half, doubt in halves) <= 1
                ):
                    raise CheckFailed(
                        f"{message} Only the part of the {there} images is there. Were the logits of the {lost} "
                        "images detached? Detach the generated images instead, before you pass them to the "
                        "discriminator.",
                        diagnosis="logits_detached",
                    )
            if np.abs(slope).max() < 1e-12:
                raise CheckFailed(f"{message} It is zero everywhere.", diagnosis="no_gradient")
            raise CheckFailed(message)
    return passed(right, tolerance_used=used)


def gradient_discriminator(trial: Trial) -> Verdict:
    return _gradient(trial, D, "The gradient of d_loss with respect to the discriminator is right.")


def gradient_generator(trial: Trial) -> Verdict:
    return _gradient(trial, G, "The gradient of g_loss with respect to the generator is right.")


def _gradient_right(trial: Trial, which: str) -> bool:
    try:
        return _gradient(trial, which, "").score == 1
    except CheckFailed:
        return False


def _at(real: Array, fake: Array) -> dict[str, tuple[float, float]]:
    """The two losses at these logits, each with its slope: by the discriminator's weight, by the generator's bias."""
    by_weight = ((expit(real) - 1) * real).mean() + (expit(fake) * fake).mean()
    return {
        D: (float(softplus(-real).mean() + softplus(fake).mean()), float(by_weight)),
        G: (float(softplus(-fake).mean()), float((expit(fake) - 1).mean())),
    }


def stable(trial: Trial) -> Verdict:
    """At logits of +-20, +-60 and +-100: finite, and right where the loss is right at moderate ones."""
    extreme, reading = section(trial, "extreme"), read(section(trial, "values"))
    expected = (
        "Expected: the right finite value for any logit, as logsigmoid and the cross entropies with logits give it."
    )
    real = array(extreme.given, "real")
    fake = np.array([FARTHEST, -FARTHEST])
    used, coarse = 0.0, [np.float16(logits).astype(float) for logits in (real, fake)]
    halved = [_at(*pair) for pair in ((coarse[0], fake), (real, coarse[1]), coarse)]
    for which, (value, slope) in _at(real, fake).items():
        place = reading.index(which)
        got = items(extreme.got, "losses", 2)[place]
        loss, steep = got.get("loss"), got.get(OWN[which])
        for name, seen in (("value", loss), ("gradient", steep)):
            if isinstance(seen, np.ndarray) and not np.isfinite(seen).all():
                raise CheckFailed(
                    f"For logits of up to +-100 the {WORDS[which]} has a {name} that is infinite or nan. A sigmoid "
                    f"rounds to 0 or 1 there, and log(0) is infinite. {expected}",
                    diagnosis="unstable",
                )
        unsure = reading.how(which) is None or which in _labels_drawn(trial)
        if unsure or not isinstance(loss, np.ndarray) or not isinstance(steep, np.ndarray):
            continue  # what is wrong with it at moderate logits is another check's matter
        if not loss.size or not steep.size:
            raise CheckFailed(f"For large logits the {WORDS[which]} is empty. Expected: one number.", diagnosis="shape")
        scale, summed = reading.scale(which, len(real)), reading.scale(which, len(real), summed=True)
        # Terms are at most 100 and exact to a few u each; sums over 16 rows. What is left at +-20 is below 1e-8.
        bound = gamma(100) * 2 * FARTHEST + 1e-6
        value_used = tolerance_ratio(float(np.mean(loss)), scale * value, scale * bound)
        steep_used = tolerance_ratio(float(np.mean(steep)), summed * slope, summed * bound)
        judged = [("value", value_used)]
        if _gradient_right(trial, which):
            judged.append(("gradient", steep_used))
        used = max(used, *(one for _, one in judged))
        for name, one in judged:
            if one > 1:
                # Half precision keeps three digits of the gradient, too; a sigmoid that has rounded keeps none of it.
                if (
                    name == "value"
                    and tolerance_ratio(float(np.mean(steep)), summed * slope, summed * FARTHEST * 2.0**-9) <= 1
                    and any(within(float(np.mean(loss)), scale * each[which][0], scale * bound) for each in halved)
                ):
                    raise CheckFailed(
                        f"For logits of up to +-100 the {WORDS[which]} is right to three digits only, because it "
                        f"was computed in half precision. {expected}",
                        diagnosis=HALF,
                    )
                raise CheckFailed(
                    f"For logits of up to +-100 the {name} of the {WORDS[which]} is wrong, though it is right for "
                    f"small logits. The sigmoid rounded to 0 or 1 before the logarithm was taken. {expected}",
                    diagnosis="unstable",
                )
    return passed("Values and gradients are right and finite for logits of up to +-100.", tolerance_used=used)


def _calls(trial: Trial) -> tuple[Trial, Array, list[int]]:
    """The calls with one batch, all their z (calls, rows, dim), and the rows of each call of the generator."""
    noise = section(trial, "noise")
    batch, dim = array(noise.given, "x").shape[0], array(noise.given, "a").shape[0]
    z = array(noise.got, "z", what="The z passed to the generator")
    rows = parts_of(noise.got, "rows", total=z.shape[1] if z.ndim == 3 else 0)
    if z.ndim != 3 or z.shape[0] != CALLS or z.shape[2] != dim or not rows or any(count % batch for count in rows):
        shape = [rows[0], z.shape[2]] if rows else list(z.shape[1:])
        raise CheckFailed(
            f"For a batch of {batch} images and z_dim {dim} the generator received z of shape {shape}. Expected: "
            f"shape [{batch}, {dim}].",
            diagnosis="wrong_shape",
        )
    return noise, z, rows


def _drawn(trial: Trial) -> Array:
    """The z of all calls that went into the losses, (calls, rows, dim)."""
    noise, z, rows = _calls(trial)
    batch = array(noise.given, "x").shape[0]
    _made_of(trial, noise, z, rows)
    whole = [z[:, at : at + batch] for at in range(0, z.shape[1], batch)]
    counted = _counted(trial)
    if counted is not None and counted and max(counted) < len(whole):
        whole = [whole[place] for place in counted]  # others may have been for display
    # The same z may go through the generator twice: what is a copy in every call is one draw.
    distinct: list[Array] = []
    for one in whole[:4]:
        if not any(np.array_equal(one, other) for other in distinct):
            distinct.append(one)
    drawn: Array = np.concatenate(distinct, 1)
    return drawn


@lru_cache(maxsize=2)
def _labels_drawn(trial: Trial) -> tuple[str, ...]:
    """The losses that are right in `values`, but in the calls of `noise` those of other labels now and then."""
    try:
        noise, z, rows = _calls(trial)
        return _made_of(trial, noise, z, rows)
    except CheckFailed:
        return ()


def _of_some_labels(seen: LossCase, which: str, loss: Array) -> bool:
    """Whether some labels from 0 to 1 make this loss: softplus(-|h|) and softplus(|h|) are the least and the most."""
    if loss.size != 1:
        return False
    value, slack = float(loss.reshape(())), 2 * seen.slack + 2 * UNEVEN + gamma(100)
    for fakes in seen.fakes:
        groups = [np.abs(h) for h in ((seen.h, fakes.h) if which == D else (fakes.h,))]
        low, high = (sum(float(softplus(sign * h).mean()) for h in groups) for sign in (-1, 1))
        if (1 - slack) * low - slack <= value <= (1 + slack) * high + slack:
            return True
    return False


def _made_of(trial: Trial, noise: Trial, z: Array, rows: Sequence[int]) -> tuple[str, ...]:
    """Raises `CheckFailed` where these losses are not made of the z (calls, rows, dim) that came with them.

    Whose losses are right, or wrong in a known way, makes them so of any z. Code that knows what is done with its z
    can show others, and a tensor's clone can be made something else; but then the losses do not fit. Labels that are
    turned round now and then make a loss that does not fit, either, in the calls in which some were. So where one of
    the losses fits in half of the calls at least, and all could be those of some labels, the z are not in doubt: the
    losses that do not always fit are returned, and cost the points of their values.
    """
    try:
        reading = read(section(trial, "values"))
    except CheckFailed:
        return ()  # what is wrong there has cost its points
    x, a, b, w = (array(noise.given, name) for name in "xabw")
    c = float(array(noise.given, "c"))
    told = enumerate(items(noise.got, "losses", 2), 1)
    losses = [array(one, "loss", what=f"Loss {number} of the two") for number, one in told]
    cases = []
    for call in looked_at(z, len(x)):
        found = [loss[call] if loss.shape[:1] == (CALLS,) and loss.ndim == 2 else np.empty(0) for loss in losses]
        cases.append(seen_of(x, a, b, w, c, z[call], rows, (found[0], found[1])))
    others = []
    for which in (D, G):
        right = RIGHT[which] if reading.found[which] is not None else reading.known(which)
        if right is not None and match(tuple(cases), reading.index(which), right) is None:
            others.append(which)
    if others and not _certain(reading, cases, others):
        raise CheckFailed(
            f"In {CALLS} calls with one batch the {WORDS[others[0]]} does not match the z that was passed to the "
            "generator. Expected: the losses are computed from the images that the generator makes from z.",
            diagnosis="z_exchanged",
        )
    return tuple(others)


def _certain(reading: LossReading, cases: Sequence[LossCase], others: Sequence[str]) -> bool:
    """Whether the z are not in doubt though these losses do not always fit them: see `_made_of`."""
    sure = [which for which in (D, G) if reading.how(which) == ""]
    if not set(others) <= set(sure):
        return False
    fitting = [any(match((seen,), reading.index(which), RIGHT[which]) is not None for which in sure) for seen in cases]
    ours = all(_of_some_labels(seen, which, seen.losses[reading.index(which)]) for seen in cases for which in others)
    return ours and 2 * sum(fitting) >= len(cases)


def _counted(trial: Trial) -> list[int] | None:
    """Which of the generator's batches went into the losses, as far as the losses' values tell."""
    try:
        return read(section(trial, "values")).counted()
    except CheckFailed:
        return None


def noise(trial: Trial, alpha: float) -> Verdict:
    z = _drawn(trial)
    verdict, worst = at_level(marginal(z), alpha, "Each image has its own z, and z is standard normal.")
    if verdict:
        return verdict
    sentence, diagnosis = family(z)
    if np.ptp(z) < 1e-6:
        sentence, diagnosis = " All entries are the same number.", "no_noise"
    message = (
        f"The z passed to the generator are not standard normal: {worst.what} does not match.{sentence} Expected: z "
        "from N(0, I), one for each image of the batch."
    )
    return Verdict(0.0, message, diagnosis, p=worst.p)


def fresh(trial: Trial, alpha: float) -> Verdict:
    z = _drawn(trial)
    verdict, worst = at_level([*dependence(z), *repetition(z)], alpha, "Every image and every call has its own z.")
    if verdict:
        return verdict
    if len(unrepeated(z)) < len(z):
        told = "Two calls with the same batch used the same z. Does the code set a seed, or keep z between calls?"
        diagnosis = "seeded_inside"
    elif same(z, 1) or same(z, 2):
        told = f"All {'images' if same(z, 1) else 'dimensions'} of a batch got the same noise."
        diagnosis = "shared_noise"
    else:
        told, diagnosis = f"The z passed to the generator are not independent {worst.what}.", ""
    expected = "Expected: new, independent z for every image and every call."
    return Verdict(0.0, f"{told} {expected}", diagnosis, p=worst.p)
