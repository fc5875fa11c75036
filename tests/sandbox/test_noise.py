"""The noise of a worker: its states come from Philox whole, and no module of the submission can keep its own seed."""

from __future__ import annotations

import random
import sys
import types
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from autograder.audit.inprocess import InProcess
from autograder.core import Request, Submission
from autograder.hw11 import ASSIGNMENT
from autograder.sandbox.guest.noise import WORDS, Noise, reseed
from autograder.sandbox.guest.tensors import state
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers


@pytest.fixture(autouse=True)
def _put_back() -> Any:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    yield
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


def test_a_state_of_these_words_is_the_one_that_a_seed_makes() -> None:
    """MT19937's initialisation by a seed, written out, gives torch's own state byte for byte."""
    words = [5]
    for index in range(1, WORDS):
        words.append((1812433253 * (words[-1] ^ (words[-1] >> 30)) + index) % 2**32)
    torch.default_generator.manual_seed(5)
    assert torch.equal(state(np.array(words, np.uint32), 5), torch.get_rng_state())


def test_torch_numpy_and_python_run_on_from_the_same_words_alike() -> None:
    words = np.random.Philox(key=3).random_raw(WORDS // 2).view(np.uint32)
    reseed(theirs := np.random.RandomState(0), words)
    expected = theirs.randint(0, 2**32, 2000, np.uint32)
    reseed(generator := torch.Generator(), words)
    # 2^24 uniform numbers of a word's last bits each (ATen/core/TransformationHelper.h)
    drawn = torch.rand(2000, generator=generator).double().numpy() * 2**24
    assert np.array_equal(drawn, expected % 2**24)
    reseed(python := random.Random(), words)
    assert [python.getrandbits(32) for _ in range(2000)] == expected.tolist()


def test_normals_are_normal() -> None:
    """Kolmogorov and Smirnov, at 1e-9 each, over states that differ by one renewal."""
    noise = Noise(11)
    for _ in range(3):
        noise.renew()
        for drawn in (torch.randn(50_000).numpy(), np.random.standard_normal(50_000)):
            assert scipy.stats.kstest(drawn, "norm").pvalue > 1e-9


def test_seeds_that_agree_modulo_two_to_the_32_differ() -> None:
    def drawn(seed: int) -> list[float]:
        Noise(seed).renew()
        return [*torch.rand(3).tolist(), *np.random.random(3).tolist(), random.random()]

    assert drawn(7) == drawn(7)
    assert len({*drawn(7), *drawn(7 + 2**32), *drawn(7 + 2**62)}) == 21


def test_generators_of_their_own_get_new_states_too() -> None:
    space: dict[str, Any] = {
        "g": torch.Generator().manual_seed(0),
        "rng": np.random.default_rng(0),
        "old": np.random.RandomState(0),
        "r": random.Random(0),
        "other": np.random.Generator(np.random.Philox(0)),
        "secure": random.SystemRandom(),
        "default": torch.default_generator,
    }

    def drawn() -> list[float]:
        return [
            torch.rand(1, generator=space["g"]).item(),
            *(space[name].random() for name in ("rng", "old", "r", "other")),
        ]

    begun = drawn()
    Noise(1).renew(space)
    first = drawn()
    Noise(2).renew(space)
    second = drawn()
    Noise(1).renew(space)
    assert first == drawn()
    assert len({*begun, *first, *second}) == 15


SEEDING = {
    "torch.manual_seed": "torch.manual_seed(0)\n",
    "a generator": "own = torch.Generator().manual_seed(3)\n"
    "def sample_gaussian(m, v):\n    return m + v.sqrt() * torch.randn(m.shape, generator=own)\n",
    "numpy": "import numpy as np\nnp.random.seed(0)\n"
    "def sample_gaussian(m, v):\n    return m + v.sqrt() * torch.tensor(np.random.randn(*m.shape), dtype=m.dtype)\n",
    "numpy's new generator": "import numpy as np\nrng = np.random.default_rng(0)\n"
    "def sample_gaussian(m, v):\n    return m + v.sqrt() * torch.tensor(rng.normal(size=m.shape), dtype=m.dtype)\n",
    "random": "import random\nrandom.seed(1)\n"
    "def sample_gaussian(m, v):\n"
    "    e = torch.tensor([random.gauss(0, 1) for _ in range(m.numel())])\n    return m + v.sqrt() * e.view_as(m)\n",
    "a saved state": "torch.manual_seed(4)\ntorch.set_rng_state(torch.get_rng_state())\n",
    "a helper's module": "from models import nns\n",
}
REQUEST = Request("vae.probes:sample", lambda _rng: {})


def given() -> dict[str, Any]:
    from autograder.hw11.vae import sample

    return dict(sample.REQUEST.inputs(np.random.Generator(np.random.Philox(1))))


@pytest.mark.parametrize("name", SEEDING)
def test_a_module_that_seeds_itself_gets_fresh_noise(name: str) -> None:
    """In both looks at one upload, and in every upload; the same seed gives the same."""
    files = helpers.solved(utils=SEEDING[name])
    if name == "a helper's module":
        files["gan_vae/models/nns.py"] = b"import torch\ntorch.manual_seed(5)\n"
    asker = InProcess(ASSIGNMENT.probes)
    with helpers.reachable_folder() as folder:
        for file, data in files.items():
            (folder / "workspace" / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / "workspace" / file).write_bytes(data)
        workspace = Submission(folder / "workspace", "digest")
        drawn = [asker.ask(workspace, REQUEST, given(), seed=seed, seconds=10.0).values for seed in (1, 2, 1)]
    z = [one["noise.standard"] for one in drawn if one is not None]
    assert len(z) == 3, drawn
    assert not np.array_equal(z[0], z[1])
    assert np.array_equal(z[0], z[2])


@pytest.mark.slow
def test_the_same_behind_the_wall(sandbox: Sandbox) -> None:
    with helpers.received(sandbox, helpers.solved(utils="torch.manual_seed(0)")) as workspace:
        drawn = [sandbox.ask(workspace, REQUEST, given(), seed=seed, seconds=60.0).values for seed in (1, 2, 1)]
    z = [one["noise.standard"] for one in drawn if one is not None]
    assert len(z) == 3
    assert not np.array_equal(z[0], z[1])
    assert np.array_equal(z[0], z[2])


def test_a_function_that_seeds_itself_keeps_doing_so() -> None:
    """That is a mistake, which its own check tells: the same noise at every call."""
    sys.modules.setdefault("x", types.ModuleType("x"))
    noise = Noise(1)
    noise.renew()
    torch.manual_seed(0)
    assert torch.rand(1) == (torch.manual_seed(0), torch.rand(1))[1]
