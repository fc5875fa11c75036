"""A homework whose probes and arrays are NumPy's alone is graded where torch cannot even be imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from autograder.sandbox.guest import zygote
from tests.helpers import ROOT, reachable_folder

pytestmark = pytest.mark.sandbox
KMEANS = ROOT / "docs" / "examples" / "kmeans"
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("this environment has no torch")

sys.meta_path.insert(0, Blocked())
"""
AGAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from autograder import homeworks
from autograder.audit import proof
homework = homeworks.load(sys.argv[2])
print([told for one in proof.solutions(homework) for told in proof.surprises(one, homework, times=1)])
"""
LOADED = """
import sys
sys.path.insert(0, sys.argv[1])
from autograder import homeworks
from autograder.sandbox.guest import optional, zygote
homeworks.find_in(sys.argv[2], sys.argv[3])
zygote.warm_to_read()
zygote.warm(sys.argv[2])
print("torch" in sys.modules, optional.tensors() is not None)
zygote.warm_torch()
print("torch" in sys.modules, optional.tensors() is not None)
"""
WITH_TORCH = '''"""k-means by torch: nobody said that it has to be NumPy."""

import numpy as np
import torch

device = torch.device("cuda")
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


@torch.compile
def step(x, centres):
    x, centres = torch.from_numpy(x).to(device), torch.from_numpy(centres).cuda()
    nearest = torch.cdist(x, centres).argmin(1)
    return torch.stack([x[nearest == k].mean(0) for k in range(len(centres))]).cpu()


def first_centres(x, k):
    x = torch.from_numpy(x.astype(float))
    chosen = [int(torch.randint(len(x), ()))]
    squares = ((x - x[chosen[0]]) ** 2).sum(1)
    chosen.append(int(torch.multinomial(squares, 1)))
    return x[chosen].numpy()
'''


@pytest.fixture(scope="module")
def blocked() -> Iterator[tuple[Path, Path]]:
    """A folder, and the interpreter of an environment like ours in which `import torch` raises."""
    with reachable_folder() as folder:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        (packages,) = folder.glob("venv/lib/python*/site-packages")
        (packages / "blocked.py").write_text(BLOCKED)
        (packages / "ours.pth").write_text(f"import blocked\n{Path(np.__file__).parents[1]}\n")
        python = folder / "venv" / "bin" / "python"
        tried = subprocess.run([python, "-I", "-c", "import numpy, torch"], capture_output=True, text=True, check=False)
        assert "this environment has no torch" in tried.stderr
        yield folder, python


def command(python: Path, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What run_autograder starts, with another interpreter."""
    program = [str(python), "-I", str(ROOT / "autograder" / "__main__.py"), *map(str, words), "--homework", str(KMEANS)]
    done = subprocess.run(
        program, cwd=cwd, capture_output=True, text=True, check=False, timeout=200, env={"OMP_NUM_THREADS": "1"}
    )
    assert (done.returncode, "torch" in done.stdout + done.stderr) == (0, False), done.stdout + done.stderr
    return done


def test_every_way_of_grading_works_where_torch_cannot_be_imported(blocked: tuple[Path, Path]) -> None:
    """One submission, a class, a replay and the bank in the judge's own process."""
    folder, python = blocked
    for name, points in (("reference", 6), ("student_template", 0)):
        command(python, "grade", KMEANS / name, "--out", folder / "results.json", cwd=folder)
        told = json.loads((folder / "results.json").read_text())
        assert (told["score"], "torch" in json.dumps(told)) == (points, False)
        shutil.copytree(KMEANS / name, folder / "class" / name)
    command(python, "class", folder / "class", "--out", folder / "graded", "--jobs", 1, cwd=folder)
    scores = [json.loads(path.read_text())["score"] for path in sorted((folder / "graded" / "results").iterdir())]
    assert scores == [6, 0]
    command(python, "replay", folder / "graded", "reference", "kmeans.step", "--to", folder / "replayed", cwd=folder)
    program = [str(python), str(folder / "replayed" / "replay.py"), "--yes"]
    replayed = subprocess.run(program, capture_output=True, text=True, check=False)
    assert replayed.returncode == 0, replayed.stderr
    assert "The new centres are right." in replayed.stdout
    bank = subprocess.run([python, "-c", AGAIN, ROOT, KMEANS], capture_output=True, text=True, check=False)
    assert bank.stdout == "[]\n", bank.stderr


@pytest.mark.parametrize(
    ("package", "above", "loaded"), [("kmeans", KMEANS.parent, False), ("autograder.hw11", ROOT, True)]
)
def test_the_probes_say_whether_torch_is_imported_before_the_first_worker(
    package: str, above: Path, loaded: bool
) -> None:
    program = [sys.executable, "-I", "-c", LOADED, str(ROOT), package, str(above)]
    told = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert told == f"{loaded} {loaded}\nTrue True\n"


def test_an_upload_that_imports_torch_has_it_as_anywhere_else(tmp_path: Path) -> None:
    """On a machine with a GPU and a compiler, with noise that no seed fixes, and imported once for all workers."""
    (tmp_path / "kmeans.py").write_text(WITH_TORCH)
    assert zygote.used(str(tmp_path)) == ("torch",)
    with reachable_folder() as folder:
        shutil.copytree(tmp_path, folder / "upload")
        done = subprocess.run(
            [sys.executable, ROOT / "autograder" / "__main__.py", "grade", folder / "upload", "--homework", KMEANS,
             "--out", folder / "results.json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert json.loads((folder / "results.json").read_text())["score"] == 6, done.stdout
