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
    told = phases.told(b"printed before\n" + one.line() + b"after")
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
    told = phases.told(one.line())
    assert told["probe"][0] >= 0.02 > told["load"][0]


def test_a_log_without_phases_tells_none() -> None:
    assert phases.told(b"Epoch 1: loss 0.3\n") == {}


SLOW = """
import sys
from autograder.sandbox.guest import zygote
zygote.warm_to_read()
zygote.warm("autograder.hw11")
slow = ("scipy", "torch._dynamo", "transformers", "matplotlib", "IPython", "rouge_score")
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
    ("cell", "makes_one"),
    [
        ("opt = torch.optim.Adam(model.parameters(), lr=1e-2)", True),
        ("from torch.optim import SGD\\nopt = SGD(model.parameters(), 0.1)", True),
        ("import torch.optim as optim\\nopt = optim.RAdam(\\n    model.parameters())", True),
        ("import torch.optim as optim", False),
        ("# the optimizer (Adam) is made below", False),
    ],
)
def test_what_an_optimizer_imports_is_imported_once_for_all_workers_of_a_notebook(
    tmp_path: Path, cell: str, makes_one: bool
) -> None:
    """1.1 s of CPU that the loss, the training and the whole run would each take."""
    (tmp_path / "policy_gradient.ipynb").write_text(f'{{"source": "{cell}"}}')
    assert ("torch._dynamo" in zygote.used(str(tmp_path))) == makes_one
