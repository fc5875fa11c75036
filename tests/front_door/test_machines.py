"""Any machine: the image and docs/machines.md's lines for Docker, and what other systems than Linux are told.

There is no Docker here. The Dockerfile is carried out in a bare root folder that borrows this machine's programs and
its environment; the documents' lines then run in it, with the folders that they name and Docker's capabilities.
"""

from __future__ import annotations

import ast
import fnmatch
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from autograder import front
from autograder.authoring import bundle
from tests.authoring.test_bundle import BARE, CLEAN, NAMESPACE, python, unpack, without_a_root
from tests.helpers import ROOT, is_valid_results, reachable_folder, solved, zip_of

DOC = (ROOT / "docs" / "machines.md").read_text()
LINES = [shlex.split(line) for line in re.findall(r"^\$ (docker .*)$", DOC, re.MULTILINE)]
BUILDS = [line[2:] for line in LINES if line[1] == "build"]
RUNS = [line[2:] for line in LINES if line[1] == "run"]
GRADING, CLASS, DOCTOR, TESTS = RUNS

# ------------------------------------------------------------------------------ other systems, simulated

UNAMES = {
    "Darwin": "macOS",
    "MINGW64_NT-10.0-22631": "Windows",
    "MSYS_NT-10.0-19045": "Windows",
    "CYGWIN_NT-10.0": "Windows",
    "FreeBSD": "FreeBSD",
}
SCRIPTS = (
    ("setup.sh",), ("setup.sh", "--dev", "--python"), ("run_autograder", "submission.zip"), ("run_autograder",),
    ("run_tests",), ("run_tests", "-k", "vae"),
)  # fmt: skip


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A machine with a few programs and a copy of the scripts; what could install something leaves a trace.

    As on an old Mac, readlink has no -f.
    """
    bin = tmp_path / "bin"
    bin.mkdir()
    for tool in ("bash", "sh", "cat", "dirname", "env", "sed", "id", "mkdir"):
        (bin / tool).symlink_to(str(shutil.which(tool)))
    stub(bin / "readlink", 'echo "readlink: illegal option -- f" >&2; exit 1')
    for tool in ("python3", "python3.12", "pip", "apt-get", "brew", "flock", "git"):
        stub(bin / tool, f'echo "$0 $*" >>"{tmp_path}/trace"')
    for name in ("setup.sh", "run_autograder", "run_tests"):
        (tmp_path / "source").mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "source")
    (tmp_path / "source" / "autograder" / "sandbox").mkdir(parents=True)
    return tmp_path


def stub(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("uname", UNAMES)
@pytest.mark.parametrize("command", SCRIPTS, ids=" ".join)
def test_scripts_say_one_sentence_and_install_nothing(elsewhere, uname, command):
    stub(elsewhere / "bin" / "uname", f"echo {uname}")
    before = sorted(elsewhere.rglob("*"))
    done = subprocess.run(
        ["bash", *command], cwd=elsewhere / "source", env={"PATH": str(elsewhere / "bin"), "HOME": str(elsewhere)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"{front.DOCKER.format(UNAMES[uname])}\n")
    assert sorted(elsewhere.rglob("*")) == before


@dataclass(frozen=True)
class Other:
    """Another system as Python shows it: the name, and modules of UNIX or of Linux that are not there."""

    platform: str
    lacks: tuple[str, ...] = ()
    version: tuple[int, int] = sys.version_info[:2]


SYSTEMS = {
    "macOS": Other("darwin"),
    "Windows": Other("win32", ("fcntl", "resource", "pwd", "grp", "termios", "syslog")),
    "an old Python on macOS": Other("darwin", version=(3, 9)),
    "an old Python on Windows": Other("win32", ("fcntl", "resource", "pwd", "grp", "termios"), (3, 8)),
}
NOTHING_ELSE = """
import os, subprocess
def _refuse(*_arguments, **_options):
    raise SystemExit("something was started")
subprocess.Popen = os.execve = os.fork = _refuse
"""


def called_on(other: Other, folder: Path, *arguments: str, more: str = "") -> subprocess.CompletedProcess[str]:
    """`python3 -m autograder` there: an interpreter without any package, whose start makes it look like the other's."""
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.platform = {other.platform!r}\n"
        f"class _V(tuple): major, minor, micro, releaselevel, serial = *{other.version}, 0, 'final', 0\n"
        f"sys.version_info = _V(({', '.join(map(str, other.version))}, 0, 'final', 0))\n"
        f"for _name in {other.lacks}:\n    sys.modules[_name] = None\n{more}"
    )
    bare = [str(python().resolve()), "-B", "-m", "autograder", *arguments]
    return subprocess.run(
        bare, cwd=ROOT, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "HOME": str(folder)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "arguments", [(), ("doctor",), ("grade", "a.zip"), ("class", "a", "--out", "b"), ("compare", "a", "b")], ids=str
)
def test_python_says_one_sentence_and_starts_nothing(tmp_path, system, arguments):
    done = called_on(SYSTEMS[system], tmp_path, *arguments, more=NOTHING_ELSE)
    sentence = front.refusal(SYSTEMS[system].platform)
    assert system.rpartition(" ")[2] in sentence
    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"{sentence}\n")


@pytest.mark.parametrize("system", ["macOS", "Windows"])
def test_what_needs_only_python_works_there(tmp_path, system):
    (tmp_path / "site").mkdir()
    helped = called_on(SYSTEMS[system], tmp_path / "site", "--help", more=NOTHING_ELSE)
    assert helped.returncode == 0 and "doctor" in helped.stdout
    done = called_on(SYSTEMS[system], tmp_path / "site", "bundle", "--out", str(tmp_path / "out"), more=NOTHING_ELSE)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {bundle.GRADESCOPE, bundle.STUDENTS}


def test_an_old_python_on_linux_hands_over_to_that_of_setup(tmp_path):
    """Red Hat's python3 is 3.6 or 3.9, which could not even read the commands."""
    done = called_on(Other("linux", version=(3, 6)), tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "doctor" in done.stdout


def test_any_python_3_can_read_what_says_so():
    for name in ("__init__.py", "front.py"):
        ast.parse((ROOT / "autograder" / name).read_text(), feature_version=(3, 4))


def test_linux_is_not_refused():
    assert front.refusal("linux") == ""


def test_the_sentence_is_one_and_its_commands_are_the_documents():
    sentence = front.refusal("darwin")
    assert "\n" not in sentence and sentence.count(". ") == 0 and sentence.endswith(").")
    told = [shlex.split(command) for command in re.findall(r"`(docker [^`]*)`", sentence)]
    assert told == [["docker", "build", *BUILDS[0]], ["docker", "run", *GRADING]]


# ------------------------------------------------------------------------------------ the Dockerfile

Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """The Dockerfile's instructions in order: the word and the rest, continuation lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    words = [line.strip().partition(" ") for line in text.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in words]


def stages() -> dict[str, tuple[str, list[Instruction]]]:
    """For each stage its base and its instructions; the default one, which comes last, is called ""."""
    found: dict[str, tuple[str, list[Instruction]]] = {}
    name = ""
    for word, rest in instructions():
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = base, []
        elif found:
            found[name][1].append((word, rest))
    return found


def lineage(stage: str) -> list[Instruction]:
    """All that makes a stage, from its base image on."""
    base, own = stages()[stage]
    return [*(lineage(base) if base in stages() else []), *own]


def is_sent(name: str) -> bool:
    """Whether .dockerignore lets this file of the folder into an image: the last pattern that matches decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            parts = name.split("/")
            above = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
            if pattern.startswith("**/"):
                matches = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
            else:
                matches = any(
                    fnmatch.fnmatchcase(place, pattern) and place.count("/") == pattern.count("/") for place in above
                )
            sent = line.startswith("!") if matches else sent
    return sent


def sent_files() -> list[str]:
    """What git has or would take, as far as .dockerignore lets it through."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    return [name for name in names if is_sent(name) and (ROOT / name).is_file()]


NO_GIT = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="a copy without its history: git cannot list the files"
)


@NO_GIT
def test_the_image_gets_what_grading_and_the_tests_need():
    sent = sent_files()
    assert {path.relative_to(ROOT).as_posix() for path in bundle.files(ROOT)} <= set(sent)
    for word, rest in instructions():
        if word == "COPY":
            *sources, _ = rest.split()
            for source in sources:
                assert any(source == "." or fnmatch.fnmatchcase(name, source) for name in sent), source


@pytest.mark.parametrize(
    "name",
    [
        ".git/config", ".venv/secret", ".env", "secret", "autograder/secret", "export.zip", "submission.zip",
        "graded/grades.csv", "results.json", "reference/results.json", "dist/autograder.zip", "id_rsa", "roster.csv",
        "student_template/submission.zip", "reference/data/mnist.gz", "tests/.env", "reference/gan_vae/results/a.pt",
        "autograder/__pycache__/core.cpython-311.pyc", "student_template/submission_log.json", "submissions/a/vae.py",
        ".devcontainer/.netrc", "autograder/.canary-1", "course.toml",
    ],
)  # fmt: skip
def test_nothing_secret_and_nothing_of_students_gets_into_the_image(name):
    assert not is_sent(name)


def test_gradescopes_harness_stays_and_grading_starts_as_root():
    """Gradescope's base image defines CMD and ENTRYPOINT, and runs /autograder/run_autograder as root."""
    words = [word for word, _ in lineage("")]
    assert set(words) == {"COPY", "RUN"}
    bases = [rest for word, rest in instructions() if word == "ARG"]
    assert [base.partition("=")[0] for base in bases] == ["BASE"]
    assert stages()["environment"][0] == "${BASE}"


def test_authors_have_a_user_of_their_own():
    users = [rest for word, rest in lineage("authoring") if word == "USER"]
    assert users == ["author"]
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert settings["remoteUser"] == "author"
    assert settings["build"]["target"] == "authoring"
    folder = ROOT / ".devcontainer"
    assert (folder / settings["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / settings["build"]["context"]).resolve() == ROOT
    created = subprocess.run(["bash", "-n", "-c", settings["postCreateCommand"]], capture_output=True, check=False)
    assert created.returncode == 0
    assert "bash setup.sh --dev --python" in settings["postCreateCommand"]


def test_no_layer_keeps_a_key():
    """setup.sh makes the key at the end of its work, so the instruction that calls it removes it again."""
    calls = [rest for _, own in stages().values() for word, rest in own if word == "RUN" and "bash /auto" in rest[:40]]
    assert len(calls) == 2
    assert all(re.search(r"&& rm \S+/secret\b", call) for call in calls)


@NO_GIT
def test_the_pins_that_setup_reads_are_there_before_it_runs():
    told = set(re.findall(r'"\$here/((?:autograder|tests)/[\w.-]+\.(?:txt|json))"', (ROOT / "setup.sh").read_text()))
    assert {"autograder/requirements.txt", "tests/requirements.txt"} < told
    sources = []
    for word, rest in stages()["environment"][1]:
        if word == "RUN":
            break
        sources += rest.split()[:-1]
    assert all(any(fnmatch.fnmatchcase(name, source) for source in sources) and is_sent(name) for name in told)


def test_the_documents_build_what_they_run():
    names = {}
    for words in BUILDS:
        assert words[-1] == "."
        options = dict(zip(words[:-1:2], words[1:-1:2], strict=True))
        assert set(options) <= {"-t", "--target", "--platform", "--build-arg"}
        assert options.get("--target", "") in stages()
        names[options["-t"]] = options.get("--target", "")
    assert names["grader"] == "" and names["grader-authoring"] == "authoring"
    assert all(Container.of(words).image in names for words in RUNS)


# ------------------------------------------------------------------- the image's root, and what runs in it


@dataclass(frozen=True)
class Container:
    """What a `docker run` line asks for."""

    image: str
    command: tuple[str, ...]
    volumes: tuple[tuple[str, str], ...]
    place: str = "/"

    @staticmethod
    def of(words: list[str]) -> Container:
        left, volumes, place = list(words), [], "/"
        while left[0].startswith("-"):
            match left.pop(0):
                case "--rm":
                    pass
                case "-v":
                    source, _, target = left.pop(0).rpartition(":")
                    volumes.append((source, target))
                case "-w":
                    place = left.pop(0)
                case "--user":
                    assert left.pop(0) == "root"
                case other:
                    raise AssertionError(f"{other} is not expected")
        return Container(left[0], tuple(left[1:]), tuple(volumes), place)


@dataclass
class Image:
    """A root folder in which the Dockerfile's default stage was carried out, and its volumes by name."""

    root: Path
    volumes: dict[str, Path] = field(default_factory=dict)

    @property
    def key(self) -> Path:
        return self.root / "opt" / "autograder" / "key"

    def call(
        self, *command: str, place: str = "/", mounts: tuple[tuple[Path, str], ...] = (), path: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as root with Docker's capabilities; `mounts` are folders of this machine."""
        binding = "".join(
            f"mkdir -p {self.root}{target} && mount --bind {source} {self.root}{target} && "
            for source, target in mounts
        )
        clean = ("env", "-i", "-C", place, f"PATH={path}{CLEAN[0].removeprefix('PATH=')}", CLEAN[1], *command)
        outer = f'{binding}exec sh -c "$0" "$@"'
        return subprocess.run(
            [*NAMESPACE, "sh", "-c", outer, BARE, "bare", str(self.root), " ".join(borrowed()), *clean],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def run(self, words: list[str], work: Path) -> subprocess.CompletedProcess[str]:
        """A `docker run` line of the documents, called in the folder `work`; a container's own key goes with it."""
        asked = Container.of(words)
        mounts = []
        for source, target in asked.volumes:
            if source != "${PWD}" and source not in self.volumes:
                self.volumes[source] = self.root.parent / source
                shutil.copytree(self.root / target[1:], self.volumes[source])  # as Docker fills a new volume
            mounts.append((work if source == "${PWD}" else self.volumes[source], target))
        try:
            return self.call(*asked.command, place=asked.place, mounts=tuple(mounts))
        finally:
            for left in self.key.iterdir():
                left.unlink()


def borrowed() -> list[str]:
    """This machine's folders that stand for the image's programs and for what setup.sh would install."""
    environment = [str(entry) for entry in python().parents[1].iterdir() if entry.is_dir() and not entry.is_symlink()]
    usr = [str(entry) for entry in Path("/usr").iterdir() if entry.name != "local"]
    return [*usr, "/bin", "/sbin", "/lib", "/lib64", "/etc", *environment]


def no_image() -> str:
    if reason := without_a_root():
        return reason
    if not python().is_relative_to("/opt/autograder") or not python().resolve().is_relative_to("/usr/bin"):
        return "the environment is not made as in the image"
    return ""


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    if reason := no_image():
        pytest.skip(reason)
    with reachable_folder() as folder:
        root = folder / "root"
        venv = root / str(python().parents[1]).lstrip("/")
        venv.mkdir(parents=True)
        for entry in python().parents[1].iterdir():
            if entry.is_symlink() or (entry.is_file() and entry.name != "secret"):
                shutil.copy2(entry, venv, follow_symlinks=False)
        (root / "usr" / "local" / "bin").mkdir(parents=True)
        stubs = root / "stubs"
        stubs.mkdir()
        for name in ("useradd", "chown"):  # /etc is this machine's, and so is what would get another owner
            stub(stubs / name, f'echo "{name} $*" >>/stubs/log')
        made = Image(root)
        sent = sent_files()
        for word, rest in lineage(""):
            if word == "RUN":
                done = made.call("bash", "-c", rest, path="/stubs:")
                assert done.returncode == 0, done.stderr
                continue
            *sources, target = rest.split()
            for name in sent:
                for source in sources:
                    if source == "." or fnmatch.fnmatchcase(name, source):
                        to = root / target[1:] / (name if source == "." else Path(name).name)
                        to.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy2(ROOT / name, to)
        yield made


@NO_GIT
def test_the_image_is_what_gradescope_starts_and_holds_no_key(image):
    started = image.root / "autograder" / "run_autograder"
    assert stat.S_IMODE(started.stat().st_mode) == 0o755
    assert started.read_bytes() == (ROOT / "run_autograder").read_bytes()
    assert list(image.key.iterdir()) == [] and stat.S_IMODE(image.key.stat().st_mode) == 0o700
    secrets = [path for path in image.root.rglob("secret*") if path.is_file() or path.is_symlink()]
    assert [path.readlink() for path in secrets] == [Path("/opt/autograder/key/secret")]
    assert (image.root / "stubs" / "log").read_text().splitlines() == [
        "useradd --create-home --shell /bin/bash author", "chown -R author: /opt/autograder",
    ]  # fmt: skip


def export(path: Path) -> Path:
    """Two submissions as Gradescope exports a class: one is right, one forgets the noise."""
    with zipfile.ZipFile(path, "w") as archive:
        described = ""
        for number, more in ((1, ""), (2, "def sample_gaussian(m, v):\n    return m\n")):
            described += (
                f"submission_{number}:\n  :submitters:\n  - :name: Student {number}\n    :sid: s{number}\n"
                f"    :email: s{number}@example.edu\n  :created_at: 2026-11-23 07:00:00 Z\n  :score: 1.0\n"
            )
            for name, content in solved(utils=more).items():
                archive.writestr(f"export/submission_{number}/{name}", content)
        archive.writestr("export/submission_metadata.yml", described)
    return path


@NO_GIT
@pytest.mark.slow
def test_the_line_that_grades_a_zip(image):
    with reachable_folder() as work:
        zip_of(solved(), work / "submission.zip")
        done = image.run(GRADING, work)
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in work.iterdir()) == ["results.json", "submission.zip"]
        document = is_valid_results(work / "results.json")
        assert document["score"] > 20
        assert "isolation: " in done.stdout and "judge BLOCKED" in done.stdout


@NO_GIT
@pytest.mark.slow
def test_the_line_that_grades_a_class_keeps_its_key(image):
    """With the same key the second call finds everything graded; a container without the volume has another one."""
    with reachable_folder() as work:
        export(work / "export.zip")
        first = image.run(CLASS, work)
        assert first.returncode == 0, first.stderr
        results = {path.name: path.read_bytes() for path in (work / "graded" / "results").iterdir()}
        assert len(results) == 2
        (key,) = image.volumes["grader-key"].iterdir()
        kept = key.read_bytes()
        assert len(kept) == 32 and stat.S_IMODE(key.stat().st_mode) == 0o600
        second = image.run(CLASS, work)
        assert second.returncode == 0, second.stderr
        assert {path.name: path.read_bytes() for path in (work / "graded" / "results").iterdir()} == results
        assert key.read_bytes() == kept
        assert list(image.key.iterdir()) == []


@NO_GIT
@pytest.mark.slow
def test_the_line_that_tries_the_sandbox(image):
    with reachable_folder() as work:
        done = image.run(DOCTOR, work)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "isolation: " in done.stdout
    assert re.search(r"user +root", done.stdout)


@NO_GIT
def test_two_containers_have_two_keys(image):
    made = set()
    for _ in range(2):
        image.call("autograder", "template", "--help")
        made.add((image.key / "secret").read_bytes())
        (image.key / "secret").unlink()
    assert len(made) == 2


def test_the_line_that_runs_the_tests_starts_a_script_of_the_folder():
    asked = Container.of(TESTS)
    assert asked.volumes == (("${PWD}", asked.place),)
    assert os.access(ROOT / asked.command[0], os.X_OK)


# ----------------------------------------------------------------- the whole image, with all its downloads

BUILD = "AUTOGRADER_BUILD_IMAGE"
"""Set to build the image as Docker would, in ten minutes; its value are more options for `buildah build` and `run`,
such as `-v` for the settings that this machine needs to reach the registries, or "--" for none."""


@NO_GIT
@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(BUILD), reason=f"takes ten minutes: set {BUILD}")
@pytest.mark.skipif(not all(map(shutil.which, ("buildah", "debootstrap"))), reason="needs buildah and debootstrap")
def test_the_whole_image_is_built_and_grades():
    """The base is made by debootstrap, so that no registry of images is needed."""
    options = [word for word in shlex.split(os.environ[BUILD]) if word != "--"]
    with reachable_folder() as folder, reachable_folder() as work:
        zip_of(solved(), work / "submission.zip")
        debian = folder / "debian"
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(debian)], check=True, stdout=sys.stderr)
        kept = ["buildah", "--root", f"{folder}/store", "--runroot", f"{folder}/run"]

        def buildah(*words: str) -> str:
            return subprocess.run(
                [*kept, *words], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT
            ).stdout.strip()

        scratch = buildah("from", "scratch")
        buildah("copy", "-q", scratch, str(debian), "/")
        buildah("commit", "-q", "--rm", scratch, "localhost/debian:12-slim")
        for words in BUILDS[:2]:
            buildah("build", "--isolation", "chroot", "--build-arg", "BASE=localhost/debian:12-slim", *options, *words)
        few = [*TESTS, "-n", "0", "tests/unit/test_rounding.py"]  # linter and types over all, and one file of tests
        for line, given in ((GRADING, work), (DOCTOR, work), (few, ROOT)):
            asked = Container.of(line)
            container = buildah("from", "--pull-never", asked.image)
            volumes = [f"{given}:{target}" for source, target in asked.volumes if source == "${PWD}"]
            mounted = [word for volume in volumes for word in ("-v", volume)]
            place = ["--workingdir", asked.place, "--user", "root"]
            running = [*kept, "run", "--isolation", "chroot", *mounted, *place, container, *asked.command]
            ran = subprocess.run(running, check=False)
            assert ran.returncode == 0, line
        assert is_valid_results(work / "results.json")["score"] > 20


def test_the_unpacked_bundle_has_what_the_image_needs(tmp_path):
    """The two ways to Gradescope differ in the tests and documents alone."""
    assert bundle.run(ROOT, tmp_path) == 0
    unpacked = unpack(tmp_path / bundle.GRADESCOPE, tmp_path / "source")
    assert all(is_sent(path.relative_to(unpacked).as_posix()) for path in unpacked.rglob("*") if path.is_file())
