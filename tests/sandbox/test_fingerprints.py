"""What a class's code is compared by: the same for a renamed copy, another for other code, and there for notebooks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.classroom import jobs
from autograder.classroom.roster import Upload
from autograder.hw11 import ASSIGNMENT
from autograder.output.terminal import secret
from autograder.sandbox import fingerprints
from autograder.sandbox.guest import notebook_cache
from tests.helpers import REFERENCE, zip_of
from tests.sandbox.test_notebooks import RIGHT, notebook

CODE = (REFERENCE / "gan_vae" / "models" / "vae.py").read_text()


def of(folder: Path, text: str) -> set[int]:
    return set(fingerprints.of_texts([text]).tolist())


def test_names_comments_and_layout_change_nothing(tmp_path: Path) -> None:
    other = CODE.replace("    ", "  ").replace("(", "( ").replace("\n\n", "\n# my own work\n\n")
    for name, new in (("x", "inputs"), ("z_dim", "latent_size")):  # not what stands behind a dot
        other = re.sub(rf"(?<![.\w]){name}\b", new, other)
    assert other != CODE
    assert of(tmp_path, CODE) == of(tmp_path, other)
    assert len(of(tmp_path, CODE)) > 20


def test_other_code_has_other_fingerprints(tmp_path: Path) -> None:
    other = of(tmp_path, (REFERENCE / "gan_vae" / "models" / "gan.py").read_text())
    mine = of(tmp_path, CODE)
    assert len(mine & other) < 0.1 * len(mine | other)


def test_the_tokens_are_pythons_less_names_and_layout() -> None:
    text = '''
%matplotlib inline
def f(self, *x: int) -> r"a'b":  # why
    """Not
    # code"""
    y = torch.exp(x)**2 // 0x1F if x != 'it\\'s' else f"{x}" + é
    return y @ 1.5e3
'''
    assert " ".join(fingerprints.tokens(text)) == (
        "def n ( n , * n : n ) -> s : s "
        "n = n . exp ( n ) ** 2 // 0x1F if n != s else s + n "
        "return n @ 1.5e3"
    )  # fmt: skip


def test_code_that_is_no_python_is_read_to_its_end() -> None:
    assert list(fingerprints.tokens("x = '''never closed\ny = ) 3 \x00 $"))[-5:] == ["=", ")", "3", "\x00", "$"]


WORDS = st.sampled_from(["if", "else", "x", "(", ")", "+", "==", ".exp", "1", "2", "'s'", "return", ":", "@", "while"])
RUN = fingerprints.GRAM + fingerprints.WINDOW - 1


@given(st.lists(WORDS, max_size=40), st.lists(WORDS, min_size=RUN, max_size=40), st.lists(WORDS, max_size=40))
def test_a_shared_run_leaves_a_common_fingerprint(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], shared: list[str], after: list[str]
) -> None:
    """Winnowing's promise (section 3), for whatever stands around it; separators keep the tokens what they are."""
    folder = tmp_path_factory.mktemp("run")
    first, second = (" ; ".join((*around, *shared)) for around in (before, ["pass"]))
    third = " ; ".join((*shared, *after))
    assert of(folder, first) & of(folder, second) & of(folder, " ; ".join(shared))
    assert of(folder, third) & of(folder, " ; ".join(shared))


def test_no_more_than_is_kept(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).integers(0, 1000, 50_000)
    assert len(of(tmp_path, " + ".join(map(str, drawn)))) == fingerprints.MAX_KEPT
    assert of(tmp_path, "") == of(tmp_path, "x = 1") == set()


def test_short_code_has_one_where_it_has_a_gram(tmp_path: Path) -> None:
    assert len(of(tmp_path, "x = f(1) + g(2) - 3")) >= 1


@pytest.mark.slow
def test_every_graded_file_with_code_is_compared_notebooks_too(tmp_path: Path) -> None:
    """By way of a class's grading, of a question whose code is quick."""
    files = {path: (REFERENCE / path).read_bytes() for path in ASSIGNMENT.graded if path != "policy_gradient.ipynb"}
    upload = zip_of(files, tmp_path / "upload.zip")
    checks = tuple(check.id for each in ASSIGNMENT.questions if each.id == "answers" for check in each.checks)
    task = jobs.Task("autograder.hw11", "test", secret(), checks=checks, runs=False)
    content = jobs.grade(task, Upload("one", upload), "print")
    assert content["extra_data"]["outcome"] == "graded", json.dumps(content)
    code = content["extra_data"]["code"]
    assert set(code) == {path for path in files if path.endswith((".py", ".ipynb"))}
    assert all(code.values())


def test_a_copied_notebook_has_its_originals_fingerprints(tmp_path: Path) -> None:
    for name, source in (("a", RIGHT), ("b", RIGHT.replace("reward", "gain").replace("logprob", "lp"))):
        (tmp_path / f"{name}.ipynb").write_bytes(notebook("import torch", source))
    first, second = (fingerprints.of_texts(notebook_cache._texts(tmp_path / f"{name}.ipynb")) for name in "ab")
    assert len(first) > 3
    assert np.array_equal(first, second)
