"""Homework 11: generative models, policy gradients, cached decoding and continual learning.

`ASSIGNMENT` is what the engine grades; each question lives in a room of its own beside this one. Without the
optional questions (3 and 5) the points add to 100.
"""

import sys
from pathlib import Path

from autograder.core import Assignment, Part
from autograder.hw11 import continual_learning, distributions, gan, policy_gradient, process, summarization, vae
from autograder.hw11.summarization import log
from autograder.hw11.vae import answers

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "reference").is_dir():  # installed by pip
    ROOT = Path(sys.prefix, "share", "hw11")
SOLUTIONS = Path(__file__).resolve().with_name("solutions")
FUNCTIONS = (
    *("transformer_layer", "transformer_stack", "greedy_decode", "beam_search"),
    *("kl_divergence", "fit_gaussian"),
    *("permute_mnist", "on_task_update", "ewc_penalty", "train_ewc", "rehearsal_set"),
    *("sample_gaussian", "negative_elbo_bound", "loss_nonsaturating", "policy_gradient_loss"),
)
"""Those that have solutions, in the order of the questions."""


def _audit() -> object:
    """What the audit needs to know of the homework; imported when it asks."""
    from autograder.hw11.audit.homework import AUDIT

    return AUDIT


ASSIGNMENT = Assignment(
    id="hw11",
    title="Homework 11",
    questions=(
        summarization.QUESTION,
        distributions.QUESTION,
        continual_learning.QUESTION,
        vae.QUESTION,
        gan.QUESTION,
        policy_gradient.QUESTION,
        process.QUESTION,
    ),
    probes="autograder.hw11",
    reference=ROOT / "reference",
    template=ROOT / "student_template",
    leaderboard={answers.BOARD: "asc", log.BOARD: "desc"},
    solutions=tuple(SOLUTIONS / f"{function}.cases" for function in FUNCTIONS),
    parts=(Part("summarization_log", "Homework 11 (Code) (Summarization)", ("summarization.log*",)),),
    own_checks=("check.py", "public_checks", "gan_vae/test_public.py"),
    audit=_audit,
)
