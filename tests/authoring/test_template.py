"""The students' template is what the reference generates, and its public tests tell right from wrong."""

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from autograder.authoring import template  # noqa: E402

REFERENCE, TEMPLATE = ROOT / "reference", ROOT / "student_template"
VAE_WEIGHTS = dict(zip((f"4.{i}" for i in range(1, 17)), (1, 1, 2, 2, 1, 1, 2, 1, 3, 1, 3, 2, 1, 1, 1, 2), strict=True))
WEIGHTS = VAE_WEIGHTS | dict(zip((f"5.{i}" for i in range(1, 10)), (1, 3, 3, 1, 1, 1, 1, 1, 1), strict=True))


# ------------------------------------------------------------------------------------ the folder


def test_template_on_disk_is_what_the_reference_generates():
    assert template.differences(REFERENCE, TEMPLATE) == []


def test_signatures_agree():
    assert template.signature_differences(REFERENCE, TEMPLATE) == []


def test_template_names_every_function_to_write():
    text = "".join(path.read_text("utf-8") for path in TEMPLATE.rglob("*.py"))
    for path in TEMPLATE.rglob("*.ipynb"):
        text += "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"])
    assert "SOLUTION" not in text
    graded = ("sample_gaussian", "negative_elbo_bound", "loss_nonsaturating", "policy_gradient_loss")
    more = ("kl_divergence", "fit_gaussian", "permute_mnist", "on_task_update", "ewc_penalty", "train_ewc")
    for function in (*graded, *more, "rehearsal_set"):
        assert re.search(rf'raise NotImplementedError\(\s*"{function}: \w', text), function


def test_only_the_regions_change(tmp_path):
    reference, made = tmp_path / "reference", tmp_path / "made"
    reference.mkdir()
    text = "# caf\u00e9\r\ndef f(x):\r\n    # BEGIN SOLUTION double it\r\n    return 2 * x\r\n"
    text += "    # END SOLUTION\r\n\x0c\r\n"
    (reference / "a.py").write_bytes(text.encode())
    (reference / "b.bin").write_bytes(bytes(range(256)))
    (reference / "__pycache__").mkdir()
    (reference / "__pycache__" / "a.pyc").write_bytes(b"")
    files = template.generate(reference, made)
    assert files == [made / "a.py", made / "b.bin"]
    expected = '# caf\u00e9\r\ndef f(x):\r\n    raise NotImplementedError("f: double it")\r\n\x0c\r\n'
    assert (made / "a.py").read_bytes() == expected.encode()
    assert (made / "b.bin").read_bytes() == bytes(range(256))


def test_stale_files_go_and_what_runs_leave_stays(tmp_path):
    reference, made = tmp_path / "reference", tmp_path / "made"
    (reference / "one").mkdir(parents=True)
    (reference / "one" / "a.py").write_text("a = 1\n")
    for path in ("old/deep/gone.py", "one/results/kept.png", ".git/kept"):
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text("")
    assert template.differences(reference, made) == [
        "old/deep/gone.py is in the template, but not in the reference.",
        "one/a.py is missing in the template.",
    ]
    template.generate(reference, made)
    assert template.differences(reference, made) == []
    assert not (made / "old").exists()
    assert (made / "one/results/kept.png").exists() and (made / ".git/kept").exists()
    (made / "one" / "a.py").write_text("a = 2\n")
    assert template.differences(reference, made) == ["one/a.py differs from the file that the reference generates."]


@pytest.mark.parametrize("at", range(4))
def test_a_run_that_is_stopped_leaves_no_part_of_a_file(tmp_path, monkeypatch, at):
    """Each file is the old or the new one, whichever write fails; the next run ends it."""
    reference, made = tmp_path / "reference", tmp_path / "template"
    reference.mkdir()
    for name in ("a.py", "b.py", "c.py"):
        (reference / name).write_text("x = 1\n" * 1000)
    (reference / "b.py").chmod(0o755)
    template.generate(reference, made)
    assert (made / "b.py").stat().st_mode & 0o777 == 0o755
    old = {path.name: path.read_bytes() for path in made.iterdir()}
    for name in old:
        (reference / name).write_text("y = 2\n" * 1000)
    rename = Path.replace
    done: list[Path] = []

    def stopped(self, target):
        if len(done) == at:
            raise OSError(28, "No space left on device")
        done.append(target)
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", stopped)
        assert template.run(reference, made) == (2 if at < 3 else 0)
    new = {name: (reference / name).read_bytes() for name in old}
    held = {path.name: path.read_bytes() for path in made.iterdir()}
    assert [held[name] == new[name] for name in sorted(new)] == [place < at for place in range(3)]
    assert all(held[name] in (old[name], new[name]) for name in held) and len(held) == 3
    (made / ".new-left").write_text("by a run that was killed")
    assert template.run(reference, made) == 0
    assert {path.name: path.read_bytes() for path in made.iterdir()} == new


def test_run_says_what_it_did(tmp_path, capsys):
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "a.py").write_text(
        "def f():\n    # BEGIN SOLUTION say 1\n    return 1\n    # END SOLUTION\n"
    )
    assert template.run(tmp_path / "reference", tmp_path / "student_template") == 0
    assert capsys.readouterr().out == "student_template: 1 file from reference, 1 solution cut out, 1 file changed.\n"
    assert template.run(tmp_path / "reference", tmp_path / "student_template") == 0
    assert "no files changed" in capsys.readouterr().out
    (tmp_path / "reference" / "a.py").write_text("# END SOLUTION\n")
    assert template.run(tmp_path / "reference", tmp_path / "student_template") == 2
    assert "a.py, line 1" in capsys.readouterr().err


@pytest.mark.parametrize("inner", ["reference", "reference/inside", "."])
def test_overlapping_folders_are_refused(tmp_path, inner):
    (tmp_path / "reference").mkdir()
    with pytest.raises(ValueError, match="side by side"):
        template.generate(tmp_path / "reference", tmp_path / inner)


# ------------------------------------------------------------------------------------ markers

BEGIN, END = "    # BEGIN SOLUTION hint", "    # END SOLUTION"


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ([BEGIN, "    return 1"], 2),
        (["    return 1", END], 3),
        ([BEGIN, "    x = 1", BEGIN, END, END], 4),
        ([BEGIN, "    return 1", "        # END SOLUTION"], 4),
        (["    # BEGIN SOLUTION", "    return 1", END], 2),
        (["    #BEGIN SOLUTION hint", "    return 1", END], 2),
        (["    # Begin Solution: hint", "    return 1", END], 2),
        (["    # BEGIN_SOLUTION hint", "    return 1", END], 2),
        (["    x = 1  # BEGIN SOLUTION hint", "    return 1", END], 2),
        ([BEGIN, "    return 1  # END SOLUTION"], 3),
        ([BEGIN, "    return 1", "    # END SOLUTION of f"], 4),
    ],
)
def test_wrong_markers_are_refused_by_file_and_line(tmp_path, lines, line):
    reference, made = tmp_path / "reference", tmp_path / "made"
    reference.mkdir()
    (reference / "0.py").write_text("a = 1\n")
    (reference / "f.py").write_text("\n".join(["def f():", *lines]) + "\n")
    with pytest.raises(ValueError, match=rf"^f\.py, line {line}: "):
        template.generate(reference, made)
    assert not made.exists()  # nothing is written before all is known to be right


def test_a_region_is_named_after_its_own_function():
    text = "class A:\n    def f(\n        self,\n    ):\n        def g():\n            pass\n\n"
    text += "        # BEGIN SOLUTION do it\n        g()\n        # END SOLUTION\n"
    cut, regions = template.cut(text, "a.py")
    assert regions == 1
    assert cut.endswith('            pass\n\n        raise NotImplementedError("f: do it")\n')


def test_long_hints_are_broken_into_a_sentence_that_reads_on():
    hint = 'say "yes" ' + "word " * 30 + "end"
    cut, _ = template.cut(f"def f():\n    # BEGIN SOLUTION {hint}\n    return 1\n    # END SOLUTION\n", "a.py")
    assert max(map(len, cut.splitlines())) <= 110
    scope: dict[str, Any] = {}
    exec(cut, scope)
    with pytest.raises(NotImplementedError, match=f"^f: {hint}$"):
        scope["f"]()


def test_notebooks_lose_solutions_outputs_and_counts(tmp_path):
    reference, made = tmp_path / "reference", tmp_path / "made"
    reference.mkdir()
    source = [
        "%matplotlib inline\n",
        "def f(x):\n",
        "    # BEGIN SOLUTION double \u00e9\n",
        "    return 2 * x\n",
        "    # END SOLUTION",
    ]
    code = {
        "cell_type": "code",
        "id": "a",
        "execution_count": 3,
        "metadata": {"execution": {"iopub": 1}, "tags": ["kept"]},
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["42"]}],
        "source": source,
    }
    text = {
        "cell_type": "markdown",
        "id": "b",
        "metadata": {},
        "source": ["# BEGIN SOLUTION is only text here"],
    }
    metadata = {"kernelspec": {"name": "python3"}, "widgets": {"state": "42"}}
    notebook = {"cells": [text, code], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    (reference / "n.ipynb").write_text(json.dumps(notebook))
    template.generate(reference, made)
    written = (made / "n.ipynb").read_text("utf-8")
    result = json.loads(written)
    assert "42" not in written and "\u00e9" in written
    assert result["cells"][0] == text
    assert result["cells"][1] == {
        "cell_type": "code",
        "id": "a",
        "execution_count": None,
        "metadata": {"tags": ["kept"]},
        "outputs": [],
        "source": [*source[:2], '    raise NotImplementedError("f: double \u00e9")'],
    }
    code["source"] = source[:-1]
    (reference / "n.ipynb").write_text(json.dumps(notebook))
    with pytest.raises(ValueError, match=r"^n\.ipynb, cell 2, line 3: "):
        template.generate(reference, made)


def test_toml_gets_the_hint_as_the_line_to_fill_in(tmp_path):
    reference, made = tmp_path / "reference", tmp_path / "made"
    reference.mkdir()
    text = '# caf\u00e9\r\nseed = 7\r\n[P]\r\n  # BEGIN SOLUTION family = ""  # "normal", ...\r\n'
    text += '  family = "uniform"\r\n  low = 0\r\n  # END SOLUTION\r\nkept = 1\r\n'
    (reference / "a.toml").write_bytes(text.encode())
    template.generate(reference, made)
    expected = '# caf\u00e9\r\nseed = 7\r\n[P]\r\n  family = ""  # "normal", ...\r\nkept = 1\r\n'
    assert (made / "a.toml").read_bytes() == expected.encode()
    assert template.differences(reference, made) == []
    assert template.cut_toml(text, "a.toml") == (expected, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# BEGIN SOLUTION a = 0\na = 1\n", r"a\.toml, line 1: .* no END SOLUTION"),
        ("a = 0\n#begin solution: b = 0\nb = 1\n", r"a\.toml, line 2: a solution marker is a line of its own"),
        ("a = 1  # END SOLUTION\n", r"a\.toml, line 1: a solution marker is a line of its own"),
        ("# BEGIN SOLUTION write it here\na = 1\n# END SOLUTION\n", r"a\.toml: with the hints .* not valid TOML"),
        ("a = 0\n# BEGIN SOLUTION a = 0\nb = 1\n# END SOLUTION\n", r"a\.toml: with the hints .* not valid TOML"),
    ],
)
def test_toml_that_would_leak_or_not_parse_is_refused(tmp_path, text, sentence):
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "a.toml").write_text(text)
    with pytest.raises(ValueError, match=f"^{sentence}"):
        template.generate(tmp_path / "reference", tmp_path / "made")
    assert not (tmp_path / "made").exists()


# ------------------------------------------------------------------------------------ the public tests


def pytest_in(folder, tmp_path):
    """Run `pytest test_public.py` as a student does, in a copy of `folder`; returns its output.

    It may use 60 seconds of CPU. On a busy machine these take long, so that only what hangs meets the other limit.
    """
    copy = tmp_path / "gan_vae"
    shutil.copytree(folder / "gan_vae", copy, ignore=shutil.ignore_patterns("__pycache__", "data", "results"))
    done = subprocess.run(
        [
            *("sh", "-c", 'ulimit -t 60 && exec "$0" "$@"', sys.executable),
            *("-m", "pytest", "test_public.py", "-q", "-rf", "-p", "no:cacheprovider"),
        ],
        cwd=copy,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_reference_passes_its_public_tests(tmp_path):
    assert re.search(rf"^{len(WEIGHTS)} passed in ", pytest_in(REFERENCE, tmp_path), re.MULTILINE)


@pytest.mark.slow
def test_template_fails_every_public_test_with_a_helpful_sentence(tmp_path):
    output = pytest_in(TEMPLATE, tmp_path)
    assert re.search(rf"^{len(WEIGHTS)} failed in ", output, re.MULTILINE)
    assert "Traceback" not in output
    sentences = re.findall(r"^FAILED test_public.py::\w+ - (.*)$", output, re.MULTILINE)
    written = re.compile(
        r"(Failed: )?Still to be written: (sample_gaussian|negative_elbo_bound|loss_nonsaturating): \w.*\w"
    )
    assert len(sentences) == len(WEIGHTS)
    assert all(written.fullmatch(sentence) for sentence in sentences), sentences
    assert len(output.splitlines()) < len(WEIGHTS) * 5 + 20  # a sentence for each test, and no page of frames


@pytest.fixture(scope="module")
def gan_vae():
    """The public tests, the reference's utils and its VAE, imported once and then forgotten by Python."""
    folder = str(REFERENCE / "gan_vae")
    names = ("test_public", "utils", "models", "models.nns", "models.vae", "models.gan")
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, folder)
    try:
        public = importlib.import_module("test_public")
        yield SimpleNamespace(
            public=public, utils=importlib.import_module("utils"), vae=importlib.import_module("models.vae")
        )
    finally:
        sys.path[:] = [entry for entry in sys.path if entry != folder]
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


def public_tests(public):
    return [test for name, test in inspect.getmembers(public) if name.startswith("test_")]


def test_public_tests_are_labelled_as_the_checks(gan_vae):
    labels = {test.__number__: test.__weight__ for test in public_tests(gan_vae.public)}
    assert labels == WEIGHTS


def failing(gan_vae, monkeypatch, *, sampler=None, bound=None, asked=tuple(VAE_WEIGHTS)):
    """Which of the public tests `asked` fail with another sampler or bound in the reference."""
    if sampler:
        monkeypatch.setattr(gan_vae.utils, "sample_gaussian", sampler)
    if bound:
        monkeypatch.setattr(gan_vae.vae.VAE, "negative_elbo_bound", bound)
    numbers = []
    for test in (test for test in public_tests(gan_vae.public) if test.__number__ in asked):
        try:
            test()
        except pytest.fail.Exception as error:
            assert str(error).endswith((".", ")")), error
            numbers.append(test.__number__)
    return sorted(numbers, key=lambda number: int(number[2:]))


SAMPLERS = {
    "randn_like of v": lambda m, v: m + v.sqrt() * torch.randn_like(v),
    "randn of the shape": lambda m, v: torch.randn(m.shape).mul(v**0.5).add(m),
    "torch.normal": lambda m, v: m + torch.normal(0, 1, size=m.size()) * v.pow(0.5),
    "torch.normal of tensors": lambda m, v: m + torch.normal(torch.zeros_like(m), torch.ones_like(v)) * v.sqrt(),
    "rsample": lambda m, v: Normal(m, v.sqrt()).rsample(),
    "standard normal": lambda m, v: m + Normal(0.0, 1.0).sample(m.shape) * torch.exp(0.5 * torch.log(v)),
    "numpy": lambda m, v: m + v.sqrt() * torch.from_numpy(np.random.randn(*m.shape)).float(),
    "numpy, unseeded": lambda m, v: (
        m + v.sqrt() * torch.tensor(np.random.default_rng().standard_normal(m.shape), dtype=m.dtype)
    ),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_right_samplers_pass(gan_vae, monkeypatch, name):
    assert failing(gan_vae, monkeypatch, sampler=SAMPLERS[name]) == []


def in_place(m, v):
    return v.detach().sqrt_().mul_(torch.randn_like(v)) + m


def seeded(m, v):
    torch.manual_seed(0)
    return m + v.sqrt() * torch.randn_like(m)


WRONG_SAMPLERS = {
    "variance as deviation": (lambda m, v: m + v * torch.randn_like(m), "4.4"),
    "variance as log-variance": (lambda m, v: m + torch.exp(v / 2) * torch.randn_like(m), "4.3"),
    "uniform": (lambda m, v: m + v.sqrt() * (torch.rand_like(m) * 2 - 1) * 3**0.5, "4.3"),
    "not reparameterised": (lambda m, v: torch.normal(m, v.sqrt()), "4.7"),
    "the mean": (lambda m, v: m, "4.6"),
    "in place": (in_place, "4.2"),
    "seeded": (seeded, "4.6"),
    "one noise a row": (lambda m, v: m + v.sqrt() * torch.randn(m.shape[0], 1), "4.5"),
    "one noise a column": (lambda m, v: m + v.sqrt() * torch.randn(m.shape[1]), "4.5"),
    "double precision": (lambda m, v: m + v.sqrt() * torch.randn(m.shape, dtype=torch.float64), "4.1"),
    "transposed variance": (lambda m, v: m + v.flip(0).sqrt() * torch.randn_like(m), "4.4"),
}


@pytest.mark.parametrize("name", WRONG_SAMPLERS)
def test_wrong_samplers_fail(gan_vae, monkeypatch, name):
    sampler, number = WRONG_SAMPLERS[name]
    assert failing(gan_vae, monkeypatch, sampler=sampler, asked=(number,)) == [number]


def bounds():
    """Bounds, each with the public tests that it must fail: none for the right ones."""

    def parts(self, x, gaussian=None):
        m, v = self.enc.encode(x)
        z = gaussian(m, v) if gaussian else m + v.sqrt() * torch.randn_like(m)
        logits = self.dec.decode(z)
        rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        kl = 0.5 * (v + m**2 - 1 - v.log()).sum(-1)
        return m, v, z, logits, rec, kl

    def as_the_handout(self, x):
        *_, rec, kl = parts(self, x)
        return (rec + kl).mean(), rec.mean(dim=0), kl.mean(dim=0)

    def called_modules(self, x):
        m, v = self.enc(x)
        logits = self.dec(m + v.sqrt() * torch.randn_like(m))
        rec = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        kl = -0.5 * torch.sum(1 + v.log() - m.pow(2) - v) / x.size(0)
        return kl + rec, kl, rec

    def from_probabilities(self, x):
        _, _, _, logits, _, kl = parts(self, x)
        p = torch.sigmoid(logits)
        rec = -(x * torch.log(p + 1e-8) + (1 - x) * torch.log(1 - p + 1e-8)).sum(1)
        return torch.mean(kl + rec), kl.mean(), rec.mean()

    def copies(self, x):
        x = x.repeat(5, 1)
        *_, rec, kl = parts(self, x)
        return -1 * (-rec - kl).mean(), kl.mean(), rec.mean()

    def interleaved(self, x):
        m, v = self.enc.encode(x)
        m, v = m.repeat_interleave(4, 0), v.repeat_interleave(4, 0)
        logits = self.dec.decode(m + v.sqrt() * torch.randn_like(m))
        rec = F.binary_cross_entropy_with_logits(logits, x.repeat_interleave(4, 0), reduction="none").sum(-1).mean()
        kl = 0.5 * (v + m**2 - 1 - v.log()).sum(-1).mean()
        return kl + rec, kl, rec

    def several_calls(self, x):
        several = [parts(self, x) for _ in range(3)]
        rec, kl = sum(part[4].mean() for part in several) / 3, several[0][5].mean()
        return rec + kl, kl, rec

    def monte_carlo_kl(self, x):
        m, v, z, _, rec, _ = parts(self, x)
        kl = (Normal(m, v.sqrt()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(-1)
        return (rec + kl).mean(), kl.mean(), rec.mean()

    def changed(number, change):
        def bound(self, x):
            *_, rec, kl = parts(self, x)
            return change(kl, rec)

        return bound, number

    def with_z(number, gaussian):
        def bound(self, x):
            *_, rec, kl = parts(self, x, gaussian)
            return (kl + rec).mean(), kl.mean(), rec.mean()

        return bound, number

    def frozen_decoder(self, x):
        _, _, z, _, _, kl = parts(self, x)
        with torch.no_grad():
            logits = self.dec.decode(z)
        rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        return (kl + rec).mean(), kl.mean(), rec.mean()

    def probabilities_as_logits(self, x):
        *_, logits, _, kl = parts(self, x)
        rec = F.binary_cross_entropy_with_logits(torch.sigmoid(logits), x, reduction="none").sum(-1)
        return (kl + rec).mean(), kl.mean(), rec.mean()

    right = (as_the_handout, called_modules, from_probabilities, copies, interleaved, several_calls)
    return {
        **{bound.__name__: (bound, None) for bound in right},
        "monte_carlo_kl": (monte_carlo_kl, "only 4.10"),
        "frozen decoder": (frozen_decoder, "4.15"),
        "probabilities as logits": (probabilities_as_logits, "4.11"),
        "wrong sign of rec": changed("4.11", lambda kl, rec: ((kl + rec).mean(), kl.mean(), -rec.mean())),
        "minus the KL": changed("4.12", lambda kl, rec: ((rec - kl).mean(), kl.mean(), rec.mean())),
        "the bound itself": changed("4.12", lambda kl, rec: (-(rec + kl).mean(), kl.mean(), rec.mean())),
        "negated KL": changed("4.9", lambda kl, rec: ((rec - kl).mean(), -kl.mean(), rec.mean())),
        "half the KL": changed("4.9", lambda kl, rec: ((rec + kl / 2).mean(), kl.mean() / 2, rec.mean())),
        "KL a vector": changed("4.8", lambda kl, rec: ((kl + rec).mean(), kl, rec.mean())),
        "sums": changed("4.13", lambda kl, rec: ((kl + rec).sum(), kl.sum(), rec.sum())),
        "mean pixel": changed("4.11", lambda kl, rec: (kl.mean() + rec.mean() / 784, kl.mean(), rec.mean() / 784)),
        "floats": changed("4.8", lambda kl, rec: ((kl + rec).mean(), kl.mean().item(), rec.mean().item())),
        "a fourth value": changed("only 4.8", lambda kl, rec: ((kl + rec).mean(), kl.mean(), rec.mean(), 0)),
        "nothing": (lambda self, x: None, "4.8"),
        "an error": (lambda self, x: self.enc.encode(x)[2], "4.8"),
        "the mean decoded": with_z("4.16", lambda m, v: m),
        "z from the prior": with_z("4.16", lambda m, v: torch.randn_like(m)),
        "variance as deviation": with_z("4.16", lambda m, v: m + v * torch.randn_like(m)),
        "one noise for all": with_z("4.16", lambda m, v: m + v.sqrt() * torch.randn(m.shape[1])),
        "z cut off": with_z("4.14", lambda m, v: (m + v.sqrt() * torch.randn_like(m)).detach()),
    }


BOUNDS = bounds()


@pytest.mark.parametrize("name", BOUNDS)
def test_right_bounds_pass_and_wrong_ones_fail(gan_vae, monkeypatch, name):
    bound, number = BOUNDS[name]
    if number is None:
        assert failing(gan_vae, monkeypatch, bound=bound) == []
    elif number.startswith("only "):
        assert failing(gan_vae, monkeypatch, bound=bound) == [number.removeprefix("only ")]
    else:
        assert failing(gan_vae, monkeypatch, bound=bound, asked=(number,)) == [number]
