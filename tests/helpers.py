"""What several test files share: submissions made from the reference, and grading them through the real sandbox."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import stat
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema

from autograder.audit import attack_runs
from autograder.core import Assignment, CheckFailed, Result, Submission, Trial, Verdict
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.intake import submission
from autograder.message import Message
from autograder.output import gradescope
from autograder.output.markdown import markdown
from autograder.sandbox.host import judging
from autograder.sandbox.host.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "reference"
UTILS, VAE = "gan_vae/utils.py", "gan_vae/models/vae.py"
VAE_ONLY = replace(
    ASSIGNMENT,
    questions=tuple(
        replace(
            q,
            files=tuple(file for file in q.files if file.endswith(".py")),
            checks=tuple(check for check in q.checks if not check.request.file),
        )
        for q in ASSIGNMENT.questions
        if q.id == "vae"
    ),
)
"""Question 4's code alone, whatever other questions the homework has."""
SCHEMA = ROOT / "tests" / "gradescope_schema.json"
Files = dict[str, bytes]
left_behind = attack_runs.left_behind


def solved(*, utils: str = "", vae: str = "", more: Mapping[str, bytes] | None = None) -> Files:
    """The reference's Python files of gan_vae, with text put behind utils.py and models/vae.py."""
    folder = REFERENCE / "gan_vae"
    paths = [folder / "utils.py", *(folder / "models").glob("*.py")]
    files = {path.relative_to(REFERENCE).as_posix(): path.read_bytes() for path in paths}
    files[UTILS] += f"\n\n{utils}\n".encode()
    files[VAE] += f"\n\n{vae}\n".encode()
    return files | dict(more or {})


def zip_of(files: Mapping[str, bytes], path: Path) -> Path:
    """Writes `files` as a zip at `path`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that a worker's user can pass through (pytest's own cannot be)."""
    folder = Path(tempfile.mkdtemp(prefix="autograder-test-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def with_seconds(assignment: Assignment, seconds: float, probes: str = "vae:") -> Assignment:
    """The assignment with another limit for the asks of the probes whose name begins so."""
    questions = []
    for question in assignment.questions:
        checks = [
            replace(check, request=replace(check.request, seconds=seconds))
            if check.request.probe.startswith(probes)
            else check
            for check in question.checks
        ]
        questions.append(replace(question, checks=tuple(checks)))
    return replace(assignment, questions=tuple(questions))


@dataclass(frozen=True)
class Graded:
    """What a grading left: results.json as read back, the results, how long it took."""

    document: dict[str, Any]
    results: tuple[Result, ...]
    seconds: float

    def points(self, prefix: str) -> float:
        """The points of the checks whose id begins so."""
        return sum(result.score for result in self.results if result.check.id.startswith(prefix))

    def scores(self) -> dict[str, float]:
        return {result.check.id: result.score for result in self.results}

    def messages(self, prefix: str = "") -> list[str]:
        return [result.verdict.message for result in self.results if result.check.id.startswith(prefix)]

    @property
    def text(self) -> str:
        """All that the student sees."""
        return json.dumps(self.document, ensure_ascii=False)


@contextlib.contextmanager
def received(sandbox: Sandbox, files: Mapping[str, bytes], assignment: Assignment = VAE_ONLY) -> Iterator[Submission]:
    """The files as a received submission, by way of a zip."""
    with reachable_folder() as folder:
        workspace = folder / "workspace"
        workspace.mkdir()
        upload = zip_of(files, folder / "upload.zip")
        yield submission.receive(upload, assignment, workspace, group=sandbox.uid)


@contextlib.contextmanager
def judgement() -> Iterator[None]:
    """Fails what takes more CPU time than one judgement is allowed. (`audit --part values` holds them to a second.)"""
    started = time.process_time()
    yield
    spent = time.process_time() - started
    assert spent < judging.JudgementLimits().cpu, f"a judgement took {spent:.1f} CPU seconds"


def grade(
    sandbox: Sandbox, files: Mapping[str, bytes], *, assignment: Assignment = VAE_ONLY, seconds: float = 300.0
) -> Graded:
    """Grades the files through intake, wall, judges and results.json, as the command line does."""
    with received(sandbox, files, assignment) as taken:
        started = time.monotonic()
        results = tuple(Grading(sandbox, taken, assignment, b"test", seconds).results())
        spent = time.monotonic() - started
        content = gradescope.document(assignment, results, remarks=taken.remarks, seconds=spent)
        path = taken.workspace.parent / "results.json"
        gradescope.write(path, content)
        return Graded(json.loads(path.read_text()), results, spent)


def said(test: dict[str, Any]) -> str:
    """What an entry of results.json says, as one line of plain text."""
    return gradescope.message_of(test).line


def say(test: dict[str, Any], text: str) -> None:
    """Puts other words into an entry."""
    message = Message.of(text)
    test["output"] = markdown(message)
    test["extra_data"]["message"] = message.plain()


def is_valid_results(path: Path) -> dict[str, Any]:
    """Reads a results.json and checks it against what Gradescope publishes of its format."""
    assert stat.S_ISREG(path.lstat().st_mode)
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    jsonschema.validate(content, json.loads(SCHEMA.read_text()))
    graded = [test for test in content["tests"] if "score" in test]
    assert all(0 <= test["score"] <= test["max_score"] and "status" in test for test in graded)
    unscored = [test for test in content["tests"] if "score" not in test]
    assert all("(for manual grading)" in test["name"] and "status" not in test for test in unscored)
    assert all({"name", "number", "output", "tags", "visibility"} <= test.keys() for test in content["tests"])
    assert all(re.fullmatch(r"[1-7](\.\d+)?", test["number"]) for test in content["tests"])
    assert all(("." not in test["number"]) == ("checks" in test["extra_data"]) for test in content["tests"])
    assert abs(content["score"] - sum(test["score"] for test in graded)) < 1e-6
    text = json.dumps(content, ensure_ascii=False)
    assert "Traceback" not in text
    assert not any(ord(character) < 32 and character not in "\n\t" for character in content["output"])
    return content


def judged(rule: Callable[[Trial], Verdict], trial: Trial) -> Verdict:
    """The verdict, with a message that can be shown; a `CheckFailed` counts as 0, as it does in a grading."""
    try:
        verdict = rule(trial)
    except CheckFailed as fault:
        verdict = Verdict(0.0, str(fault), fault.diagnosis)
    assert verdict.message.isprintable()
    assert 20 <= len(verdict.message) <= 600
    assert verdict.score == 1 or "xpected" in verdict.message
    return verdict
