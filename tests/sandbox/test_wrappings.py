"""Right work gets its points however it is wrapped: what Python or Jupyter would have defined is what is graded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autograder.audit import wrappings
from autograder.core import WHOLE, Assignment
from autograder.hw11 import ASSIGNMENT
from autograder.sandbox.host.sandbox import Sandbox
from tests.helpers import UTILS, VAE, Files, Graded, grade, solved
from tests.sandbox.test_notebooks import NAME, notebook
from tests.solutions import RIGHT

pytestmark = pytest.mark.sandbox

PG = replace(
    ASSIGNMENT,
    questions=tuple(
        replace(q, checks=tuple(check for check in q.checks if check.request.probe == "policy_gradient.probes:loss"))
        for q in ASSIGNMENT.questions
        if q.id == "policy_gradient"
    ),
)
"""Question 6's loss alone."""
CODE = {name: data.decode() for name, data in solved().items()}


def full(assignment: Assignment) -> float:
    return sum(check.points for question in assignment.questions for check in question.checks)


def lost(graded: Graded) -> dict[str, str]:
    return {one.check.id: one.verdict.message for one in graded.results if one.verdict.score < 1}


def files(changed: Mapping[str, str | bytes]) -> Files:
    return {name: data.encode() if isinstance(data, str) else data for name, data in {**CODE, **changed}.items()}


# ----------------------------------------------------------------------------------------- Python files

ABOVE = {
    "a GPU's name": "import torch\nname = torch.cuda.get_device_name(0)",
    "a missing file": "data = open('data/config.json').read()",
    "a parser of the command line": (
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('x')\nargs = parser.parse_args()"
    ),
    "an exit": "import sys\nif len(sys.argv) < 9: sys.exit('usage: utils.py ...')",
    "an interrupt": "raise KeyboardInterrupt",
    "an exception of one's own": "class Stop(BaseException):\n    pass\nraise Stop",
    "a wrong escape": "x = '\\N{NO SUCH NAME}'",
    "Python 2": "print 'hello'\nexec 'x = 1'",
    "an open bracket": "x = (1,\n\n",
    "a merge": "<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> main",
    "PEP 701": "d = {}\nf'{d[\"loss\"]}' if d else f'{d.get('loss')}'",
    "PEP 695": "type Pair = tuple[int, int]\ndef first[T](x: list[T]) -> T: return x[0]",
    "a return": "return 3",
    "a nested future": "x = 1\nfrom __future__ import annotations",
    "a wrong import": "from models import no_such_file",
    "a circle": "from models.vae import VAE",
}


@pytest.mark.slow
@pytest.mark.parametrize("line", ABOVE.values(), ids=ABOVE)
def test_a_line_that_fails_costs_what_it_binds_and_nothing_else(sandbox: Sandbox, line: str) -> None:
    graded = grade(sandbox, files({UTILS: f"{line}\n{CODE[UTILS]}", VAE: f"{line}\n{CODE[VAE]}"}))
    assert lost(graded) == {}


TEXTS = {
    "latin-1": b"# caf\xe9\n" + CODE[UTILS].encode(),
    "UTF-16": CODE[UTILS].encode("utf-16"),
    "NUL": CODE[UTILS].encode() + b"\n\0\0",
    "no such codec": b"# -*- coding: no-such-codec -*-\n" + CODE[UTILS].encode(),
    "old Mac": CODE[UTILS].replace("\n", "\r").encode(),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_file_is_read_in_the_encoding_that_it_has(sandbox: Sandbox, text: bytes) -> None:
    assert lost(grade(sandbox, files({UTILS: text}))) == {}


@pytest.mark.parametrize(
    "package", ["submission", "src.submission", "codebase", "hw11.vae_gan.code", "data.mine", "code", "data"]
)
def test_a_folder_may_be_imported_by_its_name(sandbox: Sandbox, package: str) -> None:
    folder = package.replace(".", "/")
    moved = {
        f"{folder}/{name.removeprefix('gan_vae/')}": text.replace(
            "import utils as ut", f"from {package} import utils as ut"
        )
        .replace("from models import nns", f"import {package}.models.nns as nns")
        .encode()
        for name, text in CODE.items()
    }
    assert lost(grade(sandbox, moved)) == {}


def test_a_package_has_one_copy_of_a_module(sandbox: Sandbox) -> None:
    """Or a sampler that is replaced for the bound's checks would stay in the other."""
    code = CODE[VAE].replace(
        "import utils as ut", "import utils\nfrom submission import utils as ut\nassert ut is utils"
    )
    moved = {f"submission/{name.removeprefix('gan_vae/')}": text.encode() for name, text in {**CODE, VAE: code}.items()}
    assert lost(grade(sandbox, moved)) == {}


def test_annotations_need_not_be_evaluable(sandbox: Sandbox) -> None:
    head = "def sample_gaussian(m, v"
    assert head in CODE[UTILS] or "def sample_gaussian(m:" in CODE[UTILS]
    code = "\n".join(
        "def sample_gaussian(m: Tnsr, v: Float[Tnsr, 'b z']) -> tp.Nope:" if "def sample_gaussian(" in line else line
        for line in CODE[UTILS].split("\n")
    )
    assert lost(grade(sandbox, files({UTILS: code}))) == {}


def test_a_file_that_is_no_python_costs_no_other(sandbox: Sandbox) -> None:
    graded = grade(sandbox, files({VAE: "class VAE(:\n    pass", UTILS: f"from models.vae import VAE\n{CODE[UTILS]}"}))
    assert graded.points("vae.sample") == 10
    told = (
        "The file could not be loaded at gan_vae/models/vae.py, line 1: SyntaxError"  # what it says goes to the staff
    )
    assert set(lost(graded).values()) == {told}


CAUSES = {
    "a constant": ("SCALE = 1 / 0", "* SCALE", "line 1: ZeroDivisionError: division by zero"),
    "a constant of a constant": ("A = [][0]\nSCALE = A + 1", "* SCALE", "line 1: IndexError"),
    "an import": ("from models.vae import NOTHING as SCALE", "* SCALE", "line 1: ImportError"),
    "newer syntax": ("type P = int\nSCALE = f'{'a'}'", "* SCALE", "this grader runs Python"),
}


@pytest.mark.parametrize(("above", "use", "told"), CAUSES.values(), ids=CAUSES)
def test_the_first_cause_is_told_and_not_what_follows_from_it(
    sandbox: Sandbox, above: str, use: str, told: str
) -> None:
    code = f"{above}\n{CODE[UTILS]}\n\ndef sample_gaussian(m, v):\n    return m {use}\n"
    messages = lost(grade(sandbox, files({UTILS: code})))
    assert all("gan_vae/utils.py, line" in message and told in message for message in messages.values()), messages
    assert len(messages) >= 5
    assert not any("NameError" in message or "/workspace" in message for message in messages.values())


@pytest.mark.slow
def test_work_on_import_is_stopped_and_costs_itself(sandbox: Sandbox) -> None:
    loop = "\nwhile True:\n    try:\n        pass\n    except Exception:\n        pass\n"
    graded = grade(sandbox, files({UTILS: CODE[UTILS] + loop + "def later(): pass\n"}))
    assert graded.points("vae.sample") == 10


# ------------------------------------------------------------------------------------------- notebooks

TORCH = "import torch"
LOSS = """
def policy_gradient_loss(logprob, predicted, reward):
    chosen = logprob.gather(1, predicted[:, None])[:, 0]
    return -(reward * chosen).mean()
"""
END = "return -(reward * chosen).mean()"


def ending(by: str) -> str:
    return LOSS.replace(END, by)


TOTAL = ending("return total(reward * chosen)")
SIGNED = ending("return SIGN * (reward * chosen).mean()")
LADDER = {
    "definitions": (0, ["SIGN = -1.0", SIGNED]),
    "main guard": (0, ["if __name__ == '__main__':\n    SIGN = -1.0", SIGNED]),
    "future annotations": (0, ["from __future__ import annotations", LOSS.replace("logprob,", "logprob: Tnsr,")]),
    "future in the middle": (0, ["x = 1\nfrom __future__ import annotations\ny: Nope = 1", LOSS]),
    "a cell with a broken line": (0, ["print 'x'\nSIGN = -1.0\nfor i in range(3) print(i)", SIGNED]),
    "await": (0, ["async def get():\n    return -1.0\nSIGN = await get()", SIGNED]),
    "%time": (0, ["%time SIGN = -1.0", SIGNED]),
    "%%writefile": (0, ["%%writefile losses.py\ndef total(x): return -x.mean()", "from losses import total", TOTAL]),
    "%%file, twice": (0, ["%%file a.py\nfrom torch import mean", "%%writefile -a a.py\ndef total(x): return -mean(x)",
                          "import a\ntotal = a.total", TOTAL]),
    "%%writefile and %run": (0, ["%%writefile h.py\ndef total(x): return -x.mean()", "%run h.py", TOTAL]),
    "a class": (0, ["class Loss:\n    def __call__(self, logprob, predicted, reward):\n        return -(reward * "
                    "logprob.gather(1, predicted[:, None])[:, 0]).mean()\npolicy_gradient_loss = Loss()"]),
    "a partial": (0, ["from functools import partial", LOSS.replace("policy_gradient_loss", "own"),
                      "policy_gradient_loss = partial(own)"]),
    "jit": (0, [f"@torch.jit.script\n{LOSS.strip()}"]),
    "getsource": (0, [LOSS, "import inspect\npolicy_gradient_loss.t = inspect.getsource(policy_gradient_loss)"]),
    "dataclass": (0, ["from __future__ import annotations\nfrom dataclasses import dataclass",
                      "@dataclass\nclass C:\n    sign: float = -1.0",
                      ending("return C().sign * (reward * chosen).mean()")]),
    "singledispatch": (1, ["from functools import singledispatch\n@singledispatch\ndef total(x): raise TypeError",
                           "@total.register\ndef _(x: torch.Tensor): return -x.mean()", TOTAL]),
    "register(T, g)": (1, ["from functools import singledispatch\n@singledispatch\ndef total(x): raise TypeError",
                           "def own(x): return -x.mean()\ntotal.register(torch.Tensor, own)", TOTAL]),
    "a registry": (1, ["RULES = []\ndef rule(f):\n    RULES.append(f)\n    return f",
                       "@rule\ndef half(x): return -x.mean()",
                       ending("return RULES[0](reward * chosen)")]),
    "a registry with a key": (1, ["RULES = {}\ndef rule(key): return lambda f: RULES.update({key: f})",
                                  "@rule('pg')\ndef half(x): return -x.mean()",
                                  ending("return RULES['pg'](reward * chosen)")]),
    "subclasses": (1, ["class Base:\n    found = []\n    def __init_subclass__(cls): Base.found.append(cls)",
                       "class Mine(Base):\n    def __call__(self, x): return -x.mean()",
                       ending("return Base.found[0]()(reward * chosen)")]),
    "a loop that appends": (1, ["HALF = []", "for k in range(2):\n    HALF.append(0.5)",
                                ending("return -sum(HALF) * (reward * chosen).mean()")]),
    "a set-up with global": (1, ["def setup():\n    global SIGN\n    SIGN = -1.0", "setup()", SIGNED]),
    "add_to_class": (1, ["class L: pass", "def add_to_class(kind):\n    return lambda f: setattr(kind, f.__name__, f)",
                         "@add_to_class(L)\ndef total(self, x): return -x.mean()",
                         ending("return L().total(reward * chosen)")]),
    "setattr": (1, ["class L: pass", "def own(self, x): return -x.mean()\nsetattr(L, 'total', own)",
                    ending("return L().total(reward * chosen)")]),
    "another name": (1, ["config = {}\ncfg = config", "cfg['sign'] = -1.0",
                         ending("return config['sign'] * (reward * chosen).mean()")]),
    "update": (1, ["config = dict(sign=1.0)", "config.update(sign=-1.0)",
                   ending("return config['sign'] * (reward * chosen).mean()")]),
    "filled by a function": (1, ["import types\nspace = types.SimpleNamespace()",
                                 "def fill(s): s.sign = -1.0\nfill(space)",
                                 ending("return space.sign * (reward * chosen).mean()")]),
    "globals()": (0, ["globals()['SIGN'] = -1.0", SIGNED]),
    "exec": (0, ["exec('SIGN = -1.0')", SIGNED]),
    "globals().update": (0, ["def made(): return dict(SIGN=-1.0)\nglobals().update(made())", SIGNED]),
    "globals() in a set-up": (2, ["def setup(): globals()['SIGN'] = -1.0", "setup()", SIGNED]),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("rung", "cells"), LADDER.values(), ids=LADDER)
def test_a_notebooks_function_is_found_on_the_lowest_rung_that_works(
    sandbox: Sandbox, rung: int, cells: list[str]
) -> None:
    graded = grade(sandbox, {NAME: notebook(TORCH, *cells, "while True:\n    pass", "1 / 0")}, assignment=PG)
    assert lost(graded) == {}
    assert max(result.rung for result in graded.results) == rung
    told = {test["extra_data"].get("loaded") for test in graded.document["tests"]}
    assert (told - {None}) == ({("registrations", "statements")[rung - 1]} if rung else set())


@pytest.mark.slow
def test_what_only_a_whole_run_defines_is_found_in_its_kernel(sandbox: Sandbox) -> None:
    """Here a constant is what training gives, which no other rung runs."""
    question = next(question for question in ASSIGNMENT.questions if question.id == "policy_gradient")
    ids = ("contract", "gradient", "sign", "average", "inputs", "unbiased", "notebook")
    kept = tuple(check for check in question.checks if check.id.partition(".")[2] in ids)
    trained = (
        "w = torch.zeros(1, requires_grad=True)\nopt = torch.optim.SGD([w], lr=1.0)",
        "for i in range(1):\n    w.sum().backward()\n    opt.step()\n    globals()['SIGN'] = w.item()",
    )
    upload = {NAME: notebook(TORCH, *trained, SIGNED)}
    assignment = replace(ASSIGNMENT, questions=(replace(question, checks=kept),))
    graded = grade(sandbox, upload, assignment=assignment, seconds=480.0)
    assert set(lost(graded)) == {"policy_gradient.notebook"}  # it trains nothing
    assert {result.rung for result in graded.results} == {0, WHOLE}
    assert {test["extra_data"].get("loaded") for test in graded.document["tests"]} == {None, "whole run"}


def test_a_wrong_loss_stays_wrong_on_every_rung(sandbox: Sandbox) -> None:
    wrong = ["RULES = []\ndef rule(f):\n    RULES.append(f)\n    return f", "@rule\ndef half(x): return x.mean()"]
    graded = grade(sandbox, {NAME: notebook(TORCH, *wrong, ending("return RULES[0](reward * chosen)"))}, assignment=PG)
    assert "policy_gradient.sign" in lost(graded)
    assert "xpected" in lost(graded)["policy_gradient.sign"]


def test_training_is_left_out_on_every_rung(sandbox: Sandbox) -> None:
    cells = (TORCH, "globals()['SIGN'] = -1.0", "def fit(model):\n    while True:\n        model.loss.backward()",
             "fit(1)", "for step in range(10**12):\n    loss.backward()", SIGNED)  # fmt: skip
    assert lost(grade(sandbox, {NAME: notebook(*cells)}, assignment=PG)) == {}


def raw(*cells: dict[str, Any]) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


ODD = {
    "a cell without source": raw({"cell_type": "code", "metadata": {}},
                                 {"cell_type": "code", "metadata": {}, "outputs": [], "source": TORCH + LOSS}),
    "half a letter": raw({"cell_type": "code", "metadata": {}, "outputs": [], "source": f"{TORCH} # \ud83d{LOSS}"}),
    "lines": raw({"cell_type": "code", "metadata": {}, "outputs": [], "source": (TORCH + LOSS).splitlines(True)}),
}  # fmt: skip


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_cells_that_no_editor_writes_cost_nothing(sandbox: Sandbox, data: bytes) -> None:
    assert lost(grade(sandbox, {NAME: data}, assignment=PG)) == {}


UNFILLED = {
    "as it was": "def policy_gradient_loss(logprob, predicted, reward):\n    raise NotImplementedError",
    "an unbound name": "def policy_gradient_loss(logprob, predicted, reward):\n    # your code\n    return loss",
}


@pytest.mark.parametrize("cell", UNFILLED.values(), ids=UNFILLED)
def test_what_was_not_filled_in_is_told_as_that(sandbox: Sandbox, cell: str) -> None:
    graded = grade(sandbox, {NAME: notebook(TORCH, cell)}, assignment=PG)
    assert all(message.startswith("Not filled in yet: ") for message in lost(graded).values()), lost(graded)
    assert graded.points("") == 0


FILLED = {
    "torch's own": (ending("return torch.randn(1, device='privateuseone')"), "Not filled in"),
    "a misspelt name": (ending("total = reward * chosen\n    return -totla.mean()"), "Not filled in"),
}


@pytest.mark.parametrize(("cell", "never"), FILLED.values(), ids=FILLED)
def test_what_was_filled_in_is_not_told_as_unfilled(sandbox: Sandbox, cell: str, never: str) -> None:
    messages = lost(grade(sandbox, {NAME: notebook(TORCH, cell)}, assignment=PG))
    assert messages
    assert not any(never in message for message in messages.values())


def test_a_placeholder_whose_replacement_failed_tells_why(sandbox: Sandbox) -> None:
    cells = (TORCH, UNFILLED["as it was"], LOSS.replace("reward):", "reward:"))
    messages = lost(grade(sandbox, {NAME: notebook(*cells)}, assignment=PG))
    assert all("policy_gradient.ipynb, code cell 3" in message for message in messages.values()), messages
    assert all("SyntaxError" in message for message in messages.values())


def test_no_message_names_a_place_of_ours(sandbox: Sandbox) -> None:
    cells = (TORCH, "data = open('/content/x').read()", "from helpers import nothing", ending("return data * nothing"))
    graded = grade(sandbox, {NAME: notebook(*cells)}, assignment=PG)
    assert not any(part in graded.text for part in ("/tmp", "site-packages", "autograder", "unknown>"))


# -------------------------------------------------------------------------------------------- the sweep

PAIRS = [(solution, one) for solution in RIGHT for one in wrappings.fitting(solution)]


def test_every_right_solution_has_at_least_25_wrappings() -> None:
    assert all(len(wrappings.fitting(solution)) >= 25 for solution in RIGHT)
    assert len({one.id for one in wrappings.WRAPPINGS}) == len(wrappings.WRAPPINGS)


@pytest.mark.slow
@pytest.mark.parametrize("wrapping", wrappings.WRAPPINGS, ids=lambda one: one.id)
def test_a_right_solution_keeps_its_points_in_every_wrapping(wrapping: wrappings.Wrapping) -> None:
    """One solution for each; the audit takes all. Which one it is follows from the wrapping's name.

    Question 1's layers and searches take ten times what others take, so they are in every third wrapping's lot.
    """
    layers = sum(wrapping.id.encode()) % 3 == 0
    # Question 3's functions are executed around the probe's globals, on the first rung alone; the audit shows this gap.
    left_out = {"continual_learning.ipynb"} if wrapping.id == "notebook-looked-up" else set()
    left_out |= set() if layers else {"summarization.ipynb"}
    fitting = [one for one in RIGHT if one.file.endswith(wrapping.kind) and one.file not in left_out]
    start = sum(wrapping.id.encode()) % len(fitting)
    for solution in (*fitting[start:], *fitting[:start]):
        row = wrappings.graded("autograder.hw11", solution, wrapping.id)
        if row["fits"]:
            assert row["lost"] == 0, (solution.id, row["why"])
            return
    raise AssertionError("it fits no solution")


def test_a_wrapping_that_costs_points_is_told(tmp_path: Path) -> None:
    rows = {("a", "any-folder"): {"fits": True, "lost": 0.0, "why": {}, "rung": 0}}
    assert wrappings.section(wrappings.Found(rows, 1)).holds
    rows[("b", "any-folder")] = {"fits": True, "lost": 2.0, "why": {"c": "It failed."}, "rung": 1}
    told = wrappings.section(wrappings.Found(rows, 2))
    assert not told.holds
    assert told.tables[0].rows == (("b", "any-folder", 2.0, "It failed."),)
