"""Question 1 through the sandbox.

What a loop, a crash or a layer that deceives the counters costs, and odd notebooks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from autograder.core import Assignment
from autograder.hw11 import ASSIGNMENT
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from tests import helpers

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

NOTEBOOK = "summarization.ipynb"
QUESTION = next(question for question in ASSIGNMENT.questions if question.id == "summarization")
FUNCTIONS = replace(
    ASSIGNMENT,
    questions=(replace(QUESTION, checks=tuple(check for check in QUESTION.checks if not check.request.file)),),
)
LAYER, STACK, GREEDY, BEAM = 11.0, 9.0, 5.0, 5.0
"""Points of the layer's checks, of the stack's, of both of greedy_decode and of beam_search."""


def notebook(*behind: str, before: str = "") -> bytes:
    """The reference's notebook with cells put behind its own, and one before them."""
    content = json.loads((helpers.REFERENCE / NOTEBOOK).read_text())
    cell: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    content["cells"] = [
        *([{**cell, "id": "before", "source": before}] if before else []),
        *content["cells"],
        *({**cell, "id": f"behind-{index}", "source": source} for index, source in enumerate(behind)),
    ]
    return json.dumps(content).encode()


def points(graded: helpers.Graded) -> dict[str, float]:
    """The points of each function."""
    return {name: graded.points(f"summarization.{name}") for name in ("layer", "stack", "greedy", "beam")}


def limited(seconds: float) -> Assignment:
    """The functions alone, with another limit for each request."""
    questions = tuple(
        replace(
            question,
            checks=tuple(replace(check, request=replace(check.request, seconds=seconds)) for check in question.checks),
        )
        for question in FUNCTIONS.questions
    )
    return replace(FUNCTIONS, questions=questions)


def grade(
    sandbox: Sandbox, data: bytes, *, assignment: Assignment = FUNCTIONS, more: Mapping[str, bytes] | None = None
):
    return helpers.grade(sandbox, {NOTEBOOK: data} | dict(more or {}), assignment=assignment)


FULL = {"layer": LAYER, "stack": STACK, "greedy": GREEDY, "beam": BEAM}
FAULTS = {
    # what is put behind the reference's cells: which function's points it costs, words of the sentence
    "the layer loops": ("TransformerLayer.forward = lambda *a, **k: any(iter(int, 1))", ("layer",), "still running"),
    "the stack ends the process": ("import os\nTransformerStack.forward = lambda self, *a, **k: os._exit(0)",
                                   ("stack",), "stopped"),
    "greedy is interrupted": ("def greedy_decode(*a):\n    raise KeyboardInterrupt", ("greedy",), "KeyboardInterrupt"),
    "beam search exits": ("import sys\ndef beam_search(*a):\n    sys.exit()", ("beam",), "SystemExit"),
    "beam search loops": ("def beam_search(*a):\n    while True: pass", ("beam",), "still running"),
    "a hundred gigabytes": ("def greedy_decode(*a):\n    return torch.zeros(100 * 2**30 // 8, dtype=torch.long)",
                            ("greedy",), "memory"),
    "a cell that cannot be parsed": ("def broken(:\n", (), ""),
    "the experiment fails": ("raise SystemExit('no network')", (), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_its_own_function(sandbox: Sandbox, name: str) -> None:
    source, lost, words = FAULTS[name]
    # TransformerLayer.forward = ... is a statement that changes TransformerLayer, so it is one of its definitions.
    graded = grade(sandbox, notebook(source), assignment=limited(4.0))
    assert points(graded) == {**FULL, **dict.fromkeys(lost, 0.0)}, graded.messages()
    assert all(any(words in told for told in graded.messages(f"summarization.{name}")) for name in lost)


HIDDEN_WORK = """
import numpy
right = TransformerLayer.forward
def recomputes(self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None):
    found = right(self, x, padding_mask, encoder_out, encoder_padding_mask, use_cache, past_kv)
    if use_cache:
        inputs = found[1].detach().numpy().astype(numpy.float32)
        for scores in inputs @ inputs.swapaxes(1, 2):  # numpy's products are not torch's
            numpy.exp(scores) @ inputs[0]
    return found
TransformerLayer.forward = recomputes
"""
NO_COUNTER = """
import contextlib, types, torch.autograd.profiler
right = TransformerLayer.forward
def recomputes(self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None):
    event = types.SimpleNamespace(name=lambda: "aten::mm", shapes=lambda: [[100, 100], [100, 100]])
    nothing = types.SimpleNamespace(kineto_results=types.SimpleNamespace(events=lambda: [event]))
    torch.autograd.profiler.profile = lambda **named: contextlib.nullcontext(nothing)
    if not use_cache:
        return right(self, x, padding_mask, encoder_out, encoder_padding_mask)
    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
    return right(self, past_kv, None, encoder_out, encoder_padding_mask)[:, -1:], past_kv
TransformerLayer.forward = recomputes
"""


@pytest.mark.parametrize(
    ("source", "words"),
    # The second one replaces a name that is put back, or bound before, so that the counter counts.
    [(HIDDEN_WORK, "CPU time"), (NO_COUNTER, "multiplications")],
    ids=["in numpy", "without a counter"],
)
def test_work_shows_to_the_kernels_clock_or_to_the_counter(sandbox: Sandbox, source: str, words: str) -> None:
    """Values are right, so these keep their points; the work is what forty steps behind 4,000 positions cost."""
    graded = grade(sandbox, notebook(source))
    assert points(graded) == {**FULL, "layer": LAYER - 1}, graded.messages()
    (told,) = (result.verdict for result in graded.results if result.score == 0)
    assert told.diagnosis == "sum_recomputed"
    assert words in told.message


WHOLE_PREFIX = """
def greedy_decode(model, input_ids, max_length):
    encoder, ids = model.encode(input_ids), torch.full((len(input_ids), 1), model.config.bos_token_id)
    ended = torch.zeros(len(input_ids), 1, dtype=torch.bool)
    while ids.shape[1] <= max_length and not ended.all():
        newest = model.decode(ids, *encoder)[0][:, -1].argmax(-1, keepdim=True).masked_fill(ended, 0)
        ids, ended = torch.cat([ids, newest], dim=1), ended | (newest == model.config.eos_token_id)
        for name, value in list(vars(model).items()):  # what may be an account of the calls
            if isinstance(value, int):
                setattr(model, name, 0)
            elif hasattr(value, "clear"):
                value.clear()
    return ids[:, 1:]
"""
IDLE = """
def greedy_decode(model, input_ids, max_length):
    return torch.full((len(input_ids), max_length), 3)
"""
IDLE_STACK = """
right = TransformerStack.forward
def forward(self, input_ids, *values, use_cache=None, past_key_values=None, **named):
    if not use_cache:
        return right(self, input_ids, *values, **named)
    state = self.emb_ln(self.emb_word(input_ids))
    return state, input_ids == 0, past_key_values or tuple(state for _ in self.layers)
TransformerStack.forward = forward
"""


@pytest.mark.parametrize(
    ("source", "function", "left"),
    [(WHOLE_PREFIX, "greedy", GREEDY - 1), (IDLE, "greedy", 0.0), (IDLE_STACK, "stack", 2.0)],
    ids=["an account that is wiped", "no call at all", "no layer at all"],
)
def test_work_is_not_what_a_worker_says_of_it(sandbox: Sandbox, source: str, function: str, left: float) -> None:
    graded = grade(sandbox, notebook(source))
    assert points(graded) == {**FULL, function: left}, graded.messages(f"summarization.{function}")


def test_a_magic_and_a_failing_import_before_all_cost_nothing(sandbox: Sandbox) -> None:
    before = (
        "!pip install transformers==4.0\n%load_ext autoreload\nimport absent_package\nfrom google.colab import drive"
    )
    assert points(grade(sandbox, notebook(before=before))) == FULL


def test_a_layer_that_needs_transformers_gets_it(sandbox: Sandbox) -> None:
    """Imported when it is used, in the worker that uses it: a subclass of a class of that package."""
    source = (
        "import transformers\n"
        "class Reader(transformers.PretrainedConfig):\n    pass\n"
        "old = TransformerStack.forward\n"
        "def forward(self, *a, **k):\n    assert Reader().model_type is not None\n    return old(self, *a, **k)\n"
        "TransformerStack.forward = forward\n"
    )
    with Sandbox(SandboxConfig(ASSIGNMENT.probes)) as fresh:
        assert points(grade(fresh, notebook(source))) == FULL


def test_no_module_of_transformers_is_loaded_without_need() -> None:
    """3 s that only who uses it should pay; a pool that has met somebody who does keeps it."""
    source = (
        "import sys\nfrom transformers import T5ForConditionalGeneration\n"
        "old_greedy = greedy_decode\n"
        "def greedy_decode(*a):\n"
        "    assert 'transformers' not in sys.modules\n"
        "    T5ForConditionalGeneration\n"
        "    return old_greedy(*a)\n"
    )
    with Sandbox(SandboxConfig(ASSIGNMENT.probes)) as fresh:
        assert points(grade(fresh, notebook(source))) == FULL
