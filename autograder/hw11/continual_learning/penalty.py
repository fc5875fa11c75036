"""Asks and judges `ewc_penalty` by its value and gradient, and `train_ewc` by the gradients that its steps are made of.

With F_k and theta_k what is kept of task k, the penalty is lambda / 2 sum_k sum F_k (theta - theta_k)^2 (Kirkpatrick et
al. 2017, equation 3, for several tasks), or the same without the 1/2, which is another lambda. A step of train_ewc has
the gradient of the batch's cross entropy and that of the penalty, so where a notebook has no function ewc_penalty, the
difference between the two is the penalty's gradient. The parameters of every step must be what the step before left:
were they free, huge ones would make any gradient right up to rounding.

What the notebook says decides: the penalty is that of all tasks before the one that is trained, whatever else the
dictionaries hold. Public notebooks write `for task in range(task_id)`; code that runs over all keys is right as long as
there are no others, and loses half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from scipy.special import softmax

from autograder.core import Array, CheckFailed, Counterexample, Request, Spec, Specs, Trial, Values, Verdict
from autograder.hw11.continual_learning import classifier
from autograder.hw11.continual_learning.classifier import EPSILON, listed
from autograder.judging.judges import array, passed, shown, tolerance_ratio, within
from autograder.judging.stats import gamma
from autograder.sandbox.parts import each, item, items, pack, section, take
from autograder.sandbox.returns import declared, entries, flag, numbers, parts

CLASSES, INPUTS, IMAGES = 3, 5, 270
"""More images than a batch has, so that there is a second step."""
CASES = (1, 3, 2, 0)
"""Earlier tasks."""
DECOYS = 3
"""Tasks that the notebook's own dictionaries hold while the penalty of others is asked for."""
EARLIER, LATER = 3, 2
"""Earlier tasks of train_ewc's epoch: so many that the first, the last, and all but one of them differ; and entries of
the task itself and of a later one."""
HALVES = (1.0, 0.5)
MOST = 2
"""Images, and batches, that are read for each that there is: more are not once each, whatever they are."""
NAMED = 1e-3
"""How near a gradient must be to a known mistake's, as a share of its largest entry, to be called by its name. Chosen:
no point depends on it."""
ROUNDINGS = 16
"""Of a term F (theta - theta_k)^2 lambda / 2 and its derivative in float32: each of difference, square (three products
and two sums where it is multiplied out), and products with F, 2, lambda and 1/2 rounds once, which makes 9, and lambda
itself was rounded where it came as a tensor. The rest is for other orders."""

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


def _epoch(rng: Generator, tasks: int, *, later: int = 0) -> Values:
    """An epoch of the task with this number. No step overshoots: its size, 0.01, by a curvature of 2 lambda sum F is at
    most 0.01 * 2 * 5 * 5 * 2 = 1, below 2."""
    kept, x = _kept(rng, tasks + later), (1 + rng.standard_normal((IMAGES, INPUTS))).astype(np.float32)
    return {
        **kept,
        "x": x,
        "t": classifier.plausible(rng, array(kept, "theta"), x),
        "task": tasks,
        "lr": 0.01,
    }


def _penalty(rng: Generator) -> Values:
    cases = [_kept(rng, tasks) for tasks in CASES]
    return pack(cases=cases, decoy=_kept(rng, DECOYS), steps=_epoch(rng, EARLIER))


def _training(rng: Generator) -> Values:
    return pack(plain=_epoch(rng, 0), earlier=_epoch(rng, EARLIER), later=_epoch(rng, EARLIER, later=LATER))


MOST_STEPS = 2000
"""Of an epoch: more the probe does not note."""


def _steps(given: Values) -> dict[str, Spec]:
    """An epoch's parameters and gradients by step, and the numbers of the images of each."""
    matrix = np.shape(given["theta"])
    shown = numbers(None, most=MOST_STEPS * IMAGES, what="the images of all steps")
    notes = dict.fromkeys(("before", "slopes"), numbers(None, *matrix, most=MOST_STEPS * int(np.prod(matrix))))
    return {**notes, "images": shown, "sizes": numbers(None, most=MOST_STEPS, dtypes="i"), "stand_in": flag()}


def _penalty_returns(given: Values) -> Specs:
    """Value and gradient in each case; or the steps of an epoch, where there is no function of its own."""
    cases: list[dict[str, Spec]] = []
    for case in items(given, "cases"):
        kept = np.shape(case["fisher"])
        value, slope = entries(int(np.prod(kept))), numbers(*kept[1:])
        cases.append({"value": value, "slope": slope, "elsewhere": flag()})
    return parts(cases=cases) | declared(steps=_steps(take(given, "steps")))


def _training_returns(given: Values) -> Specs:
    return parts(**{name: _steps(take(given, name)) for name in ("plain", "earlier", "later")})


PENALTY = Request(
    "continual_learning.probes:penalty", _penalty, returns=_penalty_returns, needs=("continual_learning.ipynb",)
)
TRAINING = Request(
    "continual_learning.probes:training", _training, returns=_training_returns, needs=("continual_learning.ipynb",)
)

# ------------------------------------------------------------------------------------ forms of the penalty


@dataclass(frozen=True)
class PenaltyCase:
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

    def of(self, tasks: slice | list[int]) -> PenaltyCase:
        """The same with some of the tasks only."""
        return replace(self, fisher=self.fisher[tasks], optpar=self.optpar[tasks])

    def bound(self) -> tuple[Array, float]:
        """What rounding may do to the gradient and the value, in any order of adding and however the square is written:
        (theta - theta_k)^2 has at most (|theta| + |theta_k|)^2 in its terms."""
        size = np.abs(self.theta) + np.abs(self.optpar)
        slope: Array = gamma(ROUNDINGS + len(self.fisher)) * 2 * self.weight * (self.fisher * size).sum(0)
        return slope, gamma(ROUNDINGS + self.fisher.size) * self.weight * float((self.fisher * size**2).sum())

    def tiny(self) -> tuple[Array, float]:
        """What EPSILON, added to F, does to both."""
        slope: Array = 2 * self.weight * EPSILON * np.abs(self.off).sum(0)
        return slope, self.weight * EPSILON * float((self.off**2).sum())


Form = Callable[[PenaltyCase], tuple[float, Array]]
"""The value, and the gradient (c, d + 1)."""


def right(k: PenaltyCase) -> tuple[float, Array]:
    return k.weight * float((k.fisher * k.off**2).sum()), k.weight * (2 * k.fisher * k.off).sum(0)


def _numbers(k: PenaltyCase) -> Array:
    """How many entries each parameter's tensor has, (c, d + 1): c d in the weight, c in the bias."""
    c, d = k.theta.shape
    return np.concatenate([np.full((c, d - 1), c * (d - 1)), np.full((c, 1), c)], 1)


def _no_square(k: PenaltyCase) -> tuple[float, Array]:
    return k.weight * float((k.fisher * k.off).sum()), k.weight * k.fisher.sum(0)


def _mean(k: PenaltyCase) -> tuple[float, Array]:
    each = k.fisher / _numbers(k)
    return right(replace(k, fisher=each))


def _part(k: PenaltyCase, columns: slice) -> tuple[float, Array]:
    kept = np.zeros_like(k.fisher)
    kept[..., columns] = k.fisher[..., columns]
    return right(replace(k, fisher=kept))


def _times(form: Form, factor: Callable[[PenaltyCase], float]) -> Form:
    def changed(k: PenaltyCase) -> tuple[float, Array]:
        value, slope = form(k)
        return value * factor(k), slope * factor(k)

    return changed


@dataclass(frozen=True)
class PenaltyMistake:
    """A known mistake, its sentence, and what it would give."""

    id: str
    sentence: str
    form: Form


def _one(values: Array, task: int) -> Array:
    """Every task's values are those of one."""
    return np.broadcast_to(values[task], values.shape)


def _root(k: PenaltyCase) -> tuple[float, Array]:
    total, along = (k.fisher * k.off**2).sum(), (k.fisher * k.off).sum(0)
    size = float(np.sqrt(max(total, 1e-30)))
    return k.weight * size, k.weight * along / size


def _roots(k: PenaltyCase) -> tuple[float, Array]:
    """The distance of each parameter's tensor, whose last column is the bias, with F inside of the norm or without."""
    value, slope = 0.0, np.zeros_like(k.theta)
    for task in range(len(k.fisher)):
        for columns in (slice(0, -1), slice(-1, None)):
            part = k.fisher[task][:, columns] * k.off[task][:, columns]
            size = float(np.sqrt(max((part**2).sum(), 1e-30)))
            value += k.weight * size
            slope[:, columns] += k.weight * k.fisher[task][:, columns] * part / size
    return value, slope


def _squared_sums(k: PenaltyCase) -> tuple[float, Array]:
    """The square of what each parameter's tensor adds up to, whose last column is the bias."""
    value, slope = 0.0, np.zeros_like(k.theta)
    for fisher, off in zip(k.fisher, k.off, strict=True):
        for columns in (slice(0, -1), slice(-1, None)):
            total = float((fisher * off)[:, columns].sum())
            value += k.weight * total**2
            slope[:, columns] += k.weight * 2 * total * fisher[:, columns]
    return value, slope


MISTAKES = (
    PenaltyMistake("penalty_last_task", "It contains the last task only.", lambda k: right(k.of(slice(-1, None)))),
    PenaltyMistake("penalty_first_task", "It contains the first task only.", lambda k: right(k.of(slice(0, 1)))),
    PenaltyMistake(
        "penalty_last_task",
        "It contains the last task only, once for each task.",
        _times(lambda k: right(k.of(slice(-1, None))), lambda k: len(k.fisher)),
    ),
    PenaltyMistake(
        "penalty_overwritten",
        "It contains its last term only, because the terms replace each other and are not added.",
        lambda k: _part(k.of(slice(-1, None)), slice(-1, 9)),
    ),
    PenaltyMistake("penalty_task_missing", "The last task is missing in it.", lambda k: right(k.of(slice(0, -1)))),
    PenaltyMistake("penalty_task_missing", "The first task is missing in it.", lambda k: right(k.of(slice(1, None)))),
    PenaltyMistake(
        "penalty_one_optpar",
        "The old parameters of the last task are used for all tasks.",
        lambda k: right(replace(k, optpar=_one(k.optpar, -1))),
    ),
    PenaltyMistake(
        "penalty_one_optpar",
        "The old parameters of the first task are used for all tasks.",
        lambda k: right(replace(k, optpar=_one(k.optpar, 0))),
    ),
    PenaltyMistake(
        "penalty_one_fisher",
        "The Fisher information of the last task is used for all tasks.",
        lambda k: right(replace(k, fisher=_one(k.fisher, -1))),
    ),
    PenaltyMistake(
        "penalty_one_fisher",
        "The Fisher information of the first task is used for all tasks.",
        lambda k: right(replace(k, fisher=_one(k.fisher, 0))),
    ),
    PenaltyMistake(
        "penalty_swapped",
        "The Fisher information and the old parameters are swapped.",
        lambda k: right(replace(k, fisher=k.optpar, optpar=k.fisher)),
    ),
    PenaltyMistake("penalty_root", "The square root of the sum of squares was taken.", _root),
    PenaltyMistake("penalty_root", "The norm of the weighted difference was taken, not its square.", _roots),
    PenaltyMistake(
        "penalty_fisher_inverse",
        "The squares are divided by the Fisher information instead of multiplied by it.",
        lambda k: right(replace(k, fisher=1 / k.fisher)),
    ),
    PenaltyMistake(
        "penalty_sign", "It has the wrong sign, so it rewards changed parameters.", _times(right, lambda k: -1)
    ),
    PenaltyMistake("penalty_lambda_squared", "Lambda was applied twice.", _times(right, lambda k: k.weight)),
    PenaltyMistake("penalty_no_lambda", "Lambda is missing in it.", _times(right, lambda k: 1 / k.weight)),
    PenaltyMistake("penalty_no_square", "The difference from the old parameters is not squared.", _no_square),
    PenaltyMistake(
        "penalty_no_square", "The difference from the old parameters is not squared.", _times(_no_square, lambda k: -1)
    ),
    PenaltyMistake(
        "penalty_absolute",
        "It contains the absolute value of the difference, not its square.",
        lambda k: (
            k.weight * float((k.fisher * np.abs(k.off)).sum()),
            k.weight * (k.fisher * np.sign(k.off)).sum(0),
        ),
    ),
    PenaltyMistake(
        "penalty_no_fisher",
        "The Fisher information is missing in it, so all parameters have the same weight.",
        lambda k: right(replace(k, fisher=np.ones_like(k.fisher))),
    ),
    PenaltyMistake(
        "penalty_fisher_squared",
        "The product of Fisher information and difference is squared, so the Fisher information is squared, too.",
        lambda k: right(replace(k, fisher=k.fisher**2)),
    ),
    PenaltyMistake(
        "penalty_no_optpar",
        "The old parameters are missing in it.",
        lambda k: right(replace(k, optpar=np.zeros_like(k.optpar))),
    ),
    PenaltyMistake(
        "penalty_squared_sum", "The sum over the entries of a parameter is squared, not each entry.", _squared_sums
    ),
    PenaltyMistake("penalty_mean", "The entries of each parameter are averaged in it, not added.", _mean),
    PenaltyMistake("penalty_mean", "It is the average over tasks.", _times(right, lambda k: 1 / len(k.fisher))),
    PenaltyMistake(
        "penalty_mean",
        "It is the average over all entries. Expected: their sum.",
        _times(right, lambda k: 1 / k.theta.size),
    ),
    PenaltyMistake("penalty_parameters", "The biases are missing in it.", lambda k: _part(k, slice(0, -1))),
    PenaltyMistake(
        "penalty_parameters", "It contains the biases only, which come last.", lambda k: _part(k, slice(-1, 9))
    ),
)
EXPECTED = (
    "Expected: lambda, or lambda / 2, times the sum of Fisher * (parameter - old parameter)^2 over all earlier "
    "tasks and all parameters."
)


def named(cases: Sequence[PenaltyCase], got: Sequence[Array]) -> PenaltyMistake | None:
    """The known mistake that gives these gradients, if there is one."""
    for known in MISTAKES:
        for half in (*HALVES, 2.0):
            if _near(got, [half * known.form(k)[1] for k in cases]):
                return known
    return None


def _near(got: Sequence[Array], wants: Sequence[Array]) -> bool:
    return all(np.abs(one - want).max() <= NAMED * np.abs(want).max() for one, want in zip(got, wants, strict=True))


def _ratio(got: Sequence[Array], wants: Sequence[Array]) -> float | None:
    """How many times what was expected the gradients are, if they are a multiple of it."""
    size = sum(float((want**2).sum()) for want in wants)
    factor = sum(float((one * want).sum()) for one, want in zip(got, wants, strict=True)) / max(size, 1e-300)
    return factor if abs(factor) > NAMED and _near(got, [factor * want for want in wants]) else None


def _factor(got: Sequence[Array], wants: Sequence[Array]) -> float | None:
    """The one factor by which the gradients differ from what was expected, if there is one that is clearly not 1."""
    factor = _ratio(got, wants)
    return factor if factor is not None and abs(factor - 1) > 10 * NAMED else None


def _wrong(cases: Sequence[PenaltyCase], got: Sequence[Array], whose: str) -> CheckFailed:
    """What is told of a penalty with these gradients."""
    known = named(cases, got)
    if known:
        return CheckFailed(f"{whose} is wrong. {known.sentence} {EXPECTED}", diagnosis=known.id)
    factor = _factor(got, [right(k)[1] for k in cases])
    if factor is not None:
        sentence = f"It is {shown(factor)} times as large as lambda times that sum."
        return CheckFailed(f"{whose} is wrong. {sentence} {EXPECTED}", diagnosis="penalty_factor")
    return CheckFailed(f"{whose} is wrong. {EXPECTED}")


def _wrong_call(cases: Sequence[PenaltyCase], got: Sequence[Array]) -> CheckFailed:
    """The same where train_ewc calls ewc_penalty, whose place a right one of ours took."""
    whose = "train_ewc does not add the penalty of all earlier tasks."
    expected = "Expected: the cross entropy of the batch plus ewc_penalty for all tasks before task_id, added once."
    known = named(cases, got)
    if known:
        return CheckFailed(f"{whose} {known.sentence} {expected}", diagnosis=known.id)
    factor = _factor(got, [right(k)[1] for k in cases])
    if factor is not None:
        sentence = f"It adds {shown(factor)} times the value of ewc_penalty."
        return CheckFailed(f"{whose} {sentence} {expected}", diagnosis="penalty_factor")
    return CheckFailed(f"{whose} {expected}")


def _case(given: Values) -> PenaltyCase:
    weight = given["lambda"]
    assert isinstance(weight, float)
    return PenaltyCase(array(given, "theta"), array(given, "fisher"), array(given, "optpar"), weight)


# --------------------------------------------------------------------------------------- the penalty


def penalty(trial: Trial) -> Verdict:
    """Half of it for the right penalty where only that of no task at all goes wrong."""
    if take(trial.got, "steps"):
        return _of_steps(trial)
    used, fault = 0.0, None
    some = [at for at, tasks in enumerate(CASES) if tasks]
    used = _of_cases(trial, [section(trial, item("cases", at)) for at in some])
    try:
        _of_none(section(trial, item("cases", CASES.index(0))))
    except CheckFailed as found:
        fault = found
    if fault:
        told = (
            "With earlier tasks the penalty is right. Without earlier tasks, as for task 0, the expected penalty is 0."
        )
        return Verdict(0.5, f"{told} {fault}", fault.diagnosis)
    return passed(
        "The penalty is lambda, or lambda / 2, times the weighted squares, added up over all tasks.",
        tolerance_used=used,
    )


def _of_case(part: Trial) -> tuple[float, Array]:
    """Value and gradient of a penalty. Raises `CheckFailed` where it is not one number."""
    value = part.got.get("value")
    if isinstance(value, np.ndarray) and value.size != 1:
        raise CheckFailed(
            f"ewc_penalty returned numbers of shape {list(value.shape)}. Expected: one number, the sum over "
            "everything.",
            diagnosis="penalty_not_summed",
        )
    number = float(array(part.got, "value", what="The penalty").sum())
    return number, array(part.got, "slope", shape=(CLASSES, INPUTS + 1), what="The gradient of the penalty")


def _of_none(part: Trial) -> None:
    value, slope = _of_case(part)
    if value or slope.any():
        raise CheckFailed(f"The penalty is {shown(value)} there, or it has a gradient.", diagnosis="penalty_first")


def _of_cases(trial: Trial, parts: Sequence[Trial]) -> float:
    """The share of the bound that the penalties of some tasks use. Raises `CheckFailed` where they are others."""
    cases = [_case(part.given) for part in parts]
    values, slopes = zip(*map(_of_case, parts), strict=True)
    for half in HALVES:
        used = 0.0
        for case, value, slope in zip(cases, values, slopes, strict=True):
            want, along = right(case)
            (by_slope, by_value), (tiny, tiny_value) = case.bound(), case.tiny()
            used = max(
                used,
                tolerance_ratio(value, half * want, half * by_value, beside=half * tiny_value),
                tolerance_ratio(slope, half * along, half * by_slope, beside=half * tiny),
            )
        if used <= 1:
            return used
    _of_globals(trial, parts, cases, values, slopes)
    if not any(slope.any() for slope in slopes):
        raise CheckFailed(
            "No gradient of the penalty reaches the parameters of the model, so the penalty has no effect. "
            f"{EXPECTED} Use the live parameters, not `.data` or detached copies.",
            diagnosis="penalty_detached",
        )
    if any(_near(slopes, [half * right(k)[1] for k in cases]) for half in HALVES):
        raise CheckFailed(
            f"The gradient of the penalty is right, but its value is wrong. {EXPECTED}", diagnosis="penalty_value"
        )
    raise _wrong(cases, slopes, "The penalty")


Entries = tuple[float, ...]
TINY: tuple[tuple[Entries, tuple[Entries, ...], tuple[Entries, ...], float], ...] = (
    ((1, 0), ((0, 0),), ((1, 1),), 1),
    ((2, 0), ((0, 0),), ((1, 1),), 1),
    ((0, 2), ((0, 0),), ((1, 1),), 1),
    ((1, 1), ((0, 0),), ((1, 1),), 1),
    ((1, 0), ((0, 0),), ((3, 1),), 1),
    ((1, 0), ((0, 0),), ((1, 1),), 3),
    ((3, 0), ((1, 0),), ((1, 1),), 1),
    ((1, 1, 0), ((0, 0, 0),), ((1, 1, 1),), 1),
    ((1, 0), ((0, 0), (3, 0)), ((1, 1), (2, 1)), 1),
    ((1, 0), (), (), 1),
)
"""Parameters, a weight or two and a bias; what is kept of them and of the Fisher information, task by task; lambda."""

UNMOVED = 1e-12
"""Beside a bound that is 0: a share of it cannot be had."""


def _tiny(_rng: Generator) -> Values:
    cases = [
        {
            "theta": np.array([theta], np.float32),
            "optpar": np.array(optpar, np.float32).reshape(-1, 1, len(theta)),
            "fisher": np.array(fisher, np.float32).reshape(-1, 1, len(theta)),
            "lambda": float(weight),
        }
        for theta, optpar, fisher, weight in TINY
    ]
    return pack(cases=cases)


def _tiny_returns(_given: Values) -> Specs:
    cases = [{"value": entries(8), "slope": numbers(1, len(theta)), "elsewhere": flag()} for theta, *_ in TINY]
    return declared(cases=cases)


def _first_tiny(_failed: Trial, tiny: Trial) -> str:
    """The sentence for the first tiny case in which value or gradient is wrong, with the factor that goes furthest."""
    firsts = [_wrong_with(tiny, half) for half in HALVES]
    furthest = max(firsts)
    if furthest == len(TINY):
        return ""
    theta, optpar, fisher, weight = TINY[furthest]
    chosen = each(tiny)[furthest]
    part = chosen.got
    if part.get("elsewhere") is True:  # of a model of the notebook's, which is another one there
        return ""
    case, value = _case(chosen.given), array(part, "value").reshape(())
    halves = [half for half, first in zip(HALVES[::-1], firsts[::-1], strict=True) if first == furthest]
    (want, along), (_, bound), (_, small) = right(case), case.bound(), case.tiny()
    one = len(optpar) == 1
    given = (
        f"parameters {shown(np.array(theta))}, old ones {shown(np.array(optpar[0] if one else optpar))}, Fisher "
        f"information {shown(np.array(fisher[0] if one else fisher))} and lambda {weight:g}"
        if optpar
        else "no earlier task"
    )
    if not any(within(value, half * want, half * (bound + small) + UNMOVED) for half in halves):
        wants = " or ".join(dict.fromkeys(shown(half * want) for half in halves))
        return f"Smallest example: {given} gave a penalty of {shown(value)}; expected {wants}."
    slope = array(part, "slope").ravel()
    wants = " or ".join(dict.fromkeys(shown(half * along.ravel()) for half in halves))
    return f"Smallest example: {given} gave a penalty with the gradient {shown(slope)}; expected {wants}."


def _wrong_with(tiny: Trial, half: float) -> int:
    """The first tiny case that is wrong where the penalty has this factor; as many as there are where none is."""
    for index, one in enumerate(each(tiny)):
        part, case = one.got, _case(one.given)
        (want, along), (by_slope, by_value), (small, small_value) = right(case), case.bound(), case.tiny()
        value = array(part, "value", what="The penalty")
        if value.size != 1:
            raise CheckFailed("The penalty is not one number.")
        slope = array(part, "slope", shape=case.theta.shape, what="The penalty's gradient")
        # Where a parameter is what it was, nothing rounds: 0 is expected, within what is below any gradient here.
        if not within(value.reshape(()), half * want, half * (by_value + small_value) + UNMOVED):
            return index
        if not within(slope, half * along, half * (by_slope + small) + UNMOVED):
            return index
    return len(TINY)


SMALLEST = Counterexample(
    Request(
        "continual_learning.probes:tiny_penalties",
        _tiny,
        seconds=3,
        deterministic=True,
        returns=_tiny_returns,
        needs=("continual_learning.ipynb",),
    ),
    _first_tiny,
)


def _of_globals(
    trial: Trial, parts: Sequence[Trial], cases: Sequence[PenaltyCase], values: Sequence[float], slopes: Sequence[Array]
) -> None:
    """Raises `CheckFailed` where the penalty is that of the notebook's globals, not of what the function is handed."""
    decoy = _case(take(trial.given, "decoy"))
    for names, changed in (
        ("dictionaries", {"fisher": decoy.fisher, "optpar": decoy.optpar}),
        ("fisher_dict", {"fisher": decoy.fisher}),
        ("optpar_dict", {"optpar": decoy.optpar}),
        ("ewc_lambda", {"weight": decoy.weight}),
        ("dictionaries and its ewc_lambda", {"fisher": decoy.fisher, "optpar": decoy.optpar, "weight": decoy.weight}),
    ):
        # A dictionary of the decoy's with more tasks than the other is cut to the tasks that both have.
        others = [_cut(replace(k, **changed)) for k in cases]
        if any(_near(slopes, [half * right(k)[1] for k in others]) for half in HALVES):
            raise _global(f"the global {names}")
    if all(part.got.get("elsewhere") is True for part in parts):
        raise _global("the global model")
    if not any(slope.any() for slope in slopes) and len({round(value, 6) for value in values}) == 1 and values[0]:
        raise _global("globals of the notebook")


def _cut(k: PenaltyCase) -> PenaltyCase:
    tasks = slice(0, min(len(k.fisher), len(k.optpar)))
    return k.of(tasks)


def _global(what: str) -> CheckFailed:
    return CheckFailed(
        f"ewc_penalty uses {what} of the notebook, not its arguments. Expected: the penalty of its arguments "
        "`model`, `fisher_dict`, `optpar_dict` and `ewc_lambda`.",
        diagnosis="penalty_globals",
    )


def _of_steps(trial: Trial) -> Verdict:
    """The penalty of a notebook that has no function for it."""
    part = section(trial, "steps")
    used = _share(part, _case(part.given), HALVES)
    return passed("The steps of train_ewc have the gradient of the right penalty.", tolerance_used=used)


# -------------------------------------------------------------------------------------------- an epoch


@dataclass(frozen=True)
class Step:
    """A step's parameters, what its gradient is beside that of the cross entropy, and how far rounding moves that, and
    log(p + EPSILON) in place of log p."""

    theta: Array
    rest: Array
    bound: Array
    tiny: Array

    def used(self, kept: PenaltyCase, half: float, theta: Array | None = None) -> float:
        """Share of the rounding bound that the penalty's gradient needs, at the step's parameters or at others."""
        case = replace(kept, theta=self.theta if theta is None else theta)
        bound, beside = half * case.bound()[0] + self.bound, half * case.tiny()[0] + self.tiny
        return tolerance_ratio(self.rest, half * right(case)[1], bound, beside=beside)

    def alone(self) -> float:
        """The same for no penalty."""
        return tolerance_ratio(self.rest, 0, self.bound, beside=self.tiny)


@lru_cache(maxsize=4)
def steps(trial: Trial) -> tuple[Step, ...]:
    """The steps of an epoch. Raises `CheckFailed` where they do not take every image once, one step from the other."""
    x, t, theta = array(trial.given, "x"), array(trial.given, "t"), array(trial.given, "theta")
    sizes = listed(trial.got, "sizes", most=MOST * len(x), what="The list of batches")
    images = listed(trial.got, "images", most=MOST * len(x), what="The list of images")
    count, different = len(sizes), len(np.unique(images))
    # A loop up to len - 1 leaves out an image that would be a batch alone.
    once = different == images.size >= len(x) - 1 and images.min() >= 0 and images.max() < len(x)
    if not once or not count or (sizes <= 0).any() or sizes.sum() != images.size:
        raise CheckFailed(
            f"train_ewc took {count} steps with {images.size} images, of which {different} are different. The data "
            f"has {len(x)} images. Expected: in an epoch every image once, in batches, and one step for each batch.",
            diagnosis="epoch",
        )
    before = array(trial.got, "before", shape=(count, *theta.shape), what="The list of parameters")
    slopes = array(trial.got, "slopes", shape=(count, *theta.shape), what="The list of gradients")
    _path(theta, before, slopes, float(trial.given["lr"]))
    found = []
    for at, slope, batch in zip(before, slopes, np.split(images, sizes.cumsum()[:-1]), strict=True):
        each = classifier.slopes(at, x[batch], t[batch])
        plain = each.mean(0)
        error = classifier.error(at, x[batch]) + gamma(4) * np.abs(slope)
        found.append(Step(at, slope - plain, error, classifier.tiny(at, x[batch], t[batch]).mean(0)))
    return tuple(found)


def _path(theta: Array, before: Array, slopes: Array, lr: float) -> None:
    """Raises `CheckFailed` where parameters change by other means than steps, each of which rounds three times."""
    after = before - lr * slopes
    start = np.concatenate([theta[None], after[:-1]])
    rounded = gamma(3) * np.concatenate([np.zeros_like(theta)[None], (np.abs(before) + np.abs(lr * slopes))[:-1]])
    moved = [at for at, used in enumerate(np.abs(before - start) <= rounded) if not used.all()]
    if moved:
        raise CheckFailed(
            f"At step {moved[0] + 1} of train_ewc the parameters are not the ones that the previous step left. "
            "Expected: only `optimizer.step()` changes them.",
            diagnosis="parameters_moved",
        )


def _share(part: Trial, kept: PenaltyCase, halves: Sequence[float]) -> float:
    """The share of the bound that an epoch's steps use. Raises `CheckFailed` where the penalty in them is another."""
    taken = steps(part)
    for half in halves:
        used = max(one.used(kept, half) for one in taken)
        if used <= 1:
            return used
    raise _wrong_steps(kept, taken, halves)


def _wrong_steps(kept: PenaltyCase, taken: Sequence[Step], halves: Sequence[float]) -> CheckFailed:
    """What is told where the steps have another gradient than that of the penalty."""
    if all(one.alone() <= 1 for one in taken):
        return CheckFailed(
            "The steps of train_ewc have the gradient of the cross entropy alone, so the penalty has no effect. "
            "Expected: the penalty is part of the loss before `loss.backward()` and depends on the live parameters.",
            diagnosis="penalty_lost",
        )
    for half in halves:
        if all(
            min(one.used(kept, half, other.theta) for other in taken[: at + 1]) <= 1 for at, one in enumerate(taken)
        ):
            return CheckFailed(
                "The penalty in train_ewc was computed from parameters that later steps changed. Expected: a new "
                "penalty for every batch, from the current parameters.",
                diagnosis="penalty_stale",
            )
        added = np.cumsum([half * right(replace(kept, theta=one.theta))[1] for one in taken], 0)
        if len(taken) > 1 and _near([one.rest for one in taken], list(added)):
            return CheckFailed(
                "The penalties of all batches add up in train_ewc. Expected: the penalty once in every step.",
                diagnosis="penalty_adds_up",
            )
    idle = [one.alone() <= 1 for one in taken]
    if any(idle):
        return CheckFailed(
            f"Of {len(taken)} steps of train_ewc, only {len(taken) - sum(idle)} have the gradient of the penalty. "
            "Expected: the loss plus the penalty of all earlier tasks, in every step.",
            diagnosis="penalty_some_steps",
        )
    cases, rest = [replace(kept, theta=one.theta) for one in taken], [one.rest for one in taken]
    return _wrong(cases, rest, "The penalty in train_ewc") if halves == HALVES else _wrong_call(cases, rest)


def training(trial: Trial) -> Verdict:
    """The right penalty of earlier tasks earns it; of that, half is lost where the first task, which has none, goes
    wrong, and half where entries of later tasks are in it."""
    used, faults = 0.0, dict[str, CheckFailed]()
    for name, rule in (("plain", _plain), ("earlier", _earlier), ("later", _later)):
        try:
            used = max(used, rule(section(trial, name)))
        except CheckFailed as fault:
            faults[name] = fault
    if not faults:
        return passed("Every step has the gradient of the cross entropy and of the penalty of all earlier tasks.",
                      tolerance_used=used)  # fmt: skip
    if "earlier" not in faults and len(faults) == 1:
        name, only = faults.popitem()
        which = "for the first task" if name == "plain" else "where the dictionaries hold entries of later tasks"
        return Verdict(
            0.5, f"With earlier tasks alone an epoch is right, but {which} it is wrong. {only}", only.diagnosis
        )
    # What is looked up too early is not there: it raises, and is called by its name where an entry is there.
    told = next(iter(faults.values()))
    later = faults.get("later", told)
    raise later if later.diagnosis == "penalty_current_task" and told.diagnosis == "raised" else told


def _plain(part: Trial) -> float:
    """The share of the bound that an epoch without earlier tasks uses. Raises `CheckFailed` where it is another."""
    taken = steps(part)
    used = max(one.alone() for one in taken)
    if used <= 1:
        return used
    x, t = array(part.given, "x"), array(part.given, "t").astype(int)
    sizes, images = (listed(part.got, name, most=MOST * len(x), what="") for name in ("sizes", "images"))
    batches = np.split(images, sizes.cumsum()[:-1])
    got = list(array(part.got, "slopes"))

    def means(score: Callable[[Array, Array], Array]) -> list[Array]:
        """The batches' mean gradients where the loss has these derivatives (n, c) by the logits (n, c)."""
        found = []
        for one, batch in zip(taken, batches, strict=True):
            inputs = classifier.extended(x[batch])
            found.append(score(inputs @ one.theta.T, np.eye(CLASSES)[t[batch]]).T @ inputs / len(batch))
        return found

    plain = means(lambda logits, onehot: softmax(logits, 1) - onehot)
    if _near(got, [size * mean for size, mean in zip(sizes, plain, strict=True)]):
        raise CheckFailed(
            "The loss in train_ewc is summed over the batch. Expected: the mean cross entropy, as in train.",
            diagnosis="loss_sum",
        )
    if len(plain) > 1 and _near(got, list(np.cumsum(plain, 0))):
        raise CheckFailed(
            "In train_ewc the gradients of all batches add up. Expected: `optimizer.zero_grad()` for every batch.",
            diagnosis="not_zeroed",
        )
    for sentence, score in LOSSES:
        if _near(got, means(score)):
            raise CheckFailed(f"The loss in train_ewc is not the cross entropy. {sentence} Expected: "
                "`F.cross_entropy(model(images), labels)`.", diagnosis="loss")  # fmt: skip
    if not any(slope.any() for slope in got):
        raise CheckFailed(
            "The gradients are zero at every step of train_ewc, so the steps change nothing. Expected: "
            "`optimizer.zero_grad()` before `loss.backward()`, and `optimizer.step()` after it.",
            diagnosis="no_gradient",
        )
    if len(plain) == 1:
        each = classifier.slopes(taken[0].theta, x[images], t[images])[::-1]
        last = each.cumsum(0) / np.arange(1, len(each) + 1)[:, None, None]  # of the last image, the last two, ...
        if any(_near(got, [mean]) for mean in last[:-1]):
            raise CheckFailed(
                "train_ewc takes one step in all, with the gradient of the last batch. Expected: `optimizer.step()` "
                "after `loss.backward()` for every batch.",
                diagnosis="one_step",
            )
    along = [_ratio([slope], [mean]) for slope, mean in zip(got, plain, strict=True)]
    if all(factor is not None and factor > 0 for factor in along):
        sizes_told = " and ".join(shown([factor or 0.0])[1:-1] for factor in along[:2])
        raise CheckFailed(
            f"The gradients in train_ewc have the right direction but the wrong length, {sizes_told} times the "
            "gradient of the mean cross entropy of the batch. Expected: as in train, without clipping or a factor.",
            diagnosis="loss_factor",
        )
    raise CheckFailed(
        "For the first task the steps of train_ewc do not have the gradient of the mean cross entropy of the batch. "
        "Expected: without earlier tasks it trains as train does, with no penalty.",
        diagnosis="plain",
    )


def _softmax_twice(logits: Array, onehot: Array) -> Array:
    p = softmax(logits, 1)
    outer = softmax(p, 1) - onehot
    found: Array = p * (outer - (p * outer).sum(1, keepdims=True))
    return found


LOSSES: tuple[tuple[str, Callable[[Array, Array], Array]], ...] = (
    ("It is nll_loss of the logits, but nll_loss takes log-probabilities.", lambda _logits, onehot: -onehot),
    ("The softmax was applied twice, because cross_entropy takes logits.", _softmax_twice),
    ("It has the wrong sign, so training increases it.", lambda logits, onehot: onehot - softmax(logits, 1)),
)


def _halves(part: Trial) -> Sequence[float]:
    """A penalty of ours has the factor 1, one that is written out may have the other."""
    return (1.0,) if part.got.get("stand_in") is True else HALVES


def _earlier(part: Trial) -> float:
    """The share of the bound that an epoch after some tasks uses.

    Raises `CheckFailed` where their penalty is not in it.
    """
    return _share(part, _case(part.given), _halves(part))


def _later(part: Trial) -> float:
    """The same where the dictionaries hold entries of the task itself and of a later one, too."""
    every, halves = _case(part.given), _halves(part)
    taken = steps(part)
    for tasks, sentence, diagnosis in OTHERS:
        if any(max(one.used(every.of(tasks), half) for one in taken) <= 1 for half in halves):
            raise CheckFailed(
                f"{sentence} Expected: the penalty of the tasks before task_id. Here these are the tasks "
                f"{list(range(EARLIER))} of the entries {list(range(EARLIER + LATER))}.",
                diagnosis=diagnosis,
            )
    return _share(part, every.of(slice(0, EARLIER)), halves)


OTHERS: tuple[tuple[list[int], str, str], ...] = (
    ([0, 1, 2, 3, 4], "train_ewc adds the penalty of all entries of the dictionaries, including later tasks.",
     "penalty_later_tasks"),
    ([0, 1, 2, 4], "train_ewc also adds the penalty of later tasks.", "penalty_later_tasks"),
    ([4], "train_ewc adds only the penalty of the last entry of the dictionaries.", "penalty_later_tasks"),
    ([0, 1, 2, 3], "train_ewc also adds the penalty of the task itself, whose entries exist only after it ends.",
     "penalty_current_task"),
    ([1, 2, 3], "train_ewc adds the penalty of tasks 1 to task_id, so the range starts and ends one too late.",
     "penalty_current_task"),
    ([3], "train_ewc adds only the penalty of the task itself, whose entries exist only after it ends.",
     "penalty_current_task"),
)  # fmt: skip
"""Entries 0 to 4 where task 3 is trained: which of them are in the penalty, in words."""
