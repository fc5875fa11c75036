"""Probes of question 6: the loss with given actions, training with it, and the notebook's whole run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import torch

from autograder.hw11.answers import probes as answers
from autograder.hw11.policy_gradient.probes import followed, written_out
from autograder.hw11.policy_gradient.probes.written_out import Inline
from autograder.hw11.probes import fault_of, tensor
from autograder.sandbox import parts as sections
from autograder.sandbox.guest.student import Missing, Student

NOTEBOOK, NAME = "policy_gradient.ipynb", "policy_gradient_loss"
Trained = followed.Trained
"""What the kernel of a whole run is watched by."""
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Any]
Fresh = Callable[[], Loss]


def loss(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The parts `values`, `sampled`, `altered` and `many`, each with inputs and values of its own."""
    fresh = loss_of(student)
    own, inputs = fresh(), sections.unpack(given)
    return sections.run(
        fault_of(student),
        values=lambda: {**values(inputs["values"], own), **noticed(student, fresh)},
        sampled=lambda: sampled(inputs["sampled"], own),
        altered=lambda: altered(inputs["altered"], fresh),
        many=lambda: altered(inputs["many"], fresh),
    )


def tiny(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The same as the part `values`, for inputs that are small enough to be shown."""
    return sections.pack(**values(sections.unpack(given), loss_of(student)()))


def values(given: Mapping[str, Any], own: Loss) -> dict[str, Any]:
    """Calls once for each of the `cases`: logits (N, C), action (N,), reward (N,).

    Returns for each the loss, whether it is a tensor, its gradient to the logits (N, C) where one arrives, and what
    the call left of logprob, action and reward. A loop's loss has no arguments; `tolerance_used` (N,) are the actions
    that it took, which can be others than those given.
    """
    seen: list[dict[str, Any]] = []
    for case in given["cases"]:
        logits, logprob, action, reward = _inputs(case["logits"], case["action"], case["reward"])
        before = logprob.detach().clone()
        returned = own(logprob, action, reward)
        if not isinstance(returned, float | int):
            returned = tensor(returned, f"the return value of {NAME}")
        found: dict[str, Any] = {"loss": torch.as_tensor(returned), "is_tensor": isinstance(returned, torch.Tensor)}
        if isinstance(own, Inline):
            found["used"] = own.used
        else:
            found["kept"] = torch.equal(logprob.detach(), before) and not reward.requires_grad
            found |= {"action": action, "reward": reward}
        slope = _slope(returned, logits)
        if slope is not None:
            found["slope"] = slope
        seen.append(found)
    return {"cases": seen}


def sampled(given: Mapping[str, Any], own: Loss) -> dict[str, Any]:
    """One call for each row of actions (calls, N) and rewards (calls, N): the gradients (calls, N, C).

    `tolerance_used` (calls, N) are the actions that a loop took, which `table` (N, C) rewards.
    """
    pairs = zip(given["actions"], given["rewards"], strict=True)
    return _gradients(gradient(own, given["logits"], *each, table=given["table"]) for each in pairs)


def altered(given: Mapping[str, Any], fresh: Fresh) -> dict[str, Any]:
    """The gradient for each version (versions, N) of actions and rewards, every time by a function loaded anew."""
    pairs = zip(given["actions"], given["rewards"], strict=True)
    return _gradients(gradient(fresh(), given["logits"], *each) for each in pairs)


def _gradients(found: Iterable[tuple[torch.Tensor, torch.Tensor | None]]) -> dict[str, Any]:
    slopes, used = zip(*found, strict=True)
    return {"slopes": torch.stack(slopes), **({} if used[0] is None else {"used": torch.stack(used)})}


def gradient(
    own: Loss, given: torch.Tensor, action: torch.Tensor, reward: torch.Tensor, *, table: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """d loss / d logits, (N, C), zeros where none arrives; and the actions (N,) that a loop took."""
    logits, logprob, action, reward = _inputs(given, action, reward)
    found = own(logprob, action, reward, table) if isinstance(own, Inline) else own(logprob, action, reward)
    slope = _slope(tensor(found, f"the return value of {NAME}"), logits)
    return torch.zeros_like(logits) if slope is None else slope, own.used if isinstance(own, Inline) else None


def _slope(returned: Any, logits: torch.Tensor) -> torch.Tensor | None:
    """d loss / d logits, None where no gradient arrives. Of a vector it is that of the sum."""
    if not isinstance(returned, torch.Tensor) or not returned.requires_grad:
        return None
    (slope,) = torch.autograd.grad(torch.sum(returned), (logits,), allow_unused=True)
    return slope


def _inputs(logits: torch.Tensor, action: torch.Tensor, reward: torch.Tensor) -> tuple[torch.Tensor, ...]:
    leaf = logits.clone().requires_grad_()
    return leaf, torch.log_softmax(leaf, dim=1), action.clone(), reward.clone()


# --------------------------------------------------------------------------------- finding the loss


def loss_of(student: Student) -> Fresh:
    """What loads the student's policy_gradient_loss anew; or, where there is none, the loss in the training loop."""
    if student.kernel is None and _is_left_out(student):
        with suppress(written_out.Uncut, Missing, NotImplementedError):  # then it is the function that is not filled in
            plan = written_out.plan(student, NOTEBOOK, NAME)
            if plan is not None:
                return plan.fresh
    try:
        student.function(NOTEBOOK, NAME)
    except Missing as missing:
        try:
            plan = written_out.plan(student, NOTEBOOK, NAME)
        except written_out.Uncut as uncut:
            raise Missing(f"{missing}. A loss inside the training loop is graded, too, but the grader could not "
                          f"extract this "
                f"one: {uncut}") from None  # fmt: skip
        if plan is None:
            raise
        return plan.fresh
    return lambda: student.function(NOTEBOOK, NAME)


def _is_left_out(student: Student) -> bool:
    """Whether the function is there as it was handed out, and nothing calls it on the way to a gradient."""
    functions = [one.node for one in student.source(NOTEBOOK).statements if NAME in one.binds]
    if not functions or not isinstance(functions[-1], ast.FunctionDef):
        return False
    *before, last = functions[-1].body
    plain = all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in before)
    return plain and isinstance(last, ast.Raise) and "NotImplementedError" in ast.unparse(last)


def noticed(student: Student, fresh: Fresh) -> dict[str, Any]:
    """`labels`, the name of the data's labels where the loss uses them, else ""; `batch`, a loop's own batch size."""
    own = fresh()
    if not isinstance(own, Inline):
        return {"labels": labels_used(student)}
    other = Inline(own.plan, label=1)
    batch = torch.zeros(2, 4), torch.tensor([0, 1]), torch.tensor([1.0, -1.0])
    same = torch.equal(*(gradient(one, *batch)[0] for one in (own, other)))
    return {"labels": "" if same else min(other.labels(), default="y")[:40], "batch": own.plan.batch}


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


# ------------------------------------------------------------------------------------------ training

WEIGHTS = ("w0", "b0", "w1", "b1")


def training(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Trains the homework's network with the student's loss; returns the path that it takes.

    x (N, 8) points, table (N, 4) the reward of every action, uniform (steps, N) what the actions are drawn from the
    policy with, w0, b0, w1, b1 the initial weights. Each of the steps goes against v, where v becomes 0.9 v + g / |g|
    for the gradient g of all weights: its length says nothing, so that the loss may have any size.

    In double precision but for the loss: `slopes` (steps, N, 4) its gradients to the logits, `actions` (steps, N), and
    the weights before each step and after the last, each (steps + 1, ...).
    """
    own = loss_of(student)()
    x, table = given["x"].double(), given["table"]
    weights = [given[name].double() for name in WEIGHTS]
    speed = [torch.zeros_like(weight) for weight in weights]
    path: list[list[torch.Tensor]] = []
    slopes, actions = [], []
    for chance in given["uniform"]:
        path.append(weights)
        w0, b0, w1, b1 = weights
        hidden = torch.relu(torch.addmm(b0, x, w0.T))
        logits = torch.addmm(b1, hidden, w1.T).float()
        # Inverse transform sampling: the first action whose cumulated probability is above the uniform number.
        bounds = torch.cumsum(torch.softmax(logits.double(), dim=1), dim=1)
        action = torch.clamp(torch.sum(chance[:, None] > bounds, dim=1), max=3)
        reward = torch.gather(table, 1, action[:, None])[:, 0]
        slope, used = gradient(own, logits, action, reward, table=table)
        slopes.append(slope)
        actions.append(action if used is None else used)
        # Backpropagation by hand: with matrices of this size autograd would take most of the time.
        back = slope.double()
        below = torch.where(hidden > 0, back @ w1, 0.0)
        gradients = [below.T @ x, torch.sum(below, dim=0), back.T @ hidden, torch.sum(back, dim=0)]
        length = torch.sqrt(torch.stack([torch.sum(torch.square(one)) for one in gradients]).sum())
        if length > 0:
            gradients = [one / length for one in gradients]
        speed = [given["keep"] * v + one for v, one in zip(speed, gradients, strict=True)]
        weights = [weight - given["rate"] * v for weight, v in zip(weights, speed, strict=True)]
    path.append(weights)
    return {
        "slopes": torch.stack(slopes),
        "actions": torch.stack(actions).to(torch.uint8),
        **{name: torch.stack(each) for name, each in zip(WEIGHTS, zip(*path, strict=True), strict=True)},
    }


# ----------------------------------------------------------------------------------------- whole run


def notebook(_given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Runs all cells; how that went, the network that they trained, its test points, and what answers.toml holds."""
    cells = student.cells(NOTEBOOK)
    assert student.kernel is not None
    run, trained = student.kernel.run(cells, seconds=student.seconds - 5)  # we say which cell, the sandbox cannot
    told = {name: getattr(run, name) for name in ("cells", "ran", "failed", "kind", "text")}
    return {**told, **trained, **answers.held(student)}
