"""Asks and judges `ewc_penalty` by its value and gradient, and `train_ewc` by the gradients that its steps are made of.

With F_k and theta_k what is kept of task k, the penalty is lambda / 2 sum_k sum F_k (theta - theta_k)^2 (Kirkpatrick et
al. 2017, equation 3, for several tasks), or the same without the 1/2, which is another lambda. A step of train_ewc has
the gradient of the batch's cross entropy and that of the penalty, so where a notebook has no function ewc_penalty, the
difference between the two is the penalty's gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.random import Generator

from autograder.core import Array, Ask, Reject, Spec, Specs, Trial, Values, Verdict
from autograder.hw11.continual_learning import classifier
from autograder.judges import array, fits, passed, share
from autograder.returns import entries, flag, numbers, parts
from autograder.sections import join, section
from autograder.stats import gamma

CLASSES, INPUTS, IMAGES = 3, 5, 270
"""More images than a batch has, so that there is a second step."""
CASES = (1, 3, 2, 0)
"""Earlier tasks."""
EARLIER = 2
"""Earlier tasks of train_ewc's epoch."""
HALVES = (1.0, 0.5)

# ------------------------------------------------------------------------------------- what is asked


def _kept(rng: Generator, tasks: int) -> Values:
    """Parameters, what is kept of earlier tasks, and a lambda that is neither its square nor 1."""
    shape = (CLASSES, INPUTS + 1)
    theta, optpar = rng.standard_normal(shape), rng.standard_normal((tasks, *shape))
    return {
        "theta": theta.astype(np.float32),
        "optpar": optpar.astype(np.float32),
        "fisher": rng.uniform(0.2, 2, (tasks, *shape)).astype(np.float32),
        "lambda": float(rng.choice([rng.uniform(0.3, 0.6), rng.uniform(2, 5)])),
    }


def _epoch(rng: Generator, tasks: int) -> Values:
    kept = _kept(rng, tasks)
    return {
        **kept,
        "x": (1 + rng.standard_normal((IMAGES, INPUTS))).astype(np.float32),
        "t": rng.integers(0, CLASSES, IMAGES),
        "along": rng.standard_normal((CLASSES, INPUTS + 1)).astype(np.float32),
        "lr": 0.02,
    }


def _penalty(rng: Generator) -> Values:
    cases = {f"k{case}": _kept(rng, tasks) for case, tasks in enumerate(CASES)}
    return join(**cases, steps=_epoch(rng, EARLIER))


def _training(rng: Generator) -> Values:
    return join(plain=_epoch(rng, 0), earlier=_epoch(rng, EARLIER))


MOST_STEPS = 2000
"""Of an epoch: more the probe does not note."""


def _steps(given: Values, part: str) -> dict[str, Spec]:
    """An epoch's parameters and gradients by step, and the numbers of the images of each."""
    matrix = np.shape(given[f"{part}.theta"])
    shown = numbers(None, most=MOST_STEPS * IMAGES, what="the images of all steps")
    notes = dict.fromkeys(("before", "slopes"), numbers(None, *matrix, most=MOST_STEPS * int(np.prod(matrix))))
    return {**notes, "images": shown, "sizes": numbers(None, most=MOST_STEPS, dtypes="i"), "stand_in": flag()}


def _penalty_returns(given: Values) -> Specs:
    """Value and gradient in each case; or the steps of an epoch, where there is no function of its own."""
    specs = {f"steps.{name}": spec for name, spec in _steps(given, "steps").items()}
    for case in range(len(CASES)):
        kept = np.shape(given[f"k{case}.fisher"])
        specs |= {f"k{case}.value": entries(int(np.prod(kept))), f"k{case}.slope": numbers(*kept[1:])}
    return specs


def _training_returns(given: Values) -> Specs:
    return parts(plain=_steps(given, "plain"), earlier=_steps(given, "earlier"))


PENALTY = Ask("continual_learning:penalty", _penalty, returns=_penalty_returns)
TRAINING = Ask("continual_learning:training", _training, returns=_training_returns)

# ------------------------------------------------------------------------------------ forms of the penalty


@dataclass(frozen=True)
class Case:
    """Parameters (c, d + 1), and the Fisher and old parameters (tasks, c, d + 1)."""

    theta: Array
    fisher: Array
    optpar: Array
    weight: float

    @property
    def off(self) -> Array:
        """theta - theta_k, (tasks, c, d + 1)."""
        off: Array = self.theta - self.optpar
        return off

    def of(self, tasks: slice) -> Case:
        """The same with some of the tasks only."""
        return replace(self, fisher=self.fisher[tasks], optpar=self.optpar[tasks])

    def bound(self) -> tuple[Array, float]:
        """What rounding may do to the gradient and the value, in any order of adding and however the square is written:
        (theta - theta_k)^2 has at most (|theta| + |theta_k|)^2 in its terms."""
        size = np.abs(self.theta) + np.abs(self.optpar)
        slope: Array = gamma(50 + len(self.fisher)) * 2 * self.weight * (self.fisher * size).sum(0)
        return slope + 1e-12, gamma(50 + self.fisher.size) * self.weight * float((self.fisher * size**2).sum()) + 1e-12


Form = Callable[[Case], tuple[float, Array]]
"""The value, and the gradient (c, d + 1)."""


def right(k: Case) -> tuple[float, Array]:
    return k.weight * float((k.fisher * k.off**2).sum()), k.weight * (2 * k.fisher * k.off).sum(0)


def _numbers(k: Case) -> Array:
    """How many entries each parameter's tensor has, (c, d + 1): c d in the weight, c in the bias."""
    c, d = k.theta.shape
    return np.concatenate([np.full((c, d - 1), c * (d - 1)), np.full((c, 1), c)], 1)


def _no_square(k: Case) -> tuple[float, Array]:
    return k.weight * float((k.fisher * k.off).sum()), k.weight * k.fisher.sum(0)


def _mean(k: Case) -> tuple[float, Array]:
    each = k.fisher / _numbers(k)
    return right(replace(k, fisher=each))


def _part(k: Case, columns: slice) -> tuple[float, Array]:
    kept = np.zeros_like(k.fisher)
    kept[..., columns] = k.fisher[..., columns]
    return right(replace(k, fisher=kept))


def _times(form: Form, factor: Callable[[Case], float]) -> Form:
    def changed(k: Case) -> tuple[float, Array]:
        value, slope = form(k)
        return value * factor(k), slope * factor(k)

    return changed


@dataclass(frozen=True)
class Mistake:
    """A known mistake, its sentence, and what it would give."""

    id: str
    sentence: str
    form: Form


MISTAKES = (
    Mistake("penalty_last_task", "Only the last task is in it.", lambda k: right(k.of(slice(-1, None)))),
    Mistake("penalty_first_task", "Only the first task is in it.", lambda k: right(k.of(slice(0, 1)))),
    Mistake("penalty_task_missing", "The last task is not in it.", lambda k: right(k.of(slice(0, -1)))),
    Mistake("penalty_sign", "It has the wrong sign, and rewards moving away.", _times(right, lambda k: -1)),
    Mistake("penalty_lambda_squared", "Lambda is in it twice.", _times(right, lambda k: k.weight)),
    Mistake("penalty_no_lambda", "Lambda is not in it.", _times(right, lambda k: 1 / k.weight)),
    Mistake("penalty_no_square", "The difference from the old parameters is not squared.", _no_square),
    Mistake("penalty_no_square", "The difference from the old parameters is not squared.",
            _times(_no_square, lambda k: -1)),
    Mistake(
        "penalty_absolute",
        "It has the difference's size, not its square.",
        lambda k: (
            k.weight * float((k.fisher * np.abs(k.off)).sum()),
            k.weight * (k.fisher * np.sign(k.off)).sum(0),
        ),
    ),
    Mistake(
        "penalty_no_fisher",
        "The Fisher information is not in it, so all parameters are held alike.",
        lambda k: right(replace(k, fisher=np.ones_like(k.fisher))),
    ),
    Mistake(
        "penalty_fisher_squared",
        "Fisher times difference is squared as a whole, and the Fisher information with it.",
        lambda k: right(replace(k, fisher=k.fisher**2)),
    ),
    Mistake("penalty_no_optpar", "The old parameters are not in it.",
            lambda k: right(replace(k, optpar=np.zeros_like(k.optpar)))),
    Mistake("penalty_mean", "Each parameter's entries are averaged in it, not added up.", _mean),
    Mistake("penalty_mean", "It is the average over tasks.", _times(right, lambda k: 1 / len(k.fisher))),
    Mistake("penalty_parameters", "The biases are not in it.", lambda k: _part(k, slice(0, -1))),
    Mistake("penalty_parameters", "Only the biases, which come last, are in it.", lambda k: _part(k, slice(-1, 9))),
)  # fmt: skip
EXPECTED = (
    "Expected: lambda, or lambda / 2, times the sum over all earlier tasks and all parameters of Fisher times "
    "(parameter - old parameter) squared."
)


def named(cases: Sequence[Case], got: Sequence[Array]) -> Mistake | None:
    """The known mistake that gives these gradients, if there is one."""
    for known in MISTAKES:
        for half in (*HALVES, 2.0):
            wants = [half * known.form(k)[1] for k in cases]
            if all(np.abs(one - want).max() <= 1e-3 * np.abs(want).max() for one, want in zip(got, wants, strict=True)):
                return known
    return None


def _case(given: Values) -> Case:
    weight = given["lambda"]
    assert isinstance(weight, float)
    return Case(array(given, "theta"), array(given, "fisher"), array(given, "optpar"), weight)


# --------------------------------------------------------------------------------------- the penalty


def penalty(trial: Trial) -> Verdict:
    if any(name.startswith("steps.") for name in trial.got):
        return _of_steps(trial)
    values, slopes, cases = [], [], []
    for at, tasks in enumerate(CASES):
        part = section(trial, f"k{at}")
        case = _case(part.given)
        number = array(part.got, "value", what="The penalty")
        if number.size != 1:
            raise Reject(
                f"ewc_penalty returned numbers of shape {list(number.shape)}. Expected: one number, the sum over all.",
                diagnosis="penalty_not_summed",
            )
        slope = array(part.got, "slope", shape=case.theta.shape, what="The penalty's gradient")
        if tasks:
            values.append(float(number.sum()))
            slopes.append(slope)
            cases.append(case)
        elif number.any() or slope.any():
            raise Reject(
                f"With no earlier task the penalty is {float(number.sum()):.3g}, or has a gradient. Expected: 0.",
                diagnosis="penalty_first",
            )
    for half in HALVES:
        used = 0.0
        for case, value, slope in zip(cases, values, slopes, strict=True):
            want, along = right(case)
            by_slope, by_value = case.bound()
            used = max(used, share(value, half * want, half * by_value), share(slope, half * along, half * by_slope))
        if used <= 1:
            how = "lambda" if half == 1 else "lambda / 2"
            return passed(f"The penalty is {how} times the weighted squares, added up over all tasks.", used=used)
    if not any(slope.any() for slope in slopes):
        raise Reject(
            f"No gradient of the penalty reaches the model's parameters, so it changes nothing. {EXPECTED} Of the live "
            "parameters, not of `.data` or detached copies.",
            diagnosis="penalty_detached",
        )
    known = named(cases, slopes)
    if known:
        raise Reject(f"The penalty is not right. {known.sentence} {EXPECTED}", diagnosis=known.id)
    raise Reject(f"The penalty is not right. {EXPECTED}")


def _of_steps(trial: Trial) -> Verdict:
    """The penalty of a notebook that has no function for it."""
    part = section(trial, "steps")
    taken = steps(part)
    kept = _case(part.given)
    for half in HALVES:
        used = max(one.used(kept, half) for one in taken)
        if used <= 1:
            return passed("The steps of train_ewc have the gradient of the right penalty.", used=used)
    raise _wrong_steps(kept, taken)


# -------------------------------------------------------------------------------------------- an epoch


@dataclass(frozen=True)
class Step:
    """A step's parameters, what its gradient is beside that of the cross entropy, and how far rounding moves that."""

    theta: Array
    rest: Array
    bound: Array

    def used(self, kept: Case, half: float) -> float:
        """Share of the rounding bound that the penalty's gradient needs."""
        case = replace(kept, theta=self.theta)
        return share(self.rest, half * right(case)[1], half * case.bound()[0] + self.bound)


@lru_cache(maxsize=4)
def steps(trial: Trial) -> tuple[Step, ...]:
    """The steps of an epoch. Raises `Reject` where they do not take every image once."""
    x, t, theta = array(trial.given, "x"), array(trial.given, "t"), array(trial.given, "theta")
    sizes = classifier.whole(array(trial.got, "sizes", what="The list of batches"))
    count = len(sizes) if sizes.ndim == 1 else 0
    before = array(trial.got, "before", shape=(count, *theta.shape), what="The list of parameters")
    slopes = array(trial.got, "slopes", shape=(count, *theta.shape), what="The list of gradients")
    images = classifier.whole(array(trial.got, "images", what="The list of images"))
    different = len(np.unique(images))
    # A loop up to len - 1 leaves out an image that would be a batch alone.
    once = different == images.size >= len(x) - 1 and images.min() >= 0 and images.max() < len(x)
    if images.ndim != 1 or not once or not count or (sizes <= 0).any() or sizes.sum() != images.size:
        raise Reject(
            f"train_ewc took {count} steps with {images.size} images, of which {different} are different; "
            f"there are {len(x)}. Expected: in an epoch every image once, in batches, and a step for each batch.",
            diagnosis="epoch",
        )
    found = []
    for at, slope, batch in zip(before, slopes, np.split(images, sizes.cumsum()[:-1]), strict=True):
        plain = classifier.slopes(at, x[batch], t[batch]).mean(0)
        error = np.broadcast_to(classifier.error(at, x[batch]), plain.shape) + gamma(4) * np.abs(slope)
        found.append(Step(at, slope - plain, error))
    return tuple(found)


def _wrong_steps(kept: Case, taken: Sequence[Step]) -> Reject:
    """What is told where the steps have another gradient than that of the penalty."""
    if all(fits(one.rest, 0, one.bound) for one in taken):
        return _lost()
    known = named([replace(kept, theta=one.theta) for one in taken], [one.rest for one in taken])
    if known:
        return Reject(f"The penalty in train_ewc is not right. {known.sentence} {EXPECTED}", diagnosis=known.id)
    return Reject(
        "The steps of train_ewc do not have the gradient of the batch's cross entropy and of the penalty, lambda times "
        f"Fisher times squared difference, over all {EARLIER} earlier tasks, which was expected."
    )


def _lost() -> Reject:
    return Reject(
        "The steps of train_ewc have the gradient of the cross entropy alone: the penalty has no effect. Expected: it "
        "is part of the loss before `loss.backward()`, and depends on the live parameters.",
        diagnosis="penalty_lost",
    )


def training(trial: Trial) -> Verdict:
    """Half of it for the right penalty where only the first task, without a penalty, goes wrong."""
    try:
        used, fault = _plain(trial), None
    except Reject as found:
        used, fault = 0.0, found
    try:
        also = _earlier(trial)
    except Reject:
        if fault:
            raise fault from None
        raise
    if fault:
        return Verdict(0.5, f"With earlier tasks an epoch is right, for the first task not. {fault}", fault.diagnosis)
    return passed("Every step has the gradient of the cross entropy, and of all earlier tasks' penalty.",
                  used=max(used, also))  # fmt: skip


def _plain(trial: Trial) -> float:
    """The share of the bound that an epoch without earlier tasks uses. Raises `Reject` where it is another."""
    part = section(trial, "plain")
    taken = steps(part)
    used = max(share(one.rest, 0, one.bound) for one in taken)
    if used <= 1:
        return used
    sizes = array(part.got, "sizes")
    got = array(part.got, "slopes")
    means = [slope - one.rest for slope, one in zip(got, taken, strict=True)]

    def are(wants: Sequence[Array]) -> bool:
        return all(np.abs(a - b).max() <= 1e-3 * np.abs(b).max() for a, b in zip(got, wants, strict=True))

    if are([size * mean for size, mean in zip(sizes, means, strict=True)]):
        raise Reject(
            "The loss in train_ewc is summed over the batch. Expected: the mean cross entropy, as in train.",
            diagnosis="loss_sum",
        )
    if len(means) > 1 and are(list(np.cumsum(means, 0))):
        raise Reject(
            "In train_ewc the gradients of all batches add up. Expected: `optimizer.zero_grad()` for every batch.",
            diagnosis="not_zeroed",
        )
    raise Reject(
        "For the first task the steps of train_ewc do not have the gradient of the batch's mean cross entropy. "
        "Expected: without earlier tasks it trains as train does, with no penalty.",
        diagnosis="plain",
    )


def _earlier(trial: Trial) -> float:
    """The share of the bound that an epoch after two tasks uses. Raises `Reject` where the penalty is not in it."""
    part = section(trial, "earlier")
    taken, kept = steps(part), _case(part.given)
    if part.got.get("stand_in") is not True:
        for half in HALVES:
            used = max(one.used(kept, half) for one in taken)
            if used <= 1:
                return used
        raise _wrong_steps(kept, taken)
    along = array(part.given, "along")

    def used_by(factor: float) -> float:
        """The stand-in's gradient is so many times `along`."""
        want = factor * along
        return max(share(one.rest, want, one.bound + gamma(50) * np.abs(want)) for one in taken)

    weight, all_tasks = kept.weight, EARLIER * (EARLIER + 1) / 2
    if (used := used_by(weight * all_tasks)) <= 1:
        return used
    if used_by(0) <= 1:
        raise _lost()
    known = (
        (weight * EARLIER, "penalty_last_task", "Only the last earlier task is given to the penalty."),
        (weight, "penalty_first_task", "Only the first task is given to the penalty."),
        (weight**2 * all_tasks, "penalty_lambda_squared", "ewc_penalty has lambda in it, and it was multiplied again."),
        (all_tasks, "penalty_no_lambda", "Lambda was left out."),
        (-weight * all_tasks, "penalty_sign", "The penalty is subtracted from the loss."),
    )
    for factor, name, sentence in known:
        if used_by(factor) <= 1:
            raise Reject(f"{sentence} Expected: the loss plus the penalty of all earlier tasks, in every step.",
                         diagnosis=name)  # fmt: skip
    if any(fits(one.rest, 0, one.bound) for one in taken):
        raise Reject(
            "Some steps of train_ewc have the penalty's gradient and others have not. Expected: the loss plus the "
            "penalty of all earlier tasks, in every step.",
            diagnosis="penalty_some_steps",
        )
    raise Reject(
        "The steps of train_ewc do not have the gradient of the batch's cross entropy plus that of ewc_penalty for all "
        f"{EARLIER} earlier tasks, which was expected."
    )
