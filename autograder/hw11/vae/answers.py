"""Question 4's numbers: whether the negative bound is the sum of its parts, and what ten thousand steps reach."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType

from autograder.core import Check, CheckFailed, Trial, Verdict
from autograder.hw11.answers.fields import REQUEST, WrittenNumber, number, opened
from autograder.judging.judges import Exact, passed

RANGES = MappingProxyType({"nelbo": (80, 120), "kl": (12, 36), "rec": (50, 105)})
"""What ten thousand steps reach, in nats per image, with room for what was not tried. Measured with 4,500 digits for
training and 500 others, another split for every seed; on all of MNIST the bound is a little lower.

|                                          | nelbo      | kl        | rec       |
| 64 latent variables, other digits        | 102 - 105  | 24        | 78 - 81   |
| the same, any of the last 200 batches    | 87 - 101   | 23 - 26   | 64 - 75   |
| 10 latent variables, other digits        | 110        | 20        | 90        |
| the same, any of the last 200 batches    | 89 - 103   | 19 - 21   | 70 - 83   |

The nearest end of a range is 7 away for nelbo, 7 for kl and 14 for rec. No range of kl meets that of rec. Before the
training nelbo is 544; after 2,000 steps it is 111 to 114, which is not told apart."""
NAMES = MappingProxyType({"nelbo": "the negative ELBO", "kl": "the KL divergence", "rec": "the reconstruction term"})


def numbers(trial: Trial) -> Verdict:
    """Half for nelbo = kl + rec, half for three numbers that the training reaches. A missing number costs a third."""
    values = opened(trial)
    given: dict[str, WrittenNumber] = {}
    faults: list[CheckFailed] = []
    for name in RANGES:
        try:
            given[name] = number(values, f"vae.{name}", f"{NAMES[name]} after training, in nats per image")
        except CheckFailed as fault:
            faults.append(fault)
    if faults:
        known = next((fault.diagnosis for fault in faults if fault.diagnosis != "unfilled"), "unfilled")
        outside = _reached(given)
        share = len(given) / len(RANGES) if outside is None else 0.0  # there is no sum to be right
        return Verdict(share, " ".join(map(str, [*faults, *([outside] if outside else [])])), known)
    faults = [fault for fault in (_sum(given), _reached(given)) if fault is not None]
    if faults:
        return Verdict(1 - len(faults) / 2, " ".join(map(str, faults)), faults[0].diagnosis)
    return passed(
        "The negative ELBO is the sum of its two terms, and all three numbers lie where 10,000 steps of training lead.",
        figures={BOARD: float(given["nelbo"].value)},
    )


def _adds_up(whole: WrittenNumber, *parts: WrittenNumber) -> bool:
    """Whether the first is the sum of the others, each rounded by half a unit of its last digit at most.

    Numbers of the same digits that were cut off, and not rounded, add up to the sum or to a unit less, which is
    within three half units as well. What float32 does to a sum near 100 is 1e-5, and so below any digit that is shown.
    """
    slack = sum((one.unit for one in (whole, *parts)), Decimal("1e-4")) / 2
    return abs(whole.value - sum((one.value for one in parts), Decimal())) <= slack


def _sum(given: dict[str, WrittenNumber]) -> CheckFailed | None:
    nelbo, kl, rec = (given[name] for name in RANGES)
    if _adds_up(nelbo, kl, rec):
        return None
    shown = f"nelbo is {nelbo}, but kl + rec is {kl.value + rec.value:.6g}."
    if _adds_up(WrittenNumber(-nelbo.value, nelbo.unit), kl, rec):
        return CheckFailed(f"{shown} nelbo is the ELBO itself. Expected: the negative ELBO, which is positive.",
                      diagnosis="numbers_sign")  # fmt: skip
    if _adds_up(rec, nelbo, kl) and _within(kl, "kl") and _within(rec, "rec"):
        return CheckFailed(f"{shown} nelbo is rec - kl. Expected: kl + rec.", diagnosis="numbers_kl_subtracted")
    if _adds_up(kl, nelbo, rec) or _adds_up(rec, nelbo, kl):
        return CheckFailed(
            f"{shown} One of the two terms is the sum of the other two numbers. Expected: nelbo is the sum.",
            diagnosis="numbers_exchanged",
        )
    return CheckFailed(f"{shown} Expected: nelbo = kl + rec up to rounding, with all three numbers from the same "
                  "evaluation.", diagnosis="numbers_sum")  # fmt: skip


def _reached(given: dict[str, WrittenNumber]) -> CheckFailed | None:
    outside = [name for name in given if not _within(given[name], name)]
    if not outside:
        return None
    if {"kl", "rec"} <= given.keys() and _within(given["kl"], "rec") and _within(given["rec"], "kl"):
        return CheckFailed(
            "kl and rec are swapped. The reconstruction of a digit costs far more nats than its code. Expected: kl "
            "is the smaller one.",
            diagnosis="numbers_exchanged",
        )
    name = outside[0]
    low, high = RANGES[name]
    per_image = {name: WrittenNumber(one.value * 784, one.unit) for name, one in given.items()}
    why = " Is it an average over the pixels?" if all(_within(one, name) for name, one in per_image.items()) else ""
    return CheckFailed(f"{NAMES[name].capitalize()} is {given[name]}.{why} Expected: between {low} and {high} nats per "
                  f"image, as "
        "after 10,000 steps.", diagnosis="numbers_range")  # fmt: skip


def _within(one: WrittenNumber, name: str) -> bool:
    low, high = RANGES[name]
    return low <= one.value <= high


BOARD = "VAE: negative ELBO, as handed in"
NUMBERS = Check("vae.numbers", "answers: the bound after training", 2, REQUEST, Exact(numbers))
CHECKS = (NUMBERS,)
