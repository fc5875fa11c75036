"""Runs the checks of one question in a process of its own, and writes each outcome into a file as soon as it is known.

So a loop, a crash or `sys.exit` in your code costs that check alone: check.py reads the file and goes on behind it.
"""

import ast
import contextlib
import importlib.util
import json
import linecache
import os
import pdb
import sys
import traceback
from pathlib import Path

from public_checks import cells, frames, stand_ins
from public_checks.questions import QUESTIONS

HERE = Path(__file__).resolve().parent
READING = -1
"""The step before the first check: the definitions are read."""
NO_GPU = ("not compiled with CUDA", "No CUDA GPUs are available", "Found no NVIDIA driver")
"""What torch says where there is no GPU."""
GIVEN = {"model": None, "optimizer": None, "fisher_dict": {}, "optpar_dict": {}, "ewc_lambda": 1.0}
"""Global names that a check of question 3 binds for a while, whether or not the notebook has bound them before."""


def main(question, path, out, first):
    """Makes the checks of a question (by id) from number `first` on with the code in `path`; results go to `out`."""
    question = next(one for one in QUESTIONS if one.id == question)
    _without_a_gpu()
    sys.breakpointhook = pdb.set_trace = lambda *_, **__: None  # nobody is there to answer
    with Path(out).open("a", encoding="utf-8") as file:

        def tell(**values):
            file.write(json.dumps(values) + "\n")
            file.flush()

        try:
            _run(question, Path(path), int(first), tell)
        except Exception:
            tell(fault=traceback.format_exc())
        tell(done=True)
    os._exit(0)  # whatever threads the code has left behind


def _without_a_gpu():
    """The checks compare with numbers of the CPU, so the code runs there, too: `.cuda()` moves nothing."""
    with contextlib.suppress(ImportError):
        import torch

        torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_, **__: self


def _run(question, path, first, tell):
    tell(begun=READING)
    ready = (_notebook if path.suffix == ".ipynb" else _folder)(question, path)
    for at, check in enumerate(question.checks):
        if at >= first:
            tell(begun=at)
            state, lines = ready(check)
            tell(at=at, state=state, lines=lines)


# ------------------------------------------------------------------------------------------ outcomes


def _theirs(folder):
    """A function that says whether a file of a traceback is the student's."""

    def is_theirs(file):
        if ", code cell " in file:
            return True
        path = Path(file)
        ours = path.name in ("check.py", "test_public.py") or path.parent == HERE or "site-packages" in path.parts
        return path.suffix == ".py" and path.is_relative_to(folder) and not ours

    return is_theirs


def _outcome(check, error, is_theirs, ours):
    """The state and the lines of a check that ended with this exception; `ours` is the file of the check's code."""
    if isinstance(error, NotImplementedError):
        return "unfilled", [f"Still to be written: {frames.short(error) or check.written}"]
    if isinstance(error, ModuleNotFoundError) and error.name:
        return "skipped", [_install(error)]
    if asked := _for_a_gpu(error):
        return "skipped", [asked, *(f"    {line}" for line in frames.own(error, is_theirs))]
    if isinstance(error, AssertionError) and frames.deepest(error) == ours and error.args:
        return "wrong", [frames.short(error, 600)]
    lines = frames.told(error, is_theirs)
    if frames.own(error, is_theirs) or isinstance(error, SyntaxError):
        return "wrong", [f"Your code stopped with {lines[0]}", *lines[1:]]
    return "wrong", [
        f"What {check.written} returned could not be used: {lines[0]}. Expected: what its docstring describes."
    ]


def _for_a_gpu(error):
    """A sentence where an exception says that the code needs a GPU, which no check has; else ""."""
    said = frames.short(error)
    if isinstance(error, (AssertionError, RuntimeError)) and any(words in said for words in NO_GPU):
        return "This could not be checked: your code asks for a GPU, and check.py runs it without one."
    return ""


def _install(error):
    names = {"sklearn": "scikit-learn", "PIL": "pillow", "rouge_score": "rouge-score"}
    package = error.name.partition(".")[0]
    return f"This could not be checked: {package} is not installed. Run: pip install {names.get(package, package)}"


# ----------------------------------------------------------------------------------------- notebooks


def _notebook(question, path):
    """A function that makes one check of a notebook's question."""
    is_theirs = _theirs(path.parent)
    try:
        source = cells.read(path)
    except cells.Unreadable as error:
        sentence = str(error)
        return lambda check: ("wrong", [sentence])
    text = (HERE / f"{Path(question.code).stem}.py").read_text("utf-8")
    wanted = cells.names_in(text) | {check.written for check in question.checks}
    sys.path.insert(0, str(path.parent))  # modules of the student's own lie beside the notebook
    os.chdir(path.parent)
    given = GIVEN if question.id == "continual_learning" else {}
    space, faults = cells.load(source, wanted, given)
    ours = f"<checks of question {question.number}>"
    linecache.cache[ours] = (len(text), None, text.splitlines(keepends=True), ours)
    problem = None
    try:
        exec(compile(text, ours, "exec", dont_inherit=True), space)
    except BaseException as error:
        problem = error

    def make(check):
        if check.written not in space:
            return _absent(check.written, source, space, faults, is_theirs)
        if problem is not None and check.function not in space:
            return _missing(check, problem, faults, is_theirs, ours)
        try:
            with _settings(question):
                space[check.function]()
        except BaseException as error:
            if isinstance(error, NameError) and getattr(error, "name", None) and error.name not in space:
                return _missing(check, error, faults, is_theirs, ours)
            return _outcome(check, error, is_theirs, ours)
        return "ok", []

    return make


@contextlib.contextmanager
def _settings(question):
    """What the notebook's own cell sets around its checks: no gradients in question 1."""
    if question.id != "summarization":
        yield
        return
    import torch

    with torch.no_grad():
        yield


def _absent(name, source, space, faults, is_theirs):
    """The outcome where the notebook does not define what has to be written."""
    if isinstance(faults.get(name), BaseException):
        error = faults[name]
        if isinstance(error, ModuleNotFoundError) and error.name:
            return "skipped", [_install(error)]
        lines = frames.told(error, is_theirs)
        return "wrong", [f"The definition of {name} stopped with {lines[0]}", *lines[1:]]
    for _, sentence, text in source.broken:
        if name in text:
            return "wrong", [f"{name} could not be read. {sentence}"]
    if _is_written_out(name, source, space):
        return "skipped", [
            f"This could not be checked: {name} is not defined in the notebook, so its code may stand where it "
            "would be called. The grader looks there, too."
        ]
    return "wrong", [f"{name} is not defined in the notebook. Expected: the name that was handed out."]


def _is_written_out(name, source, space):
    """Whether the code of a missing function may stand where it would be called, as some notebooks have it."""
    loops = [one for one in source.statements if isinstance(one.node, ast.For)]
    if name == "ewc_penalty":
        return "train_ewc" in space
    if name == "rehearsal_set":
        return any({"train", "shuffle_in_unison"} <= one.needs for one in loops)
    return name == "policy_gradient_loss" and any("backward" in one.methods for one in loops)


def _missing(check, error, faults, is_theirs, ours):
    """The outcome where a name is missing that the code or the check needs."""
    name = getattr(error, "name", None) or ""
    cause = faults.get(name)
    if isinstance(cause, ModuleNotFoundError) and cause.name:
        return "skipped", [_install(cause)]
    if isinstance(cause, BaseException):
        lines = frames.told(cause, is_theirs)
        return "wrong", [f"{name}, which {check.written} needs, could not be defined: {lines[0]}", *lines[1:]]
    if name in faults:
        return "skipped", [
            f"This could not be checked: {name} is made by a part of the notebook that check.py does not run (a loop, "
            "a call, a training). Run the notebook's own check cell."
        ]
    if frames.own(error, is_theirs) or not name:
        return _outcome(check, error, is_theirs, ours)
    return "skipped", [
        f"This could not be checked: {name} of the handed-out notebook is not defined in yours. Please put it back."
    ]


# ------------------------------------------------------------------------------------- Python files


def _folder(question, path):
    """A function that makes one check of questions 4 and 5, which are those of test_public.py."""
    folder = path.parent
    is_theirs = _theirs(folder)
    stand_ins.install()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("test_public", path)
    public = importlib.util.module_from_spec(spec)
    sys.modules["test_public"] = public
    try:
        spec.loader.exec_module(public)
    except ModuleNotFoundError as error:
        sentence = _install(error)
        return lambda check: ("skipped", [sentence])
    public.attempt = lambda what, action: action()  # what it raises is shown with its own frames
    failed = public.pytest.fail.Exception

    def make(check):
        try:
            getattr(public, check.function)()
        except failed as error:
            return "wrong", [frames.short(error, 600)]
        except BaseException as error:
            return _outcome(check, error, is_theirs, str(path))
        return "ok", []

    return make
