"""How a homework is found by what `--homework` names, and what is said of one that cannot be used."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from autograder import homeworks
from autograder.sandbox.guest import probe_modules
from tests import small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The small homework, in a folder whose name is no identifier of Python's."""
    place = tmp_path / "hw-12"
    shutil.copytree(small.HERE, place, ignore=shutil.ignore_patterns("__pycache__"))
    file = place / "__init__.py"
    file.write_text(file.read_text().replace('"tests.small"', "__name__"))
    return place


def test_a_folder_is_found_from_wherever_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert homeworks.canonical("hw-12") == homeworks.canonical("./hw-12/") == str(folder)
    loaded = homeworks.load(homeworks.canonical("hw-12"))
    assert loaded.reference == folder / "reference"
    assert loaded.probes == "homeworks.hw-12"
    assert homeworks.place(str(folder)) == homeworks.place(loaded.probes) == ("homeworks.hw-12", str(folder.parent))


def test_a_package_keeps_its_name() -> None:
    assert homeworks.canonical("autograder.hw11") == "autograder.hw11"
    assert homeworks.place("autograder.hw11") == ("autograder.hw11", "")
    assert homeworks.load("tests.small") is small.ASSIGNMENT


def test_of_two_folders_with_one_name_the_last_counts(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "hw-12"
    shutil.copytree(folder, other)
    (other / "__init__.py").write_text((other / "__init__.py").read_text().replace('"Small"', '"Other"'))
    titles = [homeworks.load(str(one)).title for one in (folder, other, folder)]
    assert titles == ["Small", "Other", "Small"]


def test_a_folders_name_takes_no_module_of_others(tmp_path: Path, folder: Path) -> None:
    shutil.copytree(folder, tmp_path / "json")
    loaded = homeworks.load(str(tmp_path / "json"))
    assert loaded.id == "small"
    assert hasattr(sys.modules["json"], "dumps")


def test_probes_are_found_and_imported_without_the_judges_beside_them(folder: Path) -> None:
    name = homeworks.package(str(folder))
    assert probe_modules.public(name) == [f"{name}.probes"]
    assert "ASSIGNMENT" not in vars(probe_modules.load(f"{name}.probes"))
    assert name not in sys.modules or not hasattr(sys.modules[name], "ASSIGNMENT")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("ASSIGNMENT = 3", "has an ASSIGNMENT of type int"),
        ("", "has no ASSIGNMENT"),
        ("import nonesuch", "ModuleNotFoundError: No module named 'nonesuch'"),
        ("x = (", "SyntaxError"),
        ("\n\nraise ValueError('no')", "ValueError: no"),
        ("from .checks import QUESTION", "No module named"),
    ],
)
def test_what_is_wrong_with_a_homework_is_told_in_a_sentence(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "__init__.py").write_text(content)
    with pytest.raises(homeworks.NoHomework, match=str(tmp_path)) as fault:
        homeworks.load(homeworks.canonical(str(tmp_path / "bad")))
    assert told in str(fault.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('HERE / "reference"', 'HERE / "solved"', "is no folder"),
        ('"numbers.twice", "twice"', '"words.hello", "twice"', "two checks have the id words.hello"),
        ('Question("words", 2', 'Question("words", 1', "two questions have the number 1"),
        ('Question("words"', 'Question("numbers"', "two questions have the id numbers"),
    ],
)
def test_what_would_spoil_every_grading_is_told_before(folder: Path, old: str, new: str, told: str) -> None:
    file = folder / "__init__.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(homeworks.NoHomework, match=told):
        homeworks.load(str(folder))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("probes:twice", "probes:twise", r"check numbers.twice asks for the probe probes:twise, but .*probes.py has no "
         r"function twise. Is twice meant\?"),
        ("probes:hello", "probes:", "has no function ."),
        ("probes:twice", "numbers.probes:twice", "there is no .*numbers/probes.py"),
        ("probes:twice", "checks:twice", "only modules called probes or private_probes hold probes"),
        ("reference=True", 'reference=True, collector="Watched"', "has no class Watched"),
    ],
)  # fmt: skip
def test_a_probe_that_is_not_there_is_told_when_the_homework_is_loaded(
    folder: Path, old: str, new: str, told: str
) -> None:
    file = folder / "__init__.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(homeworks.NoHomework, match=told):
        homeworks.load(str(folder))


def test_a_smaller_request_is_looked_up_too(folder: Path) -> None:
    file = folder / "__init__.py"
    text = file.read_text().replace("import Assignment,", "import Assignment, Counterexample,")
    smallest = 'counterexample=Counterexample(Request("probes:tiny", lambda _rng: {}), lambda _failed, _tiny: "")'
    file.write_text(text.replace("Exact(hello))", f"Exact(hello), {smallest})"))
    with pytest.raises(homeworks.NoHomework, match=r"words\.hello asks for the probe probes:tiny"):
        homeworks.load(str(folder))


@pytest.mark.parametrize(
    "lines", ["x = (", "import nonesuch", "from nonesuch import *", "if True:\n    def more(): ..."]
)
def test_a_probe_module_is_read_and_not_run(folder: Path, lines: str) -> None:
    """What torch or a student's package would do on import is no matter of the judge's process."""
    file = folder / "probes.py"
    file.write_text(f"{file.read_text()}\n{lines}\n")
    if lines == "x = (":
        with pytest.raises(homeworks.NoHomework, match=r"probes.py is no Python: .* \(line "):
            homeworks.load(str(folder))
    else:
        assert homeworks.load(str(folder)).id == "small"


@pytest.mark.parametrize("named", ["autograder.hw11", "docs/examples/kmeans"])
def test_every_probe_of_our_homeworks_is_there(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(homeworks.ROOT)
    assert homeworks.load(homeworks.canonical(named)).questions


def test_a_probe_of_homework_11_that_is_renamed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each room: the functions that its checks ask for are found by name, and without one the load fails."""
    loaded = homeworks.load("autograder.hw11")
    checks = [check for question in loaded.questions for check in question.checks]
    rooms = {check.request.probe.partition(":")[0]: check for check in checks}
    assert len(rooms) >= 9
    names = homeworks._probe_names
    for room, check in rooms.items():
        gone = {
            request.probe.partition(":")[2]
            for request in [one.request for one in checks]
            if request.probe.startswith(f"{room}:")
        }

        def without(package: str, module: str, room: str = room, gone: set[str] = gone) -> tuple[str, set[str] | None]:
            place, bound = names(package, module)
            return place, bound - gone if bound and module == room else bound

        monkeypatch.setattr(homeworks, "_probe_names", without)
        with pytest.raises(homeworks.NoHomework, match=f"asks for the probe {room}:"):
            homeworks.load("autograder.hw11")
        assert check.request.probe.startswith(room)


@pytest.mark.parametrize("named", ["nowhere", "no/where", "tests.nowhere", ".", "", "..", "a..b", "/"])
def test_what_is_no_homework_is_refused(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(homeworks.NoHomework, match="autograder new FOLDER"):
        homeworks.canonical(named)


def test_a_name_with_a_dot_is_refused_in_words(folder: Path) -> None:
    dotted = folder.rename(folder.with_name("hw1.5"))
    with pytest.raises(homeworks.NoHomework, match="Rename the folder"):
        homeworks.canonical(str(dotted))
