"""Asks and judges how much work one step with the cache is: like n, the number of positions so far, not like n^2."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from autograder.core import Ask, Reject, Trial, Values, Verdict
from autograder.hw11.summarization.layer import weights_of
from autograder.hw11.summarization.stack import FIRST, stack_values
from autograder.judges import array, passed, whole
from autograder.sections import join, section

D_MODEL, HEADS, D_FFN = 16, 1, 24
LENGTHS = np.array([64, 128, 256])
"""Cache lengths n, 2n, 4n."""
LONG, STEPS = 3000, 10
"""A cache so long, and so many steps behind it, that recomputing all of it shows in what the kernel counts."""
STACK, LAYERS, VOCAB = 12, 2, 9
POSITIONS = 2 * STACK
"""More than there are, so that positions that are too large do no harm here."""


def _given(rng: Generator) -> Values:
    memory = rng.standard_normal((1, 4, D_MODEL)).astype(np.float32)
    shared: dict[str, Any] = {"heads": HEADS, "memory": memory, "memory_padding": np.zeros((1, 4), np.int64)}
    weights = {f"w.{name}": weight for name, weight in weights_of(rng, D_MODEL, D_FFN).items()}
    layer = {**shared, **weights, "lengths": LENGTHS, "long": LONG, "steps": STEPS}
    values = stack_values(rng, D_MODEL, D_FFN, LAYERS, VOCAB, POSITIONS)
    stack = {**shared, **values, "layers": LAYERS, "ids": rng.integers(FIRST, VOCAB, (1, STACK))}
    return join(layer=layer, stack=stack)


ASK = Ask("with_layer:work", _given, seconds=40.0, reference=True)

RECOMPUTED = "sum_recomputed"


def linear(trial: Trial) -> Verdict:
    """What the layer computes and what the stack hands to its layers: half of the points where one of them stops.

    Who computes everything anew in either of them gets none.
    """
    faults = []
    for part, look in (("layer", _layer), ("stack", _stack)):
        try:
            of = section(trial, part)
        except Reject as fault:
            faults.append(fault)
        else:
            look(trial, of)
    if len(faults) == 2:
        raise faults[0]
    if faults:
        return Verdict(
            0.5, f"One of layer and stack works as it should; of the other: {faults[0]}", faults[0].diagnosis
        )
    return passed("The work of one step grows like the number of positions, not like its square.")


def _layer(trial: Trial, layer: Trial) -> None:
    """Counted multiplications, then the kernel's CPU time. Raises `Reject` where everything is computed anew.

    With f(n) = a + b n + c n^2 multiplications, f(4n) - 3 f(2n) + 2 f(n) = 6 c n^2 exactly; a step that looks at each
    position once has c = 0, whatever else it does.
    """
    f = array(layer.got, "products", shape=LENGTHS.shape, what="The number of multiplications")
    square = (f[2] - 3 * f[1] + 2 * f[0]) / 6 * 16  # its part of f(4n)
    if f[2] > 0 and square > 0.1 * f[2]:
        raise Reject(
            f"One step with a cache of {LENGTHS[0]}, {LENGTHS[1]} and {LENGTHS[2]} positions took {f[0]:,.0f}, "
            f"{f[1]:,.0f} and {f[2]:,.0f} multiplications, which grows like the square of the length. Expected: like "
            "the length itself; only the newest position is computed, the others serve as keys and values.",
            diagnosis=RECOMPUTED,
        )
    # A right step behind 3,000 positions takes 1 ms, recomputing them 250 ms: ten of those cannot hide in this.
    if trial.got_cpu > 4 * trial.want_cpu + 1.0:
        raise Reject(
            f"{STEPS} steps behind a cache of {LONG} positions took {trial.got_cpu:.1f} s of CPU time, the "
            f"reference's layer {trial.want_cpu:.1f} s. Expected: about as much; is everything computed anew in each "
            "step?",
            diagnosis=RECOMPUTED,
        )


def _stack(_trial: Trial, stack: Trial) -> None:
    """Raises `Reject` where the layers got more than the newest position."""
    most = whole(stack.got, "most", least=0, most=10_000)
    if most > 1:
        raise Reject(
            f"With use_cache the stack handed up to {most} positions at once to its layers. Expected: one, the "
            "newest; the caches stand for all others.",
            diagnosis=RECOMPUTED,
        )
