"""Right work as other tools wrap it: packages that are not here, exports, cell magics, modules and folders."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from autograder.hw11 import ASSIGNMENT
from autograder.sandbox.host.sandbox import Sandbox
from tests.helpers import REFERENCE, UTILS, VAE, VAE_ONLY, grade
from tests.sandbox.test_notebooks import NAME, notebook
from tests.sandbox.test_wrappings import CODE, LOSS, PG, SIGNED, TORCH, ending, files, lost

pytestmark = pytest.mark.sandbox

PROBES = ("summarization.probes:layer", "summarization.private_probes:stack")
STACK = replace(
    ASSIGNMENT,
    questions=tuple(
        replace(
            q,
            checks=tuple(one for one in q.checks if one.request.probe in PROBES),
        )
        for q in ASSIGNMENT.questions
        if q.id == "summarization"
    ),
)
"""Question 1's layer and stack."""
FIRST = """
def policy_gradient_loss(logprob, predicted, reward):
    chosen = xp(logprob, predicted)
    return -(reward * chosen).mean()
"""
PICK = "def pick(logprob, predicted): return logprob.gather(1, predicted[:, None])[:, 0]"


def cell_of(name: str) -> str:
    tree = json.loads((REFERENCE / "summarization.ipynb").read_text())
    return next("".join(cell["source"]) for cell in tree["cells"] if cell.get("id") == name)


# ------------------------------------------------------------------------------- packages that are not here

OTHERWISE = {
    "except ImportError": "try:\n    from fast_picks import pick as xp\nexcept ImportError:\n    xp = pick",
    "except of several": "try:\n    import fast_picks.gpu as g\n"
    "    xp = g.pick\nexcept (OSError, ImportError):\n    xp = pick",
    "except Exception as e": "try:\n    from fast_picks import pick as xp\n"
    "except Exception as e:\n    print(e)\n    xp = pick",
    "a bare except": "try:\n    from fast_picks import pick as xp\nexcept:\n    xp = pick",
    "suppress": "import contextlib\nxp = pick\nwith contextlib.suppress(ImportError):\n"
    "    from fast_picks import pick as xp",
    "a default and pass": "xp = pick\ntry:\n    from fast_picks import pick as xp\nexcept ImportError:\n    pass",
    "a flag": "try:\n    import fast_picks\n    FAST = True\nexcept ModuleNotFoundError:\n    FAST = False\n"
    "def xp(*a): return fast_picks.pick(*a) if FAST else pick(*a)",
    "a try in a try": "try:\n    try:\n        from fast_picks import pick as xp\n"
    "    except ValueError:\n        pass\n"
    "except ImportError:\n    xp = pick",
    "in a function": "def load():\n    try:\n        from fast_picks import pick\n"
    "    except ImportError:\n        return None\n"
    "    return pick\nxp = load() or pick",
    "a name that a package lacks": "try:\n    from torch.nn.functional import pick as xp\n"
    "except ImportError:\n    xp = pick",
    "installed in the handler": "try:\n    import fast_picks\nexcept ImportError:\n    !pip install fast_picks\n"
    "    import fast_picks\nfast_picks.init()\nxp = pick",
    "a handler that only tells": "try:\n    import fast_picks\nexcept ImportError:\n"
    "    print('pip install fast_picks')\n"
    "fast_picks.init()\nxp = pick",
    "a handler that gives up": "try:\n    import fast_picks\nexcept ImportError:\n"
    "    raise SystemExit('pip install it')\n"
    "fast_picks.init()\nxp = pick",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("cell", OTHERWISE.values(), ids=OTHERWISE)
def test_an_import_with_another_way_takes_it_where_the_package_is_not_here(sandbox: Sandbox, cell: str) -> None:
    assert lost(grade(sandbox, {NAME: notebook(TORCH, PICK, cell, FIRST)}, assignment=PG)) == {}


def test_an_import_in_a_python_file_has_another_way_too(sandbox: Sandbox) -> None:
    more = "try:\n    from fast import sample_gaussian\nexcept ImportError:\n    pass\n"
    more += "try:\n    from fast import noise\nexcept ImportError:\n    noise = torch.randn_like\n"
    more += "def sample_gaussian(m, v): return m + v.sqrt() * noise(m)\n"
    assert lost(grade(sandbox, files({UTILS: f"{CODE[UTILS]}\n{more}"}))) == {}


LIGHTNING = (
    CODE[VAE]
    .replace("class VAE(nn.Module):", "import lightning as L\nclass VAE(L.LightningModule):")
    .replace("self.name = name", "self.save_hyperparameters(ignore=['nn'])\n        self.name = self.hparams.name")
    .replace(
        "return kl + rec, kl, rec",
        "self.log('kl', kl.to(self.device), prog_bar=True)\n        return kl + rec, kl, rec",
    )
)


def test_lightnings_module_does_what_it_does_without_a_trainer(sandbox: Sandbox) -> None:
    assert LIGHTNING.count("self.log(") == 1
    assert lost(grade(sandbox, files({VAE: LIGHTNING}))) == {}


# -------------------------------------------------------------------------------------- modules and folders

MODULES = {
    "a package in place of a module": {UTILS: "", "gan_vae/utils/__init__.py": CODE[UTILS]},
    "a package of files": {
        UTILS: "",
        "gan_vae/utils/__init__.py": "from .core import *\n",
        "gan_vae/utils/core.py": CODE[UTILS],
    },
    "a model's package": {
        VAE: "",
        "gan_vae/models/vae/__init__.py": "from .model import VAE\n",
        "gan_vae/models/vae/model.py": CODE[VAE],
    },
    "from .. import": {VAE: CODE[VAE].replace("import utils as ut", "from .. import utils as ut")},
    "from ..utils import": {
        VAE: CODE[VAE].replace("import utils as ut", "from ..utils import sample_gaussian\nfrom .. import utils as ut")
    },
    "from . import at the top": {UTILS: f"from . import models\nfrom .models.vae import VAE\n{CODE[UTILS]}"},
}  # fmt: skip


@pytest.mark.parametrize("changed", MODULES.values(), ids=MODULES)
def test_a_module_may_be_a_package_and_imports_may_be_relative(sandbox: Sandbox, changed: dict[str, str]) -> None:
    upload = {name: data for name, data in files(changed).items() if data}
    assert lost(grade(sandbox, upload)) == {}


WRITTEN = {
    "%%bash": ["%%bash\ncat > h.py <<'EOF'\ndef total(x): return -x.mean()\nEOF", "from h import total"],
    "a folder on the path": ["%%writefile src/h.py\ndef total(x): return -x.mean()",
                             "import sys\nsys.path.append('src')\nfrom h import total"],
    "nbconvert's": ["get_ipython().run_cell_magic('writefile', 'h.py', 'def total(x): return -x.mean()')",
                    "from h import total"],
    "exec": ["exec(open('beside.py').read())"],
    "a YAML file": ["import yaml\nwith open('config.yaml') as f:\n    SIGN = yaml.safe_load(f)['sign']\n"
                    "def total(x): return SIGN * x.mean()"],
}  # fmt: skip


@pytest.mark.parametrize("cells", WRITTEN.values(), ids=WRITTEN)
def test_what_a_notebook_writes_or_reads_is_there(sandbox: Sandbox, cells: list[str]) -> None:
    beside = {"beside.py": b"def total(x): return -x.mean()\n", "config.yaml": b"sign: -1\n"}
    upload = {NAME: notebook(TORCH, *cells, ending("return total(reward * chosen)")), **beside}
    assert lost(grade(sandbox, upload, assignment=PG)) == {}


# ------------------------------------------------------------------------------------------------ notebooks

CELLS = {
    "a profiler's magic": [f"%%scalene --cpu\n{LOSS}"],
    "a magic that nobody knows": [f"%%notify -m done\n%%time\n{LOSS}"],
    "jdc": ["class L: pass", "%%add_to L\ndef total(self, x): return -x.mean()",
            ending("return L().total(reward * chosen)")],
    "globals": [LOSS.replace("policy_gradient_loss", "own"), "globals()['policy_gradient_loss'] = own"],
    "user_ns": [LOSS.replace("policy_gradient_loss", "own"), "get_ipython().user_ns['policy_gradient_loss'] = own"],
    "push": [LOSS.replace("policy_gradient_loss", "own"), "get_ipython().push({'policy_gradient_loss': own})"],
    "__main__": ["import __main__", LOSS.replace("policy_gradient_loss", "own"),
                 "__main__.policy_gradient_loss = own"],
    "exec": [f"exec('''{LOSS}''')"],
    "nbconvert's magic": [f"get_ipython().run_cell_magic('time', '', '''{LOSS}''')"],
    "asyncio": ["import asyncio\nasync def get(): return -1.0", "SIGN = asyncio.run(get())", SIGNED],
    "gather": ["import asyncio\nSIGN, _ = await asyncio.gather(asyncio.sleep(0, -1.0), asyncio.sleep(0))", SIGNED],
    "sleeping": ["import asyncio\nSIGN = await asyncio.sleep(3600, -1.0)", SIGNED],
    "sleeping within a limit": [
        "import asyncio\nasync def slow():\n    await asyncio.sleep(3600)\n    return -1.0",
        "SIGN = asyncio.run(asyncio.wait_for(slow(), 7200))", SIGNED],
    "a limit that is reached": [
        "import asyncio",
        "try:\n    await asyncio.wait_for(asyncio.sleep(7200), 3600)\nexcept TimeoutError:\n    SIGN = -1.0", SIGNED],
    "time.sleep": ["import time", "SIGN = [time.sleep(3600), -1.0][1]", SIGNED],
    "from time import sleep": ["from time import sleep", "def sign():\n    sleep(3600)\n    return -1.0",
                               "SIGN = sign()", SIGNED],
    "another language": ["%%R\nx <- 1", f"%%python3\n{LOSS.replace('-(', '(')}", LOSS],
}  # fmt: skip


@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
def test_a_cell_defines_what_jupyter_would_define(sandbox: Sandbox, cells: list[str]) -> None:
    looped = "for i in range(3):\n    loss = policy_gradient_loss(logprob, predicted, reward)\n    loss.backward()"
    assert lost(grade(sandbox, {NAME: notebook(TORCH, *cells, looped)}, assignment=PG)) == {}


PERCENT = f"# ---\n# jupyter: x\n# ---\n\n# %%\n{TORCH}\n# %% [markdown]\n# text\n# %%\n{LOSS}".encode()
MARIMO = (
    "import marimo\napp = marimo.App()\n\n@app.cell\ndef _():\n    import torch\n    return (torch,)\n\n"
    f"@app.cell\ndef _(torch):\n    {LOSS.strip().replace(chr(10), chr(10) + '    ')}\n    return\n\n"
    "if __name__ == '__main__':\n    app.run()\n"
).encode()
EXPORTED = {
    "UTF-16": (NAME, notebook(TORCH, LOSS).decode().encode("utf-16")),
    "fields that are not there": (
        NAME, json.dumps({"cells": [{"cell_type": "code", "source": TORCH + LOSS}], "nbformat": 4}).encode()
    ),
    "as JSON": ("policy_gradient.json", notebook(TORCH, LOSS)),
    "jupytext": ("policy_gradient.py", PERCENT),
    "nbconvert": ("policy-gradient.py", f"#!/usr/bin/env python\n# In[1]:\n{TORCH}\n# In[ ]:\n{LOSS}\n".encode()),
    "Databricks": (
        "policy_gradient.py", f"# Databricks notebook source\n{TORCH}\n# COMMAND ----------\n{LOSS}".encode()
    ),
    "marimo": ("policy_gradient.py", MARIMO),
}  # fmt: skip


@pytest.mark.parametrize(("name", "data"), EXPORTED.values(), ids=EXPORTED)
def test_a_notebook_may_be_exported(sandbox: Sandbox, name: str, data: bytes) -> None:
    graded = grade(sandbox, {name: data}, assignment=PG)
    assert lost(graded) == {}
    assert (f'"{name}" was graded as policy_gradient.ipynb' in graded.document["output"]) == (name != NAME)


def test_a_module_beside_a_notebook_is_not_taken_for_its_export(sandbox: Sandbox) -> None:
    wrong = f"{TORCH}\n{LOSS.replace('-(', '(')}".encode()
    graded = grade(sandbox, {"policy_gradient.py": wrong, NAME: notebook(TORCH, LOSS)}, assignment=PG)
    assert lost(graded) == {}
    assert "policy_gradient.py" not in graded.document["output"]


# ------------------------------------------------------------------------------------------ layer and stack

HEAD, _, FORWARD = cell_of("layer").partition("    def forward(")
FORWARD = "\n".join(line[4:] for line in f"    def forward({FORWARD}".split("\n"))
ABOVE = [cell_of(name) for name in ("imports", "config", "attention")]
LAYERS = {
    "fastcore's patch": [HEAD, f"from fastcore.basics import patch\n@patch\n{FORWARD}".replace(
        "(self,", "(self: TransformerLayer,", 1), cell_of("stack")],
    "d2l's add_to_class": [HEAD, f"from d2l import torch as d2l\n@d2l.add_to_class(TransformerLayer)\n{FORWARD}",
                           cell_of("stack")],
    "a registry of layers": ["LAYERS = {}\ndef register(name):\n    def add(kind):\n        LAYERS[name] = kind\n"
                             "        return kind\n    return add", f"@register('layer')\n{cell_of('layer')}",
                             cell_of("stack").replace("TransformerLayer(is", "LAYERS['layer'](is")],
}  # fmt: skip


@pytest.mark.parametrize("cells", LAYERS.values(), ids=LAYERS)
def test_a_layer_may_be_put_together(sandbox: Sandbox, cells: list[str]) -> None:
    assert lost(grade(sandbox, {"summarization.ipynb": notebook(*ABOVE, *cells)}, assignment=STACK)) == {}


def test_layer_and_stack_may_stand_in_a_module(sandbox: Sandbox) -> None:
    """Also there the stack is judged beside a right layer."""
    module = "\n".join([*ABOVE, cell_of("layer"), cell_of("stack")]).encode()
    cells = ("from layers import *", "from layers import TransformerLayer, TransformerStack, MultiheadAttention")
    graded = grade(sandbox, {"summarization.ipynb": notebook(*cells), "layers.py": module}, assignment=STACK)
    assert lost(graded) == {}
    broken = module.replace(b"return (x, past_kv) if use_cache else x", b"return x")
    graded = grade(sandbox, {"summarization.ipynb": notebook(*cells), "layers.py": broken}, assignment=STACK)
    assert {name.partition(".")[2].partition("_")[0] for name in lost(graded)} == {"layer"}


# ------------------------------------------------------------------------------------------------- messages

CALLED = "for i in range(3):\n    loss = policy_gradient_loss(logprob, predicted, reward)\n    loss.backward()"
TOLD = {
    "not uploaded": (["from my_losses import policy_gradient_loss"], "cell 2, line 1: ModuleNotFoundError"),
    "read from nowhere": (["exec(open('nowhere.py').read())"], "cell 2, line 1: FileNotFoundError"),
    "bound by globals()": (
        ["globals()['policy_gradient_loss'] = KINDS['pg']"], "cell 2, line 1: NameError: name 'KINDS'"
    ),
    "below a magic": ([f"%%scalene\n{LOSS.replace('[:, 0]', '[:, 0')}"], "line 4: SyntaxError"),
    "a star's file": (["from broken import *"], "broken.py, line 3: SyntaxError"),
    "in another process": ([f"%%python3\n{LOSS}"], "policy_gradient.ipynb defines no policy_gradient_loss"),
    "another name": ([LOSS.replace("policy_gradient_loss", "own_loss")], "defines no policy_gradient_loss"),
    "a setting of what is absent": (["from omegaconf import OmegaConf\ncfg = OmegaConf.create({'sign': -1})",
                                       ending("return cfg.sign * chosen.mean()")], "line 1: ModuleNotFoundError"),
    "no other way": (["try:\n    from fast import noise\nexcept ImportError:\n    noise = None",
                      ending("return noise(chosen)")], "cell 3, line 4 (in policy_gradient_loss): TypeError"),
    "an export": ([], "code cell 4, line 3: SyntaxError"),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "told"), TOLD.values(), ids=TOLD)
def test_the_first_cause_is_named_at_the_students_own_line(sandbox: Sandbox, cells: list[str], told: str) -> None:
    broken = f"{TORCH}\n{LOSS.replace('reward):', 'reward:')}".encode()
    upload = {NAME: notebook(TORCH, *cells, CALLED), "broken.py": broken}
    if not cells:
        upload = {"policy_gradient.py": PERCENT.replace(b"reward):", b"reward:")}
    messages = set(lost(grade(sandbox, upload, assignment=PG)).values())
    assert messages
    assert any(told in message for message in messages), messages
    assert not any(
        ours in message for message in messages for ours in ("RecursionError", "Absent", "/tmp", "autograder")
    )


def test_a_package_that_fails_is_told_at_its_own_file(sandbox: Sandbox) -> None:
    core = CODE[UTILS].replace("def sample_gaussian(m, v):", "def sample_gaussian(m, v:")
    changed = {UTILS: "", "gan_vae/utils/__init__.py": "from .core import *\n", "gan_vae/utils/core.py": core}
    upload = {name: data for name, data in files(changed).items() if data}
    messages = [text for name, text in lost(grade(sandbox, upload, assignment=VAE_ONLY)).items() if "sample" in name]
    assert messages
    assert all("gan_vae/utils/core.py, line 8: SyntaxError" in message for message in messages), messages
