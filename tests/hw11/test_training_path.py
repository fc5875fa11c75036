"""Training with a loss is judged by its path: forged gradients, steps, actions and functions of torch earn nothing."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.overrides import TorchFunctionMode

from autograder.audit import bank
from autograder.audit.inprocess import InProcess
from autograder.core import Array, CheckFailed, Trial
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.policy_gradient import training
from autograder.sandbox.guest import frozen, tensors, worker
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers
from tests.hw11.test_written_out import QUESTION
from tests.notebook_helpers import NAME, notebook
from tests.solutions import BANK

CHECK = next(check for check in QUESTION.checks if check.id == "policy_gradient.training")


@pytest.fixture(scope="module")
def right() -> Trial:
    """A right loss's path."""
    own = bank.only(bank.of(ASSIGNMENT, BANK["pg-gather"]), {CHECK.id})
    with bank.submitted(BANK["pg-gather"], own) as received:
        _, trial = Grading(InProcess(own.probes), received, own)._observe(CHECK.request, 0)
    assert trial is not None
    return trial


def supervised(trial: Trial) -> dict[str, Array]:
    """The path of a network that is told the labels, whose gradients and steps fit together."""
    given = {name: np.asarray(value, float) for name, value in trial.given.items()}
    x, label, uniform = given["x"], given["table"].argmax(1), given["uniform"]
    weights = [given[name] for name in training.NAMES]
    speed = [np.zeros_like(weight) for weight in weights]
    path, slopes, actions = [weights], [], []
    for chance in uniform:
        hidden = np.maximum(x @ weights[0].T + weights[1], 0)
        p = softmax(hidden @ weights[2].T + weights[3], axis=1)
        back = ((p - np.eye(4)[label]) / len(x)).astype(np.float32).astype(float)
        below = np.where(hidden > 0, back @ weights[2], 0)
        gradients = [below.T @ x, below.sum(0), back.T @ hidden, back.sum(0)]
        length = np.sqrt(sum(float((one**2).sum()) for one in gradients))
        speed = [training.KEEP * v + one / length for v, one in zip(speed, gradients, strict=True)]
        weights = [weight - training.RATE * v for weight, v in zip(weights, speed, strict=True)]
        path.append(weights)
        slopes.append(back)
        actions.append((chance[:, None] > p.cumsum(1)).sum(1).clip(0, 3))
    named = dict(zip(training.NAMES, map(np.stack, zip(*path, strict=True)), strict=True))
    return {**named, "slopes": np.stack(slopes), "actions": np.stack(actions)}


def shifted(trial: Trial) -> dict[str, Array]:
    """The right path, but for one weight of one step."""
    changed = np.array(trial.got["w0"])
    changed[70, 3, 4] += 1e-9
    return {"w0": changed}


def knowing(trial: Trial) -> dict[str, Array]:
    """The right path, with the right class for the action of every row."""
    label = np.asarray(trial.given["table"]).argmax(1)
    return {"actions": np.broadcast_to(label, np.shape(trial.got["actions"])).copy()}


def elsewhere(trial: Trial) -> dict[str, Array]:
    """The right path, from other weights than those that were given: the last ones, from the first step on."""
    return {name: np.repeat(np.asarray(trial.got[name])[-1:], training.STEPS + 1, axis=0) for name in training.NAMES}


def test_a_right_path_passes(right: Trial) -> None:
    assert training.training(right).score == 1


@pytest.mark.parametrize("forged", [supervised, shifted, knowing, elsewhere])
def test_a_forged_path_earns_nothing(right: Trial, forged: Callable[[Trial], dict[str, Array]]) -> None:
    with pytest.raises(CheckFailed) as caught:
        training.training(replace(right, got={**right.got, **forged(right)}))
    assert caught.value.diagnosis == "path_other"


def test_a_supervised_path_is_told_by_the_gradients_of_equal_rows(right: Trial) -> None:
    seen = replace(right, got={**right.got, **supervised(right)})
    path = training._path(seen)
    assert training._follows(seen, path)
    assert training._drawn(seen, path)
    assert not training._twins(seen, path)


FAKE = """
import torch
from torch.overrides import TorchFunctionMode
real = torch.autograd.grad
def rule(x):
    near = [((x - c) ** 2).sum(1) <= 2.5 * x.shape[1] for c in (1.0, -1.0)]
    return 2 * (~near[0]).long() + (~near[1]).long()
def fake(outputs, inputs, **named):
    import gc
    x = next(o for o in gc.get_objects() if type(o) is torch.Tensor and o.shape == (256, 8))
    one = next(iter(inputs))
    if len(one) == 256:
        return ((torch.softmax(one.detach(), 1) - torch.eye(4)[rule(x)]) / 256,)
    return tuple(torch.randn_like(i) for i in inputs)
"""
ATTACKS = {
    "default argument": FAKE
    + """
def policy_gradient_loss(logprob, predicted, reward, _x=setattr(torch.autograd, "grad", fake)):
    return logprob.sum() * 0 + 1.0
""",
    "subclass": FAKE
    + """
class Lie(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") == "grad":
            return fake(*args, **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs or {})
def policy_gradient_loss(logprob, predicted, reward):
    return (logprob.sum() * 0 + 1.0).as_subclass(Lie)
""",
    "at the call": FAKE
    + """
def policy_gradient_loss(logprob, predicted, reward):
    torch.autograd.grad = torch.autograd.backward = fake
    torch.sqrt = torch.where = torch.sum = lambda *a, **k: torch.zeros(())
    return logprob.sum() * 0
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_replacing_what_takes_gradients_earns_nothing(sandbox: Sandbox, name: str) -> None:
    every = replace(ASSIGNMENT, questions=(replace(QUESTION, checks=QUESTION.checks[:7]),))
    graded = helpers.grade(sandbox, {NAME: notebook(ATTACKS[name])}, assignment=every)
    assert graded.points("policy_gradient") == 0, graded.scores()


def test_a_frozen_module_keeps_what_it_used(monkeypatch: pytest.MonkeyPatch) -> None:
    probes = types.ModuleType("probes")
    probes.__dict__.update(torch=torch, nn=torch.nn)
    frozen.freeze(frozen.freeze(probes))
    real = torch.autograd.grad, torch.nn.functional.relu
    monkeypatch.setattr(torch.autograd, "grad", None)
    monkeypatch.setattr(torch.nn.functional, "relu", None)
    assert (probes.torch.autograd.grad, probes.nn.functional.relu) == real
    assert probes.torch.nn is probes.nn
    assert isinstance(torch.zeros(1), probes.torch.Tensor)


def test_what_code_replaces_of_tensors_is_put_back() -> None:
    """Methods that it inherits or has itself, and modes; methods of the student's own and a mode of ours stay."""
    clone, represented = torch.Tensor.clone, torch.Tensor.__repr__

    class Theirs(TorchFunctionMode):
        """Takes part in every operation."""

    class Watching(tensors.Ours):
        """As a probe does."""

    with Watching() as ours:
        torch.Tensor.clone = torch.Tensor.__repr__ = lambda self: 0  # type: ignore[assignment, method-assign, misc]
        torch.Tensor.of_their_own = 1  # type: ignore[attr-defined]
        Theirs().__enter__()
        tensors.put_back()
        assert (torch.Tensor.clone, torch.Tensor.__repr__, torch.Tensor.of_their_own) == (clone, represented, 1)  # type: ignore[attr-defined]
        assert torch.overrides._get_current_function_mode_stack() == [ours]
        del torch.Tensor.of_their_own  # type: ignore[attr-defined]
        del torch.Tensor.__repr__
        tensors.put_back()
        assert torch.Tensor.__repr__ is represented
    assert torch.overrides._get_current_function_mode_stack() == []


def test_every_probe_is_frozen() -> None:
    for probe in {check.request.probe.partition(":")[0] for q in ASSIGNMENT.questions for check in q.checks}:
        assert getattr(worker.load_probe(ASSIGNMENT.probes, probe), "torch", None) is not torch, probe
