"""Asks and judges `on_task_update(task_id, x_mem, t_mem)`: the diagonal of the Fisher information, and the parameters.

The Fisher information's diagonal is the expectation of the squared derivatives of log p(t | x; theta) (Kirkpatrick et
al. 2017, equation 3; Martens 2020, section 5). Notebooks estimate it in several ways, all of them right here: squares
of each image's gradient or of each batch's, added up or averaged; the square of what the batches' gradients add up to;
with the data's labels or the model's own. They differ by more than a factor, but each by one that lambda makes up for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.random import Generator

from autograder.core import Array, Ask, Reject, Specs, Trial, Values, Verdict
from autograder.hw11.continual_learning import classifier
from autograder.judges import array, passed, share
from autograder.returns import flag, numbered, numbers, text
from autograder.stats import gamma
from autograder.text import clean

CLASSES, INPUTS = 3, 5
FEW, MANY = 6, 270
"""Images of task 0 and of task 1: so few that all labels can be tried, and more than a batch has."""

# ------------------------------------------------------------------------------------- what is asked


def _update(rng: Generator) -> Values:
    """Task 0 has each image's least likely label, which no labels that the model draws will be."""
    theta = (0.7 * rng.standard_normal((2, CLASSES, INPUTS + 1))).astype(np.float32)
    x0, x1 = ((1 + rng.standard_normal((n, INPUTS))).astype(np.float32) for n in (FEW, MANY))
    return {
        "theta": theta,
        "stale": rng.choice([-1.0, 1.0], theta[0].shape).astype(np.float32) * rng.uniform(0.5, 1, theta[0].shape)
        .astype(np.float32),
        "x0": x0,
        "t0": classifier.shares(theta[0].astype(float), x0).argmin(1),
        "x1": x1,
        "t1": rng.integers(0, CLASSES, MANY),
    }  # fmt: skip


MOST_IMAGES = 100_000
"""That the model is shown in one call: each image once for every label that is drawn is usual."""


def _returns(given: Values) -> Specs:
    """After each of the two calls: what is kept of each task, what is missing, and the batches that were shown."""
    matrix = numbers(*np.shape(given["theta"])[1:], what="what is kept of a task")
    shown = numbers(None, most=MOST_IMAGES, what="the images that the model was shown")
    one = {
        **{f"{kind}{task}": matrix for kind in ("fisher", "optpar") for task in (0, 1)},
        **{f"{kind}.missing": text(100) for kind in ("fisher", "optpar")},
        **{f"{kind}.graph": flag() for kind in ("fisher", "optpar")},
        "images": shown,
        "sizes": shown,
    }
    return numbered(2, one)


ASK = Ask("continual_learning:update", _update, returns=_returns)

# ------------------------------------------------------------------------------------ forms of the Fisher


@dataclass(frozen=True)
class Seen:
    """A call of on_task_update: what it got and left, and the batches that the model was shown, as image numbers."""

    theta: Array
    stale: Array
    x: Array
    t: Array
    batches: tuple[Array, ...]
    got: Array

    @property
    def images(self) -> Array:
        """Each image that was shown, as often as it was."""
        return np.concatenate(self.batches)

    def of_batches(self, each: Array) -> Array:
        """The means of something (n, ...) over each batch, (batches, ...)."""
        return np.stack([each[batch].mean(0) for batch in self.batches])

    @property
    def error(self) -> Array:
        """How far rounding may move any one gradient, (d + 1,)."""
        return classifier.error(self.theta, self.x)


@dataclass(frozen=True)
class Estimate:
    """sum_k weight_k slope_k^2, which is what every form of the Fisher is: weights (K,), slopes (K, c, d + 1).

    `terms` is how many gradients each slope is the sum of.
    """

    weights: Array
    slopes: Array
    terms: int = 1

    @property
    def value(self) -> Array:
        value: Array = np.einsum("k,kcd->cd", self.weights, self.slopes**2)
        return value

    def bound(self, error: Array) -> Array:
        """Rounding: (g + e)^2 - g^2 = 2 g e + e^2, and the sum's own."""
        e = self.terms * error
        moved = np.einsum("k,kcd->cd", self.weights, 2 * np.abs(self.slopes) * e + e**2)
        bound: Array = moved + gamma(len(self.weights) + 4) * self.value
        return bound

    def used(self, got: Array, error: Array) -> float:
        """Share of the rounding bound, with the positive factor that fits best; infinity where none is positive."""
        factor = self.factor(got)
        return share(got, factor * self.value, factor * self.bound(error) + 1e-30) if factor > 0 else np.inf

    def factor(self, got: Array) -> float:
        return float((got * self.value).sum() / (self.value**2).sum())


def estimates(seen: Seen, labels: Array) -> Iterator[Estimate]:
    """The forms with given labels (n,)."""
    each = classifier.slopes(seen.theta, seen.x, labels)
    means = seen.of_batches(each)
    sizes = np.array([len(batch) for batch in seen.batches], float)
    one = np.ones(len(means))
    yield Estimate(np.ones(1), means.sum(0, keepdims=True), len(means))  # accumulated over batches, then squared
    yield Estimate(one, means)
    yield Estimate(sizes, means)
    yield Estimate(sizes**2, means)  # of the batches' sums
    own = each[seen.images]
    yield Estimate(np.ones(len(own)), own)
    yield Estimate(np.repeat(1 / sizes, sizes.astype(int)), own)
    yield Estimate(np.ones(1), own.mean(0, keepdims=True))


def expected(seen: Seen) -> Estimate:
    """The labels' expectation under the model in place of any labels."""
    p = classifier.shares(seen.theta, seen.x)[seen.images]
    own = [classifier.slopes(seen.theta, seen.x, np.full(len(seen.x), label))[seen.images] for label in range(CLASSES)]
    return Estimate(p.T.ravel(), np.concatenate(own))


# ------------------------------------------------------------------------------------ known mistakes


@dataclass(frozen=True)
class Mistake:
    """A known mistake: what it would give for a call up to any factor, positive or (where `either`) negative too."""

    id: str
    sentence: str
    formula: Callable[[Seen], Array]
    either: bool = False

    def explains(self, seen: Seen) -> bool:
        """Within a thousandth: a name for the student, no point depends on it."""
        value = self.formula(seen)
        size = float((value**2).sum())
        factor = float((seen.got * value).sum()) / size if size else 0.0
        right = factor > 0 or (self.either and factor < 0)
        return right and float(np.abs(seen.got - factor * value).max()) <= 1e-3 * float(np.abs(seen.got).max())


def _sum(seen: Seen) -> Array:
    total: Array = seen.of_batches(classifier.slopes(seen.theta, seen.x, seen.t)).sum(0)
    return total


def _total(seen: Seen) -> Array:
    total: Array = classifier.slopes(seen.theta, seen.x, seen.t)[seen.images].mean(0)
    return total


def _of_last(seen: Seen) -> Array:
    last: Array = seen.of_batches(classifier.slopes(seen.theta, seen.x, seen.t))[-1]
    return last


def _linear(seen: Seen, score: Array) -> Array:
    """The gradient where the loss has these derivatives (n, c) by the logits."""
    each = score[:, :, None] * classifier.extended(seen.x)[:, None, :]
    total: Array = seen.of_batches(each).sum(0)
    return total


def _onehot(seen: Seen) -> Array:
    onehot: Array = np.eye(CLASSES)[seen.t.astype(int)]
    return onehot


def _squared_error(seen: Seen) -> Array:
    return _linear(seen, classifier.extended(seen.x) @ seen.theta.T - _onehot(seen)) ** 2


def _squared_error_of_shares(seen: Seen) -> Array:
    p = classifier.shares(seen.theta, seen.x)
    off = p - _onehot(seen)
    return _linear(seen, p * (off - (p * off).sum(1, keepdims=True))) ** 2


def _each_magnitude(seen: Seen) -> Array:
    total: Array = np.abs(classifier.slopes(seen.theta, seen.x, seen.t)[seen.images]).mean(0)
    return total


MISTAKES = (
    Mistake("fisher_not_squared", "The gradients were not squared.", _sum, either=True),
    Mistake("fisher_not_squared", "The gradients were not squared.", _total, either=True),
    Mistake("fisher_absolute", "The gradients' size was taken, not their square.", lambda s: np.abs(_sum(s))),
    Mistake("fisher_absolute", "The gradients' size was taken, not their square.", lambda s: np.abs(_total(s))),
    Mistake("fisher_absolute", "The gradients' size was taken, not their square.", _each_magnitude),
    Mistake("fisher_sign", "It has the wrong sign.", lambda s: -(_sum(s) ** 2)),
    Mistake("fisher_sign", "It has the wrong sign.", lambda s: -(_total(s) ** 2)),
    Mistake(
        "fisher_not_zeroed",
        "Gradients that training had left were in it: they must be set to zero first.",
        lambda s: (_sum(s) + s.stale) ** 2,
    ),
    Mistake("fisher_not_zeroed", "It holds the gradients that training had left.", lambda s: s.stale**2),
    Mistake(
        "fisher_last_batch",
        "Only the last batch is in it: gradients were set to zero, or overwritten, at every batch.",
        lambda s: _of_last(s) ** 2,
    ),
    Mistake("fisher_parameters", "It holds the parameters.", lambda s: s.theta, either=True),
    Mistake("fisher_parameters", "It holds the parameters' squares.", lambda s: s.theta**2),
    Mistake(
        "fisher_constant",
        "It is the same number for every parameter, such as the loss.",
        lambda s: np.ones_like(s.theta),
        either=True,
    ),
    Mistake("fisher_fourth_power", "The gradients were squared twice.", lambda s: _sum(s) ** 4),
    Mistake(
        "fisher_loss",
        "The loss was nll_loss of the logits, which takes log-probabilities: it is not the cross entropy.",
        lambda s: _linear(s, -_onehot(s)) ** 2,
    ),
    Mistake("fisher_loss", "The loss was a squared error, not the cross entropy.", _squared_error),
    Mistake("fisher_loss", "The loss was a squared error, not the cross entropy.", _squared_error_of_shares),
)
EXPECTED = (
    "Expected: for every parameter the square of the derivative of the cross entropy over the task's images, from "
    "gradients that begin at zero."
)

# ------------------------------------------------------------------------------------ how it is judged


def _missing(trial: Trial, task: int, kind: str) -> None:
    """Raises `Reject` where the dictionary lacks something after the call for the task."""
    lacks = trial.got.get(f"{task}.{kind}.missing")
    if isinstance(lacks, str):
        raise Reject(
            f"After on_task_update({task}, ...) there is no {clean(lacks, limit=80, line=True)}. Expected: an entry "
            "for each parameter of the model under its name, for this task and all before it.",
            diagnosis=f"{kind}_missing",
        )


@lru_cache(maxsize=2)
def calls(trial: Trial) -> tuple[Seen, Seen]:
    """Both calls. Raises `Reject` where fisher_dict lacks something or the model was shown nothing."""
    found = []
    for task in (0, 1):
        _missing(trial, task, "fisher")
        x, t = array(trial.given, f"x{task}"), array(trial.given, f"t{task}")
        sizes = classifier.whole(array(trial.got, f"{task}.sizes", what="The list of batches"))
        numbers = classifier.whole(array(trial.got, f"{task}.images", what="The list of images"))
        counted = sizes.ndim == 1 and (sizes >= 0).all() and numbers.shape == (sizes.sum(),)
        # Nobody shows an image a hundred times; and the judge's time is ours.
        if not counted or len(numbers) > 100 * len(x) or (numbers < 0).any() or (numbers >= len(x)).any():
            raise Reject(
                "The images that on_task_update gave to the model are not those of x_mem. Expected: x_mem, in batches."
            )
        batches = tuple(batch for batch in np.split(numbers, sizes.cumsum()[:-1]) if len(batch))
        theta = array(trial.given, "theta")[task]
        got = array(trial.got, f"{task}.fisher{task}", shape=theta.shape, what=f"fisher_dict[{task}]")
        # Where vmap hid the numbers, every image was shown once.
        batches = batches or (np.arange(len(x)),)
        found.append(Seen(theta, array(trial.given, "stale"), x, t, batches, got))
    return found[0], found[1]


def explained(seen: Seen, *, drawn: bool) -> tuple[str, float, float] | None:
    """Whose labels explain what was found ("data", "model"), the factor and the share of the bound; or None.

    With `drawn` all labels are tried that the model could have drawn.
    """
    likeliest = classifier.shares(seen.theta, seen.x).argmax(1)
    candidates = [("data", one) for one in estimates(seen, seen.t)]
    candidates += [("model", one) for one in (*estimates(seen, likeliest), expected(seen))]
    for whose, one in candidates:
        if (used := one.used(seen.got, seen.error)) <= 1:
            return whose, one.factor(seen.got), used
    if drawn:
        for labels in product(range(CLASSES), repeat=len(seen.t)):
            for one in estimates(seen, np.array(labels)):
                if (used := one.used(seen.got, seen.error)) <= 1:
                    return "drawn", one.factor(seen.got), used
    return None


def fisher(trial: Trial) -> Verdict:
    few, many = calls(trial)
    again = array(trial.got, "1.fisher0", shape=few.got.shape, what="fisher_dict[0] after the call for task 1")
    if trial.got.get("0.fisher.graph") is True or trial.got.get("1.fisher.graph") is True:
        raise Reject(
            "What fisher_dict holds still hangs on a graph, so the penalty's gradient would run through it. Expected: "
            "numbers, by `.detach()` or `.data`.",
            diagnosis="fisher_graph",
        )
    first = explained(few, drawn=True)
    second = explained(many, drawn=False)
    # Labels that the model draws are now and then the likeliest ones for all of the few images, never the data's.
    own = first is not None and first[0] != "data"
    if own and second is None and (many.got >= 0).all() and many.got.any():
        second = first  # of so many labels no list can be tried
    if first is None or second is None:
        for known in MISTAKES:
            if all(known.explains(one) for one in ((many,) if first else (few, many))):
                raise Reject(f"fisher_dict is not right. {known.sentence} {EXPECTED}", diagnosis=known.id)
        where = "" if first is None else f" for {MANY} images, though it is for {FEW}"
        raise Reject(f"fisher_dict is not right{where}. {EXPECTED}")
    if not np.array_equal(again, few.got):
        raise Reject(
            "on_task_update(1, ...) has changed fisher_dict[0]. Expected: every earlier task's as it was.",
            diagnosis="fisher_overwritten",
        )
    count = len(np.unique(many.images))
    if count < MANY - 1:  # the last image alone makes no batch in some loops
        return Verdict(
            0.5,
            f"fisher_dict is right for the images that were used, {count} of {MANY}. Expected: all of the task's "
            "images, in batches.",
            "fisher_part",
        )
    remark = "" if first[0] == second[0] == "data" else " Labels of the model's own were used."
    return passed(
        f"fisher_dict holds squared gradients, up to a constant factor.{remark}", used=max(first[2], second[2])
    )


def parameters(trial: Trial) -> Verdict:
    theta = array(trial.given, "theta")
    for task in (0, 1):
        _missing(trial, task, "optpar")
        got = array(trial.got, f"{task}.optpar{task}", shape=theta[0].shape, what=f"optpar_dict[{task}]")
        if not np.array_equal(got, theta[task]):
            raise Reject(
                f"optpar_dict[{task}] does not hold the model's parameters. Expected: each one's value at the end of "
                f"task {task}.",
                diagnosis="optpar_wrong",
            )
        if trial.got.get(f"{task}.optpar.graph") is True:
            raise Reject(
                "What optpar_dict holds still hangs on the live parameters' graph, so the penalty's gradient would "
                "cancel out. Expected: numbers, by `.detach().clone()` or `.data.clone()`.",
                diagnosis="optpar_graph",
            )
    later = array(trial.got, "1.optpar0", shape=theta[0].shape, what="optpar_dict[0] after the call for task 1")
    if np.array_equal(later, theta[1]):
        raise Reject(
            "optpar_dict[0] follows the model: after more training it holds the new parameters. Expected: a copy of "
            "them, by `.clone()`, and an entry for every task.",
            diagnosis="optpar_alias",
        )
    if not np.array_equal(later, theta[0]):
        raise Reject("on_task_update(1, ...) has changed optpar_dict[0]. Expected: every earlier task's as it was.",
                     diagnosis="optpar_overwritten")  # fmt: skip
    return passed("optpar_dict holds copies of the parameters of every task.")
