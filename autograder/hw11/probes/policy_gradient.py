"""Probes of question 6: the loss with given actions, training with it, and the notebook's whole run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from autograder import notebooks, sections
from autograder.hw11.probes import answers, fault_of, tensor
from autograder.isolation.student import Missing, Student

NOTEBOOK, NAME = "policy_gradient.ipynb", "policy_gradient_loss"
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Any]


def loss(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The parts `values`, `sampled`, `altered` and `many`, each with inputs and values of its own."""
    own = loss_of(student)
    return sections.run(
        fault_of(student),
        values=lambda: {**values(sections.take(given, "values"), own), "labels": labels_used(student)},
        sampled=lambda: sampled(sections.take(given, "sampled"), own),
        altered=lambda: altered(sections.take(given, "altered"), lambda: loss_of(student)),
        many=lambda: altered(sections.take(given, "many"), lambda: loss_of(student)),
    )


def tiny(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The same as the part `values`, for inputs that are small enough to be shown."""
    return values(given, loss_of(student))


def values(given: Mapping[str, Any], own: Loss) -> dict[str, Any]:
    """Calls once per case: logits0 (N, C), action0 (N,), reward0 (N,), logits1, ...

    Returns the loss, whether it is a tensor, its gradient to the logits (N, C) where one arrives, and what
    the call left of logprob, action and reward.
    """
    seen: dict[str, Any] = {}
    for case in range(len(given) // 3):
        logits, logprob, action, reward = _inputs(*(given[f"{name}{case}"] for name in ("logits", "action", "reward")))
        before = logprob.detach().clone()
        returned = own(logprob, action, reward)
        if not isinstance(returned, float | int):
            tensor(returned, f"what {NAME} returned")
        plain = isinstance(returned, torch.Tensor)
        seen |= {
            f"{case}.loss": torch.as_tensor(returned),
            f"{case}.is_tensor": plain,
            f"{case}.kept": torch.equal(logprob.detach(), before) and not reward.requires_grad,
            f"{case}.action": action,
            f"{case}.reward": reward,
        }
        slope = _slope(returned, logits)
        if slope is not None:
            seen[f"{case}.slope"] = slope
    return seen


def sampled(given: Mapping[str, Any], own: Loss) -> dict[str, Any]:
    """One call for each row of actions (calls, N) and rewards (calls, N): the gradients (calls, N, C)."""
    slopes = [gradient(own, given["logits"], *each) for each in zip(given["actions"], given["rewards"], strict=True)]
    return {"slopes": torch.stack(slopes)}


def altered(given: Mapping[str, Any], fresh: Callable[[], Loss]) -> dict[str, Any]:
    """The gradient for each version (versions, N) of actions and rewards, every time by a function loaded anew."""
    pairs = zip(given["actions"], given["rewards"], strict=True)
    return {"slopes": torch.stack([gradient(fresh(), given["logits"], *each) for each in pairs])}


def gradient(own: Loss, given: torch.Tensor, action: torch.Tensor, reward: torch.Tensor) -> torch.Tensor:
    """d loss / d logits, (N, C); zeros where none arrives."""
    logits, logprob, action, reward = _inputs(given, action, reward)
    returned = tensor(own(logprob, action, reward), f"what {NAME} returned")
    slope = _slope(returned, logits)
    return torch.zeros_like(logits) if slope is None else slope


def _slope(returned: Any, logits: torch.Tensor) -> torch.Tensor | None:
    """d loss / d logits, None where no gradient arrives."""
    if not isinstance(returned, torch.Tensor) or not returned.requires_grad:
        return None
    (slope,) = torch.autograd.grad(returned.sum(), (logits,), allow_unused=True)
    return slope


def _inputs(logits: torch.Tensor, action: torch.Tensor, reward: torch.Tensor) -> tuple[torch.Tensor, ...]:
    leaf = logits.clone().requires_grad_()
    return leaf, torch.log_softmax(leaf, dim=1), action.clone(), reward.clone()


# --------------------------------------------------------------------------------- finding the loss


def loss_of(student: Student) -> Loss:
    """The student's policy_gradient_loss; or, where there is none, the loss written out in the training loop."""
    try:
        found: Loss = student.function(NOTEBOOK, NAME)
    except Missing:
        inline = written_out(student)
        if inline is None:
            raise
        return inline
    return found


PARAMETERS = ("logprob", "predicted", "reward")


def written_out(student: Student) -> Loss | None:
    """A function of the statements that lead from logprob, predicted and reward to `loss` in a loop.

    The loop is the one that calls `loss.backward()` and names the reward; what its statements need
    beyond those three (constants, helpers) comes from the notebook's definitions.
    """
    for statement in student.source(NOTEBOOK).statements:
        for body in _suites(statement.node):
            steps = _steps(body)
            if steps is None:
                continue
            # log_softmax of log-probabilities gives them back, so that they can stand for the logits.
            frame = f"def {NAME}({', '.join(PARAMETERS)}):\n logits = logprob\n return loss"
            function = ast.parse(frame).body[0]
            assert isinstance(function, ast.FunctionDef)
            function.body[1:1] = steps
            made = notebooks.statement_of(statement.cell, ast.fix_missing_locations(function))
            module = student.definitions(NOTEBOOK, *(made.uses - {NAME}))
            notebooks.execute(NOTEBOOK, [made], module.__dict__)
            found: Loss = module.__dict__[NAME]
            return found
    return None


def labels_used(student: Student) -> str:
    """The name of a global that holds the data's labels, where the loss or what it calls uses one; else ""."""
    source = student.source(NOTEBOOK)
    function = next((one for one in reversed(source.statements) if NAME in one.binds), None)
    data = [one for one in source.statements if "generate_data" in one.uses and NAME not in one.binds]
    if function is None or function.loops:
        return ""
    needed = {name for one in source.definitions([NAME]) if one not in data for name in one.uses}
    drawn = {name for one in data for name in one.binds}
    return min((name for name in needed & drawn if "y" in name.lower()), default="")[:40]


def _suites(node: ast.AST) -> list[list[ast.stmt]]:
    """All lists of statements inside of a statement."""
    found = []
    for child in ast.walk(node):
        for field in ("body", "orelse", "finalbody"):
            suite = getattr(child, field, None)
            if isinstance(suite, list) and suite and all(isinstance(step, ast.stmt) for step in suite):
                found.append(suite)
    return found


def _steps(body: list[ast.stmt]) -> list[ast.stmt] | None:
    """The statements of a suite that make `loss` of the three; None where the suite is no such loop."""
    ends = [index for index, step in enumerate(body) if ast.unparse(step).startswith("loss.backward(")]
    if not ends or not any(name in ast.unparse(ast.Module(body, [])) for name in ("reward_oracle", "reward")):
        return None
    needed = {"loss"}
    steps: list[ast.stmt] = []
    for step in reversed(body[: ends[0]]):
        names = notebooks.statement_of(0, step)
        if names.binds & needed - {*PARAMETERS, "logits"}:
            steps.insert(0, step)
            needed |= names.uses
    return steps or None


# ------------------------------------------------------------------------------------------ training


def training(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Trains the homework's network with the student's loss on sampled actions; returns its weights.

    x (N, 8) points, table (N, 4) the reward of every action, w0, b0, w1, b1 the initial weights. `steps`
    full-batch steps of Adam, 1e-2; the actions are drawn anew in each from the policy.
    """
    own = loss_of(student)
    x, table = given["x"], given["table"]
    weights = [given[name].requires_grad_() for name in ("w0", "b0", "w1", "b1")]
    first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    chance = torch.Generator().manual_seed(given["chance"])  # not the global one, which belongs to the student
    for step in range(1, given["steps"] + 1):
        logits = nn.functional.linear(torch.relu(nn.functional.linear(x, *weights[:2])), *weights[2:])
        logprob = torch.log_softmax(logits, dim=1)
        action = torch.multinomial(logprob.detach().exp(), 1, generator=chance).squeeze(1)
        reward = table.gather(1, action[:, None]).squeeze(1)
        loss = tensor(own(logprob, action, reward), f"what {NAME} returned")
        slopes = torch.autograd.grad(loss.sum(), weights)
        with torch.no_grad():
            # Kingma and Ba 2015, algorithm 1: torch.optim imports more at its first step than training takes.
            for weight, slope, m, v in zip(weights, slopes, first, second, strict=True):
                m.lerp_(slope, 0.1)
                v.lerp_(slope**2, 0.001)
                weight -= 1e-2 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    return {name: weight.detach() for name, weight in zip(("w0", "b0", "w1", "b1"), weights, strict=True)}


# ----------------------------------------------------------------------------------------- whole run


def notebook(_given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Runs all cells; how that went, the network that they trained, its test points, and what answers.toml holds."""
    cells = student.cells(NOTEBOOK)
    assert student.kernel is not None
    run, trained = student.kernel.run(cells, seconds=student.seconds - 5)  # we say which cell, the wall cannot
    told = {name: getattr(run, name) for name in ("cells", "ran", "failed", "kind", "text")}
    return {**told, **trained, **answers.held(student)}


class Trained:
    """Inside the kernel: follows the global name `model`, and keeps the first network that was trained.

    Notebooks use the name again, for supervised learning, after the policy gradient's.
    """

    UPDATES = 20
    """In-place changes of a weight that an optimiser makes and an initialisation does not."""

    POINTS = 4096
    """Test points that are told at most."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.weights: list[list[torch.Tensor]] = []

    def after_cell(self, space: Mapping[str, Any]) -> None:
        model = space.get("model")
        if isinstance(model, nn.Module):
            if not any(model is one for one in self.found):
                self.found.append(model)
                self.weights.append([])
            at = next(index for index, one in enumerate(self.found) if one is model)
            self.weights[at] = [weight.detach().clone() for weight in model.parameters()]

    def values(self, space: Mapping[str, Any]) -> dict[str, Any]:
        self.after_cell(space)
        if not self.found:
            return {}
        moved = (max((w._version for w in model.parameters()), default=0) > self.UPDATES for model in self.found)
        at = next((index for index, trained in enumerate(moved) if trained), len(self.found) - 1)
        x = space.get("x_valid")
        points = {"points": x.detach()[: self.POINTS].float()} if isinstance(x, torch.Tensor) and x.ndim == 2 else {}
        return {**points, **{f"weight{index}": weight for index, weight in enumerate(self.weights[at][:8])}}
