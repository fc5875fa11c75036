"""Probes of question 3: permuted pixels, what is kept of a task, the penalty, an epoch with it, rehearsal, and all.

The notebook's functions work on globals of the notebook (`model`, `optimizer`, `fisher_dict`, ...). Here these are
ours: a linear classifier of the first pixels of an image, which notes which images it was shown, and plain gradient
descent, which notes every step. What the notebook itself binds to those names is not run: optimisers of torch import
more than a second's worth.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from autograder.core import Array
from autograder.hw11.probes import fault_of, tensor
from autograder.sandbox import parts as sections
from autograder.sandbox.guest import notebooks
from autograder.sandbox.guest.machine import pretend_cuda, settle, wants_gpu
from autograder.sandbox.guest.student import Missing, Student
from autograder.sandbox.wire import Breach

NOTEBOOK = "continual_learning.ipynb"
PIXELS = 784
MOST_STEPS = 2000
MOST_TASKS = 16
"""More than any dictionary here has."""
Space = dict[str, Any]
Form = Callable[[Array], Any]
Strength = Callable[[float], Any]

# ------------------------------------------------------------------------------- what we bring along


class Classifier(nn.Module):
    """Logits (n, c) of the first d pixels of images (n, 1, 28, 28); the last pixel is the image's number, noted."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(weight.shape[1], weight.shape[0]))
        self.inputs = weight.shape[1]
        self.set(weight, bias)
        self.seen: list[list[float]] = []
        self.notes = True
        """Whether images are noted; where only predictions are asked for it would take a quarter of the time."""

    def set(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Changes the parameters in place, as a step of an optimiser would."""
        with torch.no_grad():
            for old, new in zip(self.parameters(), (weight, bias), strict=True):
                old.copy_(new)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        if self.notes and torch.is_grad_enabled():
            with contextlib.suppress(RuntimeError):  # inside of vmap there are no numbers to note
                self.seen.append(flat[:, -1].tolist())
        logits: torch.Tensor = self.body(flat[:, : self.inputs].to(torch.float32))
        return logits


class Descent:
    """Gradient descent with the interface of an optimiser; notes the parameters and gradients of every step."""

    def __init__(self, model: Classifier, lr: float) -> None:
        self.model = model
        self.param_groups: list[dict[str, Any]] = [{"params": list(model.parameters()), "lr": lr}]
        self.before: list[torch.Tensor] = []
        self.slopes: list[torch.Tensor] = []
        self.batches: list[list[float]] = []

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.model.zero_grad(set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        result = None if closure is None else closure()
        parameters = list(self.model.parameters())
        if not self.model.notes:
            with torch.no_grad():
                for one in parameters:
                    if one.grad is not None:
                        one.sub_(self.param_groups[0]["lr"] * one.grad)
            return result
        slopes = [torch.zeros_like(one) if one.grad is None else one.grad.detach().clone() for one in parameters]
        if len(self.slopes) < MOST_STEPS:
            self.before.append(joined(*(one.detach() for one in parameters)).clone())
            self.slopes.append(joined(*slopes))
            # each once: some loops show a batch to the model a second time, to print an accuracy
            self.batches.append(list(dict.fromkeys(image for batch in self.model.seen for image in batch)))
        self.model.seen.clear()
        with torch.no_grad():
            for one, slope in zip(parameters, slopes, strict=True):
                one.sub_(self.param_groups[0]["lr"] * slope)
        return result

    def notes(self) -> dict[str, Any]:
        """before, slopes (steps, c, d + 1), and the numbers of the images of each step, one step behind the other."""
        if not self.slopes:
            raise Breach("training never called the optimiser's step(), but it was expected to")
        return {
            "before": torch.stack(self.before),
            "slopes": torch.stack(self.slopes),
            **told(self.batches),
        }


def told(batches: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The numbers of the images, one batch behind the other, and how many each batch has."""
    return {
        "images": np.array([image for batch in batches for image in batch], np.float64),
        "sizes": np.array([len(batch) for batch in batches], np.int64),
    }


def joined(weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """(c, d) and (c,) as one matrix (c, d + 1)."""
    return torch.cat([weight, bias[:, None]], 1)


def apart(both: torch.Tensor) -> dict[str, torch.Tensor]:
    """A matrix (c, d + 1) as the parameters of a Classifier, by their names."""
    return {"body.0.weight": both[:, :-1].clone(), "body.0.bias": both[:, -1].clone()}


def images(x: torch.Tensor, *, start: int = 0) -> Array:
    """Images (n, 1, 28, 28) whose first pixels are x (n, d), the last its number, all others 0."""
    made = np.zeros((len(x), PIXELS), np.float32)
    made[:, : x.shape[1]] = x.numpy()
    made[:, -1] = np.arange(start, start + len(x))
    return made.reshape(-1, 1, 28, 28)


def by_task(both: torch.Tensor) -> dict[int, dict[str, torch.Tensor]]:
    """Matrices (tasks, c, d + 1) as the notebook's dictionaries have them."""
    return {task: apart(one) for task, one in enumerate(both)}


# ------------------------------------------------------------------------------ the notebook's names

GLOBALS = frozenset(("model", "optimizer", "fisher_dict", "optpar_dict", "ewc_lambda", "device"))


def globals_of(model: Classifier, lr: float = 0.1, ewc_lambda: Any = 1.0) -> Space:
    """The names that the notebook's functions work on."""
    return {
        "model": model,
        "optimizer": Descent(model, lr),
        "fisher_dict": {},
        "optpar_dict": {},
        "ewc_lambda": ewc_lambda,
        "device": torch.device("cpu"),
    }


def space_of(student: Student, names: Collection[str], ours: Space) -> Space:
    """What the notebook's `names` stand for, with what they need, freshly executed around our globals."""
    chosen = student.source(NOTEBOOK).definitions(names, but=GLOBALS)
    if any(wants_gpu(one.text) for one in chosen):
        pretend_cuda()
    space = student.definitions(NOTEBOOK).__dict__  # empty but for the imports that a submission has
    space.update(ours)
    notebooks.execute(NOTEBOOK, chosen, space)
    settle()
    space.update(ours)
    return space


def function_of(student: Student, name: str, ours: Space) -> Callable[..., Any]:
    """The notebook's function of this name. Raises `Missing` or why there is none."""
    found = space_of(student, [name], ours).get(name)
    # What cannot be called is looked for in the usual way, which raises the sentence for it.
    return found if callable(found) else student.function(NOTEBOOK, name, **ours)


def globals_in(function: Callable[..., Any]) -> dict[str, Any]:
    """The names that the function sees, below any decorators."""
    found: dict[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    return found


def has(student: Student, name: str) -> bool:
    """Whether the notebook binds the name."""
    return bool(student.source(NOTEBOOK).binding(name))


def either(action: Callable[[Form], dict[str, Any]]) -> dict[str, Any]:
    """What the action gives with images as numpy arrays, as they are in the notebook, or else as tensors."""
    try:
        return action(np.copy)
    except (TypeError, AttributeError) as fault:
        with contextlib.suppress(Exception):
            return action(torch.tensor)
        raise fault


STRENGTHS: tuple[Strength, ...] = (
    float,
    lambda value: [value] * MOST_TASKS,
    lambda value: dict.fromkeys(range(MOST_TASKS), value),
    lambda value: torch.full((MOST_TASKS,), value),
    lambda value: np.full(MOST_TASKS, value),
    torch.tensor,
    np.float64,
)
"""ewc_lambda: one number, as in the notebook; some copies of the notebook have one value for each task."""


def with_strength(student: Student, action: Callable[[Form, Strength], dict[str, Any]]) -> dict[str, Any]:
    """What the action gives where ewc_lambda is a number, or else where it has one and the same value for each task.

    The latter only in a notebook that binds it to something else than a number. Raises what it raised with a number,
    where all forms fail.
    """
    try:
        return either(lambda form: action(form, float))
    except (TypeError, AttributeError, IndexError) as fault:
        if not single(student):
            for strength in STRENGTHS[1:]:
                with contextlib.suppress(Exception):
                    return either(lambda form, strength=strength: action(form, strength))  # type: ignore[misc]
        raise fault


def single(student: Student) -> bool:
    """Whether the notebook binds ewc_lambda to numbers alone."""
    bound = [one.node for one in student.source(NOTEBOOK).binding("ewc_lambda")]
    return bool(bound) and all(isinstance(node, ast.Assign) and _is_number(node.value) for node in bound)


def _is_number(node: ast.expr) -> bool:
    """Whether an expression is a number, or calculates with numbers."""
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def of_task(ewc_lambda: Any, task: Any) -> Any:
    """The strength of a task's penalty, whichever of STRENGTHS it is."""
    single = isinstance(ewc_lambda, int | float) or (hasattr(ewc_lambda, "ndim") and ewc_lambda.ndim == 0)
    return ewc_lambda if single else ewc_lambda[task]


def pictures(value: Any, what: str) -> torch.Tensor:
    """Images that came back. Raises `Breach` for what is no array of numbers."""
    if isinstance(value, list | tuple):
        raise Breach(f"{what} is a {type(value).__name__} of {len(value)}, but an array was expected")
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiu":
            raise Breach(f"{what} is an array of {value.dtype}, but an array of numbers was expected")
        value = torch.from_numpy(np.ascontiguousarray(value))
    return tensor(value, what).detach().to(torch.float64)


# -------------------------------------------------------------------------------------- permute_mnist


def permute(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """permute_mnist of `first` (n, 784) and `second` (m, 784), by the seed `chosen`, again by it, and by `other`."""

    def called(form: Form) -> dict[str, Any]:
        own = function_of(student, "permute_mnist", {})
        seen: dict[str, Any] = {}
        for call, seed in (("once", given["chosen"]), ("again", given["chosen"]), ("other", given["other"])):
            inputs = [form(given[name].numpy().reshape(-1, 1, 28, 28)) for name in ("first", "second")]
            returned = own(inputs, seed)
            if not isinstance(returned, list | tuple) or len(returned) != len(inputs):
                raise Breach(
                    f"permute_mnist returned a {type(returned).__name__}"
                    f"{f' of {len(returned)}' if isinstance(returned, list | tuple) else ''}, but a list of the 2 "
                    "input arrays, permuted, was expected"
                )
            seen[call] = {
                name: {
                    "returned": pictures(after, "an array that permute_mnist returned"),
                    "given": pictures(before, "the input of permute_mnist"),
                }
                for name, before, after in zip(("first", "second"), inputs, returned, strict=True)
            }
        return seen

    return sections.pack(**either(called))


# ------------------------------------------------------------------------------------- on_task_update


def update(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """on_task_update after task 0 and after task 1, with other parameters and old gradients left from training.

    theta (2, c, d + 1), stale (c, d + 1), and x (n, d), t (n,) of both `tasks`. After the call for each: what the
    dictionaries hold for each task, what they lack, whether it hangs on a graph, the batches that the model was shown,
    and whether the call has `moved` its parameters.
    """
    tasks = sections.unpack(given)["tasks"]

    def called(form: Form) -> dict[str, Any]:
        model = Classifier(*apart(given["theta"][0]).values())
        own = function_of(student, "on_task_update", globals_of(model))
        seen: list[dict[str, Any]] = []
        for number, (task, theta) in enumerate(zip(tasks, given["theta"], strict=True)):
            seen.append(updated(own, model, number, theta, given["stale"], form, task["x"], task["t"]))
        return {"tasks": seen}

    return sections.pack(**either(called))


def updated(
    own: Callable[..., Any],
    model: Classifier,
    task: int,
    theta: torch.Tensor,
    stale: torch.Tensor,
    form: Form,
    x: torch.Tensor,
    t: torch.Tensor,
) -> dict[str, Any]:
    """What one call for the task keeps and shows, with parameters theta and gradients `stale` left in the model."""
    model.set(*apart(theta).values())
    for one, slope in zip(model.parameters(), apart(stale).values(), strict=True):
        one.grad = slope
    model.seen.clear()
    own(task, form(images(x)), form(t.numpy()))
    held = {**kept(globals_in(own), model, task), **told(model.seen)}
    held["moved"] = not torch.equal(joined(*(one.detach() for one in model.parameters())), theta)
    return held


def tiny_updates(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The same for task 0 alone, of tiny models: each case has theta and stale (c, d + 1), x (n, d), t (n,)."""

    def of(case: Mapping[str, Any], form: Form) -> dict[str, Any]:
        model = Classifier(*apart(case["theta"]).values())
        own = function_of(student, "on_task_update", globals_of(model))
        return updated(own, model, 0, case["theta"], case["stale"], form, case["x"], case["t"])

    cases = sections.unpack(given)["cases"]
    return sections.pack(cases=[either(functools.partial(of, case)) for case in cases])


def kept(space: Mapping[str, Any], model: Classifier, task: int) -> dict[str, Any]:
    """What fisher_dict and optpar_dict hold for all tasks up to this one: `held` of each, where nothing is missing."""
    seen: dict[str, Any] = {}
    for kind in ("fisher", "optpar"):
        own: dict[str, Any] = {"tasks": [{} for _ in range(task + 1)]}
        seen[kind] = own
        for earlier in range(task + 1):
            parts = []
            for name, parameter in model.named_parameters():
                table = space.get(f"{kind}_dict")
                try:
                    value = table[earlier][name]  # type: ignore[index]
                except (KeyError, IndexError, TypeError):
                    own.setdefault("missing", f"{kind}_dict[{earlier}][{name!r}]")
                    continue
                value = torch.as_tensor(value) if isinstance(value, np.ndarray | float | int) else value
                # Before it is seen as a plain tensor, by which a parameter would have a graph of its own.
                hangs = isinstance(value, torch.Tensor) and value.grad_fn is not None
                value = tensor(value, f"{kind}_dict[{earlier}][{name!r}]")
                if hangs:
                    own["graph"] = True
                if value.shape != parameter.shape:
                    raise Breach(
                        f"{kind}_dict[{earlier}][{name!r}] has shape {list(value.shape)}, but the shape of the "
                        f"parameter, {list(parameter.shape)}, was expected"
                    )
                parts.append(value.detach())
            if len(parts) == 2:
                own["tasks"][earlier]["held"] = joined(*parts)
    return seen


# ----------------------------------------------------------------------------- the penalty, and an epoch

PENALTY = ("model", "fisher_dict", "optpar_dict", "ewc_lambda")


def penalty(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """ewc_penalty's value and gradient (c, d + 1) in every case; without such a function the steps of train_ewc.

    Each of the `cases`: theta (c, d + 1), fisher and optpar (tasks, c, d + 1), lambda. `decoy` has the same of what the
    notebook's globals hold meanwhile: a penalty is to be that of what it is handed.
    """
    own = sections.unpack(given)
    if not has(student, "ewc_penalty") and has(student, "train_ewc"):
        return sections.pack(steps=epoch(own["steps"], student))
    cases = [functools.partial(penalised, case, own["decoy"], student) for case in own["cases"]]
    return sections.run(fault_of(student), cases=cases)


def tiny_penalties(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The same of tiny cases, where the notebook's globals hold what the function is handed; else nothing."""
    cases = sections.unpack(given)["cases"] if has(student, "ewc_penalty") else []
    return sections.pack(cases=[penalised(case, case, student) for case in cases])


def penalised(case: Mapping[str, Any], decoy: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Value and gradient of one penalty; `elsewhere`: it has a gradient to the notebook's model, not to ours."""

    def called(_form: Form, strength: Strength) -> dict[str, Any]:
        model, other = (Classifier(*apart(one["theta"]).values()) for one in (case, decoy))
        ours = globals_of(other, ewc_lambda=strength(decoy["lambda"]))
        ours |= {"fisher_dict": by_task(decoy["fisher"]), "optpar_dict": by_task(decoy["optpar"])}
        own = function_of(student, "ewc_penalty", ours)
        returned = own(model, by_task(case["fisher"]), by_task(case["optpar"]), strength(case["lambda"]))
        if isinstance(returned, bool) or not isinstance(returned, float | int):
            tensor(returned, "the return value of ewc_penalty")
        value = torch.as_tensor(returned)
        places = [*model.parameters(), *other.parameters()]
        slopes: Sequence[torch.Tensor | None] = [None] * len(places)
        if value.requires_grad:
            slopes = torch.autograd.grad(value.sum(), places, allow_unused=True)
        each = [torch.zeros_like(old) if new is None else new for new, old in zip(slopes, places, strict=True)]
        elsewhere = slopes[0] is slopes[1] is None and any(one is not None for one in slopes)
        return {"value": value.detach(), "slope": joined(*each[:2]), "elsewhere": elsewhere}

    return with_strength(student, called)


def training(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """One epoch of train_ewc: `plain` for task 0, `earlier` and `later` for a task that has earlier ones.

    A penalty of ours stands in for the notebook's ewc_penalty, so that train_ewc alone is seen.
    """
    own = sections.unpack(given)
    return sections.run(
        fault_of(student),
        plain=lambda: epoch(own["plain"], student),
        earlier=lambda: epoch(own["earlier"], student),
        later=lambda: epoch(own["later"], student),
    )


def epoch(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The steps of one call of train_ewc for the task `task`; theta, fisher, optpar, lambda as in `penalty`.

    x (n, d), t (n,) are the task's images, lr is the size of a step. `stand_in` says whether the penalty of ours was
    called.
    """

    def called(form: Form, strength: Strength) -> dict[str, Any]:
        model = Classifier(*apart(given["theta"]).values())
        ours = globals_of(model, given["lr"], strength(given["lambda"]))
        ours |= {"fisher_dict": by_task(given["fisher"]), "optpar_dict": by_task(given["optpar"])}
        own = function_of(student, "train_ewc", ours)
        space = globals_in(own)
        calls = 0

        def stand_in(model: nn.Module, fisher_dict: Any, optpar_dict: Any, ewc_lambda: Any) -> torch.Tensor:
            """lambda times the weighted squares of what it is handed; gradients go to the model alone."""
            nonlocal calls
            calls += 1
            total = torch.zeros(())
            for task, kept in fisher_dict.items():
                size = of_task(ewc_lambda, task)
                for name, one in model.named_parameters():
                    off = one - optpar_dict[task][name].detach()
                    total = total + size * (kept[name].detach() * off.square()).sum()
            return total

        if _takes(space.get("ewc_penalty"), PENALTY):
            space["ewc_penalty"] = stand_in
        optimizer = ours["optimizer"]
        inputs = form(images(given["x"])), form(given["t"].numpy())
        own(model, ours["device"], given["task"], *inputs, optimizer, 1)
        return {**optimizer.notes(), "stand_in": calls > 0}

    return with_strength(student, called)


def _takes(function: Any, names: Sequence[str]) -> bool:
    """Whether it is a function of arguments with these names, and of no others."""
    return callable(function) and tuple(inspect.signature(function).parameters) == tuple(names)


# --------------------------------------------------------------------------------------- rehearsal_set


def rehearsal(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """rehearsal_set of the `tasks` x (n, d), t (n,): `all` of them; `some`: `per_task` of each earlier one.

    `again` is `some` once more, by the same seed.
    """
    drawn = sections.unpack(given)["tasks"]

    def called(**named: Any) -> dict[str, Any]:
        def with_form(form: Form) -> dict[str, Any]:
            own = rehearsal_of(student)
            tasks, start = [], 0
            for task in drawn:
                tasks.append((form(images(task["x"], start=start)), form(task["t"].numpy())))
                start += len(task["x"])
            returned = own([x for x, _ in tasks], [t for _, t in tasks], **named)
            if not isinstance(returned, tuple | list) or len(returned) != 2:
                raise Breach(f"rehearsal_set returned a {type(returned).__name__}, but a pair (x, t) was expected")
            x, t = (
                pictures(one, f"{name} that rehearsal_set returned") for one, name in zip(returned, "xt", strict=True)
            )
            shape = "x".join(map(str, x.shape[1:]))
            flat = x.flatten(1)
            return {"x": flat[:, : drawn[0]["x"].shape[1]], "number": flat[:, -1], "t": t, "shape": shape}

        return either(with_form)

    def some() -> dict[str, Any]:
        # A loop has no argument that says how many.
        return called(per_task=given["per_task"], seed=given["chance"]) if has(student, "rehearsal_set") else {}

    return sections.run(fault_of(student), all=called, some=some, again=some)


def rehearsal_of(student: Student) -> Callable[..., Any]:
    """The notebook's rehearsal_set, or what its loop over the tasks trains on, where that is written out."""
    if not has(student, "rehearsal_set"):
        loop = written_out(student)
        if loop is not None:
            return lambda x, t, **_named: _trained_on(student, loop, x, t)
    return function_of(student, "rehearsal_set", {})


def written_out(student: Student) -> notebooks.Statement | None:
    """The loop over the tasks that puts earlier ones together with the newest and trains on them."""
    for statement in student.source(NOTEBOOK).statements:
        if {"train", "tasks", "shuffle_in_unison"} <= statement.uses and isinstance(statement.node, ast.For):
            return statement
    return None


def _trained_on(student: Student, loop: notebooks.Statement, x: Sequence[Any], t: Sequence[Any]) -> tuple[Any, Any]:
    """The images and labels that the loop hands to `train` last, when it is run over our tasks."""
    handed: list[tuple[Any, Any]] = []

    def train(_model: Any, _device: Any, x_train: Any, t_train: Any, *_others: Any) -> None:
        handed.append((x_train, t_train))

    tasks = [(pair, pair) for pair in zip(x, t, strict=True)]  # training and test images
    ours = globals_of(Classifier(torch.zeros(1, 1), torch.zeros(1)))
    ours |= {"tasks": tasks, "train": train, "test": lambda *_arguments: 0.0}
    space = space_of(student, loop.uses - loop.binds - set(ours), ours)
    notebooks.execute(NOTEBOOK, [loop], space)
    if not handed:
        raise Missing(f"{NOTEBOOK} defines no rehearsal_set")
    return handed[-1]


# ------------------------------------------------------------------------------------- all of it together


def behaviour(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Two tasks learnt one after the other in three ways, from the same weights: `naive`, `ewc` and `rehearsal`.

    theta (c, d + 1); of each of the `tasks` x (n, d), t (n,) to train on and test (m, d). `first` (2, m) are the
    predictions for both tests after the first task, `last` after the second.
    """
    own = sections.unpack(given)
    return sections.run(
        fault_of(student),
        naive=lambda: in_turn(own, student, "naive"),
        ewc=lambda: in_turn(own, student, "ewc"),
        rehearsal=lambda: in_turn(own, student, "rehearsal"),
    )


def in_turn(given: Mapping[str, Any], student: Student, method: str) -> dict[str, Any]:
    """The predictions after either task."""

    def called(form: Form, wrapped: Strength) -> dict[str, Any]:
        model = Classifier(*apart(given["theta"]).values())
        model.notes = False
        tests = [task["test"] for task in given["tasks"]]  # all that the classifier sees of an image
        tasks = [(form(images(task["x"])), form(task["t"].numpy())) for task in given["tasks"]]
        fisher: Any = {}
        optpar: Any = {}
        seen = {}
        for task, (x, t) in enumerate(tasks):
            ours = globals_of(model, given["lr"], wrapped(strength(fisher, given["strength"] / given["lr"])))
            ours |= {"fisher_dict": fisher, "optpar_dict": optpar}
            if method == "rehearsal":
                x, t = rehearsal_of(student)(*(list(one) for one in zip(*tasks[: task + 1], strict=True)))
            own = function_of(student, "train_ewc" if method == "ewc" else "train", ours)
            number = (task,) if method == "ewc" else ()
            for epoch in range(given["epochs"]):
                own(model, ours["device"], *number, x, t, ours["optimizer"], epoch + 1)
            if method == "ewc" and task == 0:  # of the last task nothing needs to be kept
                keep = function_of(student, "on_task_update", ours)
                keep(task, x, t)
                fisher, optpar = (globals_in(keep)[name] for name in ("fisher_dict", "optpar_dict"))
            with torch.no_grad():
                seen["last" if task else "first"] = torch.stack([model(test).argmax(1) for test in tests])
        return seen

    return with_strength(student, called)


def strength(fisher: Any, size: float) -> float:
    """The lambda that multiplies the largest entry to `size`: right forms of the Fisher differ by constant factors."""
    entries = [torch.as_tensor(one).max().item() for task in fisher.values() for one in task.values()]
    largest = max(entries, default=0.0)
    return size / largest if largest > 0 else 0.0
