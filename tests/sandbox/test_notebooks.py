"""A notebook's definitions, found by static analysis: what real notebooks hold must not keep them from being graded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.audit.inprocess import InProcess
from autograder.core import Assignment
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.policy_gradient import probes as probe
from autograder.intake import submission
from autograder.sandbox.guest import notebooks
from autograder.sandbox.guest.student import ImportFault, Student
from tests.helpers import REFERENCE, zip_of

NAME = "policy_gradient.ipynb"
RIGHT = """
def policy_gradient_loss(logprob, predicted, reward):
    return -(reward * logprob.gather(1, predicted[:, None])[:, 0]).mean()
"""
LOSS_ONLY = {"contract", "gradient", "sign", "average", "inputs", "unbiased", "training"}


def notebook(*cells: str, version: int = 4) -> bytes:
    """A notebook of these code cells."""
    if version == 3:
        bare = {"cell_type": "code", "collapsed": False, "language": "python", "metadata": {}, "outputs": []}
        sheet = {"cells": [{**bare, "input": [cell]} for cell in cells], "metadata": {}}
        old = {"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [sheet]}
        return json.dumps(old).encode()
    new = nbformat.v4
    return nbformat.writes(new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells])).encode()


def student(folder: Path, *cells: str, more: Mapping[str, bytes] | None = None) -> Student:
    """The cells as the policy gradient's notebook of a submission."""
    (folder / NAME).write_bytes(notebook(*cells))
    for name, data in (more or {}).items():
        (folder / name).write_bytes(data)
    return Student(folder)


def grade(folder: Path, data: bytes, assignment: Assignment = ASSIGNMENT) -> dict[str, Any]:
    """The verdicts of the loss's checks for a notebook of these bytes, by way of a zip, without the sandbox."""
    workspace = folder / "workspace"
    workspace.mkdir()
    received = submission.receive(zip_of({NAME: data}, folder / "upload.zip"), assignment, workspace)
    grading = Grading(InProcess(assignment.probes), received, assignment)
    question = next(question for question in assignment.questions if question.id == "policy_gradient")
    results = [
        grading.check(question, check) for check in question.checks if not (check.request.collector or check.manual)
    ]
    assert all(result.status == "graded" for result in results), [result.log for result in results]
    return {result.check.id.partition(".")[2]: result.verdict for result in results}


def failed(verdicts: dict[str, Any]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.score < 1}


# ------------------------------------------------------------------------------ what stands in the way

CLUTTER = (
    "%load_ext autoreload\n%autoreload 2\n%matplotlib inline",
    "!pip install torch==1.8.0\n!git clone https://example.org/data.git\n%cd data",
    "from google.colab import drive\ndrive.mount('/content/drive')",
    "import wandb, seaborn as sns\nfrom datasets import load_dataset\nwandb.init()",
    "data = load_dataset('xsum')",
    "import os\nassert os.path.isfile('/content/drive/data.pt')",
    "x_train, y_train = torch.load('/content/drive/data.pt')",
    "%%bash\nls -l",
    "%%html\n<script>alert(1)</script>",
    "files = !ls\nprint(files)\n?print",
    "def unfinished(:",
    "while True:\n    pass",
    "import sys; sys.exit()",
    "raise RuntimeError('restart me')",
    "torch.nope()",
)
"""Cells that fail or never end when they are run."""


def test_cells_that_fail_or_never_end_do_not_matter_where_nothing_graded_needs_them(tmp_path: Path) -> None:
    for at, cells in enumerate(([RIGHT, *CLUTTER], [*CLUTTER, RIGHT])):
        (folder := tmp_path / str(at)).mkdir()
        loss = student(folder, "import torch", *cells).function(NAME, probe.NAME)
        assert loss(torch.tensor([[-1.0, -2.0]]), torch.tensor([1]), torch.tensor([3.0])).item() == 6.0


def test_a_cluttered_notebook_gets_full_marks(tmp_path: Path) -> None:
    assert failed(grade(tmp_path, notebook("import torch", *CLUTTER, RIGHT, *CLUTTER))) == set()


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "%%timeit -n 1", "%%time\n%%capture"])
def test_python_below_a_cell_magic_counts(tmp_path: Path, magic: str) -> None:
    assert callable(student(tmp_path, f"{magic}\n{RIGHT}").function(NAME, probe.NAME))


def test_text_that_only_looks_like_a_magic_is_left_alone(tmp_path: Path) -> None:
    cell = 'help = """\n!pip install\n%time\n"""\ndef policy_gradient_loss(a, b, c):\n    return help'
    assert student(tmp_path, cell).function(NAME, probe.NAME)(1, 2, 3) == "\n!pip install\n%time\n"


# ----------------------------------------------------------------------------------------- the closure


@pytest.mark.slow
def test_imports_constants_helpers_and_classes_come_along_and_nothing_else(tmp_path: Path) -> None:
    cells = (
        "import torch\nimport torch.nn.functional as F\nimport numpy as np",
        "ran = []\nSCALE = 2.0\nSCALE *= 0.5",
        "config = {}\nconfig['scale'] = SCALE",
        "class Weigher:\n    scale = config['scale']\n    def __call__(self, x): return helper(x) * self.scale",
        "def helper(x):\n    return x.mean()",
        "for i in range(3):\n    ran.append(i)\nprint(1 / 0)",
        "def policy_gradient_loss(logprob, predicted, reward, weigh=Weigher()):\n"
        "    ran = [torch.stack([reward[i] * logprob[i, a] for i, a in enumerate(predicted)])]\n"
        "    return -weigh(ran[0])",
        "model = get_model()\nfor step in range(10**9):\n    loss = policy_gradient_loss(1, 2, 3)",
    )
    source = notebooks.source_of(notebooks.read(notebook(*cells)))
    assert sorted({statement.cell for statement in source.definitions([probe.NAME])}) == [1, 2, 3, 4, 5, 7]
    assert failed(grade(tmp_path, notebook(*cells))) == set()


def test_the_last_definition_counts_as_after_a_run(tmp_path: Path) -> None:
    first = "def policy_gradient_loss(logprob, predicted, reward):\n    raise NotImplementedError"
    assert failed(grade(tmp_path, notebook("import torch", first, RIGHT))) == set()


def test_a_star_import_and_a_file_beside_the_notebook_are_found(tmp_path: Path) -> None:
    cell = "from mine import *\nfrom math import *\ndef policy_gradient_loss(a, b, c):\n    return double(floor(a))"
    loss = student(tmp_path, cell, more={"mine.py": b"def double(x):\n    return 2 * x\n"})
    assert loss.function(NAME, probe.NAME)(3.7, 0, 0) == 6


def test_a_missing_package_matters_only_where_it_is_used(tmp_path: Path) -> None:
    cell = "import nowhere\nfrom nowhere.at.all import thing\ndef policy_gradient_loss(a, b, c):\n    return thing(a)"
    with pytest.raises(ModuleNotFoundError):
        student(tmp_path, cell).function(NAME, probe.NAME)(1, 2, 3)


def test_what_a_graded_name_needs_is_told_where_it_fails(tmp_path: Path) -> None:
    verdicts = grade(tmp_path, notebook("import torch", "limit = 1 / 0", RIGHT.replace("mean()", "mean() * limit")))
    assert "ZeroDivisionError" in verdicts["gradient"].message  # the first cause, not "NameError: limit"
    assert "policy_gradient.ipynb, code cell 2, line 1" in verdicts["gradient"].message


def test_a_decorator_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImportFault) as caught:
        student(tmp_path, f"import torch\n@torch.nope\n{RIGHT.strip()}").function(NAME, probe.NAME)
    assert isinstance(caught.value.cause, AttributeError)


def test_a_syntax_error_where_the_function_should_be_is_told_by_cell(tmp_path: Path) -> None:
    with pytest.raises(ImportFault) as caught:
        student(tmp_path, "import torch", RIGHT.replace("):", ")")).function(NAME, probe.NAME)
    assert isinstance(caught.value.cause, SyntaxError)
    assert (caught.value.cause.filename, caught.value.cause.lineno) == (f"{NAME}, code cell 2", 2)


def test_code_behind_another_encodings_name_stays_text(tmp_path: Path) -> None:
    """A notebook is UTF-8; a coding line in a cell cannot turn a comment into code."""
    cell = f"# -*- coding: utf-7 -*-\n# +AAo-boom+AD0-1\n{RIGHT}"
    module = student(tmp_path, cell).definitions(NAME, probe.NAME, "boom")
    assert not hasattr(module, "boom")


# ------------------------------------------------------------------------- the loss written in the loop

LOOP = """
model = get_model(73)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for i in range(10**9):
    logits = model(x_train)
    logprob = F.log_softmax(logits, dim=1)
    predicted = logprob.argmax(dim=1)
    reward = reward_oracle(x_train, predicted)
    {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
INLINE = {
    "one line": "loss = -(reward * logprob[torch.arange(len(reward)), predicted]).mean()",
    "two": "chosen = logprob.gather(1, predicted[:, None])[:, 0]\n    loss = -(SCALE * reward * chosen).mean()",
    "logits": "loss = (F.cross_entropy(logits, predicted, reduction='none') * reward).mean()",
    "built up": "loss = 0\n    for a in range(4):\n        loss -= (logprob[:, a] * reward * (predicted == a)).mean()",
    "branch": "loss = -logprob[range(len(reward)), predicted] * reward\n    if loss.ndim:\n        loss = loss.mean()",
}


@pytest.mark.parametrize("loss", INLINE.values(), ids=INLINE)
@pytest.mark.parametrize("wrapped", [False, True], ids=["top level", "in a function"])
@pytest.mark.slow
def test_a_loss_written_out_in_the_loop_is_graded(tmp_path: Path, loss: str, wrapped: bool) -> None:
    loop = LOOP.format(loss=loss)
    if wrapped:
        loop = "def train():" + loop.replace("\n", "\n    ") + "\ntrain()"
    verdicts = grade(tmp_path, notebook("import torch\nimport torch.nn.functional as F", "SCALE = 1.0", loop))
    assert failed(verdicts) == set()


def test_a_wrong_loss_written_out_in_the_loop_fails(tmp_path: Path) -> None:
    verdicts = grade(tmp_path, notebook("import torch\nimport torch.nn.functional as F", LOOP.format(
        loss="loss = (reward * logprob[torch.arange(len(reward)), predicted]).mean()")))  # fmt: skip
    assert failed(verdicts) == {"sign", "training"}
    assert verdicts["sign"].diagnosis == "pg_sign"


def test_a_loss_of_the_labels_cannot_pass(tmp_path: Path) -> None:
    cells = ("import torch\nimport torch.nn.functional as F", "y_train = torch.zeros(1000, dtype=torch.long)",
             LOOP.format(loss="loss = F.cross_entropy(logits, y_train[:len(logits)])"))  # fmt: skip
    assert failed(grade(tmp_path, notebook(*cells))) >= {"gradient", "unbiased", "training"}


def test_without_function_and_loop_the_message_names_both_file_and_function(tmp_path: Path) -> None:
    verdicts = grade(tmp_path, notebook("import torch"))
    assert failed(verdicts) == LOSS_ONLY
    assert "policy_gradient.ipynb defines no policy_gradient_loss" in verdicts["gradient"].message


# ------------------------------------------------------------------------------------------- the files


def test_a_version_3_notebook_is_read(tmp_path: Path) -> None:
    assert failed(grade(tmp_path, notebook("import torch", RIGHT, version=3))) == set()


def test_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert failed(grade(tmp_path, b"\xef\xbb\xbf" + notebook("import torch", RIGHT))) == set()


MALFORMED = {
    "empty": b"",
    "not JSON": b"My policy_gradient_loss is in the other file.",
    "half": notebook(RIGHT)[:100],
    "a list": b"[]",
    "a number": b"1e400",
    "no cells": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
    "cells of text": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": ["x"]}',
    "source of numbers": b'{"nbformat": 4, "nbformat_minor": 5, "cells": [{"cell_type": "code", "source": 3}]}',
    "version 99": b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}',
    "no version": b'{"cells": []}',
    "nested": b"[" * 100_000,
    "not UTF-8": b"\xff\xfe\x00\x80" * 10,
    "NUL": b"\0" * 100,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_notebook_gets_a_sentence(tmp_path: Path, data: bytes) -> None:
    verdicts = grade(tmp_path, data)
    assert failed(verdicts) == LOSS_ONLY
    message = verdicts["gradient"].message
    assert "policy_gradient.ipynb" in message
    assert "Traceback" not in message and len(message) < 400


WORDS = st.sampled_from(["cells", "cell_type", "source", "nbformat", "metadata", "worksheets", "input"])
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=300, derandomize=True, database=None, deadline=None)
@given(TREES)
def test_reading_raises_nothing_but_its_own_exception(tree: Any) -> None:
    data = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, **tree} if isinstance(tree, dict) else tree)
    try:
        cells = notebooks.read(data.encode())
    except notebooks.NotebookUnreadable as fault:
        assert str(fault)
    else:
        notebooks.source_of(cells)


@settings(max_examples=300, derandomize=True, database=None, deadline=None)
@given(st.text(st.sampled_from("ab =()[]{}:\n\t\\\"'#!%?.,@1*defxinort"), max_size=60))
def test_parsing_costs_a_broken_cell_only_itself(text: str) -> None:
    cells = (notebooks.Cell(1, text), notebooks.Cell(2, RIGHT))
    source = notebooks.source_of(cells)
    assert any(probe.NAME in statement.binds for statement in source.statements)


@pytest.mark.parametrize(
    "name",
    [
        "Copy of policy_gradient.ipynb",
        "Copy_of_policy_gradient.ipynb",
        "policy_gradient (1).ipynb",
        "policy_gradient-Copy1.ipynb",
        "hw11/Policy_Gradient.ipynb",
        "PolicyGradient_alice.ipynb",
    ],
)
def test_a_copy_of_the_notebook_is_found_under_its_new_name(tmp_path: Path, name: str) -> None:
    (workspace := tmp_path / "workspace").mkdir()
    received = submission.receive(zip_of({name: notebook(RIGHT)}, tmp_path / "upload.zip"), ASSIGNMENT, workspace)
    assert NAME not in received.absent
    assert (workspace / NAME).read_bytes() == notebook(RIGHT) or b"policy_gradient_loss" in (
        workspace / NAME
    ).read_bytes()


def test_the_notebook_of_the_right_name_wins_over_its_copies(tmp_path: Path) -> None:
    (workspace := tmp_path / "workspace").mkdir()
    files = {
        "a/policy_gradient (1).ipynb": b"old",
        "z/policy_gradient.ipynb": b"new",
        "policy_gradient_notes.ipynb": b"no",
    }
    submission.receive(zip_of(files, tmp_path / "upload.zip"), ASSIGNMENT, workspace)
    assert (workspace / NAME).read_bytes() == b"new"


def test_the_references_definitions_leave_its_training_alone() -> None:
    source = notebooks.source_of(notebooks.read((REFERENCE / NAME).read_bytes()))
    chosen = source.definitions([probe.NAME])
    assert len(chosen) == 1
    loss = Student(REFERENCE).function(NAME, probe.NAME)
    logprob = torch.log_softmax(torch.tensor([[1.0, 2.0], [0.0, 1.0]]), 1)
    got = loss(logprob, torch.tensor([0, 1]), torch.tensor([3.0, -1.0]))
    want = -(3 * logprob[0, 0] - logprob[1, 1]) / 2
    assert np.isclose(got.item(), want.item(), rtol=1e-6)  # two products, a sum and a quotient of float32


def test_the_name_of_a_caught_exception_is_no_definition() -> None:
    """It is gone when the exception has been handled, so a later use of the name means something else."""
    source = notebooks.source_of(
        (
            notebooks.Cell(1, "try:\n    data = download()\nexcept OSError as error:\n    print(error)"),
            notebooks.Cell(2, "try:\n    import json\nexcept ImportError as error:\n    raise SystemExit from error"),
            notebooks.Cell(3, "def f():\n    return json"),
        )
    )
    assert [statement.cell for statement in source.definitions(["f"])] == [2, 3]
    assert [statement.cell for statement in source.definitions(["error"])] == []


def test_the_short_cut_to_the_names_that_a_statement_binds_agrees_with_the_long_way() -> None:
    """In the reference's notebooks, and where a walrus or another spelling of a letter hides a name."""
    odd = (
        "print(y := 3)",
        "def f(x=(z := 2)): return x",
        "@(w := staticmethod)\nclass \ufb01nd: pass",
        "async def g(): global h; h = 1",
        "from math import *; a * a",
    )
    written = [notebooks.read(path.read_bytes()) for path in sorted(REFERENCE.rglob("*.ipynb"))]
    bound: set[str] = set()
    for cells in (*written, tuple(notebooks.Cell(number, source) for number, source in enumerate(odd, 1))):
        source = notebooks.source_of(cells)
        names = {name for one in source.statements for name in one.binds | one.uses} | {"*", "nothing"}
        bound |= {name for name in names if source.binding(name)}
        for name in names:
            assert source.binding(name) == [one for one in source.statements if name in one.binds]
    assert {"find", "w", "z", "y", "*", "policy_gradient_loss"} <= bound


def test_a_cell_of_which_only_the_whole_is_wrong_costs_nothing() -> None:
    """Jupyter would refuse it, but each of its statements can be read."""
    source = notebooks.source_of((notebooks.Cell(1, "x = 1\nfrom __future__ import annotations\nglobal x"),))
    assert not source.faults
    assert [one.binds for one in source.statements] == [{"x"}, {"annotations"}, set()]


def test_a_statement_that_parses_but_makes_no_sense_costs_itself_alone() -> None:
    cells = (notebooks.Cell(1, "x = 1\ndef f(a, a): pass"), notebooks.Cell(2, "y = 2"))
    source = notebooks.source_of(cells)
    assert [(one.cell, one.line, one.binds) for one in source.broken] == [(1, 2, {"f"})]  # type: ignore[comparison-overlap]
    assert [one.binds for one in source.statements] == [{"x"}, {"y"}]


TRAINS = (
    "@timed\ndef train(net):\n    loss = net(1).sum()\n    loss.backward()\n    opt.step()\n",
    "async def train(net):\n    net(1).sum().backward()\n    opt.step()\n",
    "@torch.compile(dynamic=True)\n@timed\ndef train(net):\n    net(1).sum().backward()\n    opt.step()\n",
    "@register\nclass Trainer:\n    def fit(self):\n        loss.backward()\n        opt.step()\n",
)


@pytest.mark.parametrize("text", TRAINS)
def test_a_decorated_definition_is_one(text: str) -> None:
    """What trains in it runs when it is called: to define it costs nothing, and to call it is heavy."""
    name = "Trainer" if "Trainer" in text else "train"
    cells = ["K = 1", text, f"{name}(net)", "MORE = 2", "def wanted():\n    return K"]
    source = notebooks.source_of(tuple(notebooks.Cell(number, cell) for number, cell in enumerate(cells, 1)))
    assert [one.defines for one in source.statements] == [False, True, False, False, True]
    taken = [one.cell for one in source.definitions(["wanted"], rung=2)]
    assert taken == [1, 2, 4, 5]
