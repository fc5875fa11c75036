"""Declares what the probe of answers.toml may say, beside its own limits (`answers/probes.py`)."""

from __future__ import annotations

from autograder.core import Spec, Specs, Values
from autograder.sandbox.returns import count, declared, numbers, real, text

FIELDS = {
    "summarization": (
        *(f"{model}_{name}" for model in ("scratch", "finetuned") for name in ("rouge1", "rouge2", "rougeL")),
        *("t5_optimizer", "t5_peak_lr_pretraining", "t5_peak_lr_finetuning"),
        *("llm_model", "llm_prompt", "llm_output", "llm_comparison"),
    ),
    "continual_learning": ("lambdas", "observations", "mlp", "rehearsal"),
    "vae": ("nelbo", "kl", "rec"),
    "gan": ("vanishing", "optimal_discriminator", "divergence"),
    "policy_gradient": ("final_accuracy", "comparison"),
    "process": ("sources", "collaborators", "hours"),
}
"""The fields that the probe tells, which a test compares with its own."""
CHARACTERS, MOST_FIELDS, MOST_NUMBERS, MOST_TEXTS = 4000, 12, 1000, 30
"""Of a written answer; of a distribution; in one of its lists; and of its texts."""
SHORT = text(60)
CLAIMED = ("scratch", "t5")


def held() -> dict[str, Spec]:
    """What is told of the file itself."""
    written = numbers(None, most=4 * CHARACTERS, dtypes="u")  # bytes of UTF-8
    specs = {"file.kind": text(40), "file.limit": count(), "file.line": count()}
    for section, names in FIELDS.items():
        for name in names:
            specs |= {f"{section}.{name}": written, f"{section}.{name}.length": count(), f"{section}.{name}.odd": SHORT}
    for name in ("seed", "plot_A", "plot_B"):
        specs |= {f"distributions.{name}": SHORT, f"distributions.{name}.odd": SHORT}
    either = Spec(dtypes="f", most=MOST_NUMBERS, scalars=(str,))
    entry = Spec(dtypes="f", shape=(), most=60, scalars=(str, float))
    field = {"key": SHORT, "value": either, "odd": SHORT, "names": MOST_TEXTS * [SHORT], "items": MOST_TEXTS * [entry]}
    law = {"kind": SHORT, "fields": MOST_FIELDS * [field]}
    return specs | declared(distributions={"P": law, "Q": law})


def claims() -> dict[str, Spec]:
    """What is told of the ROUGE figures that the log claims."""
    specs = {f"defect.{name}": SHORT for name in ("references", *CLAIMED)}
    for model in CLAIMED:
        specs[f"{model}.claims"] = SHORT
        for name in ("rouge1", "rouge2", "rougeL"):
            specs |= {f"{model}.claim.{name}": real(), f"{model}.wrong.{name}": SHORT}
    return specs


def returns(_given: Values) -> Specs:
    return {**held(), "log.kind": SHORT, **{f"log.{name}": spec for name, spec in claims().items()}}
