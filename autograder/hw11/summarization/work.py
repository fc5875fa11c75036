"""Asks and judges how much work one step of TransformerLayer's cached path is: like n, not like n^2."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from autograder.core import Ask, Reject, Specs, Trial, Values, Verdict
from autograder.hw11.summarization.layer import weights_of
from autograder.judges import array, passed
from autograder.returns import numbers

D_MODEL, HEADS, D_FFN = 16, 1, 24
LENGTHS = np.array([64, 128, 256])
"""Cache lengths n, 2n, 4n."""
LONG, STEPS = 3000, 40
"""A cache so long, and so many steps behind it, that recomputing all of it shows in what the kernel counts."""


def _given(rng: Generator) -> Values:
    return {
        "heads": HEADS,
        "memory": rng.standard_normal((1, 4, D_MODEL)).astype(np.float32),
        "memory_padding": np.zeros((1, 4), np.int64),
        **{f"w.{name}": weight for name, weight in weights_of(rng, D_MODEL, D_FFN).items()},
        "lengths": LENGTHS,
        "long": LONG,
        "steps": STEPS,
    }


def _returns(_given: Values) -> Specs:
    return {"products": numbers(len(LENGTHS), dtypes="i", what="the number of multiplications")}


ASK = Ask("summarization:work", _given, seconds=40.0, yardstick=True, returns=_returns)

RECOMPUTED = "sum_recomputed"


def linear(trial: Trial) -> Verdict:
    """Counted multiplications, then the kernel's CPU time.

    With f(n) = a + b n + c n^2 multiplications, f(4n) - 3 f(2n) + 2 f(n) = 6 c n^2 exactly; a step that looks at each
    position once has c = 0, whatever else it does.
    """
    f = array(trial.got, "products", shape=LENGTHS.shape, what="The number of multiplications")
    # Each of the layer's matrices but those for keys and values is multiplied with the newest position at least.
    least = 6 * D_MODEL**2 + 2 * D_MODEL * D_FFN
    if f.min() < least:
        raise Reject(
            f"One step with a cache took only {f.min():,.0f} multiplications of matrices, but at least {least:,} were "
            "expected: the layer's own linear maps of the newest position.",
        )
    square = (f[2] - 3 * f[1] + 2 * f[0]) / 6 * 16  # its part of f(4n)
    if f[2] > 0 and square > 0.1 * f[2]:
        raise Reject(
            f"One step with a cache of {LENGTHS[0]}, {LENGTHS[1]} and {LENGTHS[2]} positions took {f[0]:,.0f}, "
            f"{f[1]:,.0f} and {f[2]:,.0f} multiplications, which grows like the square of the length. Expected: like "
            "the length itself; only the newest position is computed, the others serve as keys and values.",
            diagnosis=RECOMPUTED,
        )
    # A right step behind 3,000 positions takes 1 ms, recomputing them 100 ms: forty of those cannot hide in this.
    if trial.got_cpu > 4 * trial.want_cpu + 1.0:
        raise Reject(
            f"{STEPS} steps behind a cache of {LONG} positions took {trial.got_cpu:.1f} s of CPU time, the "
            f"reference's layer {trial.want_cpu:.1f} s. Expected: about as much; is everything computed anew in each "
            "step?",
            diagnosis=RECOMPUTED,
        )
    return passed("The work of one step grows like the number of positions, not like its square.")
