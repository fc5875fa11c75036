"""Asks and judges what comes of the loss: a network trained with it, and the notebook's whole run."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from autograder.core import Array, Ask, Specs, Trial, Values, Verdict
from autograder.hw11.answers.declared import held
from autograder.hw11.policy_gradient.loss import CLASSES
from autograder.judges import array, passed, whole
from autograder.returns import count, numbers, text
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


STEPS = 250


def _fixed(_rng: Generator) -> Values:
    """One and the same problem for everybody."""
    own = np.random.Generator(np.random.Philox(6))
    x = points(own, 256)
    table = np.where(np.eye(CLASSES, dtype=bool)[labels(x)], 3.0, -1.0).astype(np.float32)
    given: dict[str, Array | int] = {"x": x, "table": table, "steps": STEPS, "chance": 6}
    for layer, (out, into) in enumerate(((32, INPUTS), (CLASSES, 32))):
        width = 1 / np.sqrt(into)  # as nn.Linear begins
        given[f"w{layer}"] = own.uniform(-width, width, (out, into)).astype(np.float32)
        given[f"b{layer}"] = own.uniform(-width, width, out).astype(np.float32)
    return given


def _weights(given: Values) -> Specs:
    return {name: numbers(*np.shape(given[name])) for name in ("w0", "b0", "w1", "b1")}


TRAINING = Ask("policy_gradient:training", _fixed, seconds=60.0, fixed=True, returns=_weights)
TRAINED = 0.63
"""The pass mark. The problem is fixed, so a right loss takes the reference's path, to 69 % (a baseline changes
that by 1 %): no luck is in it but that of rounding."""


def training(trial: Trial) -> Verdict:
    shapes = ((32, INPUTS), (32,), (CLASSES, 32), (CLASSES,))
    names = ("w0", "b0", "w1", "b1")
    weights = tuple(
        array(trial.got, name, shape=shape, what="A trained weight") for name, shape in zip(names, shapes, strict=True)
    )
    seen = accuracy(weights)
    if seen >= TRAINED:
        return passed(f"A network trained with your loss is right on {100 * seen:.0f} % of new points.")
    return Verdict(
        0.0,
        f"A network trained with your loss for {STEPS} steps, on actions drawn from its policy, is right on "
        f"{100 * seen:.0f} % of new points. Expected: at least {100 * TRAINED:.0f} %. The reference's network reaches "
        "69 %, and one that names the commonest class for every point 34 %.",
    )


# ---------------------------------------------------------------------------------- the notebook's run


def _nothing(_rng: Generator) -> Values:
    return {}


def _run(_given: Values) -> Specs:
    """How the run went, the trained network's weights, its test points, and what answers.toml holds."""
    return {
        **dict.fromkeys(("cells", "ran", "failed"), count(10_000)),
        "kind": text(20),
        "text": text(2000),
        "points": numbers(None, None, most=64 * POINTS),
        **{f"weight{index}": numbers(most=200_000) for index in range(8)},
        **held(),
    }


NOTEBOOK = Ask(*("policy_gradient:notebook", _nothing), seconds=300.0, collector="Trained", fixed=True, returns=_run)
REACHED = 0.62
"""The pass mark for the notebook's own network, from `python -m autograder.audit.training`: over 704 seeds of data
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
                f"{begin} The network `model` was trained by then: {100 * seen:.0f} % of new points.",
                "cell_failed",
            )
        return Verdict(0.0, begin, "cell_failed")
    if isinstance(seen, str):
        there = "weight0" in trial.got
        return Verdict(1 / 3 if there else 0.0, f"All {cells} code cells ran. {seen}", "model_missing")
    if seen < REACHED:
        return Verdict(
            1 / 3,
            f"All {cells} code cells ran, but the network `model` is right on only {100 * seen:.0f} % of new points "
            f"after that. Expected: at least {100 * REACHED:.0f} %; 76 % is usual with the likeliest actions, and 83 % "
            "with drawn ones.",
            "model_untrained",
        )
    return passed(
        f"All {cells} code cells ran from top to bottom; `model` is right on {100 * seen:.0f} % of new points."
    )


def _failure(trial: Trial, failed: int, cells: int) -> str:
    where = f"code cell {failed} of {cells} (the one that becomes In [{failed}])"
    kind, text = trial.got.get("kind"), trial.got.get("text")
    told = clean(text if isinstance(text, str) else "", limit=200, line=True)
    if kind == "deadline":
        what = f"was still running when the time was up, in {where}. Is there a loop that never ends in it?"
    elif kind == "ended":
        what = f"lost its kernel in {where}: did the code exit, crash, or use very much memory?"
    else:
        what = f"stopped in {where}: {told}"
    return f'After "restart and run all" the notebook {what} Expected: every cell runs, from top to bottom.'


WIDEST = 1024
"""Units of a hidden layer that are looked at: the homework's has 32, and a forged one could fill our memory."""


def _reached(trial: Trial) -> float | str:
    """The accuracy of the notebook's network on new points, or a sentence that says why there is none."""
    found = [trial.got[name] for index in range(8) if (name := f"weight{index}") in trial.got]
    hidden = len(found[0]) if found and isinstance(found[0], np.ndarray) and found[0].ndim == 2 else 0
    shapes = ((hidden, INPUTS), (hidden,), (CLASSES, hidden), (CLASSES,))
    if not found:
        return "Expected: the network that the policy gradient trained, under the name `model`."
    if (
        len(found) != 4
        or hidden > WIDEST
        or any(np.shape(one) != shape for one, shape in zip(found, shapes, strict=True))
    ):
        return "Expected: `model` is the network that get_model makes, Linear(8, 32), ReLU, Linear(32, 4)."
    weights = tuple(array(trial.got, f"weight{index}", what="A weight of `model`") for index in range(4))
    return accuracy(weights)
