"""The scripts at the front door: setup.sh and run_autograder, as a newcomer, a symlink and Gradescope call them.

Nothing is installed here: the environment is there already when these tests run.
"""

import json
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUP, RUN = ROOT / "setup.sh", ROOT / "run_autograder"
PLAIN = {"PATH": "/usr/local/bin:/usr/bin:/bin", **{name: os.environ[name] for name in ("HOME",) if name in os.environ}}


def call(*command: object, cwd: Path = ROOT, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env or PLAIN, capture_output=True, text=True, timeout=120
    )  # fmt: skip


@pytest.fixture(scope="module")
def python() -> Path:
    return Path(call(SETUP, "--python").stdout.strip())


# ------------------------------------------------------------------------------------------- setup.sh


def test_the_interpreter_that_setup_prints_has_what_grading_needs(python):
    assert python.is_absolute()
    done = call(python, "-I", "-c", "import torch, numpy, scipy, rich; print(torch.__version__)")
    assert done.returncode == 0, done.stderr


def test_nothing_is_done_and_nothing_said_where_all_is_there(python):
    folder = python.parents[1]
    before = {entry: entry.stat().st_mtime_ns for entry in folder.iterdir()}
    used = []
    for _ in range(5):
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = call(SETUP, "--python")
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{python}\n", "")
    assert {entry: entry.stat().st_mtime_ns for entry in folder.iterdir()} == before
    assert min(used) < 0.1, "about 20 ms of CPU: it stands before every grading"


def test_setup_needs_neither_home_nor_a_certain_folder(python, tmp_path):
    link = tmp_path / "a link"
    link.symlink_to(SETUP)
    assert call(link, "--python", cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}).stdout == f"{python}\n"


def test_what_the_caller_set_for_python_does_not_lead_setup_astray(python):
    odd = {**PLAIN, "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "CDPATH": "/:/usr"}
    assert call("bash", "setup.sh", "--python", env=odd).stdout == f"{python}\n"


def test_help_lists_the_options():
    done = call(SETUP, "--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in ("--dev", "--python"))


def test_an_unknown_option_is_refused():
    done = call(SETUP, "--nonsense")
    assert done.returncode == 2
    assert "--nonsense" in done.stderr and "--help" in done.stderr
    assert done.stdout == ""


def test_the_key_of_the_seeds_is_its_owners_alone(python):
    secret = python.parents[1] / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.stat().st_uid == os.geteuid()
    assert len(secret.read_bytes()) == 32


def test_what_confines_students_is_pinned_by_hash_and_nowhere_else():
    hashed = [line for line in lines("autograder/requirements-hashed.txt") if not line.startswith("#")]
    assert {re.split("==", line)[0] for line in hashed} == {"landlockpy", "pyseccomp"}
    assert all(re.fullmatch(r"[a-z]+==[\d.]+ ;.* --hash=sha256:[0-9a-f]{64}", line) for line in hashed)
    assert not any(re.match("landlockpy|pyseccomp", line) for line in lines("autograder/requirements.txt"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the confinement libraries are for Linux")
def test_the_pinned_versions_are_those_installed():
    pins = lines("autograder/requirements.txt") + lines("autograder/requirements-hashed.txt")
    found = [re.match(r"(?:# )?([\w.-]+)==([\w.]+)", line) for line in pins]
    wanted = {match[1]: match[2] for match in found if match}
    assert {"torch", "numpy", "landlockpy"} <= set(wanted)
    assert {name: metadata.version(name).partition("+")[0] for name in wanted} == wanted


def lines(name: str) -> list[str]:
    return (ROOT / name).read_text().splitlines()


# ------------------------------------------------------------- run_autograder, up to the judge's start


@pytest.fixture
def stub(tmp_path):
    """A copy of run_autograder whose interpreter tells how it was started, and ends with status 3."""
    folder = tmp_path / "häuser & höfe"
    (folder / "autograder" / "isolation").mkdir(parents=True)
    shutil.copy(RUN, folder)
    script(folder / "setup.sh", f'echo "$(dirname "$0")/python"; [ ! -e "{folder}/broken" ] || exit 1')
    script(folder / "python", 'tr "\\0" "\\n" </proc/$$/environ; printf "argument: %s\\n" "$@"; exit 3')
    return folder


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_nothing_of_the_callers_environment_reaches_the_judge(stub):
    done = call(stub / "run_autograder", "x", env={**PLAIN, "FOO_TOKEN": "hidden", "PYTHONPATH": "/hidden"})
    assert "OMP_NUM_THREADS=1" in done.stdout
    assert "hidden" not in done.stdout


def test_arguments_and_the_exit_status_pass_unchanged(stub):
    done = call(stub / "run_autograder", "my work.zip", "--out", "a b.json")
    assert done.returncode == 3
    program = str(stub / "autograder" / "__main__.py")
    wanted = ["-I", program, "grade", "my work.zip", "--out", "a b.json"]
    assert re.findall("argument: (.*)", done.stdout) == wanted


def test_without_home_and_through_a_symlink(stub, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(stub / "run_autograder")
    done = call(link, "x", cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})
    assert f"argument: {stub}/autograder/__main__.py" in done.stdout


def test_a_setup_that_fails_is_our_fault(stub):
    (stub / "broken").touch()
    done = call(stub / "run_autograder", "x")
    assert done.returncode == 3
    assert "could not be set up" in done.stderr


# ------------------------------------------------------------------------------- run_autograder, whole


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_whole_grading_from_elsewhere_with_spaces_in_all_paths(tmp_path):
    here, work = tmp_path / "from here", tmp_path / "my homework (final)"
    here.mkdir()
    shutil.copytree(ROOT / "student_template", work, ignore=shutil.ignore_patterns("__pycache__"))
    link = tmp_path / "the grader"
    link.symlink_to(RUN)
    judge = subprocess.Popen(
        [str(link), str(work)], cwd=here, env={**PLAIN, "FOO_TOKEN": "hidden"}, stdout=subprocess.DEVNULL
    )
    seen = set()
    while judge.poll() is None:  # the script becomes the judge: one process id
        try:
            if b"__main__.py" in Path(f"/proc/{judge.pid}/cmdline").read_bytes():
                seen.add(b"FOO_TOKEN" in Path(f"/proc/{judge.pid}/environ").read_bytes())
        except OSError:  # closed to other processes, or over
            pass
        time.sleep(0.01)
    assert judge.returncode == 0
    assert True not in seen
    assert seen or os.geteuid() != 0
    assert json.loads((here / "results.json").read_text())["score"] == 0


def test_what_is_not_there_cannot_be_graded(tmp_path):
    done = call(RUN, tmp_path / "nothing here.zip", "--out", tmp_path / "out.json")
    assert done.returncode == 2
    assert json.loads((tmp_path / "out.json").read_text())["score"] == 0


@pytest.mark.skipif(Path("/autograder/submission").exists(), reason="this is Gradescope's machine")
def test_no_arguments_away_from_gradescope_says_what_to_give(tmp_path):
    done = call(RUN, cwd=tmp_path)
    assert done.returncode == 2
    assert "./run_autograder PATH" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
