"""`pip wheel .` makes a package that works: all of it is inside, and what workers must not read lies outside."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.helpers import ROOT

pytestmark = pytest.mark.slow

SHARE = "hw11_autograder-0.1.0.data/data/share/hw11/"


def lines(name: str) -> list[str]:
    return (ROOT / "autograder" / name).read_text().splitlines()


def tracked(*rooms: str) -> set[str]:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *rooms]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    return {name for name in found if (ROOT / name).exists()}


def test_the_wheels_own_pins_are_those_of_the_other_files() -> None:
    """torch stands in a comment of requirements.txt, and the packages of the confinement beside their hashes."""
    others = [*lines("requirements.txt"), *lines("requirements-hashed.txt")]
    pins = {found[0] for line in others if (found := re.search(r"[\w-]+==[\w.]+", line))}
    own = [line.partition(";")[0].strip() for line in lines("requirements-wheel.txt") if not line.startswith("#")]
    assert [name.partition("==")[0] for name in own] == ["torch", "landlockpy", "pyseccomp"]
    assert set(own) <= pins


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a copy without its history: git cannot say what belongs")
def test_a_wheel_holds_everything_and_runs(tmp_path: Path) -> None:
    source = tmp_path / "source"  # setuptools writes beside what it packs
    for name in tracked("autograder", "reference", "student_template", "pyproject.toml", "README.md"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    made = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(tmp_path), str(source)]
    subprocess.run(made, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    outside = {SHARE + name for name in tracked("reference", "student_template")}
    assert inside == tracked("autograder") | outside

    place = tmp_path / "installed"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = str(place / "bin" / "python")
    (packages,) = (place / "lib").glob("python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    installed = [*pip, "--python", python, "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(installed, check=True, capture_output=True, text=True)
    done = subprocess.run(
        [str(place / "bin" / "autograder"), "grade", str(ROOT / "student_template" / "gan_vae"), "--out", "r.json"],
        cwd=tmp_path, env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0 of 100" in done.stdout
