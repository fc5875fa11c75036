"""Through the front door as a TA uses it: a zip or a folder in, results.json out. Gradescope's way: test_bundle.py."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from autograder.audit import bank
from autograder.audit.solutions import Solution, write
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.intake import submission
from autograder.sandbox.host.sandbox import Sandbox
from tests.helpers import UTILS, VAE, VAE_ONLY, grade, is_valid_results, reachable_folder, solved
from tests.solutions import BANK, HALF_RIGHT, RIGHT, WRONG

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).resolve().parents[2]


def front_door(upload: Path, out: Path) -> tuple[int, dict[str, Any], str]:
    """Exit status, results.json and the printed table of ./run_autograder."""
    command = [str(ROOT / "run_autograder"), str(upload), "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in run.stdout + run.stderr
    results = is_valid_results(out)
    return run.returncode, results, run.stdout


@pytest.mark.slow
def test_a_zip_with_a_mistake_says_what_to_think_about(tmp_path: Path) -> None:
    solution = BANK["sample-variance-as-std"]
    write(solution, ASSIGNMENT.reference, tmp_path / "whole")
    shutil.move(tmp_path / "whole" / "gan_vae", tmp_path / "homework" / "gan_vae")
    upload = shutil.make_archive(str(tmp_path / "upload"), "zip", tmp_path, "homework")
    status, results, printed = front_door(Path(upload), tmp_path / "results.json")
    assert status == 0
    handed_in = [test for test in results["tests"] if "is not in the upload" not in test["output"]]
    failed = {test["extra_data"]["check"]: test for test in handed_in if test.get("score") == 0}
    assert set(failed) == set(solution.fails)
    assert all(test["extra_data"]["diagnoses"] == ["variance_as_std"] for test in failed.values())
    assert all(test["tags"] == ["vae"] and test["number"].startswith("4.") for test in failed.values())
    assert "v is the variance" in " ".join(printed.split())


@pytest.mark.parametrize(
    "solution",
    [
        *WRONG[::60],
        *RIGHT[::48],
        *(BANK["bound-checkpointed"], BANK["update-vmap"]),
        *HALF_RIGHT[::12],
    ],
    ids=lambda v: v.id,
)
@pytest.mark.slow
def test_the_wall_changes_no_grade(sandbox: Sandbox, solution: Solution) -> None:
    """Through zygote, worker and wire the same checks fail as in this process."""
    own = bank.of(ASSIGNMENT, solution)
    with bank.submitted(solution, own) as received:
        inside = bank.outcome(received, own)
    with reachable_folder() as folder:
        write(solution, own.reference, folder / "upload")
        (folder / "workspace").mkdir()
        received = submission.receive(folder / "upload", own, folder / "workspace", group=sandbox.uid)
        results = list(Grading(sandbox, received, own).results())
    assert {result.check.id for result in results if result.verdict.score < 1} == inside.failed
    assert all(result.status == "graded" for result in results)


def test_the_leaderboard_is_off_until_it_is_asked_for(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    shutil.copy(ROOT / "reference" / "answers.toml", upload)
    _, plain, _ = front_door(upload, tmp_path / "results.json")
    assert "leaderboard" not in plain
    done = subprocess.run(
        [ROOT / "run_autograder", upload, "--leaderboard", "--out", tmp_path / "with.json"],
        capture_output=True,
        check=True,
    )
    board = is_valid_results(tmp_path / "with.json")["leaderboard"]
    assert [(entry["name"], entry["order"]) for entry in board] == [("VAE: negative ELBO, as handed in", "asc")], done
    assert 80 < board[0]["value"] < 120


def _code(folder: str, line: str = "import utils as ut") -> dict[str, bytes]:
    """The reference's gan_vae under another name, whose model imports its siblings by this line."""
    files = {name.replace("gan_vae", folder): data for name, data in solved().items()}
    model = f"{folder}/models/vae.py"
    assert b"import utils as ut" in files[model]
    files[model] = files[model].replace(b"import utils as ut", line.encode())
    return files


UNTOUCHED = {name: (ASSIGNMENT.template / name).read_bytes() for name in (UTILS, VAE)}
WRAPPED: dict[str, dict[str, bytes]] = {
    "a package of another name": _code("src/submission", "from src.submission import utils as ut"),
    "more behind the names": {f"{name}.txt": data for name, data in _code("gan_vae").items()},
    "in a folder called data": _code("data/gan_vae"),
    "in a folder called wandb, with an emoji of several parts": _code("wandb/👩‍👩‍👧 نمی‌خواهم"),
    "absolute, beside an environment": {
        **{f"C:\\hw 11\\{name}": data for name, data in _code("gan_vae").items()},
        **{f"venv/lib/python3.12/site-packages/m{n}/utils.py": b"1 / 0" for n in range(50)}},
    "beside the untouched template": {**UNTOUCHED, **_code("mine/gan_vae")},
    "upwards, with a helper": {
        **{f"../{name}": data for name, data in _code("gan_vae", "from helpers.more import ut").items()},
        "../gan_vae/helpers/more.py.txt": b"import utils as ut\n"},
}  # fmt: skip


@pytest.mark.parametrize("case", WRAPPED)
def test_right_work_in_another_wrapping_has_all_points(case: str, sandbox: Sandbox) -> None:
    assert grade(sandbox, WRAPPED[case]).points("vae.") == VAE_ONLY.points
