"""Nothing is started for what is not in the upload, and what is told then is what a worker would have told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from autograder.core import Check, Observation, Request, Result, Submission, Values
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.intake.uploads import PEEKED, may_run
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from tests.helpers import REFERENCE, reachable_folder, zip_of

pytestmark = pytest.mark.sandbox

CHECKS = [check for question in ASSIGNMENT.questions for check in question.checks]


class Nobody:
    """An asker that nobody may ask."""

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        raise AssertionError(f"{request.name} was asked")


def _results(absent: tuple[str, ...], checks: list[Check]) -> list[Result]:
    grading = Grading(Nobody(), Submission(Path("/nonexistent"), "digest", absent=absent), ASSIGNMENT)
    return [grading.check(q, check) for q in ASSIGNMENT.questions for check in q.checks if check in checks]


def test_of_an_empty_upload_nothing_is_asked() -> None:
    results = _results(ASSIGNMENT.graded, CHECKS)
    assert len(results) == len(CHECKS)
    for result in results:
        assert result.score == 0 and result.attempts == 1 and result.status == "graded"
        assert "is not in the upload" in result.verdict.message, result.check.id


@pytest.mark.parametrize("file", ASSIGNMENT.graded)
def test_what_needs_a_file_is_not_asked_without_it(file: str) -> None:
    needy = [check for check in CHECKS if file in check.request.needs]
    assert needy, f"nothing needs {file}"
    for result in _results((file,), needy):
        assert result.verdict.message.startswith(f"{file} is not in the upload"), result.check.id
        assert result.verdict.diagnosis == "missing"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig(ASSIGNMENT.probes), runs=False) as sandbox:
        yield sandbox


def _torch(sandbox: Sandbox) -> bool:
    return "libtorch" in Path(f"/proc/{sandbox.zygote_pid}/maps").read_text()


def test_a_worker_tells_the_same_and_torch_is_imported_when_code_runs(sandbox: Sandbox) -> None:
    """Every request that only reads, and one that runs code: torch must not be there before."""
    readers = {check.request.name: check for check in CHECKS if check.request.reads}.values()
    sample = next(check for check in CHECKS if check.id == "vae.sample.contract")
    assert len(readers) >= 4
    with reachable_folder() as workspace:
        workspace.chmod(0o755)
        for check in (*readers, sample):
            assert not _torch(sandbox)
            received = Submission(workspace, "digest", absent=check.request.needs)
            given = check.request.inputs(np.random.Generator(np.random.Philox(0)))
            seen = sandbox.ask(received, check.request, given, seed=0, seconds=60)
            (told,) = _results(check.request.needs, [check])
            if check.request.reads:
                assert (seen.error, seen.diagnosis) == (told.verdict.message, told.verdict.diagnosis)
    assert _torch(sandbox)


@pytest.mark.parametrize(
    ("names", "runs"),
    [
        (["answers.toml", "submission_log.json", "gan_vae/vae_samples.png"], False),
        (["answers.toml", "gan_vae/utils.py"], True),
        (["policy_gradient.ipynb.txt"], True),
        (["Homework/UTILS.PY"], True),
        (["work.zip"], True),
        ([f"{index}.png" for index in range(PEEKED)], True),
        ([], False),
    ],
)
@pytest.mark.parametrize("packed", ["folder", "zip"])
def test_names_tell_whether_anything_may_run(names: list[str], runs: bool, packed: str, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    if packed == "zip":
        if len(names) == PEEKED:
            return  # of a zip all names are looked at
        zip_of(dict.fromkeys(names, b""), path)
    else:
        for name in names:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(b"")
    assert may_run(path) is runs


def test_an_upload_that_is_not_there_runs_nothing(tmp_path: Path) -> None:
    assert not may_run(tmp_path / "nothing.zip")


def test_the_reference_may_run() -> None:
    assert may_run(REFERENCE)
