"""Homework 11: generative models, policy gradients, cached decoding and continual learning.

`ASSIGNMENT` is what the engine grades; each question lives in a file of its own beside this one.
"""

from pathlib import Path

from autograder.core import Assignment
from autograder.hw11 import gan, policy_gradient, summarization, vae

ROOT = Path(__file__).resolve().parents[2]

ASSIGNMENT = Assignment(
    id="hw11",
    title="Homework 11",
    questions=(summarization.QUESTION, vae.QUESTION, gan.QUESTION, policy_gradient.QUESTION),
    probes="autograder.hw11.probes",
    reference=ROOT / "reference",
    template=ROOT / "student_template",
)
