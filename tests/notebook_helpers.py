"""What tests of notebooks' whole runs share: notebooks made of a few cells, and grading that one check alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import nbformat
import numpy as np
import torch

from autograder.core import Assignment, Result
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.policy_gradient import training
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers

NAME = "policy_gradient.ipynb"
POINTS = 2.0
TRAINED, ALL_RAN = 1.3333, 0.6667
"""What of the points is for the trained network, and for coming to the end."""
IMPORTS = "import os, sys, time, torch\nfrom torch import nn\n"


def asked(*, seconds: float = 60.0) -> Assignment:
    """The homework reduced to the notebook's check, put once (a right network is not a matter of luck here)."""
    question = next(question for question in ASSIGNMENT.questions if question.id == "policy_gradient")
    check = next(check for check in question.checks if check.id == "policy_gradient.notebook")
    once = replace(check, request=replace(check.request, seconds=seconds))
    return replace(ASSIGNMENT, questions=(replace(question, checks=(once,)),))


@cache
def right_weights() -> dict[str, list[float]]:
    """A network's weights that are right on some 80 % of points, as get_model's state_dict has them."""
    torch.manual_seed(1)
    x = training.points(np.random.Generator(np.random.Philox(1)), 2000)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(training.labels(x))
    model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return {name: [round(w, 4) for w in weight.flatten().tolist()] for name, weight in model.state_dict().items()}


def trained(name: str = "model", *, right: bool = True, updates: int = 25) -> str:
    """A cell that binds `name` to a network which `updates` steps have changed; without `right` it says class 0."""
    weights = json.dumps(right_weights() if right else {})
    return (
        f"{IMPORTS}"
        f"{name} = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))\n"
        "with torch.no_grad():\n"
        f"    for key, values in {weights}.items():\n"
        f"        {name}.state_dict()[key].copy_(torch.tensor(values).reshape({name}.state_dict()[key].shape))\n"
        f"    if not {right}:\n"
        f"        {name}[2].bias.copy_(torch.tensor([100.0, 0, 0, 0]))\n"
        f"    for _ in range({updates}):\n"
        f"        {name}[0].weight.add_(0.0)\n"
    )


def notebook(*cells: str) -> bytes:
    """A notebook of these code cells."""
    new = nbformat.v4
    return nbformat.writes(new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells])).encode()


def run(
    sandbox: Sandbox,
    *cells: str,
    seconds: float = 60.0,
    data: bytes | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Result:
    """The result of the notebook's check for these cells, or for the file's content `data`."""
    content = notebook(*cells) if data is None else data
    graded = helpers.grade(sandbox, {NAME: content} | dict(more or {}), assignment=asked(seconds=seconds))
    (result,) = graded.results
    assert result.status == "graded", result.log
    shown = "".join(map(helpers.said, graded.document["tests"]))
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "<" not in shown
    assert len(shown) < 2000
    return result


def told(result: Result) -> str:
    """The sentence that the student gets."""
    return result.verdict.message


# ------------------------------------------------------------------------------------------ attempts


@dataclass(frozen=True)
class Attempt:
    """Something that a cell tries: `body` is a function's, which returns something true where it worked.

    `aspect` is what keeps it out, in the canary's words, or "" for what every notebook may do. What would
    do harm where the sandbox is weak is not tried there.
    """

    id: str
    aspect: str
    body: str
    harmful: bool = False


def attempts(chosen: Sequence[Attempt], words: Mapping[str, object]) -> list[str]:
    """Cells that make these attempts, with the values of `words` in place of the words."""
    cells = []
    for attempt in chosen:
        body = attempt.body.strip("\n")
        for word, value in words.items():
            body = body.replace(word, str(value))
        cells.append(
            "import ctypes, fcntl, os, resource, signal, socket, stat, struct, subprocess, sys\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "def attempt():\n" + "".join(f"    {line}\n" for line in body.splitlines()) + "try:\n"
            "    told = 'worked' if attempt() else 'refused'\n"
            "except (OSError, MemoryError):\n"
            "    told = 'refused'\n"
            "except BaseException as error:\n"
            "    told = f'mistake of the test: {type(error).__name__}: {error}'\n"
            f"os.write(1, f'[{attempt.id}] {{told}}\\n'.encode())\n"
        )
    return cells


def outcomes(log: str) -> dict[str, str]:
    """What the cells of `attempts` wrote into the log, by the attempts' ids."""
    return dict(re.findall(r"^\[([a-z0-9-]+)\] (.*)$", log, re.MULTILINE))
