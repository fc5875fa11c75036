"""Solves single functions of a student's folder, as the reference does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from autograder.hw11 import ASSIGNMENT

REFERENCE = ASSIGNMENT.reference
PLACES = {
    "summarization.ipynb": ("TransformerLayer", "TransformerStack", "greedy_decode", "beam_search"),
    "comparing_distributions.ipynb": ("kl_divergence", "fit_gaussian"),
    "continual_learning.ipynb": ("permute_mnist", "on_task_update", "ewc_penalty", "train_ewc", "rehearsal_set"),
    "policy_gradient.ipynb": ("policy_gradient_loss",),
    "gan_vae/utils.py": ("sample_gaussian",),
    "gan_vae/models/vae.py": ("negative_elbo_bound",),
    "gan_vae/models/gan.py": ("loss_nonsaturating",),
}
"""Where each function that is to be written stands."""


def solve(homework: Path, name: str) -> str:
    """Puts the reference's function into the student's folder, and nothing else; says into which file."""
    file = next(file for file, names in PLACES.items() if name in names)
    if file.endswith(".py"):  # each holds one function to write
        (homework / file).write_bytes((REFERENCE / file).read_bytes())
        return file
    solved = {cell["id"]: cell["source"] for cell in json.loads((REFERENCE / file).read_text("utf-8"))["cells"]}
    notebook = json.loads((homework / file).read_text("utf-8"))
    begins = re.compile(rf"^(?:def|class) {name}\b", re.MULTILINE)
    [cell] = [cell for cell in notebook["cells"] if begins.search("".join(cell["source"]))]
    cell["source"] = solved[cell["id"]]
    (homework / file).write_text(json.dumps(notebook), "utf-8")
    return file
