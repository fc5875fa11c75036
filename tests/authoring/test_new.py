"""`new`, the tutorial as a reader follows it, and homeworks of others through every command."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder import homeworks
from autograder.audit import proof
from autograder.authoring import bundle, new, template
from tests.helpers import ROOT, reachable_folder

TUTORIAL = ROOT / "docs" / "new-homework.md"
KMEANS = ROOT / "docs" / "examples" / "kmeans"
ENVIRONMENT = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def command(*words: object, cwd: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """One command, run in a folder that is not the repository's."""
    program = [sys.executable, str(ROOT / "autograder" / "__main__.py"), *map(str, words)]
    done = subprocess.run(
        program, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done


def score(path: Path) -> float:
    return float(json.loads(path.read_bytes())["score"])


# ------------------------------------------------------------------------------------------------ new


@pytest.mark.parametrize(
    ("name", "title", "shown"),
    [
        ("softmax", "", "Softmax"),
        ("hw-12", 'Ü "quoted" \\n', 'Ü "quoted" \\n'),
        ("numpy", "", "Numpy"),
        ("2026", "", "2026"),
    ],
)
def test_a_new_homework_has_its_title_and_a_template(tmp_path: Path, name: str, title: str, shown: str) -> None:
    assert new.run(tmp_path / name, title) == 0
    loaded = homeworks.load(str(tmp_path / name))
    assert (loaded.id, loaded.title) == (name, shown)
    assert "NotImplementedError" in (loaded.template / "noise.py").read_text()
    assert proof.unproved(loaded) == []


@pytest.mark.parametrize("name", ["hw 12", "hw1.5", "-x", "a'b", "a\nb"])
def test_a_name_that_cannot_be_imported_is_refused(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new.run(tmp_path / name) == 2
    assert "Allowed" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.txt").write_text("mine")
    assert (new.run(tmp_path), new.run(tmp_path / "own.txt"), new.run(tmp_path / "own.txt" / "deeper")) == (2, 2, 3)
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["own.txt"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(template, "generate", full)
    assert new.run(tmp_path / "softmax") == 3
    assert not (tmp_path / "softmax").exists()


@pytest.mark.parametrize("name", ["new", "kmeans"])
def test_its_solutions_get_what_they_should(tmp_path: Path, name: str) -> None:
    folder = KMEANS
    if name == "new":
        folder = tmp_path / "noise"  # the name of the students' file
        new.run(folder)
    loaded = homeworks.load(str(folder))
    assert [s for one in proof.solutions(loaded) for s in proof.surprises(one, loaded, times=2)] == []
    assert proof.unproved(loaded) == []


def test_what_is_wrong_with_a_case_is_a_surprise(tmp_path: Path) -> None:
    new.run(tmp_path / "noise")
    file = tmp_path / "noise" / "solutions.cases"
    file.write_text(
        file.read_text().replace("# fails: noise.normal; diagnosis: sigma_squared", "# fails: noise.contract")
    )
    loaded = homeworks.load(str(tmp_path / "noise"))
    squared = next(one for one in proof.solutions(loaded) if one.id == "squared")
    told = proof.surprises(squared, loaded, times=1)
    assert [one.partition(",")[0] for one in told] == [
        "squared should not fail noise.normal",
        "squared should fail noise.contract",
    ]


# -------------------------------------------------------------------------------------- every command


@pytest.fixture(scope="module", params=["new", "kmeans"])
def homework(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A homework outside of the repository, in a folder of its own beside nothing else of ours."""
    with reachable_folder() as folder:
        place = folder / "given" / request.param
        if request.param == "new":
            assert command("new", place, cwd=folder).returncode == 0
        else:
            shutil.copytree(KMEANS, place, ignore=shutil.ignore_patterns("__pycache__"))
        yield place


def test_every_command_takes_it_from_any_folder(homework: Path, tmp_path: Path) -> None:
    own, above = ("--homework", homework.name), homework.parent  # as a relative path
    loaded = homeworks.load(str(homework))
    for name, points in (("reference", loaded.points), ("student_template", 0)):
        done = command("grade", homework / name, *own, "--out", tmp_path / f"{name}.json", cwd=above)
        assert (done.returncode, score(tmp_path / f"{name}.json")) == (0, points), done.stdout + done.stderr
        shutil.copytree(homework / name, tmp_path / "class" / name)
    assert "STRONG" in done.stdout or os.geteuid() != 0
    done = command("class", tmp_path / "class", "--out", tmp_path / "graded", *own, "--jobs", 1, cwd=above)
    assert done.returncode == 0, done.stdout + done.stderr
    assert score(tmp_path / "graded" / "results" / "reference.json") == loaded.points
    compared = command("compare", tmp_path / "graded", tmp_path / "graded", *own, cwd=above)
    assert compared.returncode == 0, compared.stderr
    other = command("compare", tmp_path / "graded", tmp_path / "graded", "--homework", "tests.small", cwd=ROOT)
    assert (other.returncode, "of a homework other than" in other.stderr) == (2, True)
    assert command("template", *own, cwd=above).stdout.endswith("no files changed.\n")
    assert "false-fail bound" in command("doctor", *own, cwd=above).stdout
    example = command("course", "--example", *own, cwd=above)
    assert loaded.title in example.stdout
    question = loaded.questions[0].id
    done = command("bench", "--quick", "--question", question, *own, cwd=above)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_audit_takes_it_and_leaves_out_in_a_line_what_it_lacks(homework: Path, tmp_path: Path) -> None:
    done = command(
        *("audit", "--quick", "--homework", homework, "--out", tmp_path / "audit", "--jobs", 1),
        *("--part", "feedback", "--part", "attacks", "--part", "fairness"), cwd=tmp_path, timeout=500,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert (tmp_path / "audit" / "report.html").is_file()


def unpacked(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            Path(opened.extract(entry, folder)).chmod(stat.S_IMODE(entry.external_attr >> 16) or 0o644)
    return folder


def test_its_bundle_holds_it_alone_and_grades_by_itself(homework: Path) -> None:
    with reachable_folder() as place:
        out = place / "dist"
        done = command("bundle", "--homework", homework, "--out", out, cwd=place)
        assert done.returncode == 0, done.stdout + done.stderr
        source = unpacked(out / bundle.GRADESCOPE, place / "source")
        names = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
        assert f"homework/{homework.name}/probes.py" in names
        assert not [name for name in names if "hw11" in name or name.endswith(".cases") or "/tests/" in name]
        loaded = homeworks.load(str(homework))
        graded = subprocess.run(  # as run_autograder does, but for setup.sh
            [sys.executable, "-I", source / "autograder" / "__main__.py", "grade", homework / "reference",
             "--out", place / "results.json"],
            cwd="/", env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert graded.returncode == 0, graded.stdout + graded.stderr
        assert score(place / "results.json") == loaded.points
        students = unpacked(out / bundle.STUDENTS, place / "students")
        assert {path.name for path in students.iterdir()} == {path.name for path in loaded.template.iterdir()}
        again = command("bundle", "--homework", homework, "--out", homework / "dist", cwd=place)
        assert (again.returncode, "Give another --out" in again.stderr) == (2, True)


def test_students_code_cannot_read_the_homework(homework: Path, tmp_path: Path) -> None:
    file = next((homework / "reference").glob("*.py"))
    spy = tmp_path / "spy"
    spy.mkdir()
    text = file.read_text()
    raises = f"    raise ValueError(open({str(file)!r}).read()[:20])\n"
    text = re.sub(r"^    # BEGIN SOLUTION.*?# END SOLUTION\n", raises, text, flags=re.M | re.S)
    (spy / file.name).write_text(text)
    done = command("grade", spy, "--homework", homework, "--out", tmp_path / "results.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "results.json").read_text())
    found = " ".join(test["extra_data"].get("message", {}).get("found", "") for test in document["tests"])
    assert "ValueError" not in found
    assert "PermissionError" in found or "FileNotFoundError" in found
    assert str(homework) not in document["output"]


@pytest.mark.parametrize(
    "words", [("grade", "."), ("class", ".", "--out", "g"), ("doctor",), ("template",), ("bundle",), ("bench",),
              ("audit", "--out", "a"), ("course",), ("compare", ".", ".")],
)  # fmt: skip
def test_a_homework_that_cannot_be_used_is_a_sentence_for_every_command(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "__init__.py").write_text("import nonesuch\n")
    nowhere = command(*words, "--homework", "nowhere", cwd=tmp_path)
    assert (nowhere.returncode, "no folder and no Python package called nowhere" in nowhere.stderr) == (2, True)
    if words[0] != "compare":
        bad = command(*words, "--homework", "bad", cwd=tmp_path)
        assert (bad.returncode, "__init__.py, line 1" in bad.stderr) == (2, True), bad.stderr


# --------------------------------------------------------------------------------------- the tutorial


def test_the_tutorial_works_as_it_is_written() -> None:
    text = TUTORIAL.read_text()
    with reachable_folder() as home:
        outputs = []
        for kind, file, block in re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", text, flags=re.M | re.S):
            if file:
                (home / "dropout" / file).write_text(block)
                continue
            assert kind == "console", kind
            for line in re.findall(r"^\$ (.*)$", block, flags=re.M):
                if line.startswith("./setup.sh"):
                    continue
                if " class " in line:
                    (home / "class").mkdir()
                    for name in ("reference", "student_template"):
                        shutil.copytree(home / "dropout" / name, home / "class" / name)
                line = line.replace("$(./setup.sh --python)", sys.executable).replace("python3", sys.executable)
                line = line.replace("export.zip", "~/class").replace("--out graded", "--out ~/graded --jobs 1")
                line = line.replace("/reference --homework", "/reference --out ~/reference.json --homework")
                line = line.replace(
                    "/student_template --homework", "/student_template --out ~/template.json --homework"
                )
                done = subprocess.run(
                    ["bash", "-c", line], cwd=ROOT, env={**ENVIRONMENT, "HOME": str(home)}, capture_output=True,
                    text=True, check=False, timeout=300,
                )  # fmt: skip
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
                outputs.append(done.stdout)
        assert (score(home / "reference.json"), score(home / "template.json")) == (4, 0)
        assert {path.name for path in (home / "dist").iterdir()} == {bundle.GRADESCOPE, bundle.STUDENTS}
        assert score(home / "graded" / "results" / "reference.json") == 4
        loaded = homeworks.load(str(home / "dropout"))
        assert "a probability off by 0.0" in loaded.questions[0].checks[1].judge.detects  # type: ignore[attr-defined]
        assert proof.unproved(loaded) == []
