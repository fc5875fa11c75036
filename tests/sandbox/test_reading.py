"""A submission's notebooks are read once for all workers: what they find is what they would have read themselves."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.core import Request, Submission, Values
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.policy_gradient import probes as probe
from autograder.sandbox import protocol
from autograder.sandbox.guest import beside, notebooks, zygote
from autograder.sandbox.guest.student import Missing, Student
from autograder.sandbox.host.notebook_cache import keep
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from tests.helpers import REFERENCE, reachable_folder, received
from tests.sandbox.test_notebooks import NAME, RIGHT, notebook

pytestmark = pytest.mark.sandbox

ODD = (
    "import torch\nfrom math import *\nx = 1; y = 2; d = {}\nd['a'] = x",
    "@staticmethod\ndef f(\n    a,\n    b=(z := 3),\n):\n    '''text\nat the margin'''\n    global g\n    g = a\n",
    "print(f)",
    "for x in range(3):\n    y = x\nfor_x = 2\nwhile(False): pass",
    "try:\n    import json\nexcept ImportError as error:\n    raise SystemExit from error",
    "%time total = 1\n!ls\nafter = total\n",
    "def broken(:",
    "class \ufb01nd: pass",
    "if True:\n    a = 1\n\x0c\nb = 2",
)


def sources() -> list[notebooks.NotebookSource]:
    """Of the reference's notebooks, and of what is rarer in one."""
    written = [notebooks.read(path.read_bytes()) for path in sorted(REFERENCE.glob("*.ipynb"))]
    odd = tuple(notebooks.Cell(number, source) for number, source in enumerate(ODD, 1))
    return [notebooks.source_of(cells) for cells in (*written, odd)]


def test_what_is_unpacked_is_what_was_packed() -> None:
    for source in sources():
        again = notebooks.NotebookSource.unpacked(source.packed())
        assert again.statements == source.statements
        assert (again.faults, again.broken, again.files) == (source.faults, source.broken, source.files)
        for old, new in zip(source.statements, again.statements, strict=True):
            assert (new.binds, new.uses, new.loops) == (old.binds, old.uses, isinstance(old.node, ast.For | ast.While))
            assert ast.dump(new.node) == ast.dump(old.node)
            shares = sum(one.cell == old.cell and one.line == old.line for one in source.statements) > 1
            if not shares:  # a statement that shares its line is written anew
                assert ast.dump(new.node, include_attributes=True) == ast.dump(old.node, include_attributes=True)
            for name in {*old.binds, *old.uses, "nothing"}:
                assert new.binds_one(name) == old.binds_one(name) == (name in old.binds)
    assert {piece.cell for source in sources() for piece in source.broken} == {7}


@given(st.lists(st.text(st.sampled_from("ab =():\n\t\"'#!%@;\\\ud800\x0cxé1defor"), max_size=40), max_size=3))
def test_any_notebook_can_be_packed_that_can_be_read(texts: list[str]) -> None:
    source = notebooks.source_of(tuple(notebooks.Cell(number, text) for number, text in enumerate(texts, 1)))
    again = notebooks.NotebookSource.unpacked(source.packed().encode().decode())
    assert [(one.text, one.binds, one.uses) for one in again.statements] == [
        (one.text, one.binds, one.uses) for one in source.statements
    ]


BROKEN = "import torch\n\n\ndef policy_gradient_loss(logprob, predicted, reward):\n    x = 1\n    return x / 0\n"


@pytest.mark.parametrize(
    "cells", [(RIGHT,), ("print(1)", BROKEN), ("def f(:", "x = 1"), (), ("%matplotlib inline", RIGHT)]
)
def test_workers_answer_as_they_do_without_it(sandbox: Sandbox, cells: tuple[str, ...]) -> None:
    """Its faults with their cells and lines as well."""
    checks = {check.id: check for question in ASSIGNMENT.questions for check in question.checks}
    request = checks["policy_gradient.contract"].request
    values = request.inputs(np.random.default_rng(0))
    with received(sandbox, {NAME: notebook(*cells)}, ASSIGNMENT) as submission:
        alone = sandbox.ask(submission, request, values, seed=1, seconds=30)
        sandbox.read(submission)
        assert (submission.workspace / protocol.READ / f"{NAME}.json").is_file()
        found = sandbox.ask(submission, request, values, seed=1, seconds=30)
    assert (found.error, found.diagnosis, found.cause) == (alone.error, alone.diagnosis, "student")
    assert (found.values is None) == (alone.values is None)
    for name, value in (alone.values or {}).items():
        np.testing.assert_array_equal((found.values or {})[name], value)
    if BROKEN in cells:
        assert f"{NAME}, code cell 2, line 6" in f"{found.values}"


def test_what_was_read_is_used(sandbox: Sandbox) -> None:
    """So that this file's tests compare two ways, not one with itself."""
    with received(sandbox, {NAME: notebook(RIGHT)}, ASSIGNMENT) as submission:
        sandbox.read(submission)
        file = submission.workspace / protocol.READ / f"{NAME}.json"
        file.write_text(file.read_text().replace("return -(", "return -2 * ("))
        checks = {check.id: check for question in ASSIGNMENT.questions for check in question.checks}
        request = checks["policy_gradient.contract"].request
        values = request.inputs(np.random.default_rng(0))
        twice = sandbox.ask(submission, request, values, seed=1, seconds=30)
        file.unlink()
        once = sandbox.ask(submission, request, values, seed=1, seconds=30)
    assert twice.values is not None and once.values is not None
    assert any(
        not np.array_equal(np.asarray(value), np.asarray(once.values[name])) for name, value in twice.values.items()
    )


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"statements": [1], "faults": {}}', '{"statements": 1}', "\ud800"]
)
def test_what_cannot_be_used_is_read_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_bytes(notebook(RIGHT))
    (tmp_path / protocol.READ).mkdir()
    (tmp_path / protocol.READ / f"{NAME}.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert callable(Student(tmp_path).function(NAME, probe.NAME))


def test_a_notebook_that_was_not_handed_in_is_missing_even_where_it_was_read(tmp_path: Path) -> None:
    source = notebooks.source_of((notebooks.Cell(1, RIGHT),))
    (tmp_path / protocol.READ).mkdir()
    (tmp_path / protocol.READ / f"{NAME}.json").write_text(source.packed())
    assert Student(tmp_path).source(NAME).statements == source.statements
    with pytest.raises(Missing, match="not in the upload"):
        Student(tmp_path, (NAME,)).function(NAME, probe.NAME)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[" * 100_000, b"\xff\xfe", notebook("(" * 5000), notebook("x = " + "-" * 100_000 + "1"),
     notebook("'''" + "a" * 10**7 + "'''")],
    ids=["empty", "no notebook", "deep", "no text", "parentheses", "signs", "long"],
)  # fmt: skip
def test_one_notebook_that_cannot_be_read_costs_no_other(sandbox: Sandbox, data: bytes) -> None:
    other = "summarization.ipynb"
    files = {NAME: data, other: notebook("answer = 42")}
    with received(sandbox, files, ASSIGNMENT) as submission:
        sandbox.read(submission)
        kept = beside.kept(submission.workspace, other)
    assert kept is not None
    assert [one.text for one in kept.statements] == ["answer = 42"]


def test_without_notebooks_nobody_is_asked(sandbox: Sandbox) -> None:
    before = sandbox.cpu
    with received(sandbox, {"gan_vae/utils.py": b"x = 1"}, ASSIGNMENT) as submission:
        sandbox.read(submission)
        assert not (submission.workspace / protocol.READ).exists()
    assert sandbox.cpu == before


def test_a_forged_answer_writes_nowhere_else(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / NAME).write_bytes(b"")
    ours = np.frombuffer(b"{}", np.uint8)
    forged: Values = {
        "notebook0.name": "../../evil.ipynb", "notebook0.source": ours,
        "notebook1.name": "/etc/evil.ipynb", "notebook1.source": ours,
        "notebook2.name": "..", "notebook2.source": ours,
        "notebook3.name": NAME, "notebook3.source": np.zeros(3),
        "notebook4.name": 3, "notebook4.source": ours,
        "notebook5.name": NAME,
        f"notebook{protocol.MOST_READ}.name": NAME, f"notebook{protocol.MOST_READ}.source": ours,
    }  # fmt: skip
    keep(forged, workspace, None)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "workspace", f"workspace/{protocol.READ}", f"workspace/{NAME}",
    ]  # fmt: skip


def test_students_code_cannot_change_what_was_read(sandbox: Sandbox) -> None:
    """It runs beside it, in every later worker."""
    code = f"""
from pathlib import Path
def policy_gradient_loss(logprob, predicted, reward):
    place = Path({protocol.READ!r}, {NAME + ".json"!r})
    write, allow, move = lambda: place.write_text("{{}}"), lambda: place.chmod(0o777), lambda: place.parent.rename("x")
    for attempt in (write, place.unlink, allow, move):
        try:
            attempt()
        except OSError:
            continue
        raise RuntimeError("changed")
    return -(reward * logprob.gather(1, predicted[:, None])[:, 0]).mean()
"""
    checks = {check.id: check for question in ASSIGNMENT.questions for check in question.checks}
    request = checks["policy_gradient.contract"].request
    with received(sandbox, {NAME: notebook(code)}, ASSIGNMENT) as submission:
        sandbox.read(submission)
        place = submission.workspace / protocol.READ / f"{NAME}.json"
        before = place.read_bytes(), place.stat().st_mode
        found = sandbox.ask(submission, request, request.inputs(np.random.default_rng(0)), seed=1, seconds=30)
        assert (place.read_bytes(), place.stat().st_mode) == before
    assert found.values is not None, found.error
    assert json.loads(before[0])["faults"] == {}


def test_a_worker_that_fails_is_no_fault_of_anybodys(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "autograder.sandbox.host.sandbox.READING", Request("notebook_cache:nothing_of_this_name", lambda _rng: {})
    )
    with received(sandbox, {NAME: notebook(RIGHT)}, ASSIGNMENT) as submission:
        sandbox.read(submission)
        sandbox.read(replace(submission, workspace=submission.workspace))
        assert isinstance(submission, Submission)
        assert beside.kept(submission.workspace, NAME) is None


def test_the_box_stays_closed_to_others(sandbox: Sandbox) -> None:
    with reachable_folder() as folder, received(sandbox, {NAME: notebook(RIGHT)}, ASSIGNMENT) as submission:
        sandbox.read(submission)
        for path in (submission.workspace / protocol.READ).rglob("*"):
            assert path.stat().st_mode & 0o777 == (0o440 if sandbox.uid is not None else 0o444)
            assert path.stat().st_gid == (sandbox.uid if sandbox.uid is not None else folder.stat().st_gid)


def test_an_upload_cannot_say_what_was_read_of_it(sandbox: Sandbox) -> None:
    """Or what is graded would not be what stands in its notebook."""
    forged = notebooks.source_of((notebooks.Cell(1, "answer = 'forged'"),)).packed().encode()
    name = f"{protocol.READ}/{NAME}.json"
    files = {NAME: notebook("answer = 'written'"), **{f"{place}{name}": forged for place in ("", "hw/", "gan_vae/../")}}
    files |= {"gan_vae/utils.py": b"x = 1", f"gan_vae/{name}": forged}
    with received(sandbox, files, ASSIGNMENT) as submission:
        assert not (submission.workspace / protocol.READ).exists()
        sandbox.read(submission)
        kept = beside.kept(submission.workspace, NAME)
    assert kept is not None
    assert [one.text for one in kept.statements] == ["answer = 'written'"]


def test_a_zygote_whose_memory_was_gathered_forks_as_before() -> None:
    """After many forks; what is in the memory stays what it was."""
    kept = np.random.default_rng(0).bytes(9 * zygote.HUGE)
    before = hashlib.sha256(kept).digest()
    gathered = zygote.gather()
    assert gathered >= 0
    assert hashlib.sha256(kept).digest() == before
    request = Request("vae.probes:sample", lambda _rng: {})
    with (
        Sandbox(SandboxConfig(ASSIGNMENT.probes)) as started,
        received(started, {"gan_vae/utils.py": b"x = 1"}, ASSIGNMENT) as upload,
    ):
        first, *_, last = [started.ask(upload, request, {}, seed=1, seconds=30) for _ in range(zygote.MANY + 1)]
    assert (first.error, first.cause) == (last.error, "student")
