"""Asks and judges how much work one step of TransformerLayer's cached path is: like n, not like n^2.

What a worker says of its own work counts for nothing, unless it says that it did too much: the kernel counts the CPU
time of steps whose inputs were drawn here, and whose outputs and caches are judged here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from autograder.core import Array, CheckFailed, Request, Specs, Trial, Values, Verdict
from autograder.hw11.summarization import transformer
from autograder.hw11.summarization.layer import (
    CAP,
    FORM,
    FORMS,
    IN_CACHE,
    RIGHT,
    SINGLE,
    LayerMistake,
    Sight,
    changed,
    weights_of,
)
from autograder.judging.batteries import square_share
from autograder.judging.judges import array, passed, within
from autograder.judging.rounding import Bounded, exact
from autograder.sandbox.parts import items, pack, take
from autograder.sandbox.returns import declared, numbers

D_MODEL, HEADS, D_FFN = 16, 1, 24
SHORT = 2
"""A cache as short as those of the other checks."""
LENGTHS = (64, 128, 256)
"""Cache lengths n, 2n, 4n, behind which multiplications are counted."""
LONG, STEPS = 4000, 40
"""A cache so long, and so many steps behind it, that recomputing all of it shows in what the kernel counts."""
ALL = (SHORT, *LENGTHS, *[LONG] * STEPS)
"""The cache's length in each step."""
COUNTED = np.arange(1, 1 + len(LENGTHS))
SEEN = (0, *COUNTED.tolist(), len(ALL) - 1)
"""The steps whose caches are judged."""


def _given(rng: Generator) -> Values:
    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(np.float32)

    return pack(
        heads=HEADS,
        memory=normal(1, 4, D_MODEL),
        memory_padding=np.zeros((1, 4), np.int64),
        w=weights_of(rng, D_MODEL, D_FFN),
        rows=normal(LONG, D_MODEL),
        newest=normal(len(ALL), D_MODEL),
        lengths=np.array(ALL),
        counted=COUNTED,
        judged=np.array(SEEN),
    )


def _returns(given: Values) -> Specs:
    return declared(
        out=numbers(len(ALL), D_MODEL),
        products=numbers(len(COUNTED)),
        judged=len(SEEN) * [{"cache": numbers(most=2 * LONG * D_MODEL), "form": FORM}],
    )


REQUEST = Request(
    "summarization.probes:work",
    _given,
    seconds=40.0,
    baseline_cpu=True,
    returns=_returns,
    needs=("summarization.ipynb",),
)

RECOMPUTED = "sum_recomputed"


def linear(trial: Trial) -> Verdict:
    """Outputs and caches, then counted multiplications, then the kernel's CPU time.

    A step that looks at each position once has no part that grows like n^2, whatever else it does. Forty
    steps behind 4,000 positions take 60 ms where each position is looked at once, and 6 s where all are computed anew,
    so these cannot hide in 1 s.
    """
    _outputs(trial)
    _caches(trial)
    f = array(trial.got, "products", shape=COUNTED.shape, what="The number of multiplications")
    if square_share(f) > 0.1:
        raise CheckFailed(
            f"One step with a cache of {LENGTHS[0]}, {LENGTHS[1]} and {LENGTHS[2]} positions took {f[0]:,.0f}, "
            f"{f[1]:,.0f} and {f[2]:,.0f} multiplications. This grows like the square of the length. Expected: "
            "growth like the length itself. Compute the newest position only and use the cached positions as keys "
            "and values.",
            diagnosis=RECOMPUTED,
        )
    if trial.got_cpu > 4 * trial.want_cpu + 1.0:
        raise CheckFailed(
            f"{STEPS} steps with a cache of {LONG} positions took {trial.got_cpu:.1f} s of CPU time, and the "
            f"reference's layer took {trial.want_cpu:.1f} s. Expected: about the same time. Is everything computed "
            "again in each step?",
            diagnosis=RECOMPUTED,
        )
    return passed("The work of one step grows like the number of positions, not like its square.")


def _outputs(trial: Trial) -> None:
    """Raises `CheckFailed` where the outputs are neither right nor what one known mistake makes of all of them."""
    out = array(trial.got, "out", shape=(len(ALL), D_MODEL), what="The output with use_cache")
    for mistake in (RIGHT, *IN_CACHE, *FORMS):
        want = expected(trial.given, mistake)
        if within(out, want.value, want.error):
            return
        if mistake is RIGHT and within(out[0], want.value[0], want.error[0]):
            short = [within(*each) for each in zip(out, want.value, want.error, strict=True)]
            raise CheckFailed(
                f"With a cache of {ALL[short.index(False)]} positions the output is wrong, but with a cache of "
                f"{SHORT} positions it is right. Expected: the newest position sees the whole cache, however long "
                "it is.",
                diagnosis="sum_cache_lost",
            )
    raise CheckFailed(
        'Look first at the check "TransformerLayer: step by step". The outputs of the layer with use_cache are '
        "wrong for an unknown reason, so this check cannot measure the work. Expected: the outputs for all "
        "positions at once."
    )


def expected(given: Values, mistake: LayerMistake) -> Bounded:
    """The output (steps, d_model) of each step, all of them computed at once: queries that see other keys."""
    rows, newest = (np.asarray(given[name], float) for name in ("rows", "newest"))
    lengths = np.asarray(given["lengths"])
    own = np.zeros((len(newest), len(rows) + len(newest)), bool)
    own[:, len(rows) :] = np.eye(len(newest), dtype=bool)
    visible = own | (np.arange(own.shape[1]) < lengths[:, None])
    keys = exact(np.concatenate([rows, newest])[None], SINGLE)
    right: dict[str, Any] = {
        "past": keys,
        "hidden": ~visible,
        "memory": exact(np.asarray(given["memory"], float), SINGLE),
        "memory_padding": np.asarray(given["memory_padding"]),
    }
    changes: Mapping[str, Any] = mistake.decoder
    weights = {name: np.asarray(value, float) for name, value in take(given, "w").items()}
    named = changed(right, changes, keys, Sight(visible, own))
    found = transformer.layer(exact(newest[None], SINGLE), weights, HEADS, **named)
    assert isinstance(found, Bounded)
    return found.map(lambda each: each[0]).capped(CAP)


def _caches(trial: Trial) -> None:
    """Raises `CheckFailed` where a long cache is wrong though the short one is right.

    That one has a check of its own.
    """
    told = items(trial.got, "judged", len(SEEN))
    held = [_held(trial, step, one) for step, one in zip(SEEN, told, strict=True)]
    if held[0] and not all(held):
        length = ALL[SEEN[held.index(False)]]
        raise CheckFailed(
            f"After a step with a cache of {length} positions the new cache is wrong, but after a step with {SHORT} "
            "positions it is right. Expected: all inputs so far and the newest one, however many there are.",
            diagnosis="sum_cache_lost",
        )


def _held(trial: Trial, step: int, told: Values) -> bool:
    rows, newest = (np.asarray(trial.given[name]) for name in ("rows", "newest"))
    held, length = told.get("cache"), ALL[step]
    if not isinstance(held, np.ndarray) or held.shape != (1, length + 1, D_MODEL):
        return False
    return np.array_equal(held[0, :-1], rows[:length]) and np.array_equal(held[0, -1], newest[step])
