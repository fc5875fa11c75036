"""Files that others read: whole at any moment, and nothing but a regular file is ever replaced."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autograder import storage
from autograder.core import CheckFailed
from tests.helpers import ROOT


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b" / "out"
    storage.save(place, "a longer text\n")
    before = place.stat().st_ino
    storage.save(place, "Zoë\r\n")
    assert place.read_bytes() == "Zoë\r\n".encode()
    assert place.stat().st_ino != before
    assert stat.S_IMODE(place.stat().st_mode) == 0o644
    assert [path.name for path in place.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("target", ["longer", "absent"])
def test_a_link_is_written_into(tmp_path: Path, target: str) -> None:
    held, link = tmp_path / "held", tmp_path / "link"
    if target == "longer":
        held.write_text("what was there is longer")
        number = held.stat().st_ino
    link.symlink_to(held)
    storage.save(link, "new")
    assert link.is_symlink()
    assert held.read_text() == "new"
    assert target == "absent" or held.stat().st_ino == number


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make devices")
@pytest.mark.parametrize("kind", ["null", "full"])
def test_a_device_stays_a_device(tmp_path: Path, kind: str) -> None:
    device = tmp_path / kind
    os.mknod(device, stat.S_IFCHR | 0o666, os.stat(f"/dev/{kind}").st_rdev)  # noqa: PTH116
    if kind == "null":
        storage.save(device, b"x" * 10**6)
    else:
        with pytest.raises(OSError, match="No space left"):
            storage.save(device, b"x")
    assert stat.S_ISCHR(device.lstat().st_mode)
    assert not storage.keeps_one(device)
    assert [path.name for path in tmp_path.iterdir()] == [kind]


def test_a_pipe_gets_all_of_it(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    storage.save(pipe, b"x" * 10**6)
    reader.join(30)
    assert got == [b"x" * 10**6]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert not storage.keeps_one(pipe)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        storage.save(tmp_path, "x")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "out"
    storage.save(place, "old")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "chmod", full)
    with pytest.raises(OSError, match="No space"):
        storage.save(place, "new")
    assert place.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_one_run_alone_and_what_a_killed_one_left_goes(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    left = [tmp_path / f"{storage.NEW}a", tmp_path / "results" / f"{storage.NEW}b"]
    for path in left:
        path.write_text("half")
    with storage.alone(tmp_path):
        assert not any(path.exists() for path in left)
        with pytest.raises(CheckFailed, match="Another run"), storage.alone(tmp_path):
            pass
    with storage.alone(tmp_path):
        pass


def test_there_is_no_other_way_to_rename_over_a_file() -> None:
    """Of the judge's own modules; what students' code sees of files is another matter."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "autograder").rglob("*.py")
        if re.search(r"\.replace\(\s*[a-z_]+\s*\)|os\.(replace|rename)\(|mkstemp\(", path.read_text())
    }
    rooms = ("isolation", "sandbox", "audit", "hw11")
    assert {name for name in found if not any(f"/{room}/" in name for room in rooms)} == {"autograder/storage.py"}


def test_who_packs_a_bundle_needs_nothing_but_python() -> None:
    code = "import sys; sys.modules['numpy'] = sys.modules['fcntl'] = None; import autograder.storage"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("target", ["held", "nowhere"])
def test_a_link_that_somebody_else_put_there_is_replaced(tmp_path: Path, target: str) -> None:
    (tmp_path / "held").write_text("old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / target)
    storage.save(link, "new", links=False)
    assert not link.is_symlink()
    assert link.read_text() == "new"
    assert (tmp_path / "held").read_text() == "old"
    assert not (tmp_path / "nowhere").exists()
