"""Question 1's answers: how T5 was trained, and the ROUGE figures of both models against the upload's own log."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from autograder.core import Check, CheckFailed, Trial, Values, Verdict
from autograder.hw11.answers.fields import REQUEST, SHOWN, Passed, WrittenNumber, number, opened, text
from autograder.judging.judges import Exact, apart, passed
from autograder.sandbox.parts import take
from autograder.text import clean

# ------------------------------------------------------------------------------------ how T5 was trained

RATES = MappingProxyType({"t5_peak_lr_pretraining": 0.01, "t5_peak_lr_finetuning": 0.001})
"""Raffel et al. 2020, "Exploring the Limits of Transfer Learning": 1 / sqrt(max(n, 10^4)) in step n of pretraining,
whose largest value is 0.01, and a constant 0.001 afterwards."""
PHASES = MappingProxyType({"t5_peak_lr_pretraining": "pretraining", "t5_peak_lr_finetuning": "fine-tuning"})
USUAL = (1e-4, 3e-4, 5e-5)
"""What guides to fine-tuning recommend today."""


def t5(trial: Trial) -> Verdict:
    """A third each for the optimiser and the two peak learning rates."""
    values = opened(trial)
    faults: list[CheckFailed] = []
    rates: dict[str, float] = {}
    try:
        _optimizer(values)
    except CheckFailed as fault:
        faults.append(fault)
    for name in RATES:
        try:
            given = number(values, f"summarization.{name}", "a number such as 0.5 or 5e-1")
            rates[name] = float(given.value / 100 if given.percent else given.value)
        except CheckFailed as fault:
            faults.append(fault)
    if list(rates.values()) == list(RATES.values())[::-1]:
        faults.append(
            CheckFailed(
                "The two peak learning rates are swapped. Expected: the larger one for the phase that starts far from "
                "good weights.",
                diagnosis="t5_rates_exchanged",
            )
        )
        return _thirds(faults, 1 + len(faults))
    faults += [_rate(name, rate) for name, rate in rates.items() if rate != RATES[name]]
    return _thirds(faults, len(faults))


def _thirds(faults: list[CheckFailed], lost: int) -> Verdict:
    if not faults:
        return passed("The optimizer and both peak learning rates match the T5 paper.")
    known = next((fault.diagnosis for fault in faults if fault.diagnosis != "unfilled"), "unfilled")
    return Verdict(1 - lost / 3, " ".join(map(str, faults)), known)


OTHERS = r"(?:adam\w*|sgd\w*|rms\s*prop|ada\s*grad|ada\s*delta|lamb|lion|momentum|n?adam)"
AND = r"\s*(?:\bor\b|\band\b|/|\||,|;|&|\+)\s*"
EITHER = re.compile(rf"\b{OTHERS}{AND}ada\s*-?\s*factor|ada\s*-?\s*factor{AND}{OTHERS}\b", re.I)
"""Several optimizers as alternatives, which is not one answer."""


def _optimizer(values: Values) -> None:
    """Raises `CheckFailed` unless the optimiser is AdaFactor, whatever its spelling."""
    written = text(values, "summarization.t5_optimizer")
    if not written:
        raise CheckFailed(
            "t5_optimizer in [summarization] is not filled in yet. Expected: its name.", diagnosis="unfilled"
        )
    plain = re.sub(r"[^a-z]+", " ", written.casefold()).split()
    if EITHER.search(written):
        told = clean(written, limit=SHOWN, line=True)
        raise CheckFailed(
            f't5_optimizer is "{told}", which names more than one optimizer. Expected: the one that the '
            f"T5 paper "
            "names where it describes the training.",
            diagnosis="t5_optimizer",
        )
    joined = {*plain, *(a + b for a, b in pairwise(plain))}  # "Ada Factor"
    if difflib.get_close_matches("adafactor", joined, n=1, cutoff=0.85):  # one letter of nine off, not "adagrad"
        return
    told = clean(written, limit=SHOWN, line=True)
    adam = any(word.startswith("adam") for word in plain)
    why = " Adam stores two numbers for each weight. The authors wanted to save this memory." if adam else ""
    raise CheckFailed(
        f't5_optimizer is "{told}".{why} Expected: the optimizer that the T5 paper names where it describes '
        "the training.",
        diagnosis="t5_adam" if adam else "t5_optimizer",
    )


def _rate(name: str, rate: float) -> CheckFailed:
    """The sentence for a wrong rate. 0.01 and 0.001 are the same floats however they are written."""
    begin = f"The peak learning rate of {PHASES[name]} is {rate:.4g}."
    if rate in USUAL:
        return CheckFailed(f"{begin} Fine-tuning guides recommend this value with Adam. Expected: the value in the T5 "
                      "paper.", diagnosis="t5_usual_rate")  # fmt: skip
    if name == "t5_peak_lr_pretraining":
        return CheckFailed(
            f"{begin} Expected: the largest value of the paper's inverse square root schedule, which it has "
            "in its first steps.",
            diagnosis="t5_rate",
        )
    return CheckFailed(f"{begin} Expected: the constant value that the paper names.", diagnosis="t5_rate")


# ------------------------------------------------------------------------------------------------ ROUGE

MODELS = MappingProxyType({"scratch": "scratch", "finetuned": "t5"})
"""The models' names in answers.toml and in the log."""
NAMES = tuple(f"{model}_{figure}" for model in MODELS for figure in ("rouge1", "rouge2", "rougeL"))
LOG_DIGITS = 0.5e-4
"""The notebook rounds the log's figures to four decimals."""


def rouge(trial: Trial) -> Verdict:
    """The share of the six figures that the upload's own log shows; that the log is right is another check's matter."""
    values = opened(trial)
    given: dict[str, WrittenNumber] = {}
    faults: list[CheckFailed] = []
    for name in NAMES:
        try:
            given[name] = number(values, f"summarization.{name}", "a figure such as 12.3, in percent, or 0.123")
        except CheckFailed as fault:
            faults.append(fault)
    shown = _logged(take(values, "log")) if given else {}
    if given and not shown:
        return Verdict(0.0, f"The ROUGE scores cannot be compared. {_why(trial)} Expected: submission_log.json, as "
                            f"the notebook "
            "writes it, in the same upload.", "rouge_no_log")  # fmt: skip
    wrong = [name for name, one in given.items() if not _fits(one, shown[name])]
    if wrong and all(_fits(one, shown[_other(name)]) for name, one in given.items()):
        faults = [CheckFailed(
            "The scores of the two models are swapped: each score belongs to the other model in "
            "submission_log.json. Expected: the scores of the model trained from scratch under "
            "scratch_.", diagnosis="rouge_exchanged")]  # fmt: skip
    else:
        faults += [_differs(name, given[name], shown[name]) for name in wrong]
    if not faults:
        return passed("All six ROUGE scores match submission_log.json.")
    more = f" {len(faults) - 2} more scores are missing or different." if len(faults) > 2 else ""
    known = next((fault.diagnosis for fault in faults if fault.diagnosis != "unfilled"), "unfilled")
    right = len(given) - len(wrong)
    return Verdict(right / len(NAMES), " ".join(map(str, faults[:2])) + more, known)


def _logged(log: Values) -> dict[str, float]:
    """The log's figures in percent by their names in answers.toml, {} unless all are there."""
    claims = {name: log.get(f"{MODELS[name.partition('_')[0]]}.claim.{name.partition('_')[2]}") for name in NAMES}
    found = {name: claim for name, claim in claims.items() if isinstance(claim, float)}
    return found if len(found) == len(NAMES) else {}


def _why(trial: Trial) -> str:
    seen = take(trial.got, "log")
    return {
        "absent": "submission_log.json is not in the upload.",
        "": "submission_log.json does not hold rouge1, rouge2 and rougeL for both models.",
    }.get(str(seen.get("kind")), "submission_log.json could not be read.")


def _differs(name: str, given: WrittenNumber, percent: float) -> CheckFailed:
    logged = apart(float(given.value), percent)[1]  # with as many digits as tell the two apart
    return CheckFailed(
        f"{name} is {given}, but submission_log.json says {logged} percent. Expected: the score of the run whose log "
        "is uploaded.",
        diagnosis="rouge_value",
    )


def _other(name: str) -> str:
    """The same figure of the other model."""
    model, _, figure = name.partition("_")
    return f"{'finetuned' if model == 'scratch' else 'scratch'}_{figure}"


def _fits(given: WrittenNumber, percent: float) -> bool:
    """Whether the figure is the log's, rounded to its digits or cut off: at most half a unit above or a unit below it.

    It may be in percent or a fraction of 1. A figure of fewer digits than whole percents is read as one with those.
    """
    for scale in (1,) if given.percent else (1, 100):
        unit = min(float(given.unit) * scale, 1.0)
        if -unit - LOG_DIGITS <= float(given.value) * scale - percent <= unit / 2 + LOG_DIGITS:
            return True
    return False


# ------------------------------------------------------------------------------------------------- checks

READ: Mapping[str, str] = MappingProxyType({
    "comparison": "Comparison of both models", "llm_model": "The language model", "llm_prompt": "The prompt",
    "llm_output": "Its summaries",
    "llm_comparison": "Comparison with the language model",
})  # fmt: skip

T5 = Check("summarization.t5", "answers: how T5 was trained", 1, REQUEST, Exact(t5))
SCORES = Check("summarization.rouge", "answers: ROUGE scores", 1, REQUEST, Exact(rouge))
WRITTEN = Check(
    "summarization.written",
    "answers: comparison, a large language model",
    0,
    REQUEST,
    Passed("summarization", READ),
    manual=True,
)
CHECKS = (T5, SCORES, WRITTEN)
