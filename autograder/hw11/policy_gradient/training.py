"""Asks and judges what comes of the loss: a network trained with it, and the notebook's whole run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import softmax

from autograder.core import Array, CheckFailed, Request, Specs, Trial, Values, Verdict
from autograder.hw11.answers.declared import held
from autograder.hw11.policy_gradient.loss import CLASSES
from autograder.judging.judges import apart, array, passed, whole, within
from autograder.judging.stats import gamma
from autograder.sandbox.parts import item
from autograder.sandbox.returns import count, declared, numbers, text
from autograder.text import clean

POINTS = 4096
"""Test points that only the judge has."""
INPUTS = 8


def labels(x: Array) -> Array:
    """The homework's rule for points (N, d): 0 near both of 1 and -1, 1 near 1 only, 2 near -1 only, 3 near neither."""
    near = [((x - centre) ** 2).sum(1) <= 2.5 * x.shape[1] for centre in (1.0, -1.0)]
    found: Array = np.select([near[0] & near[1], near[0], near[1]], [0, 1, 2], 3)
    return found


def points(rng: Generator, number: int) -> Array:
    """Points uniform in [-2.2, 2.2]^8, (number, 8)."""
    drawn: Array = rng.uniform(-2.2, 2.2, (number, INPUTS)).astype(np.float32)
    return drawn


TEST = points(np.random.Generator(np.random.Philox(4096)), POINTS)


def accuracy(weights: tuple[Array, ...], x: Array = TEST) -> float:
    """The share of the points x that the network labels as the rule does; weights (h, 8), (h,), (4, h), (4,)."""
    w0, b0, w1, b1 = weights
    scores = np.maximum(x @ w0.T + b0, 0) @ w1.T + b1
    return float((scores.argmax(1) == labels(x)).mean())


# ------------------------------------------------------------------------------- training with the loss


STEPS, RATE, KEEP = 150, 0.02, 0.9
ROWS, TWINS, FIRST, SECOND = 256, 16, 120, 200
"""As many points are there twice, from these rows on: with the same numbers to draw actions with, and other labels."""


def _fixed(_rng: Generator) -> Values:
    """One and the same problem for everybody."""
    own = np.random.Generator(np.random.Philox(6))
    x = points(own, ROWS)
    x[SECOND : SECOND + TWINS] = x[FIRST : FIRST + TWINS]
    label = labels(x)
    label[SECOND : SECOND + TWINS] = (label[FIRST : FIRST + TWINS] + 1 + np.arange(TWINS) % 3) % CLASSES
    uniform = own.random((STEPS, ROWS))
    uniform[:, SECOND : SECOND + TWINS] = uniform[:, FIRST : FIRST + TWINS]
    table = np.where(np.eye(CLASSES, dtype=bool)[label], 3.0, -1.0).astype(np.float32)
    given: dict[str, Array | float] = {"x": x, "table": table, "uniform": uniform, "rate": RATE, "keep": KEEP}
    for layer, (out, into) in enumerate(((32, INPUTS), (CLASSES, 32))):
        width = 1 / np.sqrt(into)  # as nn.Linear begins
        given[f"w{layer}"] = own.uniform(-width, width, (out, into)).astype(np.float32)
        given[f"b{layer}"] = own.uniform(-width, width, out).astype(np.float32)
    return given


def _steps(given: Values) -> Specs:
    """The path of a training: see `Path`."""
    steps, rows = np.shape(given["uniform"])
    paths = {name: numbers(steps + 1, *np.shape(given[name])) for name in ("w0", "b0", "w1", "b1")}
    return {**paths, "slopes": numbers(steps, rows, CLASSES), "actions": numbers(steps, rows)}


TRAINING = Request(
    "policy_gradient.probes:training",
    _fixed,
    seconds=60.0,
    deterministic=True,
    returns=_steps,
    needs=("policy_gradient.ipynb",),
)
TRAINED = 0.6
"""The pass mark. The problem is fixed, numbers to draw with included: a right loss takes the reference's path, to 67 %,
and baselines change that by 1 %. A loop's own draws are others: over 25 streams of them right losses, with and without
baselines, reached 65 to 69 % (sd 0.6), and rewards that are multiplied N by N 24 to 50 %."""
U = 2.0**-53
"""Unit roundoff of the path, which is in double precision but for the loss."""
LUCK = 1e-12
"""The chance that a right loop's own draws hit the right class more often than `_drawn` allows."""


@dataclass(frozen=True)
class Path:
    """A training, step by step: the weights (STEPS + 1, ...) from the first to the last, the gradients to the logits
    (STEPS, ROWS, CLASSES) and the actions (STEPS, ROWS) of every step."""

    weights: tuple[Array, ...]
    slopes: Array
    actions: Array


def _path(trial: Trial) -> Path:
    shapes = {"w0": (32, INPUTS), "b0": (32,), "w1": (CLASSES, 32), "b1": (CLASSES,)}
    weights = tuple(
        array(trial.got, name, shape=(STEPS + 1, *shape), what="The record of the weights in training")
        for name, shape in shapes.items()
    )
    slopes = array(trial.got, "slopes", shape=(STEPS, ROWS, CLASSES), what="The gradient with respect to the logits")
    actions = array(trial.got, "actions", shape=(STEPS, ROWS), what="The actions")
    if not np.isin(actions, range(CLASSES)).all():
        raise CheckFailed("An action in the training is not a class. Expected: 0, 1, 2 or 3.")
    return Path(weights, slopes, actions.astype(int))


def training(trial: Trial) -> Verdict:
    """The last weights are right on enough new points, and the path to them is that of gradients of a loss.

    A worker may answer what it likes; so the judge makes every step again from the gradients that it was told, and
    these must be what a loss of log-probabilities, actions and rewards can have: see `_twins`.
    """
    path = _path(trial)
    seen = accuracy(tuple(weight[-1] for weight in path.weights))
    if seen < TRAINED:
        reached, asked = apart(100 * seen, 100 * TRAINED, 2)
        return Verdict(
            0.0,
            f"A network was trained with your loss for {STEPS} steps, on actions drawn from its policy. It is right "
            f"on {reached} % of new points. Expected: at least {asked} %. The reference's network reaches 67 %, and "
            "always choosing the most common class gives 34 %.",
        )
    if not (_follows(trial, path) and _drawn(trial, path)):
        raise CheckFailed(
            "The weights of the network did not come from the gradients of your loss. Expected: each training step "
            "follows the gradient that torch computes from the returned loss.",
            diagnosis="path_other",
        )
    if not _twins(trial, path):
        raise CheckFailed(
            "In training, two rows with the same log-probabilities, action and reward got different gradients. "
            "Expected: the part of a row in the loss depends on its log-probability and its reward, not on its "
            "place in the batch or on labels.",
            diagnosis="path_other",
        )
    return passed(f"A network that was trained with your loss is right on {100 * seen:.0f} % of new points.")


def _follows(trial: Trial, path: Path) -> bool:
    """Whether each step's weights follow from the last one's and its gradients, within rounding.

    The judge's sums and the worker's differ by gamma(terms) of the sums of magnitudes (Higham 2002, equation 3.5). A
    hidden unit whose input is within rounding of 0 may be on or off. A step is divided by its length, which has the
    errors of all its entries; what a step is off by stays in the speed, KEEP of it at each further step.
    """
    begins = zip(path.weights, NAMES, strict=True)
    if not all(np.array_equal(weight[0], array(trial.given, name)) for weight, name in begins):
        return False
    x = array(trial.given, "x")
    found = [_steps_of(x, tuple(each[some] for each in path.weights), path.slopes[some]) for some in FEW]
    unit, off = (np.concatenate(each) for each in zip(*found, strict=True))
    weights = _flat(*path.weights)
    speed, slack = np.zeros_like(weights[0]), np.zeros_like(weights[0])
    for step in range(STEPS):
        speed = KEEP * speed + unit[step]
        slack = KEEP * slack + np.minimum(off[step], 2) + gamma(3, u=U) * np.abs(speed)
        bound = RATE * slack + gamma(3, u=U) * (np.abs(weights[step]) + RATE * np.abs(speed))
        if not within(weights[step + 1], weights[step] - RATE * speed, bound + np.finfo(float).tiny):
            return False
    return True


FEW = [slice(begin, min(begin + 10, STEPS)) for begin in range(0, STEPS, 10)]
"""Steps that are computed at once: their arrays stay in the processor's cache, those of all steps are 10 MB each."""


def _steps_of(x: Array, weights: tuple[Array, ...], back: Array) -> tuple[Array, Array]:
    """Each step's direction, of length 1, and how far rounding may move it, both (steps, numbers)."""
    w0, b0, w1, _ = weights
    entering = x @ w0.swapaxes(1, 2) + b0[:, None]  # (steps, rows, 32)
    unsure = gamma(2 * INPUTS, u=U) * (np.abs(x) @ np.abs(w0).swapaxes(1, 2) + np.abs(b0)[:, None])
    hidden, on, below = np.maximum(entering, 0), entering > 0, back @ w1
    most = np.abs(back) @ np.abs(w1)
    doubtful = np.where(np.abs(entering) <= unsure, most, 0)
    terms = gamma(2 * (ROWS + CLASSES + INPUTS), u=U)
    columns, sizes = np.abs(back).swapaxes(1, 2), terms * most * (on | (doubtful > 0)) + doubtful
    moves = _flat((below * on).swapaxes(1, 2) @ x, (below * on).sum(1), back.swapaxes(1, 2) @ hidden, back.sum(1))
    errors = _flat(
        sizes.swapaxes(1, 2) @ np.abs(x), sizes.sum(1), terms * (columns @ hidden) + columns @ unsure,
        terms * columns.sum(2),
    )  # fmt: skip
    length = np.sqrt((moves**2).sum(1, keepdims=True))
    there = np.where(length > 0, length, 1)
    unit: Array = moves / there
    off: Array = (errors + np.abs(unit) * np.sqrt((errors**2).sum(1, keepdims=True))) / there + terms * np.abs(unit)
    return unit, off


NAMES = ("w0", "b0", "w1", "b1")


def _flat(*several: Array) -> Array:
    """(steps, ...) each, side by side: (steps, numbers)."""
    return np.concatenate([one.reshape(len(one), -1) for one in several], axis=1)


def _drawn(trial: Trial, path: Path) -> bool:
    """Whether the actions hit the right class no more often than the policy does.

    What they hit beyond their probabilities is a martingale with differences in an interval of length 1, so that n of
    them exceed sqrt(n log(1 / LUCK) / 2) with probability LUCK at most (Azuma 1967, Hoeffding 1963). The likeliest
    actions are drawn by nobody. Our own numbers, by which a function's actions are drawn, leave nothing to luck.
    """
    x = array(trial.given, "x")

    def shares(w0: Array, b0: Array, w1: Array, b1: Array) -> Array:
        hidden = np.maximum(x @ w0.swapaxes(1, 2) + b0[:, None], 0)
        found: Array = softmax(hidden @ w1.swapaxes(1, 2) + b1[:, None], axis=2)
        return found

    p = np.concatenate([shares(*(each[some] for each in path.weights)) for some in FEW])
    free = np.delete(np.arange(ROWS), slice(SECOND, SECOND + TWINS))  # twins are not drawn apart
    label = array(trial.given, "table").argmax(1)[free]
    steps = (path.actions != p.argmax(2)).any(1)
    hits = (path.actions[steps][:, free] == label) - p[steps][:, free, label]
    return float(hits.sum()) <= float(np.sqrt(hits.size * np.log(1 / LUCK) / 2))


def _twins(trial: Trial, path: Path) -> bool:
    """Whether two rows with one point, action and reward have one gradient: labels apart they are the same to a loss.

    Where the gradients of a step come from the points' labels, or from elsewhere, they are not.
    """
    first, second = (slice(begin, begin + TWINS) for begin in (FIRST, SECOND))
    table, rows = array(trial.given, "table"), np.arange(TWINS)
    actions = path.actions[:, first]
    same = (actions == path.actions[:, second]) & (
        table[first][rows, actions] == table[second][rows, path.actions[:, second]]
    )
    off = np.abs(path.slopes[:, first] - path.slopes[:, second]).max(2)
    # Slope.bound, twice, where the largest gradient of the path stands for the largest reward over N.
    bound = 4 * gamma(200 + ROWS) * float(np.abs(path.slopes).max())
    return bool((off[same] <= bound).all())


# ---------------------------------------------------------------------------------- the notebook's run


def _nothing(_rng: Generator) -> Values:
    return {}


WEIGHTS = 8
"""Arrays of the network's parameters that are looked at; the homework's has four."""


def _run(_given: Values) -> Specs:
    """How the run went, the trained network's weights, its test points, and what answers.toml holds."""
    return {
        **dict.fromkeys(("cells", "ran", "failed"), count(10_000)),
        "kind": text(20),
        "text": text(2000),
        "points": numbers(None, None, most=64 * POINTS),
        **declared(weights=WEIGHTS * [numbers(most=200_000)]),
        **held(),
    }


NOTEBOOK = Request(
    *("policy_gradient.probes:notebook", _nothing),
    seconds=300.0,
    collector="Trained",
    deterministic=True,
    returns=_run,
    needs=("policy_gradient.ipynb",),
)
REACHED = 0.62
"""The pass mark for the notebook's own network, from `python -m autograder.hw11.audit.training`: over 704 seeds of data
and weights the reference's networks are right on 76.5 % (sd 2.5, least 69.3) with the likeliest actions, and over
704 more on 82.5 % (sd 1.7, least 76.2) with drawn ones; untrained and wrongly trained ones (sign, no reward, all
actions, N x N products) on 60 % at most. With the notebook's own seed a run is repeatable: 75 %, no luck in it.
Where a student takes other seeds, none of 1,408 fell below 69 %, so that fewer than 0.22 % of seeds do (95 %, rule
of three); and Hoeffding: a network right on 69 % scores below 62 % on the 4,096 points with probability < 4e-18.
Probabilities in place of logarithms, and sums, train as well as the right loss: the gradient tells those."""


def notebook(trial: Trial) -> Verdict:
    """Two thirds for the trained network, one third for coming to the end with a network, trained or not."""
    cells = whole(trial.got, "cells", least=0, most=10_000)
    failed = whole(trial.got, "failed", least=0, most=cells)
    seen = _reached(trial)
    if failed:
        begin = _failure(trial, failed, cells)
        if isinstance(seen, float) and seen >= REACHED:
            return Verdict(
                2 / 3,
                f"{begin} The policy network was already trained: it is right on {100 * seen:.0f} % of new points.",
                "cell_failed",
            )
        return Verdict(0.0, begin, "cell_failed")
    if isinstance(seen, str):
        there = item("weights", 0) in trial.got
        return Verdict(1 / 3 if there else 0.0, f"All {cells} code cells ran. {seen}", "model_missing")
    if seen < REACHED:
        reached, asked = apart(100 * seen, 100 * REACHED, 2)
        return Verdict(
            1 / 3,
            f"All {cells} code cells ran, but the network that learns from the rewards is right on only {reached} % "
            f"of new points. Expected: at least {asked} %. Usual values are 76 % with the likeliest actions and 83 "
            "% with drawn actions.",
            "model_untrained",
        )
    return passed(
        f"All {cells} code cells ran from top to bottom, and the policy network is right on {100 * seen:.0f} % of "
        "new points."
    )


def _failure(trial: Trial, failed: int, cells: int) -> str:
    where = f"code cell {failed} of {cells} (the one that becomes In [{failed}])"
    kind, text = trial.got.get("kind"), trial.got.get("text")
    # A whole run is given no inputs of ours, so that its numbers are the student's own.
    told = clean(text if isinstance(text, str) else "", limit=300, line=True, numbers=True)
    if kind == "deadline":
        what = f"was still running in {where} when the time was up. Does the cell contain an endless loop?"
    elif kind == "ended":
        what = f"lost its kernel in {where}. Did the code exit, crash, or use too much memory?"
    else:
        what = f"stopped in {where}: {told}"
    return f'After "restart and run all" the notebook {what} Expected: every cell runs, from top to bottom.'


WIDEST = 1024
"""Units of a hidden layer that are looked at: the homework's has 32, and a forged one could fill our memory."""


def _reached(trial: Trial) -> float | str:
    """The accuracy of the notebook's network on new points, or a sentence that says why there is none."""
    found = [trial.got[name] for place in range(WEIGHTS) if (name := item("weights", place)) in trial.got]
    hidden = len(found[0]) if found and isinstance(found[0], np.ndarray) and found[0].ndim == 2 else 0
    shapes = ((hidden, INPUTS), (hidden,), (CLASSES, hidden), (CLASSES,))
    if not found:
        return (
            "No network learned from the rewards. Between a call of reward_oracle and the next gradient, no network "
            "computed outputs. Expected: a network that the policy gradient trains. Supervised training does not "
            "count."
        )
    if (
        len(found) != 4
        or hidden > WIDEST
        or any(np.shape(one) != shape for one, shape in zip(found, shapes, strict=True))
    ):
        return (
            "The policy network has another form. Expected: the network of get_model, Linear(8, 32), ReLU, "
            "Linear(32, 4)."
        )
    weights = tuple(
        array(trial.got, item("weights", place), what="A weight of the policy network") for place in range(4)
    )
    return accuracy(weights)
