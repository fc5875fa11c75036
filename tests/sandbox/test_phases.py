"""Where a worker's CPU goes: phases add up, the log carries them, and nothing slow is imported in vain."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.core import GIVEN
from autograder.sandbox import phases
from autograder.sandbox.guest import zygote
from autograder.sandbox.phases import Phases
from tests.helpers import ROOT


def _busy(seconds: float) -> None:
    def now() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    end = now() + seconds
    while now() < end:
        pass


def test_a_phase_inside_of_another_is_not_counted_twice() -> None:
    one = Phases()
    one.begin("probe")
    _busy(0.02)
    with one.within("load"):
        _busy(0.04)
    _busy(0.02)
    one.begin("answer")
    told = phases.from_log(b"printed before\n" + one.line() + b"after")
    assert {"fork", "probe", "load", "answer"} == set(told)
    assert 0.04 <= told["load"][0] < 0.055 and 0.04 <= told["probe"][0] < 0.055


def test_the_phase_goes_on_where_the_block_raised() -> None:
    one = Phases()
    one.begin("probe")
    try:
        with one.within("load"):
            raise ValueError
    except ValueError:
        _busy(0.02)
    told = phases.from_log(one.line())
    assert told["probe"][0] >= 0.02 > told["load"][0]


def test_a_log_without_phases_tells_none() -> None:
    assert phases.from_log(b"Epoch 1: loss 0.3\n") == {}


SLOW = """
import sys
from autograder.sandbox.guest import zygote
zygote.warm_to_read()
zygote.warm("autograder.hw11")
slow = ("scipy", "torch._dynamo.config", "transformers", "matplotlib", "IPython", "rouge_score")
print(*(name for name in slow if name in sys.modules))
"""


def test_slow_packages_are_imported_for_the_uploads_that_use_them(tmp_path: Path) -> None:
    """None of them at the start; then what the upload's own files name, and not what the template's do."""
    started = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=True, cwd=ROOT)
    assert started.stdout == "\n"
    upload, plain = tmp_path / "upload", tmp_path / "plain"
    for folder in (upload, plain):
        (folder / GIVEN).mkdir(parents=True)
        (folder / GIVEN / "work.ipynb").write_text('{"source": "import scipy.optimize"}')
        (folder / "utils.py").write_text("scipy = None  # no import\n")
    (upload / "work.ipynb").write_text('{"source": "from scipy import stats"}')
    assert zygote.used(str(upload)) == ("scipy.optimize",)
    assert zygote.used(str(plain)) == ()


@pytest.mark.parametrize(
    ("cell", "needs_it"),
    [
        ("opt = torch.optim.Adam(model.parameters(), lr=1e-2)", False),
        ("from torch.func import grad", True),
        ("losses = torch.vmap(loss)(x)", True),
        ("import torch._dynamo", True),
        ("# the mapping is below", False),
    ],
)
def test_torchs_compiler_is_imported_once_for_all_workers_of_a_notebook_that_needs_it(
    tmp_path: Path, cell: str, needs_it: bool
) -> None:
    (tmp_path / "policy_gradient.ipynb").write_text(f'{{"source": "{cell}"}}')
    assert ("torch._dynamo.config" in zygote.used(str(tmp_path))) == needs_it


OPTIMIZERS = """
import sys, torch
from autograder.sandbox.guest import machine
if sys.argv[1] == "later":
    machine.prepare()
layer = torch.nn.Linear(3, 2)
for parameter in layer.parameters():
    torch.nn.init.constant_(parameter, 0.5)
for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.LBFGS):
    one = kind(layer.parameters(), lr=0.1)
    def loss():
        one.zero_grad()
        found = (layer(torch.arange(6.0).view(2, 3)) - 1).square().sum()
        found.backward()
        return found
    for _ in range(3):
        one.step(loss)
print("torch._dynamo.config" in sys.modules, *layer.weight.flatten().tolist(), *layer.bias.tolist())
"""
ASKED_FOR = """
import importlib, inspect, sys, torch
from autograder.sandbox.guest import machine
machine.prepare()
inspect.getsource(machine.prepare)  # looks at all modules there are
before = "torch._dynamo.config" in sys.modules
{}
print(before, "torch._dynamo.config" in sys.modules, type(torch._dynamo.config).__name__)
"""


def _said(program: str, *arguments: str) -> str:
    call = [sys.executable, "-c", program, *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_optimizers_do_the_same_without_torchs_compiler() -> None:
    """1.1 s of CPU and 45 MB that every worker of a notebook with an optimizer had."""
    later, ordinary = _said(OPTIMIZERS, "later").split(), _said(OPTIMIZERS, "now").split()
    assert (later[0], ordinary[0]) == ("False", "True")
    assert later[1:] == ordinary[1:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "from torch._dynamo import config",
        "import torch._dynamo.utils",
        "assert torch.func.vmap(torch.func.grad(torch.sin))(torch.zeros(2)).tolist() == [1, 1]",
    ],
)
def test_who_asks_for_torchs_compiler_gets_the_real_one(line: str) -> None:
    assert _said(ASKED_FOR.format(line)).split() == ["False", "True", "ConfigModuleInstance"]
