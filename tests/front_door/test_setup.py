"""The scripts at the front door: setup.sh and run_autograder, as a newcomer, a symlink and Gradescope call them.

Nothing is installed here: the environment is there already when these tests run.
"""

import json
import os
import re
import resource
import shlex
import shutil
import stat
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
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
    (folder / "autograder" / "sandbox").mkdir(parents=True)
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


# --------------------------------------------------------------------------- which Python, with stand-ins


REAL = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}"


def stand_in(folder: Path, minor: int, *, level: str = "final", prefix: str = "/usr", venv: bool = True) -> None:
    """An interpreter that says to be 3.`minor`, and makes environments of nothing (or fails to)."""
    made = 'mkdir -p "$5/bin"; ln -sf "$0" "$5/bin/python"' if venv else "exit 1"
    program = (
        "import sys; from types import SimpleNamespace as N;"
        f"V = type('V', (tuple,), {{'releaselevel': {level!r}}});"
        f"sys.version_info, sys.base_prefix = V((3, {minor}, 0)), {prefix!r}; program = sys.argv.pop(1);"
        "sys.argv[0] = '-c'; exec(program)"
    )
    script(
        folder / f"python3.{minor}",
        f'if [ "$2 $3" = "-m venv" ]; then {made}; exit; fi\n'
        f'if [ "$2 $3" = "-m pip" ]; then echo "3.{minor} $*" >>"{folder}/pip.log"; exit 0; fi\n'
        f'[ "$2" = -c ] || exit 0\ncase "$3" in *ensurepip*) ;; *) exit 0 ;; esac\n'
        f'exec {REAL} -I -c {shlex.quote(program)} "$3" "$4" "$5"',
    )


@pytest.fixture
def machine(tmp_path):
    """A machine with nothing but what is put into its bin: setup.sh believes to be root on Ubuntu 22.04."""
    tools = "bash sh sed cat cksum tr id readlink dirname mkdir head mv touch rm chmod ln grep timeout uname env flock"
    bin = tmp_path / "bin"
    bin.mkdir()
    for tool in tools.split():
        (bin / tool).symlink_to(shutil.which(tool))
    script(bin / "id.new", "echo 0")
    (bin / "id.new").replace(bin / "id")
    shutil.copytree(ROOT / "autograder", tmp_path / "source" / "autograder", ignore=lambda *_: ["hw11", "__pycache__"])
    (tmp_path / "source" / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "requirements.txt", tmp_path / "source" / "tests")
    text = SETUP.read_text().replace("/etc/os-release", f"{tmp_path}/os-release").replace("/opt/", f"{tmp_path}/opt/")
    (tmp_path / "source" / "setup.sh").write_text(text.replace("/usr/bin/python3", f"{bin}/python3"))
    (tmp_path / "os-release").write_text('ID=ubuntu\nVERSION_ID="22.04"\n')
    return tmp_path


def setup_on(machine, *options):
    done = call(
        "bash", machine / "source" / "setup.sh", *options, env={"PATH": str(machine / "bin"), "HOME": str(machine)}
    )
    log = machine / "bin" / "pip.log"
    return done, log.read_text().split()[0] if log.exists() else ""


def test_a_key_that_is_missing_is_made_and_nothing_else(machine):
    """As in a container: the environment comes with the image, and the key is made at the first grading."""
    stand_in(machine / "bin", 12)
    assert setup_on(machine, "--python")[0].returncode == 0
    (key,) = (machine / "opt" / "autograder").glob("venv-*/secret")
    first, log = key.read_bytes(), (machine / "bin" / "pip.log").read_text()
    kept = machine / "a volume"
    kept.mkdir()
    key.unlink()
    key.symlink_to(kept / "secret")
    done, _ = setup_on(machine, "--python")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{key.parent}/bin/python\n", "")
    assert key.is_symlink() and [path.name for path in kept.iterdir()] == ["secret"]
    assert len(key.read_bytes()) == 32 and key.read_bytes() != first
    assert stat.S_IMODE((kept / "secret").stat().st_mode) == 0o600
    assert (machine / "bin" / "pip.log").read_text() == log
    (kept / "secret").write_bytes(b"")  # a kill or a full disk
    assert setup_on(machine, "--python")[0].returncode == 0
    assert len(key.read_bytes()) == 32


def test_many_that_start_at_once_have_one_key(machine):
    """Each of them reads the key as soon as setup.sh has ended."""
    stand_in(machine / "bin", 12)
    assert setup_on(machine, "--python")[0].returncode == 0
    (key,) = (machine / "opt" / "autograder").glob("venv-*/secret")
    key.unlink()
    read = f'bash {machine}/source/setup.sh --python >/dev/null && cksum <"{key}"'
    env = {"PATH": str(machine / "bin"), "HOME": str(machine)}
    started = [subprocess.Popen(["bash", "-c", read], env=env, stdout=subprocess.PIPE) for _ in range(8)]
    assert len({each.communicate()[0] for each in started}) == 1
    assert key.stat().st_nlink == 1 and not list(key.parent.glob("secret.*"))


def test_a_key_that_cannot_be_kept_is_said(machine):
    """Without a key the inputs could be guessed, so nothing goes on."""
    stand_in(machine / "bin", 12)
    assert setup_on(machine, "--python")[0].returncode == 0
    (key,) = (machine / "opt" / "autograder").glob("venv-*/secret")
    key.unlink()
    key.symlink_to(machine / "nowhere" / "deeper" / "secret")
    done, _ = setup_on(machine, "--python")
    assert (done.returncode, done.stdout) == (1, "")
    assert "key" in done.stderr and str(key) in done.stderr


def test_the_owner_of_the_folder_below_opt_shares_its_environment(machine):
    """The image's authors are not root, and have root's environment; who may not write there has one of their own."""
    stand_in(machine / "bin", 12)
    script(machine / "bin" / "id.new", "echo 1000")
    (machine / "bin" / "id.new").replace(machine / "bin" / "id")
    assert setup_on(machine, "--python")[0].stdout.startswith(f"{machine}/opt/autograder/venv-")
    shutil.rmtree(machine / "opt")
    (machine / "opt").write_text("")
    assert setup_on(machine, "--python")[0].stdout == f"{machine}/source/.venv/bin/python\n"


def archive(machine, *, ppa, offered):
    """An apt-get that installs the Pythons `offered` by minor version; those from 12 on only once the PPA is there."""
    bin = machine / "bin"
    cases = "".join(f"*python3.{minor}\\ *) ready {minor} ;;\n" for minor in offered)
    for minor in offered:
        (machine / "pool").mkdir(exist_ok=True)
        stand_in(machine / "pool", minor)
        text = (machine / "pool" / f"python3.{minor}").read_text().replace(f"{machine}/pool", str(bin))
        (machine / "pool" / f"python3.{minor}").write_text(text)
    script(
        bin / "apt-get",
        f'echo "$*" >>"{machine}/apt.log"\n'
        f'ready() {{ [ "$1" = 11 ] || [ -e "{machine}/ppa" ] || exit 1\n'
        f'cat "{machine}/pool/python3.$1" >"{bin}/python3.$1"; chmod 755 "{bin}/python3.$1"; }}\n'
        f'case "$* " in\n{cases}*python3.*) exit 100 ;;\nesac',
    )
    script(bin / "add-apt-repository", f'[ "$2" = ppa:deadsnakes/ppa ] && touch "{machine}/ppa"' if ppa else "exit 1")


@pytest.mark.parametrize(
    ("here", "first"),
    [([11, 12, 13, 14], 14), ([11, 13], 13), ([12], 12), ([11], 11), ([15, 12], 12), ([10, 11], 11)],
)
def test_the_newest_supported_python_is_taken(machine, here, first):
    for minor in here:
        stand_in(machine / "bin", minor)
    done, used = setup_on(machine, "--python")
    assert done.returncode == 0, done.stderr
    assert used == f"3.{first}"
    assert done.stdout.strip().startswith(f"{machine}/opt/autograder/venv-")
    which = call("bash", machine / "source" / "setup.sh", "--which", env={"PATH": str(machine / "bin")})
    named = [Path(line).name for line in which.stdout.splitlines()]
    assert named == [f"python3.{minor}" for minor in sorted(here, reverse=True) if 11 <= minor <= 14]


def test_what_does_not_suit_is_passed_over(machine):
    (machine / "closed").mkdir(mode=0o700)
    stand_in(machine / "bin", 14, level="beta")
    stand_in(machine / "bin", 13, prefix=f"{machine}/closed")
    stand_in(machine / "bin", 12, level="candidate")
    assert setup_on(machine, "--python")[1] == "3.12"


def test_where_wheels_are_lacking_an_older_one_is_taken(machine):
    stand_in(machine / "bin", 14, venv=False)
    stand_in(machine / "bin", 12)
    done, used = setup_on(machine, "--python")
    assert (done.returncode, used) == (0, "3.12")
    assert "no environment could be made with" in done.stderr


@pytest.mark.parametrize(
    ("ppa", "offered", "before", "taken"),
    [
        (True, [11, 12, 13, 14], [], "3.14"), (True, [11, 12, 13], [], "3.13"), (False, [11, 14], [], "3.11"),
        (True, [11], [], "3.11"), (True, [14], [11], "3.14"), (False, [14], [11], "3.11"), (True, [14], [13], "3.13"),
    ],
)  # fmt: skip
def test_ubuntu_22_04_gets_a_newer_python_where_it_can_be_had(machine, ppa, offered, before, taken):
    archive(machine, ppa=ppa, offered=offered)
    for minor in before:
        stand_in(machine / "bin", minor)
    done, used = setup_on(machine, "--python")
    assert (done.returncode, used) == (0, taken), done.stderr


def test_other_systems_take_what_their_archive_has(machine):
    archive(machine, ppa=True, offered=[11, 14])
    (machine / "os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    assert setup_on(machine, "--python")[1] == "3.11"
    assert not (machine / "ppa").exists()


def test_pins_are_of_every_python_that_is_taken():
    """No marker leaves a package out for some Python: the same versions run everywhere."""
    text = "\n".join(lines("autograder/requirements.txt") + lines("autograder/requirements-hashed.txt"))
    assert "python_version" not in text
    minors = re.search(r'^minors="([\d ]+)"', SETUP.read_text(), re.MULTILINE)
    assert minors and minors[1].split() == ["14", "13", "12", "11"]
