"""A zip for each question and for the log alone, each unpacked and run as Gradescope does it; a course's settings."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.authoring import bundle
from autograder.hw11 import ASSIGNMENT
from tests.authoring.test_bundle import called, graded, place, unpack, without_a_root
from tests.helpers import ROOT, reachable_folder

pytestmark = pytest.mark.sandbox

NAMES = [*(f"{question.number}-{question.id}" for question in ASSIGNMENT.questions), "summarization_log"]


def packed(out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autograder", "bundle", "--out", out, *more]
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Path, str]]:
    """The folder with the zips of `bundle --each`, and what the command said."""
    with reachable_folder() as out:
        done = packed(out, "--each", "--leaderboard")
        assert (done.returncode, done.stderr) == (0, "")
        yield out, done.stdout


def test_each_question_and_the_log_have_two_zips_and_a_line(made: tuple[Path, str]) -> None:
    out, said = made
    zips = [f"{stem}-{name}.zip" for name in NAMES for stem in ("autograder", "student_template")]
    assert sorted(path.name for path in out.iterdir()) == sorted(zips)
    lines = dict(re.findall(r"^(autograder-\S+): (.*expects.*)$", said, re.MULTILINE))
    assert list(lines) == [f"autograder-{name}.zip" for name in NAMES]
    assert lines["autograder-summarization_log.zip"] == (
        "Homework 11 (Code) (Summarization), 3 points; it expects submission_log.json"
    )
    assert lines["autograder-5-gan.zip"] == (
        "Homework 11: GAN, 0 and 15 optional points; it expects "
        "gan_vae/models/gan.py, gan_vae/gan_samples.png, answers.toml"
    )
    assert lines["autograder-2-distributions.zip"].startswith("Homework 11: Comparing distributions, 10 points;")


def test_the_zips_differ_from_the_whole_in_the_part_alone(made: tuple[Path, str], tmp_path: Path) -> None:
    assert bundle.run(ROOT, tmp_path, leaderboard=True) == 0
    with zipfile.ZipFile(tmp_path / bundle.GRADESCOPE) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    for name in NAMES:
        with zipfile.ZipFile(made[0] / f"autograder-{name}.zip") as archive:
            own = {each: archive.read(each) for each in archive.namelist()}
        only = own.pop("only").decode()
        assert own == whole
        assert only == ("summarization.log*\n" if name == "summarization_log" else f"{name.partition('-')[2]}\n")


def test_students_get_what_they_need_for_each(made: tuple[Path, str]) -> None:
    for name, files in {
        "1-summarization": {"summarization.ipynb", "answers.toml"},
        "summarization_log": {"summarization.ipynb"},
        "7-process": {"answers.toml"},
    }.items():
        with zipfile.ZipFile(made[0] / f"student_template-{name}.zip") as archive:
            held = set(archive.namelist())
        checks = {name for name in held if name.startswith("public_checks/")} | {"check.py", "README.md"}
        assert held - checks == files
        assert "public_checks/questions.py" in held >= checks


# ------------------------------------------------------------------------------------ as Gradescope has it


def machine(folder: Path, archive: Path, metadata: dict[str, Any]) -> Path:
    """Gradescope's folder /autograder with that zip unpacked, whose environment is there already."""
    folder.chmod(0o755)
    autograder = folder / "autograder"
    source = unpack(archive, autograder / "source")
    for name in ("submission", "results", "../root"):
        (autograder / name).mkdir()
    (autograder / "submission_metadata.json").write_text(json.dumps(metadata))
    shutil.copy(source / "run_autograder", autograder)
    if without_a_root():
        from tests.authoring.test_bundle import python

        if not (source / ".venv").exists():
            (source / ".venv").symlink_to(python().parents[1])
    return autograder


ADA = {"id": 2, "name": "Ada Lovelace", "email": "ada@x.edu"}
METADATA = {"id": 1, "created_at": "2026-11-23T07:00:00Z", "users": [ADA]}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_files_of_a_part_alone_have_full_marks_in_its_assignment(
    made: tuple[Path, str], name: str, tmp_path: Path
) -> None:
    worth = r"([\d.]+)(?: and ([\d.]+) optional)? points"
    found = re.search(rf"^autograder-{re.escape(name)}\.zip: .*?, {worth}; it expects (.*)$", made[1], re.MULTILINE)
    assert found
    line = found.groups()
    points = sum(float(part or 0) for part in line[:2])
    upload = tmp_path / "upload"
    for file in line[2].split(", "):
        (upload / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ASSIGNMENT.reference / file, upload / file)
    with reachable_folder() as folder:
        done, document = graded(machine(folder, made[0] / f"autograder-{name}.zip", METADATA), upload)
    assert (done.returncode, document["score"]) == (0, points), done.stderr + document["output"]
    assert document["extra_data"]["complete"] is True
    own = "summarization" if name == "summarization_log" else name.partition("-")[2]
    assert {tag for test in document["tests"] for tag in test["tags"]} == {own}
    others = [question.title for question in ASSIGNMENT.questions if question.id != own and question.title != "Process"]
    said = done.stdout + json.dumps(document)
    assert not any(f"{title}:" in said or f": {title}" in said for title in others)
    board = [entry["name"] for entry in document["leaderboard"]]
    assert board == {
        "summarization_log": ["T5: ROUGE-L of the summaries in the log"],
        "1-summarization": ["T5: ROUGE-L of the summaries in the log"],
        "4-vae": ["VAE: negative ELBO, as handed in"],
    }.get(name, [])


COURSE = """total = 10
[late]
percent = 10
extensions = "extensions.csv"
[limits]
submissions_a_day = 1
[words]
top = "Forum: ask there."
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(without_a_root()), reason="a bare root with /autograder is needed for Gradescope's metadata")
def test_a_bundle_with_settings_of_the_course_in_gradescopes_places(tmp_path: Path) -> None:
    """Late by half a day behind an extension, and twice within a day, by Gradescope's own times."""
    (tmp_path / "course.toml").write_text(COURSE)
    (tmp_path / "extensions.csv").write_text("email,days\nbo@x.edu,1\n")
    upload = tmp_path / "upload"
    upload.mkdir()
    shutil.copy(ASSIGNMENT.reference / "answers.toml", upload)
    times = {"created_at": "2026-11-25T11:00:00Z", "assignment": {"due_date": "2026-11-23T23:59:00Z"}}
    late = METADATA | times | {"users": [ADA, {"id": 3, "email": "bo@x.edu"}]}
    with reachable_folder() as out, reachable_folder() as folder:
        done = packed(out, "--only", "7", "--course", tmp_path / "course.toml")
        assert done.returncode == 0, done.stderr
        assert "autograder.zip: Homework 11: Process, 0.5 points; it expects answers.toml" in done.stdout
        assert "note: [late] has no due date of its own" in done.stdout
        autograder = machine(folder, out / bundle.GRADESCOPE, late)

        def score(metadata: dict[str, Any]) -> tuple[float, dict[str, Any]]:
            (autograder / "submission_metadata.json").write_text(json.dumps(metadata))
            (autograder / "results" / "results.json").unlink(missing_ok=True)
            shutil.rmtree(autograder / "submission", ignore_errors=True)
            shutil.copytree(upload, autograder / "submission")
            ran = called(autograder, f"{place(autograder)}/run_autograder")
            document = json.loads((autograder / "results" / "results.json").read_text())
            assert ran.returncode == 0, ran.stderr
            return document["score"], document

        points, first = score(late)
        assert points == 0.45
        assert first["output"].startswith("Forum: ask there.\n0.5 of 0.5 points")
        assert first["tests"][-1]["output"].endswith(
            "with your extension). The deduction is 10 %. Before: 0.5 points. Now: 0.45."
        )
        earlier = [{"submission_time": "2026-11-25T10:00:00Z", "score": 0.45, "results": first}]
        points, second = score(late | {"previous_submissions": earlier})
        assert (points, second["tests"]) == (0.45, first["tests"])
        assert "so this one was not" in second["output"]


REFUSED = {
    ("--only", "vea"): 'Did you mean "vae"?',
    ("--course", "course.toml"): "course.toml, line 1: x is not a key of the file.",
    ("--course", "nowhere.toml"): "nowhere.toml cannot be read: No such file or directory.",
    ("--each", "--only", ","): "an empty entry",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_cannot_be_packed_is_told(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "course.toml").write_text("x = 1\n")
    done = packed(tmp_path / "out", *(str(tmp_path / one) if one.endswith(".toml") else one for one in arguments))
    assert done.returncode == 2 and REFUSED[arguments] in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
