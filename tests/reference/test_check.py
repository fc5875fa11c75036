"""check.py in the students' folder: what it says of right, wrong, unfinished and broken homework, and its zip."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from autograder.audit import documents
from autograder.core import Submission
from autograder.hw11 import ASSIGNMENT
from autograder.intake import submission
from tests import solutions as bank
from tests.reference import public_bank, solving, walk
from tests.reference_notebook import Notebook

ROOT = Path(__file__).resolve().parents[2]
REFERENCE, TEMPLATE = ROOT / "reference", ROOT / "student_template"
WRITTEN = (  # every function that is to be written
    *("TransformerLayer", "TransformerStack", "greedy_decode", "beam_search", "kl_divergence", "fit_gaussian"),
    *("permute_mnist", "on_task_update", "ewc_penalty", "train_ewc", "rehearsal_set", "sample_gaussian"),
    *("negative_elbo_bound", "loss_nonsaturating", "policy_gradient_loss"),
)


def part(name: str) -> Any:
    """A module of the reference's public_checks, as check.py imports it."""
    with mock.patch.object(sys, "path", [str(REFERENCE), *sys.path]):
        return importlib.import_module(f"public_checks.{name}")


answers, cells, log, packing, pictures = map(part, ("answers", "cells", "log", "packing", "pictures"))


def copied(source: Path, target: Path) -> Path:
    """A student's folder."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "data", "results"))
    return target


def checked(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs check.py there as a student does, from another folder."""
    return subprocess.run(
        [sys.executable, str(folder / "check.py"), *words],
        cwd=folder.parent, env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **environment},
        capture_output=True, encoding="utf-8", timeout=500, check=False,
    )  # fmt: skip


def received(upload: Path, workspace: Path) -> Submission:
    """What the grader's intake makes of an upload."""
    workspace.mkdir()
    return submission.receive(upload, ASSIGNMENT, workspace)


def table(output: str) -> dict[str, str]:
    """The rows of the tables: the mark of each title."""
    return {title: mark for mark, title in re.findall(r"^([✓✗?·])  (.*)$", output, re.MULTILINE)}


# ------------------------------------------------------------------------------- template and reference


@pytest.mark.slow
def test_the_template_is_told_all_that_is_missing(tmp_path: Path) -> None:
    folder = copied(TEMPLATE, tmp_path / "homework")
    done = checked(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 well, 0 wrong, 23 missing" in done.stdout
    assert set(table(done.stdout).values()) == {"✗", "·"}
    missing = done.stdout[done.stdout.index("What the grader would find missing:") :]
    names = [*WRITTEN, "submission_log.json", "vae_samples.png", "gan_samples.png"]
    for name in (*names, *(f"[{section}]" for section in ("summarization", "distributions", "vae", "process"))):
        assert re.search(rf"^   question \d: .*{re.escape(name)}$", missing, re.MULTILINE), name
    for question in "12467":  # the others are optional
        assert f"   question {question}: " in missing.partition("Not done of the optional questions:")[0]
    assert "Traceback" not in done.stdout
    taken = received(folder / "submission.zip", tmp_path / "workspace")
    assert set(taken.absent) == {name for name in ASSIGNMENT.graded if name.endswith((".png", "log.json"))}
    assert len(taken.remarks) == len(taken.absent)


@pytest.mark.slow
def test_the_reference_is_well_and_the_grader_knows_its_zip(tmp_path: Path) -> None:
    folder = copied(REFERENCE, tmp_path / "homework")
    done = checked(folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "45 well, 0 wrong, 0 missing; " in done.stdout
    assert set(table(done.stdout).values()) == {"✓", "·"}
    with zipfile.ZipFile(folder / "submission.zip") as archive:
        names = set(archive.namelist())
        listed = archive.read("FILES.txt").decode()
        assert archive.testzip() is None
        sizes = {entry.filename: entry.file_size for entry in archive.infolist() if entry.filename != "FILES.txt"}
    more = {f"gan_vae/{name}.py" for name in ("data", "experiment", "theory", "train", "models/__init__", "models/nns")}
    assert names == {*ASSIGNMENT.graded, *more, "FILES.txt"}
    assert {line.split(maxsplit=2)[2]: int(line.split()[1]) for line in listed.splitlines()} == sizes
    for name, size in sizes.items():
        assert re.search(rf"^ +{size:,}  {re.escape(name)}$", done.stdout, re.MULTILINE), name
    taken = received(folder / "submission.zip", tmp_path / "workspace")
    assert (taken.absent, taken.remarks) == ((), ())
    for name in ASSIGNMENT.graded:
        assert (tmp_path / "workspace" / name).read_bytes() == (REFERENCE / name).read_bytes()
    again = checked(folder, "7")  # the zip does not count as homework
    assert again.returncode == 0
    assert packing.Found(folder).packed().keys() == names - {"FILES.txt"}


def test_one_question_alone(tmp_path: Path) -> None:
    folder = copied(REFERENCE, tmp_path / "homework")
    done = checked(folder, "comparing_distributions", PYTHONIOENCODING="cp1252")  # a Windows terminal
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Question ") == 1
    assert "+  kl_divergence: tables and Gaussians" in done.stdout
    assert "3 well, 0 wrong, 0 missing" in done.stdout
    assert not (folder / "submission.zip").exists()
    for word, found in (("vae", "vae"), ("4", "vae"), ("GAN", "gan"), ("policy_gradient.ipynb", "policy_gradient")):
        assert part("questions").named(word).id == found


WITHOUT = """import os, sys
for name in ("fork", "forkpty", "getuid", "geteuid", "getloadavg", "sched_getaffinity", "killpg", "setsid"):
    if hasattr(os, name):
        delattr(os, name)
sys.modules |= dict.fromkeys(("fcntl", "resource", "pwd", "grp", "termios", "pty", "tty"))
"""
"""What Windows has not, and macOS has in part, taken away when Python starts."""


def test_it_runs_without_what_other_systems_lack(tmp_path: Path) -> None:
    folder = copied(REFERENCE, tmp_path / "homework")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT)
    console = {"PYTHONIOENCODING": "cp1252:strict", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = checked(folder, "2", PYTHONPATH=str(tmp_path / "site"), PYTHONWARNDEFAULTENCODING="1", **console)
    assert (done.returncode, "public_checks" in done.stderr) == (0, False), done.stderr
    assert "3 well, 0 wrong, 0 missing" in done.stdout


def test_what_cannot_be_checked(tmp_path: Path) -> None:
    folder = copied(TEMPLATE, tmp_path / "homework")
    done = checked(folder, "4", "vea")
    assert (done.returncode, done.stdout.count("\n")) == (2, 1)
    assert "There is no question 'vea'. The questions are: summarization, " in done.stdout
    (folder / "submission.zip").mkdir()
    (folder / "submission.zip" / "x").touch()
    for name in ("summarization.ipynb", "continual_learning.ipynb", "comparing_distributions.ipynb"):
        (folder / name).unlink()
    shutil.rmtree(folder / "gan_vae")
    (folder / "policy_gradient.ipynb").write_text("")
    done = checked(folder)
    assert done.returncode == 2
    assert "submission.zip cannot be written: " in done.stdout
    assert "policy_gradient.ipynb is not a notebook. It is empty." in done.stdout
    assert not list(folder.glob("*.new"))
    empty = tmp_path / "empty"
    empty.mkdir()
    shutil.copy(folder / "check.py", empty)
    done = checked(empty)
    assert (done.returncode, done.stderr) == (2, "")
    assert "The folder public_checks is missing beside check.py" in done.stdout
    shutil.copytree(folder / "public_checks", empty / "public_checks")
    done = checked(empty)
    assert (done.returncode, done.stderr) == (2, "")
    assert "None of the homework's files is in " in done.stdout


# ------------------------------------------------------------------------------------------ the bank

CAUGHT = {  # a wrong solution of the bank, and a public check that fails it
    "sum-cross-from-cache": "TransformerLayer",
    "sum-causal-in-cache": "TransformerLayer",
    "sum-cache-of-outputs": "TransformerLayer",
    "sum-cache-newest-only": "TransformerLayer",
    "sum-cached-residual-lost": "TransformerLayer",
    "sum-old-cache-changed": "TransformerLayer",
    "fit-exchanged": "fit_gaussian",
    "fit-variance": "fit_gaussian",
    "kl-bits": "kl_divergence",
    "kl-swapped": "kl_divergence",
    "kl-vector": "kl_divergence",
    "permute-each-image": "permute_mnist",
    "permute-in-place": "permute_mnist",
    "update-not-squared": "on_task_update",
    "update-alias": "on_task_update",
    "penalty-not-squared": "ewc_penalty",
    "penalty-detached": "ewc_penalty",
    "epoch-no-penalty": "train_ewc",
    "epoch-last-task": "train_ewc",
    "rehearsal-labels-apart": "rehearsal_set",
    "rehearsal-blocks": "rehearsal_set",
    "sample-variance-as-std": "sample_gaussian: follows m and v",
    "sample-uniform": "sample_gaussian: standard normal noise",
    "bound-kl-swapped": "negative_elbo_bound: KL term",
    "bound-bce-mean": "negative_elbo_bound: reconstruction term",
    "gan-d-sign": "loss_nonsaturating: loss of the discriminator",
    "gan-d-labels-swapped": "loss_nonsaturating: loss of the discriminator",
    "pg-minus-forgotten": "policy_gradient_loss",
    "pg-dot-product": "policy_gradient_loss",
    "pg-reward-alone": "policy_gradient_loss",
}


@pytest.fixture(scope="module")
def torch() -> types.ModuleType:
    """Imported once, and not in each fork; so is what notebooks and optimisers import."""
    return public_bank.imported()


@pytest.mark.parametrize("id", CAUGHT)
def test_wrong_solutions_fail_the_public_check_that_is_about_them(torch: types.ModuleType, id: str) -> None:
    variant = next(variant for variant in bank.WRONG if variant.id == id)
    [(state, lines)] = public_bank.outcomes(variant, only=CAUGHT[id]).values()
    assert state == "wrong"
    said = " ".join(lines)
    told = ("expected", "Expected", "average", "the standard deviation there is", "that negative_elbo_bound", "off by")
    assert any(words in said for words in (*told, "changed in place", "what was returned is"))
    assert "public_checks" not in said and "Traceback" not in said and len(said) < 900


RIGHT_IN_OTHER_FORMS = {  # what the grader takes, too, though the notebook asks for it in another form
    "sum-beam-not-cut": "beam_search",
    "sum-greedy-filled-with-eos": "greedy_decode",
    "sum-talkative-layer": "TransformerLayer",
    "sum-public-stack": "TransformerStack",
    "sum-stack-of-pairs": "TransformerStack",
    "sum-pair-without-cache": "TransformerStack",
    "kl-torch": "kl_divergence",
    "fit-pair": "fit_gaussian",
    "update-drawn-labels": "on_task_update",
    "update-expected-labels": "on_task_update",
    "update-batch-squares-of-sums": "on_task_update",
    "update-accumulated-by-64": "on_task_update",
    "penalty-epsilon": "ewc_penalty",
    "penalty-lambda-list": "ewc_penalty",
    "epoch-inline": "train_ewc",
    "epoch-lambda-list": "train_ewc",
    "epoch-lambda-dictionary": "train_ewc",
    "epoch-lambda-array": "train_ewc",
    "pg-baseline-constant": "policy_gradient_loss",
    "pg-baseline-batch-mean": "policy_gradient_loss",
    "pg-baseline-leave-one-out": "policy_gradient_loss",
    "pg-baseline-running-mean": "policy_gradient_loss",
    "sample-cuda-hard": "sample_gaussian: follows m and v",
    "sample-epsilon-twice": "sample_gaussian: gradients",
    "bound-keepdim": "negative_elbo_bound: three finite scalars",
}


@pytest.mark.parametrize("id", RIGHT_IN_OTHER_FORMS)
def test_right_solutions_are_well(torch: types.ModuleType, id: str) -> None:
    variant = next(one for one in bank.RIGHT if one.id == id)
    [(state, lines)] = public_bank.outcomes(variant, only=RIGHT_IN_OTHER_FORMS[id]).values()
    assert state == "ok", lines


ALONE = [name for names in solving.PLACES.values() for name in names]


@pytest.mark.parametrize("name", ALONE)
def test_a_check_looks_at_its_own_function_alone(torch: types.ModuleType, tmp_path: Path, name: str) -> None:
    """All others are still to be written: a student may begin with any of them, but for what the bound draws with."""
    assert set(ALONE) == set(WRITTEN)
    homework = copied(TEMPLATE, tmp_path / "homework")
    if name == "negative_elbo_bound":
        solving.solve(homework, "sample_gaussian")
    file = solving.solve(homework, name)
    [question] = [one for one in public_bank.QUESTIONS if file in one.files]
    own = [check.title for check in question.checks if check.written == name]  # of several alike the last will do
    found = {title: public_bank.checked(question, homework, only=title)[title] for title in own[-1:]}
    assert found == {own[-1]: ("ok", [])}


def changed_notebook(folder: Path, name: str, **sources: str) -> Path:
    """The reference's notebook in a folder, with other text in the cells of these ids."""
    notebook = json.loads((REFERENCE / name).read_text("utf-8"))
    for cell in notebook["cells"]:
        if cell["id"] in sources:
            cell["source"] = sources.pop(cell["id"])
    assert not sources
    folder.mkdir()
    (folder / name).write_text(json.dumps(notebook), "utf-8")
    return folder


OWN_UPDATE = """
def on_task_update(task_id, x_mem, t_mem):
    fisher = {{name: torch.zeros_like(weight) for name, weight in model.named_parameters()}}
    for start in range(0, len(t_mem), {batch}):
        rows = slice(start, start + {batch})
        model.zero_grad()
        F.cross_entropy(model(torch.as_tensor(x_mem[rows])), torch.as_tensor(t_mem[rows])).backward()
        for name, weight in model.named_parameters():
            fisher[name] += {factor} * weight.grad{power}
    fisher_dict[task_id] = fisher
    optpar_dict[task_id] = {{name: weight.detach().clone() for name, weight in model.named_parameters()}}
"""


@pytest.mark.parametrize(
    ("batch", "factor", "power", "state"),
    [
        (1, "1.0", ".square()", "ok"),
        (4, "0.37", ".square()", "ok"),  # a batch of six images, and of two
        (5, "250", ".square()", "ok"),
        (256, "1e-3", ".square()", "ok"),
        (1, "1.0", ".abs()", "wrong"),
        (1, "-1.0", ".square()", "wrong"),
        (4, "1.0", "", "wrong"),
        (256, "1.0", ".square().square()", "wrong"),
    ],
)
def test_any_batches_and_any_positive_factor_make_a_fisher(
    torch: types.ModuleType, tmp_path: Path, batch: int, factor: str, power: str, state: str
) -> None:
    text = OWN_UPDATE.format(batch=batch, factor=factor, power=power)
    homework = changed_notebook(tmp_path / "homework", "continual_learning.ipynb", fisher=text)
    question = part("questions").named("3")
    [(found, lines)] = public_bank.checked(question, homework, only="on_task_update").values()
    assert found == state, lines


OWN_EPOCH = """
ewc_lambda = 30.0
fisher_dict, optpar_dict = {{}}, {{}}

def train_ewc(model, device, task_id, x_train, t_train, optimizer, epoch):
    model.train()
    for start in range(0, len(t_train), {batch}):
        rows = slice(start, start + {batch})
        images, labels = torch.as_tensor(x_train[rows]), torch.as_tensor(t_train[rows])
        loss = F.cross_entropy(model(images), labels)
        for task in range({tasks}):
            for name, weight in model.named_parameters():
                loss = loss + ewc_lambda * (fisher_dict[task][name] * (weight - optpar_dict[task][name]).square()).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


@pytest.mark.parametrize(
    ("batch", "tasks", "state"),
    [
        (256, "task_id", "ok"),
        (4, "task_id", "ok"),
        (1, "task_id", "ok"),
        (256, "task_id + 1", "wrong"),
        (4, "3", "wrong"),
    ],
)
def test_every_step_of_an_epoch_counts(
    torch: types.ModuleType, tmp_path: Path, batch: int, tasks: str, state: str
) -> None:
    text = OWN_EPOCH.format(batch=batch, tasks=tasks)
    homework = changed_notebook(tmp_path / "homework", "continual_learning.ipynb", **{"train-ewc": text})
    question = part("questions").named("3")
    [(found, lines)] = public_bank.checked(question, homework, only="train_ewc").values()
    assert found == state, lines


@pytest.mark.parametrize(
    ("name", "notebook", "sources", "state"),
    [
        ("ewc_penalty", "continual_learning.ipynb", {"penalty": ""}, "skipped"),
        ("rehearsal_set", "continual_learning.ipynb", {"rehearsal": ""}, "wrong"),
        (
            "rehearsal_set",
            "continual_learning.ipynb",
            {"rehearsal": "for task in tasks:\n    train(model, *shuffle_in_unison(tasks))"},
            "skipped",
        ),
        ("policy_gradient_loss", "policy_gradient.ipynb", {"loss": ""}, "skipped"),
        ("kl_divergence", "comparing_distributions.ipynb", {"kl": ""}, "wrong"),
    ],
)
def test_a_function_that_the_grader_may_find_elsewhere_gets_no_cross(
    torch: types.ModuleType, tmp_path: Path, name: str, notebook: str, sources: dict[str, str], state: str
) -> None:
    homework = changed_notebook(tmp_path / "homework", notebook, **sources)
    [question] = [one for one in public_bank.QUESTIONS if one.code == notebook]
    [(found, lines)] = public_bank.checked(question, homework, only=name).values()
    assert (found, f"{name} is not defined in the notebook" in lines[0]) == (state, True)


def test_what_needs_a_gpu_or_a_package_is_not_checked(torch: types.ModuleType, tmp_path: Path) -> None:
    question = part("questions").named("4")
    for line, said in (
        ("torch.zeros(1, device='cuda')", "This could not be checked: your code asks for a GPU"),
        ("import a_package_of_nobody", "This could not be checked: a_package_of_nobody is not installed."),
    ):
        if line.startswith("torch") and torch.cuda.is_available():
            continue
        homework = copied(REFERENCE, tmp_path / said[-9:].strip())
        utils = homework / "gan_vae" / "utils.py"
        utils.write_text(f"import torch\n{line}\n{utils.read_text('utf-8')}", "utf-8")
        [(state, lines)] = public_bank.checked(question, homework, only="sample_gaussian").values()
        assert (state, lines[0].startswith(said)) == ("skipped", True), lines


# -------------------------------------------------------------------------------------- documented figures


def test_an_interrupted_count_goes_on_where_it_was(torch: types.ModuleType, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    variants = [("right", one) for one in bank.RIGHT if one.id == "pg-gather"]
    variants += [("wrong", one) for one in bank.WRONG if one.id == "pg-minus-forgotten"]
    first = list(public_bank.counted(variants, kept))
    assert [(one.crossed, one.unchecked) for one in first] == [(False, False), (True, False)]
    with kept.open("a") as file:
        file.write('{"key": "cut off')
    with mock.patch.object(public_bank, "outcomes", side_effect=AssertionError):
        assert list(public_bank.counted(variants, kept)) == first
    assert "| policy_gradient | 0 of 1 | 0 | 1 of 1 |" in public_bank.table(first)


def test_the_figures_of_the_document_were_measured() -> None:
    for module in (public_bank, walk):
        assert documents.read(module.DOCUMENT, module.COMMAND).startswith("Grader `")


def test_pytest_and_hypothesis_are_not_needed(torch: types.ModuleType) -> None:
    hidden = {name: None for name in sys.modules if name.split(".")[0] in ("pytest", "_pytest", "hypothesis")}
    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> Any:
        return None if name in ("pytest", "hypothesis") else real(name, package)

    wrong = next(one for one in bank.WRONG if one.id == "sample-variance-as-std")
    right = next(one for one in bank.RIGHT if one.id.startswith("sample-"))
    with mock.patch.dict(sys.modules), mock.patch("importlib.util.find_spec", find_spec):
        for name in hidden:
            del sys.modules[name]
        seen, well = public_bank.outcomes(wrong), public_bank.outcomes(right)
    assert public_bank.passes(well), well
    failed = {title for title, (state, _) in seen.items() if state == "wrong"}
    assert "sample_gaussian: follows m and v" in failed
    assert len(well) == 16 and len(failed) < 8


# -------------------------------------------------------------------------- the checks are the notebooks'


@pytest.mark.parametrize("name", ["summarization", "comparing_distributions", "continual_learning", "policy_gradient"])
def test_the_checks_are_those_of_the_notebook(name: str) -> None:
    """One text in two places, since a notebook has to do without check.py (on Colab, say): they cannot drift apart."""
    own = ast.parse((REFERENCE / "public_checks" / f"{name}.py").read_text("utf-8"))
    theirs = {ast.dump(node) for text in Notebook(f"{name}.ipynb").sources().values() for node in ast.parse(text).body}
    assert len(own.body) > 1
    for node in own.body[1:]:
        assert ast.dump(node) in theirs, f"{name}.py, line {node.lineno}: not what the notebook has"
    wanted = {check.function for question in public_bank.QUESTIONS for check in question.checks}
    defined = {node.name for node in own.body if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")}
    assert defined <= wanted


def test_every_public_test_is_run() -> None:
    text = (REFERENCE / "gan_vae" / "test_public.py").read_text("utf-8")
    tests = set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
    assert tests == {c.function for q in public_bank.QUESTIONS for c in q.checks if c.function.startswith("test_")}


def test_nothing_of_the_solutions_and_nothing_of_the_grader_is_in_it() -> None:
    """Nothing but Python's own modules that are on every system, numpy, torch and pillow, either."""
    files = [REFERENCE / "check.py", *sorted((REFERENCE / "public_checks").glob("*.py"))]
    text = "\n".join(path.read_text("utf-8") for path in files)
    sources = [path.read_text("utf-8") for path in REFERENCE.rglob("*.py") if path not in files]
    for path in REFERENCE.glob("*.ipynb"):
        sources += Notebook(path.name).sources().values()
    regions = [r for s in sources for r in re.findall(r"# BEGIN SOLUTION.*?\n(.*?)# END SOLUTION", s, re.DOTALL)]
    solved = {line.strip() for region in regions for line in region.splitlines() if len(line.strip()) > 25}
    assert len(solved) > 50
    assert {line.strip() for line in text.splitlines()} & solved == set()
    assert "autograder" not in text and "SOLUTION" not in text
    imported = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    only_here = {"fcntl", "pwd", "grp", "resource", "termios", "pty", "tty", "posix", "signal"}
    assert imported - {"torch", "PIL", "public_checks"} <= set(sys.stdlib_module_names) - only_here


def test_it_compiles_on_every_python_that_is_here() -> None:
    files = [TEMPLATE / "check.py", *sorted((TEMPLATE / "public_checks").glob("*.py"))]
    for path in files:
        ast.parse(path.read_text("utf-8"), feature_version=(3, 11))
    ast.parse((TEMPLATE / "check.py").read_text("utf-8"), feature_version=(3, 8))  # or an old one could not say so
    compiles = "import sys; [compile(open(p, encoding='utf-8').read(), p, 'exec') for p in sys.argv[1:]]"
    pythons = [shutil.which(f"python3.{minor}") for minor in (11, 12, 13, 14)]
    pythons += map(str, Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python3.1?"))
    for found in {
        one for one in pythons if one and not subprocess.run([one, "-c", ""], stderr=-3, check=False).returncode
    }:
        subprocess.run([found, "-W", "error", "-c", compiles, *map(str, files)], check=True)


# -------------------------------------------------------------------------------------- code that misbehaves


class Forked:
    """As much of `subprocess.Popen` as check.py needs for its child, a fork that need not import torch again."""

    def __init__(self, command: list[str], *, env: dict[str, str], cwd: Path, **_: Any) -> None:
        importlib.import_module("torch")
        self.returncode: int | None = None
        self._pid = os.fork()
        if self._pid == 0:
            try:
                null = os.open(os.devnull, os.O_RDWR)
                for descriptor in range(3):
                    os.dup2(null, descriptor)
                os.environ.update(env)
                os.chdir(cwd)
                public_bank.CHILD.main(*command[command.index("--child") + 1 :])
            finally:
                os._exit(1)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> None:
        while self.poll() is None:
            time.sleep(0.01)


@pytest.fixture
def quick(check: Any) -> Iterator[Any]:
    """`check`, whose children are forks of this process."""
    with mock.patch.object(check.subprocess, "Popen", Forked):
        yield check


@pytest.fixture
def check() -> Iterator[Any]:
    """The reference's check.py as a module, with short limits."""
    with mock.patch.object(sys, "path", [str(REFERENCE), *sys.path]):
        module = importlib.import_module("check")
        with mock.patch.object(module, "CHECK_SECONDS", 6), mock.patch.object(module, "READING_SECONDS", 60):
            yield module
        sys.modules.pop("check")


def notebook(*sources: str) -> str:
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def of_policy_gradient(check: Any, folder: Path, *sources: str, **files: str) -> tuple[str, list[str]]:
    """State and lines of the one check of question 6 for a notebook of these cells behind the usual imports."""
    imports = "import torch\nimport torch.nn.functional as F\nn_classes = 4"
    (folder / "policy_gradient.ipynb").write_text(notebook(imports, *sources))
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    question = part("questions").named("6")
    [(state, _, lines)] = check.run(question, packing.Found(folder))
    return state, lines


HEAD = "def policy_gradient_loss(logprob, predicted, reward):\n"
RIGHT = f"{HEAD}    return -(reward * logprob.gather(1, predicted[:, None])[:, 0]).mean()\n"


@pytest.mark.slow
def test_a_right_function_in_a_notebook_without_check_cells(check: Any, tmp_path: Path) -> None:
    assert of_policy_gradient(check, tmp_path, RIGHT) == ("ok", [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("    while True: pass", "Your code did not end within 6 seconds"),
        ("    import os; os._exit(7)", "Python ended by itself (exit status 7)"),
        ("    raise SystemExit(3)", "Your code stopped with SystemExit: 3"),
        ("    return None", "A scalar tensor was expected; NoneType was returned."),
        ("    raise NotImplementedError('mine')", "Still to be written: mine"),
        ("    assert reward.mean() > 9", "Your code stopped with AssertionError"),
        ("    return undefined_name", "Your code stopped with NameError: name 'undefined_name' is not defined"),
        ("    print('x' * 10**7); return logprob", "A scalar was expected; a tensor of shape (6, 4) was returned."),
    ],
)
def test_what_misbehaves_is_told(quick: Any, tmp_path: Path, body: str, sentence: str) -> None:
    state, lines = of_policy_gradient(quick, tmp_path, f"{HEAD}{body}\n")
    assert state == ("unfilled" if "mine" in sentence else "wrong")
    assert lines[0].startswith(sentence)


def test_an_exception_is_shown_by_the_students_own_lines(quick: Any, tmp_path: Path) -> None:
    helper = (
        "def chosen(logprob, predicted):\n"
        "    try:\n"
        "        return logprob['y']\n"
        "    except TypeError as error:\n"
        "        raise ValueError('no \\x1b[31m such column') from error\n"
        "    except IndexError as error:\n"
        "        raise ValueError('no \\x1b[31m such column') from error\n"
    )
    mine = f"import helper\n{HEAD}    return helper.chosen(logprob, predicted)\n"
    state, lines = of_policy_gradient(quick, tmp_path, "x = 1", mine, helper=helper)
    assert state == "wrong"
    assert lines[0] == "Your code stopped with ValueError: no  [31m such column"
    assert re.fullmatch(r"    helper.py, line [57]: raise ValueError\('no .* such column'\) from error", lines[1])
    assert lines[2] == "    policy_gradient.ipynb, code cell 3, line 3: return helper.chosen(logprob, predicted)"
    assert lines[3].startswith("It was raised while another exception was handled: ")
    assert lines[4] == "    helper.py, line 3: return logprob['y']"
    assert len(lines) == 5


# --------------------------------------------------------------------------------------- reading notebooks


@pytest.mark.slow
def test_nothing_is_run_but_what_defines_a_needed_name(check: Any, tmp_path: Path) -> None:
    """No loop, no call, no training; magics, a notebook that is run, and a function that is replaced later do count."""
    witness = tmp_path / "witness"
    touch = f"open({str(witness)!r}, 'w').close()"
    (tmp_path / "more.ipynb").write_text(notebook("SCALE = 2.0\nSCALE /= 2", touch))
    state, lines = of_policy_gradient(
        check,
        tmp_path,
        "%matplotlib inline\n!pip install nothing\n%run more.ipynb",
        "%%bash\nrm -rf everything",
        f"%%time\n{touch}",
        f"def train():\n    {touch}\n    torch.ones(1, requires_grad=True).backward()\nweights = train()",
        f"for step in range(3):\n    {touch}",
        "if True:\n    FACTOR = -1",
        "def policy_gradient_loss(logprob, predicted, reward):\n    return None",
        "class Table: pass\ndef rows(t):\n    return t\nTable.rows = staticmethod(rows)",
        "def picked(logprob, predicted):\n    return Table.rows(logprob).gather(1, predicted[:, None])[:, 0]",
        "def policy_gradient_loss(logprob, predicted, reward):\n"
        "    return FACTOR * SCALE * (reward * picked(logprob, predicted)).mean()",
        "this is not Python",
    )
    assert (state, lines) == ("ok", [])
    assert not witness.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sources", "state", "sentence"),
    [
        (("x = 1",), "wrong", "policy_gradient_loss is not defined in the notebook. Expected: the name"),
        (("def policy_gradient_loss(a:\n    pass",), "wrong", "policy_gradient_loss could not be read. policy_"),
        (("import no_such_one\n", "f = no_such_one.f\n" + RIGHT.replace("-(", "f(")), "wrong", "f, which policy_"),
        (("import no_such_one\n", RIGHT.replace("-(", "no_such_one.f(")), "skipped", "This could not be checked: no_s"),
        (("for i in range(2):\n    sign = -1", RIGHT.replace("-(", "sign * (")), "skipped", "This could not be"),
        (("values = {}['x']", RIGHT.replace("-(", "values * (")), "wrong", "values, which policy_gradient_loss needs"),
    ],
)  # fmt: skip
def test_what_cannot_be_defined(
    quick: Any, tmp_path: Path, sources: tuple[str, ...], state: str, sentence: str
) -> None:
    found, lines = of_policy_gradient(quick, tmp_path, *sources)
    assert (found, lines[0][: len(sentence)]) == (state, sentence)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"cells": 3}', '{"cells": [{}]}', "{", "\x00", "[" * 5000])
def test_what_is_no_notebook(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(cells.Unreadable, match=r"^a\.ipynb is not a notebook\. .* Expected: "):
        cells.read(path)


# ------------------------------------------------------------------------------------------- answers.toml


def with_answers(tmp_path: Path, change: Any) -> Path:
    path = tmp_path / "answers.toml"
    text = (REFERENCE / "answers.toml").read_text("utf-8")
    found = change(text)
    assert found != text
    path.write_bytes(found if isinstance(found, bytes) else found.encode())
    return path


def line(name: str, value: str) -> Any:
    """A change that gives a field another value."""
    return lambda text: re.sub(rf"^{name} = .*$", lambda _: f"{name} = {value}", text, count=1, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("question", "change", "state", "sentence"),
    [
        ("vae", line("nelbo", '""'), "unfilled", "Empty: nelbo. Expected, for nelbo: nats per image"),
        ("vae", line("nelbo", '"  "'), "unfilled", "Empty: nelbo."),
        ("vae", line("kl", "-24.37"), "wrong", "kl is -24.37, which cannot be. Expected: nats per image"),
        ("vae", line("kl", "inf"), "wrong", "kl is inf, which cannot be."),
        ("vae", line("kl", "nan"), "wrong", "kl is nan, which cannot be."),
        ("vae", line("kl", "[24.37]"), "wrong", "kl is a list. Expected: nats"),
        ("vae", line("kl", "true"), "wrong", "kl is true or false. Expected: nats"),
        ("vae", line("kl", "2026-11-30"), "wrong", "kl is a date or a time. Expected: nats"),
        ("vae", line("kl", '"about right"'), "wrong", 'kl is "about right". Expected: nats'),
        ("vae", line("kl", "20.0"), "wrong", "nelbo is 102.23, and kl + rec is 97.86. Expected: nelbo = kl + rec"),
        ("vae", line("kl", "24,37"), "wrong", "is not TOML: kl = 24,37. Expected: hours = 12.5 or"),
        ("vae", line("kl", "24.37\nkl = 3"), "wrong", "is not TOML"),
        ("vae", lambda text: text.replace("[vae]", "[vea]"), "unfilled", "The section [vae] is missing."),
        ("vae", lambda text: f"vae = 3\n{text.replace('[vae]', '[other]')}", "wrong", "vae is a number. Expected"),
        ("vae", lambda text: "", "wrong", "answers.toml is empty."),
        ("vae", lambda text: b"\xff\xfe\x00", "wrong", "answers.toml"),
        ("vae", lambda text: text + "#" * 70_000, "wrong", "answers.toml has 7"),
        ("vae", lambda text: text + f"x = {'[' * 3000}", "wrong", "answers.toml"),
        ("process", line("hours", "-1"), "wrong", "hours is -1, which cannot be."),
        ("process", line("sources", "\u201cpapers\u201d"), "wrong", "Use straight quotation marks."),
        ("process", line("collaborators", "{a = 1}"), "wrong", "collaborators is a table."),
        ("policy_gradient", line("final_accuracy", "175.2"), "wrong", "final_accuracy is 175.2, which cannot be."),
        ("policy_gradient", line("final_accuracy", "1" * 400), "wrong", "final_accuracy is 1"),
        ("policy_gradient", line("comparison", f'"{"x" * 4001}"'), "note", "A person reads"),
        ("distributions", line("plot_A", '"left"'), "wrong", 'plot_A is "left". Expected: "forward" or "reverse".'),
        ("distributions", line("plot_A", '"forward"'), "wrong", "plot_A and plot_B are both forward."),
        ("distributions", line("seed", "-3"), "wrong", "seed is -3, which cannot be."),
        ("distributions", line("seed", "1.5"), "wrong", "seed is 1.5."),
        ("distributions", line("low", '"a"'), "wrong", 'low in [distributions.P] is "a". Expected: a number.'),
        ("distributions", line("low", "2"), "wrong", "low in [distributions.P] is 2, high is 1. Expected: low below"),
        ("distributions", line("std", "0"), "wrong", "std in [distributions.Q] is 0. Expected: a number above 0."),
        ("distributions", line("std = 1\n#", ""), "wrong", ""),
        ("distributions", line("family", '""'), "unfilled", "Empty: [distributions.P] family."),
        ("distributions", line("family", '"table"\noutcomes = [0, 1]\nprobabilities = [0.5, 0.6]'), "wrong", "The"),
        ("distributions", line("family", '"table"\noutcomes = [0]\nprobabilities = [0.5, 0.5]'), "wrong", "[dist"),
        ("summarization", line("scratch_rouge1", "107.77"), "wrong", "scratch_rouge1 is 107.77, which cannot be."),
        ("summarization", line("t5_peak_lr_finetuning", "1"), "wrong", "t5_peak_lr_finetuning is 1, which cannot be."),
        ("summarization", line("t5_optimizer", '""'), "unfilled", "Empty: t5_optimizer. Expected, for t5_optimizer"),
        ("summarization", line("scratch_rouge1", "7.9"), "wrong", "scratch_rouge1 is 7.9, and submission_log.json has"),
    ],
)  # fmt: skip
def test_broken_answers(tmp_path: Path, question: str, change: Any, state: str, sentence: str) -> None:
    if sentence == "":
        change = lambda text: text.replace("mean = 0\nstd = 1\n", "mean = 0\n")  # noqa: E731
        sentence = '[distributions.Q] is "normal" without std. Expected: a line each for mean and std.'
    path = with_answers(tmp_path, change)
    rows = answers.look(path, question, claims=log.claims(REFERENCE / "submission_log.json"))
    found = [line for one, _, lines in rows if one == state for line in lines]
    assert any(sentence in line for line in found), rows
    assert all(len(line) < 500 and line.isprintable() for line in found)
    if state == "wrong":
        assert not any(one == "ok" for one, _, _ in rows)


@pytest.mark.parametrize(
    ("question", "change"),
    [
        ("vae", line("nelbo", '"102.23 nats"')),
        ("vae", line("nelbo", '"102,23"')),
        ("vae", line("nelbo", "102.2")),
        ("vae", line("rec", "78")),
        ("vae", lambda text: text.replace("\n", "\r\n")),
        ("vae", lambda text: b"\xef\xbb\xbf" + text.encode()),
        ("vae", lambda text: text.encode("utf-16")),
        ("policy_gradient", line("final_accuracy", "0.752")),
        ("policy_gradient", line("final_accuracy", '"75.2 %"')),
        ("process", line("hours", '"about 12 hours"')),
        ("process", line("sources", '"""a\nb"""')),
        ("distributions", line("plot_A", '"Reverse KL"')),
        ("distributions", line("family", '"a family that the file does not list"')),
        ("distributions", line("seed", "3033")),
        ("summarization", line("scratch_rouge1", "0.0777")),
        ("summarization", line("scratch_rouge1", "7.8")),
        ("summarization", line("scratch_rouge1", "8")),
        ("summarization", line("t5_peak_lr_finetuning", '"1e-3"')),
    ],
)
def test_answers_as_students_write_them(tmp_path: Path, question: str, change: Any) -> None:
    path = with_answers(tmp_path, change)
    rows = answers.look(path, question, claims=log.claims(REFERENCE / "submission_log.json"))
    assert {state for state, _, _ in rows} <= {"ok", "note"}, rows
    assert rows[0][0] == "ok"


def test_the_fields_are_those_of_the_handed_out_file() -> None:
    tree = answers._read(TEMPLATE / "answers.toml")[0]
    assert set(tree) == set(answers.FIELDS) == {question.id for question in public_bank.QUESTIONS}
    for section, fields in answers.FIELDS.items():
        assert [field.name for field in fields] == [name for name, value in tree[section].items() if name not in "PQ"]
    listed = re.findall(
        r"^#   (\w+) +(\w[\w, ]*?)(?=:|$)", (TEMPLATE / "answers.toml").read_text("utf-8"), re.MULTILINE
    )
    assert {name: tuple(keys.split(", ")) for name, keys in listed} == answers.PARAMETERS


# --------------------------------------------------------------------------------------------- the log


def changed_log(tmp_path: Path, change: Any) -> Path:
    tree = json.loads((REFERENCE / "submission_log.json").read_text("utf-8"))
    path = tmp_path / "submission_log.json"
    found = change(tree)
    path.write_text(found if isinstance(found, str) else json.dumps(tree))
    return path


OUTPUT = "transformer_layer.decoder.output"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tree: "", "submission_log.json is empty. Run the notebook"),
        (lambda tree: json.dumps(tree)[:500], "submission_log.json is no JSON (line 1: "),
        (lambda tree: "[1]", "submission_log.json holds no object"),
        (lambda tree: "[" * 90_000, "submission_log.json"),
        (lambda tree: tree.pop(f"{OUTPUT}.value") and None, f"missing from it: {OUTPUT}. Run the notebook"),
        (
            lambda tree: tree.update({f"{OUTPUT}.value": [[1.0]]}),
            f"{OUTPUT} has the shape [1, 1]. Expected: [2, 5, 8].",
        ),
        (lambda tree: tree.update({f"{OUTPUT}.value": [[1.0], []]}), f"The rows of {OUTPUT}.value differ in length."),
        (lambda tree: tree[f"{OUTPUT}.value"][0][0].__setitem__(0, float("nan")), "no finite number"),
        (lambda tree: tree[f"{OUTPUT}.value"][0][0].__setitem__(0, "1"), "no finite number"),
        (lambda tree: tree.update({f"{OUTPUT}.shape": "2, 5, 8"}), f"{OUTPUT} has the shape of no list."),
        (lambda tree: tree.update({"references": []}), "references is no list of texts."),
        (lambda tree: tree.update({"t5.predictions": ["one"]}), "t5.predictions has 1 texts, and references "),
        (lambda tree: tree.update({"t5.predictions": [1]}), "t5.predictions is no list of texts"),
        (lambda tree: tree["t5.rouge"].pop("rouge1") and None, "rouge1 of t5.rouge is missing or no number."),
        (lambda tree: tree["t5.rouge"].update({"rouge2": 130}), "rouge2 of t5.rouge is 130. Expected: percent"),
        (lambda tree: tree.update({"scratch.rouge": 3}), "rouge1 of scratch.rouge is missing or no number."),
    ],
)
def test_broken_logs(tmp_path: Path, change: Any, sentence: str) -> None:
    rows = log.look(changed_log(tmp_path, change))
    assert {state for state, _, _ in rows} == {"wrong"}
    assert any(sentence in line for _, _, lines in rows for line in lines), rows


def test_logs_that_are_well_or_absent(tmp_path: Path) -> None:
    assert [state for state, _, _ in log.look(REFERENCE / "submission_log.json")] == ["ok"]
    [(state, _, [sentence])] = log.look(tmp_path / "submission_log.json")
    assert state == "unfilled" and sentence.startswith("submission_log.json is missing.")
    assert log.claims(tmp_path / "submission_log.json") is None


# ------------------------------------------------------------------------------------------- pictures


def grid(rows: int, columns: int, gutter: int = 0, outer: int = 0, scale: float = 1.0) -> Image.Image:
    """Tiles of noise as digits would lie."""
    noise = np.random.Generator(np.random.Philox(1))
    unit = 28 + gutter
    height, width = (n * unit - gutter + 2 * outer for n in (rows, columns))
    canvas = np.zeros((height, width), np.uint8)
    for row in range(rows):
        for column in range(columns):
            top, left = outer + row * unit, outer + column * unit
            canvas[top + 6 : top + 22, left + 6 : left + 22] = noise.integers(100, 255, (16, 16))
    image = Image.fromarray(canvas)
    return image.resize((round(width * scale), round(height * scale)))


@pytest.mark.parametrize(
    ("image", "state", "sentence"),
    [
        (grid(10, 20), "ok", ""),
        (grid(10, 20, 2, 2), "ok", ""),
        (grid(10, 20, 2, 0, 3.0), "ok", ""),
        (grid(10, 20, 0, 0, 2.0).convert("RGB"), "ok", ""),
        (grid(20, 10), "note", "It shows 20 rows of 10 digits. Expected: 10 rows of 20."),
        (grid(25, 8, 2, 2), "note", "It shows 25 rows of 8 digits."),
        (grid(10, 21), "note", "It has 588 x 280 pixels, into which 10 rows of 20 equal squares do not fit"),
        (grid(10, 10), "wrong", "It has 280 x 280 pixels"),
        (grid(1, 1), "wrong", "It has 28 x 28 pixels"),
        (Image.new("L", (560, 280), 9), "wrong", "All of it has one colour."),
        (Image.fromarray(np.pad(np.asarray(grid(10, 19)), ((0, 0), (0, 28)))), "wrong", "10 of its 200 tiles"),
    ],
)  # fmt: skip
def test_pictures(tmp_path: Path, image: Image.Image, state: str, sentence: str) -> None:
    path = tmp_path / "vae_samples.png"
    image.save(path)
    [(found, _, lines)] = pictures.look(path, "vae")
    assert (found, " ".join(lines)[: len(sentence)]) == (state, sentence)


def test_what_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "vae_samples.png"
    for content in (b"", b"PNG", (REFERENCE / "gan_vae" / "vae_samples.png").read_bytes()[:3000]):
        path.write_bytes(content)
        [(state, _, [sentence])] = pictures.look(path, "vae")
        assert state == "wrong" and "cannot be read as a picture" in sentence


# ------------------------------------------------------------------------------------------- the zip


def test_files_under_other_names_and_modules_of_ones_own(tmp_path: Path) -> None:
    folder = copied(TEMPLATE, tmp_path / "homework")
    solved = (REFERENCE / "policy_gradient.ipynb").read_bytes()
    (folder / "policy_gradient (1).ipynb").write_bytes(solved)  # as a browser names the second download
    (folder / "Copy of summarization.ipynb").write_bytes((REFERENCE / "summarization.ipynb").read_bytes())
    (folder / "summarization.ipynb").unlink()
    files = {
        "gan_vae/tricks.py": "a = 1\n",
        "gan_vae/models/more/layers.py": "b = 2\n",
        "gan_vae/config.yaml": "lr: 1\n",
        "helpers.py": "c = 3\n",
        "data/loader.py": "d = 4\n",
        "data/MNIST/raw.csv": "no",
        "gan_vae/results/vae-z64-run0/step-000500.pt": "no",
        "venv/pyvenv.cfg": "no",
        "venv/lib/thing.py": "no",
        "my-env/pyvenv.cfg": "no",
        "my-env/thing.py": "no",
        ".git/hook.py": "no",
        "wandb/run.json": "no",
        "notes.docx": "no",
        "scratch.ipynb": notebook("1"),
        "node_modules/x.json": "no",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "gan_vae" / "results" / "vae_samples.png").write_bytes(
        (REFERENCE / "gan_vae/vae_samples.png").read_bytes()
    )
    found = packing.Found(folder)
    packing.write(found)
    with zipfile.ZipFile(folder / "submission.zip") as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    assert content["policy_gradient.ipynb"] == solved
    assert content["summarization.ipynb"] == (REFERENCE / "summarization.ipynb").read_bytes()
    assert content["gan_vae/vae_samples.png"] == (REFERENCE / "gan_vae/vae_samples.png").read_bytes()
    mine = {name for name, text in files.items() if text != "no"} - {"scratch.ipynb"}
    assert {name for name in content if name in files} == mine
    assert not any(name.startswith(("check.py", "public_checks", "README")) for name in content)
    assert any(
        "There is more than one policy_gradient.ipynb: policy_gradient (1).ipynb was taken" in n for n in found.notes
    )
    taken = received(folder / "submission.zip", tmp_path / "workspace")
    assert set(taken.absent) == {"submission_log.json", "gan_vae/gan_samples.png"}
    for name in mine - {"data/loader.py"}:
        assert (tmp_path / "workspace" / name).read_bytes() == content[name], name
    assert (tmp_path / "workspace" / "data" / "loader.py").exists()


def test_a_notebook_that_is_run_comes_along_and_a_moved_folder_goes_home(tmp_path: Path) -> None:
    folder = copied(TEMPLATE, tmp_path / "homework")
    (folder / "vae_work").mkdir()
    shutil.move(folder / "gan_vae", folder / "vae_work" / "gan_vae")
    (folder / "vae_work" / "gan_vae" / "own.py").write_text("x = 1\n")
    (folder / "shared.ipynb").write_text(notebook("x = 1"))
    (folder / "policy_gradient.ipynb").write_text(notebook("%run shared.ipynb"))
    names = packing.Found(folder).packed()
    assert {"gan_vae/utils.py", "gan_vae/models/vae.py", "gan_vae/own.py", "shared.ipynb"} <= names.keys()
    assert not any(name.startswith("vae_work") for name in names)
