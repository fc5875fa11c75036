"""Wrong, right and half-right files of answers: each says which lines of the reference's file it has otherwise."""

from functools import partial
from textwrap import dedent

from autograder.audit.variants import Variant, written

T5, ROUGE = "summarization.t5", "summarization.rouge"
NUMBERS, FINAL = "vae.numbers", "policy_gradient.answer"
SOURCES, COLLABORATORS, HOURS = "process.sources", "process.collaborators", "process.hours"

LOGGED = {
    "scratch.rouge": {"rouge1": 10.2193, "rouge2": 1.1906, "rougeL": 9.5808},
    "t5.rouge": {"rouge1": 16.2411, "rouge2": 1.8504, "rougeL": 13.8739},
}
"""The log that is uploaded beside these files."""

_answers = partial(written, "answers", "answers.toml")


def _t5(id: str, about: str, lines: str, **named: str | tuple[str, ...]) -> Variant:
    return _answers(f"t5-{id}", about, f"[summarization]\n{dedent(lines).strip()}", **named)  # type: ignore[arg-type]


def _rouge(id: str, about: str, scratch: str, finetuned: str, **named: str | tuple[str, ...]) -> Variant:
    """Figures 1, 2 and L of both models, with semicolons between."""
    lines = [
        f"{model}_{name} = {figure}"
        for model, figures in (("scratch", scratch), ("finetuned", finetuned))
        for name, figure in zip(("rouge1", "rouge2", "rougeL"), figures.split("; "), strict=True)
    ]
    return _answers(f"rouge-{id}", about, "[summarization]\n" + "\n".join(lines), **named)  # type: ignore[arg-type]


def _vae(id: str, about: str, nelbo: str, kl: str, rec: str, **named: str | tuple[str, ...]) -> Variant:
    return _answers(f"vae-{id}", about, f"[vae]\nnelbo = {nelbo}\nkl = {kl}\nrec = {rec}", **named)  # type: ignore[arg-type]


def _accuracy(id: str, about: str, value: str, **named: str | tuple[str, ...]) -> Variant:
    return _answers(f"accuracy-{id}", about, f"[policy_gradient]\nfinal_accuracy = {value}", **named)  # type: ignore[arg-type]


def _process(id: str, about: str, lines: str, **named: str | tuple[str, ...]) -> Variant:
    return _answers(f"process-{id}", about, f"[process]\n{dedent(lines).strip()}", **named)  # type: ignore[arg-type]


RIGHT: tuple[Variant, ...] = (
    _t5("spelling", "Another spelling, and rates as texts.", """
        t5_optimizer = "Ada Factor (Shazeer and Stern, 2018)"
        t5_peak_lr_pretraining = "1e-2"
        t5_peak_lr_finetuning = "10^-3, constant"
        """),
    _t5("powers", "Powers of ten, typeset.", """
        t5_optimizer = "adafactor"
        t5_peak_lr_pretraining = "1 × 10^{−2}"
        t5_peak_lr_finetuning = 1e-3
        """),
    _t5("calculated", "Rates as calculations.", """
        t5_peak_lr_pretraining = "1/sqrt(10^4) = 0.01"
        t5_peak_lr_finetuning = "1/1000"
        """),
    _t5("percents", "Rates in percent.", 't5_peak_lr_pretraining = "1%"\nt5_peak_lr_finetuning = "0.1 %"'),
    _t5("raised", "Raised exponents, and words before the figure.", """
        t5_peak_lr_pretraining = "inverse square root schedule, so 1 × 10⁻²"
        t5_peak_lr_finetuning = "a constant 10⁻³"
        """),
    _rouge("percent", "With a percent sign.", '"10.2%"; "1.2%"; "9.6%"', '"16.2 %"; "1.9 %"; "13.9 %"'),
    _rouge("fraction", "Fractions of 1.", "0.1022; 0.0119; 0.0958", "0.1624; 0.0185; 0.1387"),
    _rouge("cut-off", "Cut off after one decimal, not rounded.", "10.2; 1.1; 9.5", "16.2; 1.8; 13.8"),
    _rouge("comma", "A decimal comma, and words.", '"10,22"; "1,19"; "9,58"', '"ROUGE-1: 16,24"; "1,85"; "13,87"'),
    _vae("one-decimal", "One decimal each, whose sum is off by one in the last.", "102.2", "24.4", "77.9"),
    _vae("whole", "Whole numbers.", "102", "24", "78"),
    _vae("texts", "With their unit.", '"102.23 nats"', '"24.37 nats"', '"about 77.86"'),
    _vae("all-of-mnist", "As after training on all digits.", "98.91", "24.96", "73.95"),
    _accuracy("fraction", "A fraction of 1.", "0.752"),
    _accuracy("drawn", "Of the network that learns from drawn actions, in words.", '"84.8 %"'),
    _process("lists", "Lists, and hours in words.", """
        sources = ["the T5 paper", "office hours"]
        collaborators = ["Ada L., 3031", "Emmy N., 3032"]
        hours = "about 12 to 15"
        """),
)  # fmt: skip

WRONG: tuple[Variant, ...] = (
    _t5("adam", "Adam in place of AdaFactor.", 't5_optimizer = "Adam"', caught_by=(T5,), diagnosis="t5_adam"),
    _t5("adamw", "Everything as in a guide of today.", """
        t5_optimizer = "AdamW"
        t5_peak_lr_pretraining = 1e-4
        t5_peak_lr_finetuning = 3e-4
        """, caught_by=(T5,), diagnosis="t5_adam"),
    _t5("sgd", "Another optimizer.", 't5_optimizer = "SGD with momentum"', caught_by=(T5,), diagnosis="t5_optimizer"),
    _t5("either", "Two optimizers to choose from.", 't5_optimizer = "Adam or AdaFactor"',
        caught_by=(T5,), diagnosis="t5_optimizer"),
    _t5("exchanged", "The rates are exchanged.", "t5_peak_lr_pretraining = 0.001\nt5_peak_lr_finetuning = 0.01",
        caught_by=(T5,), diagnosis="t5_rates_exchanged"),
    _t5("usual", "The usual rate of fine-tuning with Adam.", "t5_peak_lr_finetuning = 1e-4",
        caught_by=(T5,), diagnosis="t5_usual_rate"),
    _t5("same", "One rate for both.", "t5_peak_lr_pretraining = 0.001", caught_by=(T5,), diagnosis="t5_rate"),
    _t5("formula", "The schedule, and not its peak.", 't5_peak_lr_pretraining = "1/sqrt(max(n, 10^4))"',
        caught_by=(T5,), diagnosis="t5_rate"),
    _rouge("exchanged", "The models are exchanged.", "16.24; 1.85; 13.87", "10.22; 1.19; 9.58",
           caught_by=(ROUGE,), diagnosis="rouge_exchanged"),
    _rouge("other-run", "Of another run.", "18.81; 2.96; 14.70", "29.12; 7.80; 22.44",
           caught_by=(ROUGE,), diagnosis="rouge_value"),
    _rouge("texts", "Words in place of figures.", '"low"; "low"; "low"', '"high"; "high"; "high"',
           caught_by=(ROUGE,), diagnosis="answers_type"),
    _vae("exchanged", "kl and rec are exchanged.", "102.23", "77.86", "24.37",
         caught_by=(NUMBERS,), diagnosis="numbers_exchanged"),
    _vae("rotated", "The three in another order.", "24.37", "77.86", "102.23",
         caught_by=(NUMBERS,), diagnosis="numbers_exchanged"),
    _vae("sign", "The bound itself, which is negative.", "-102.23", "24.37", "77.86",
         caught_by=(NUMBERS,), diagnosis="numbers_sign"),
    _vae("subtracted", "rec - kl.", "53.49", "24.37", "77.86",
         caught_by=(NUMBERS,), diagnosis="numbers_kl_subtracted"),
    _vae("untrained", "As before the training.", "543.60", "0.26", "543.34",
         caught_by=(NUMBERS,), diagnosis="numbers_range"),
    _vae("per-pixel", "Averages over the pixels.", "0.13040", "0.03108", "0.09932",
         caught_by=(NUMBERS,), diagnosis="numbers_range"),
    _vae("two-evaluations", "The parts of another evaluation.", "102.23", "24.37", "79.41",
         caught_by=(NUMBERS,), diagnosis="numbers_sum"),
    _vae("not-finite", "The training diverged.", "nan", "inf", "nan", caught_by=(NUMBERS,), diagnosis="answers_type"),
    _accuracy("chance", "As good as a guess.", "25.3", caught_by=(FINAL,), diagnosis="accuracy_range"),
    _accuracy("one", "All right.", "100", caught_by=(FINAL,), diagnosis="accuracy_range"),
    _accuracy("text", "No number.", '"see the plot"', caught_by=(FINAL,), diagnosis="answers_type"),
    _accuracy("table", "A date.", "2026-11-23", caught_by=(FINAL,), diagnosis="answers_type"),
    _process("no-hours", "No hours.", 'hours = ""', caught_by=(HOURS,), diagnosis="unfilled"),
    _process("zero-hours", "No time at all.", "hours = 0", caught_by=(HOURS,), diagnosis="answers_type"),
    _process("dots", "Dots in place of an answer.", 'sources = "..."', caught_by=(SOURCES,), diagnosis="unfilled"),
    _process("truth", "A truth value.", "collaborators = false", caught_by=(COLLABORATORS,), diagnosis="answers_type"),
)  # fmt: skip

HALF_RIGHT: tuple[tuple[Variant, float, str], ...] = (
    (_t5("one-blank", "A rate is left out.", 't5_peak_lr_finetuning = ""', caught_by=(T5,), diagnosis="unfilled"),
     1 / 3, "A third each."),
    (_rouge("one-typo", "One of six figures is mistyped.", "10.22; 1.19; 9.58", "16.24; 8.15; 13.87",
            caught_by=(ROUGE,), diagnosis="rouge_value"), 1 / 6, "A sixth each."),
    (_vae("one-typo", "A digit of rec is mistyped, within the range.", "102.23", "24.37", "78.86",
          caught_by=(NUMBERS,), diagnosis="numbers_sum"), 1.0, "The range is right."),
    (_vae("no-kl", "The KL divergence is left out.", "102.23", '""', "77.86",
          caught_by=(NUMBERS,), diagnosis="unfilled"), 2 / 3, "A third for each number."),
    (_vae("early", "Of the first few steps.", "205.10", "3.20", "201.90",
          caught_by=(NUMBERS,), diagnosis="numbers_range"), 1.0, "The sum is right."),
)  # fmt: skip
