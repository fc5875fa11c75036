"""A policy-gradient loss that stands in the training loop of a notebook, asked as if it were a function of its own.

What leads to it is found by data flow and not by names. The statements that lead from `reward_oracle` to a gradient
(`.backward()` or `torch.autograd.grad`) are run once, in a loop, a function, a method or a lambda, wherever they are.
On the way the network's last layer says our log-probabilities, the black box answers with our rewards and notes which
actions it was given, and samplers draw our actions. What a gradient is asked for is the loss; where several are before
a step, as in a loop over rows, it is their sum. Each gradient is 1 everywhere: the way in which the next step moves the
weights tells whether it goes down or climbs, by whatever means.
"""

from __future__ import annotations

import ast
import copy
import functools
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from types import CodeType, ModuleType
from typing import Any

import torch
from torch import nn

from autograder.sandbox.guest.machine import pretend_cuda
from autograder.sandbox.guest.statements import Statement
from autograder.sandbox.guest.student import Missing, Student

ORACLE, DATA, CLASSES = "reward_oracle", "generate_data", 4
GRADIENTS = (".backward(", "autograd.grad(")
SOME, FEW, MOST_ROWS = 3, 8, 4096
"""Iterations of a loop that trains, of one around such a loop, and of one whose gradients belong to one step. The one
that is looked for ends in its first."""
BARS = ("tqdm", "trange", "tqdm_notebook")


class Uncut(Exception):
    """The loss could not be cut out of the notebook; the sentence says of which cell, and why."""


class _Captured(BaseException):
    """The gradients of these losses were asked for, and whether the step behind them climbs; None where none came."""

    def __init__(self, losses: Sequence[Any], climbs: bool | None) -> None:
        super().__init__()
        self.losses, self.climbs = losses, climbs

    @property
    def loss(self) -> Any:
        """Their sum; of one that is no tensor, that."""
        if len(self.losses) > 1 and all(isinstance(one, torch.Tensor) for one in self.losses):
            return torch.stack([one.sum() for one in self.losses]).sum()
        return self.losses[0]


@dataclass
class Batch:
    """What one run meets: log-probabilities (n, 4), the actions (n,) that samplers draw, all actions' rewards (n, 4).

    And what it did: how many rows it gave to the network, which of its modules answered, whether it asked the black box
    and about which actions, call by call; and the losses whose gradients it asked for.
    """

    logprob: torch.Tensor
    action: torch.Tensor
    table: torch.Tensor
    seen: int = 0
    layers: list[nn.Module] = field(default_factory=list)
    asked: bool = False
    used: list[torch.Tensor] = field(default_factory=list)
    drawn: int = 0
    losses: list[Any] = field(default_factory=list)
    modules: list[nn.Module] = field(default_factory=list)
    before: list[tuple[nn.Parameter, float]] = field(default_factory=list)
    blind: bool = False
    """Whether the first loss was there before any network: one that is called behind it has no part in it."""
    told: int = 0
    """Rows that the losses so far are made of."""
    newest: int = 0
    """Rows of the network's last call since the last gradient, 0 where there was none."""

    def rows(self, count: int) -> torch.Tensor:
        """Which of our rows stand for so many of the code's: all of them in turn, behind those that have a loss."""
        return (self.told % len(self.logprob) + torch.arange(count)) % len(self.logprob)

    def backward(self, loss: Any) -> None:
        """Notes the loss, and gives every weight of the network the gradient 1."""
        if not self.losses:
            self.blind = not self.layers
            known = {id(weight): weight for one in self.modules for weight in one.parameters()}
            self.before = [(weight, float(weight.detach().sum())) for weight in known.values()]
        self.losses.append(loss)
        self.told, self.newest = self.told + self.newest, 0
        for weight, _ in self.before:
            if weight.grad is None or len(self.losses) == 1:
                weight.grad = torch.ones_like(weight)

    def moved(self) -> None:
        """Raises `_Captured` where the weights have changed since the first loss: a step was made."""
        if not self.losses:
            return
        change = sum(float(weight.detach().sum()) - old for weight, old in self.before)
        if change:
            raise _Captured(self.losses, change > 0)

    def done(self) -> None:
        """Raises `_Captured` where there were losses."""
        self.moved()
        if self.losses:
            raise _Captured(self.losses, None)

    def said(self, count: int) -> torch.Tensor:
        """The network's output for so many rows. What is left after the last whole turn has no gradient."""
        self.moved()
        whole = max(count // len(self.logprob) * len(self.logprob), min(count, len(self.logprob)))
        rows = self.rows(count)
        return torch.cat([self.logprob[rows[:whole]], self.logprob[rows[whole:]].detach()])

    def draw(self, count: int) -> torch.Tensor:
        """Actions for so many rows; where they are drawn row by row, the next one."""
        if count > 1 or len(self.logprob) == 1:
            return self.action[self.rows(count)].clone()
        self.drawn += 1
        return self.action[self.rows(self.drawn)[-1:]].clone()

    def answer(self, predicted: torch.Tensor) -> torch.Tensor:
        """The rewards (n,) of these actions (n,)."""
        self.moved()
        before = sum(map(len, self.used))
        if self.losses and before >= len(self.logprob):
            self.done()  # another round begins, though no step was made
        first = before if len(predicted) == 1 else self.told
        rows = (first + torch.arange(len(predicted))) % len(self.logprob)
        self.asked = True
        self.used.append(predicted.clone())
        return self.table[rows, predicted]

    def chosen(self) -> torch.Tensor:
        """The actions that were rewarded: ours, if the black box was given them at any time, else the last ones."""
        n = len(self.logprob)
        whole = [each[:n] for each in self.used if len(each) >= n] or [torch.cat(self.used)[:n]]
        return next((each for each in whole if torch.equal(each, self.action)), whole[-1])


def _any() -> Batch:
    """A batch for what only has to run."""
    return Batch(torch.zeros(2, CLASSES), torch.zeros(2, dtype=torch.long), torch.ones(2, CLASSES))


def _network(_seed: int = 0) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, CLASSES))


class Script:
    """Statements of a notebook, each compiled once, with the loops in them that train cut short."""

    def __init__(self, student: Student, file: str, statements: Sequence[Statement]) -> None:
        self.student, self.file = student, file
        if any("cuda" in one.text for one in statements) and not torch.cuda.is_available():
            pretend_cuda()
        self._shorten = _Shortened(_trainers(statements))
        self._codes: dict[int, CodeType] = {}

    def code(self, statement: Statement) -> CodeType:
        if id(statement) not in self._codes:
            node = self._shorten.visit(copy.deepcopy(statement.node))
            tree = ast.fix_missing_locations(ast.Module([node], []))
            place = statement.place(self.file)
            self._codes[id(statement)] = compile(tree, place, "exec", flags=statement.flags, dont_inherit=True)
        return self._codes[id(statement)]


class Stage:
    """A notebook's names, with ours in place of its data, black box and progress bars once it has bound them."""

    def __init__(self, script: Script, *, points: int = 0, label: int = 0) -> None:
        """There are as many points as `points`, each with this label; with 0, as many as are asked for."""
        self.script, self.labels = script, torch.full((points,), label)
        self.batch = _any()
        self.module = script.student.definitions(script.file)  # empty, but for the imports that a submission has
        self.space = self.module.__dict__
        self.space |= {
            "__some__": self._some,
            ORACLE: self._oracle(None),
            DATA: self._data,
            "get_model": _network,
        }
        for which in ("train", "valid"):  # what the homework hands out is there, even where its cells fail here
            names = (f"x_{which}", f"y_{which}", f"true_y_{which}")
            self.space |= zip(names, self._data(), strict=True)

    def run(self, statement: Statement, batch: Batch | None = None) -> None:
        """Raises `_Captured` with the loss where its gradient is asked for. What comes of it is noted in the batch."""
        self.batch = batch or _any()
        code = self.script.code(statement)
        with _instead(self.batch), _as_main(self.module):
            try:
                exec(code, self.space)  # in the worker: this is what a worker is for
            except Exception:
                self.batch.done()  # what comes behind the gradient is no part of the loss
                raise
            self.batch.done()
        if ORACLE in statement.binds and callable(self.space.get(ORACLE)):
            self.space[ORACLE] = self._oracle(self.space[ORACLE])
        if DATA in statement.binds and callable(self.space.get(DATA)):
            self.space[DATA] = self._data
        for name in BARS:
            if name in statement.binds and callable(self.space.get(name)):
                from tqdm import std  # type: ignore[import-untyped]

                self.space[name] = functools.partial(std.trange if name == "trange" else std.tqdm, disable=True)

    def _some(self, items: Any, most: int) -> Iterator[Any]:
        """The first of the items; but on through rows that each request for a gradient of one and the same step."""
        for place, item in enumerate(items):
            before = len(self.batch.losses)
            yield item
            most -= len(self.batch.losses) == before
            if most <= 0 or place >= MOST_ROWS:
                return

    def _data(self, num_samples: int = 1000, input_dim: int = 8, *_more: Any, **_named: Any) -> tuple[Any, ...]:
        y = self.labels if len(self.labels) else torch.zeros(num_samples, dtype=torch.long)
        return torch.zeros(len(y), input_dim), y, torch.eye(CLASSES)[y]

    def _oracle(self, real: Callable[..., Any] | None) -> Callable[..., Any]:
        """Our rewards in the form of the notebook's, if it has any."""

        def oracle(x: Any, pred: Any, *more: Any, **named: Any) -> Any:
            predicted = torch.as_tensor(pred).detach().reshape(-1).long()
            rewards = self.batch.answer(predicted)
            if real is None:
                return rewards
            try:
                like = real(x, pred, *more, **named)
            except Exception:  # for example since the points are other ones than it knows
                return rewards
            if not isinstance(like, torch.Tensor):
                return rewards.numpy() if hasattr(like, "dtype") else rewards.tolist()
            if like.ndim == 2 and like.shape == (len(predicted),) * 2 != (1, 1):  # every row's point with every action
                rewards = self.batch.table[self.batch.rows(len(predicted))][:, predicted].T
            return rewards.reshape(like.shape).to(like.dtype) if rewards.numel() == like.numel() else rewards

        return oracle


# ------------------------------------------------------------------------------------------ where it stands


@dataclass(frozen=True)
class Plan:
    """The statements that lead to the loss, in order: `before` once, then `entry`, in which the gradient is asked for.

    `batch` is the number of rows that the notebook's own loop takes at once. Where `maximised`, the optimiser climbs.
    """

    script: Script
    before: tuple[Statement, ...]
    entry: Statement
    batch: int
    maximised: bool

    def fresh(self) -> Inline:
        """The loss, as at the start of the notebook: nothing that earlier calls left is known to it."""
        return Inline(self)


def plan(student: Student, file: str, name: str) -> Plan | None:
    """Where the notebook's own loss is; None where no statement leads from the black box to a gradient.

    Raises `Uncut` where one does, but running it comes to no loss, and what the student's code raised where that
    happened between the black box's answer and the gradient. Code that calls the function `name` has no loss.
    """
    source = student.source(file)
    candidates = [one for one in source.statements if _runs(one) and _leads(source.definitions(one.uses), one)]
    if not candidates:
        cells = sorted({one.cell for one in source.statements if any(mark in one.text for mark in GRADIENTS)})
        if cells and not any(name in one.uses for one in source.statements):
            where = f"code cell{'s'[: len(cells) > 1]} {', '.join(map(str, cells[:4]))}"
            raise Uncut(f"no gradient in {where} depends on a call of {ORACLE}")
        return None
    needed = {id(one) for one in candidates}
    needed |= {id(one) for each in candidates for one in source.definitions(each.uses)}
    order = [one for one in source.statements if id(one) in needed]
    if any(name in one.uses for one in order) and not any(name in one.binds for one in order):
        return None  # it has no loss but the one that is missing
    script = Script(student, file, order)
    stage, faults = Stage(script), dict[str, BaseException]()
    for index, statement in enumerate(order):
        known = {id(value) for value in stage.space.values()}
        try:
            stage.run(statement)
        except _Captured as captured:
            if id(captured.losses[0]) in known:
                raise Missing(f"Not filled in yet: code cell {statement.cell} computes the gradient of a loss that "
                              f"existed "
                    "before") from None  # fmt: skip
            if stage.batch.blind:
                raise Uncut(f"code cell {statement.cell} has no network with {CLASSES} outputs") from None
            climbs = captured.climbs
            if climbs is None:
                climbs = any("maximize=True" in one.text.replace(" ", "") for one in order)
            return Plan(script, tuple(order[:index]), statement, stage.batch.seen, climbs)
        except BaseException as fault:
            if any(statement is one for one in candidates):
                _tell(fault, stage.batch, statement, faults)
            faults |= dict.fromkeys(statement.binds, fault)
    raise Uncut(f"code cell {candidates[-1].cell} computes a gradient, but not after a call of {ORACLE}")


def _runs(statement: Statement) -> bool:
    """Whether the statement does something, and does not only define it."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
    return not isinstance(statement.node, kinds)


def _leads(definitions: Sequence[Statement], statement: Statement) -> bool:
    """Whether the statement, by way of what it uses, has to do with both the black box and a gradient."""
    several = [*definitions, statement]
    return any(ORACLE in one.uses for one in several) and any(mark in one.text for one in several for mark in GRADIENTS)


def _tell(fault: BaseException, batch: Batch, statement: Statement, faults: Mapping[str, BaseException]) -> None:
    """Raises what is to be told of a fault on the way to the gradient."""
    if isinstance(fault, NotImplementedError):
        raise fault
    if not batch.asked:
        cause = next((faults[one] for one in sorted(statement.uses) if one in faults), fault)
        words = (str(cause).splitlines() or [""])[0][:120]
        raise Uncut(f"code cell {statement.cell} stopped before {ORACLE} was called, with {type(cause).__name__}: "
                    f"{words}")  # fmt: skip
    empty = isinstance(fault, AttributeError) and "'backward'" in str(fault)
    if empty or isinstance(fault, NameError):
        raise Missing(f"Not filled in yet: code cell {statement.cell} computes a gradient, but there is no loss ("
            f"{type(fault).__name__}: {str(fault)[:120]})")  # fmt: skip
    raise fault


# ---------------------------------------------------------------------------------------------- running it


class Inline:
    """The loss as a function of logprob, predicted and reward.

    `tolerance_used` are the actions that were rewarded last.

    A loop that takes the likeliest actions, or has a sampler of its own, keeps its choice.
    """

    def __init__(self, plan: Plan, *, label: int = 0) -> None:
        self.plan, self.label = plan, label
        self.used = torch.zeros(0, dtype=torch.long)
        self._stage: Stage | None = None

    def __call__(
        self, logprob: torch.Tensor, action: torch.Tensor, reward: torch.Tensor, table: torch.Tensor | None = None
    ) -> Any:
        """`table` (N, 4) has the reward of every action; without it each row's is `reward`, whatever is chosen."""
        rewards = reward[:, None].expand(-1, CLASSES) if table is None else table
        total, used, start = None, list[torch.Tensor](), 0
        while start < len(logprob):  # more than once where the loop takes fewer rows at a time, however many there are
            left = Batch(logprob[start:], action[start:], rewards[start:])
            loss = self._loss(left, len(logprob))
            seen = left.told or left.seen
            count = min(seen, len(left.logprob)) or len(left.logprob)
            if isinstance(loss, torch.Tensor) and seen and (count < len(logprob) or seen % count):
                loss = loss * (count / len(logprob)) * (seen / (seen // count * count))
            total = loss if total is None else total + loss
            used.append(left.chosen()[:count])
            start += count
        self.used = torch.cat(used)
        return -total if self.plan.maximised and isinstance(total, torch.Tensor) else total

    def labels(self) -> list[str]:
        """The names that hold the labels of the data, after a call."""
        known = self._stage
        return sorted(name for name, value in known.space.items() if value is known.labels) if known else []

    def _loss(self, batch: Batch, points: int) -> Any:
        if self._stage is None or len(self._stage.labels) != points:
            self._stage = Stage(self.plan.script, points=points, label=self.label)
            for statement in self.plan.before:
                with suppress(BaseException):  # it was met when the plan was made, and did not matter
                    self._stage.run(statement)
        try:
            self._stage.run(self.plan.entry, batch)
        except _Captured as captured:
            return captured.loss
        raise Uncut(f"code cell {self.plan.entry.cell} does not always compute the gradient of the loss")


class _Shortened(ast.NodeTransformer):
    """Cuts loops that train short: another network may be trained before the one in question, by the same statement."""

    def __init__(self, trainers: frozenset[str]) -> None:
        self.trainers = trainers

    def visit_For(self, node: ast.For) -> ast.For:
        if _trains(node, self.trainers):
            inner = any(isinstance(one, ast.For | ast.While) and _trains(one, self.trainers) for one in _below(node))
            most = ast.Constant(FEW if inner else SOME)
            node.iter = ast.Call(ast.Name("__some__", ast.Load()), [node.iter, most], [])
        self.generic_visit(node)
        return node

    def visit_While(self, node: ast.While) -> ast.While:
        self.generic_visit(node)
        if _trains(node, self.trainers):
            node.body.append(ast.Break())
        return node


def _below(node: ast.AST) -> Iterator[ast.AST]:
    return itertools.islice(ast.walk(node), 1, None)


def _trains(node: ast.AST, trainers: frozenset[str]) -> bool:
    """Whether a gradient is asked for in it, by itself or by a function whose name is among `trainers`."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call):
            called = one.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in trainers or name == "backward" or (name == "grad" and isinstance(called, ast.Attribute)):
                return True
    return False


def _trainers(statements: Sequence[Statement]) -> frozenset[str]:
    """The names of all functions and methods that request for a gradient, themselves or by another."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [one for each in statements for one in ast.walk(each.node) if isinstance(one, kinds)]
    found: frozenset[str] = frozenset()
    while more := {one.name for one in functions if one.name not in found and _trains(one, found)}:
        found |= more
    return found


# ------------------------------------------------------------------------------------------- what it meets


@contextmanager
def _as_main(module: ModuleType) -> Iterator[None]:
    """The module is `__main__` while it lasts, as a notebook's is."""
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        yield
    finally:
        sys.modules["__main__"] = before


@contextmanager
def _instead(batch: Batch) -> Iterator[None]:
    """While it lasts, the batch answers for the network and for samplers, and a rewarded loss ends the run.

    torch's functions are replaced in torch itself, where the student's code finds them; ours stay (frozen.py).
    """
    real: Any = sys.modules["torch"]
    sampled = real.multinomial

    def multinomial(input: Any, num_samples: int = 1, *more: Any, **named: Any) -> Any:
        if num_samples != 1 or input.shape[-1] != CLASSES:
            return sampled(input, num_samples, *more, **named)
        return batch.draw(input.numel() // CLASSES).reshape(*input.shape[:-1], 1)

    def backward(loss: Any, gradient: Any = None, *_more: Any, **_named: Any) -> None:
        if batch.asked:
            batch.backward(loss if gradient is None else (loss * gradient).sum())

    def backwards(tensors: Any, *_more: Any, **_named: Any) -> None:
        backward(tensors[0] if isinstance(tensors, tuple | list) else tensors)

    def grad(outputs: Any, inputs: Any, *_more: Any, **_named: Any) -> tuple[torch.Tensor, ...]:
        backwards(outputs)
        return tuple(map(torch.ones_like, [inputs] if isinstance(inputs, torch.Tensor) else inputs))

    def said(module: nn.Module, _arguments: Any, output: Any) -> Any:
        if module not in batch.modules:
            batch.modules.append(module)
        table = isinstance(output, torch.Tensor) and output.ndim == 2 and output.shape[1] == CLASSES
        if not table or next(module.parameters(), None) is None:
            return None
        if any(one is known for one in module.modules() for known in batch.layers if known is not module):
            return None  # it is made of what a layer of it has said
        if module not in batch.layers:
            batch.layers.append(module)
        if torch.is_grad_enabled() or not batch.seen:
            batch.seen = batch.newest = len(output)
        return batch.said(len(output))

    with ExitStack() as stack:
        for owner, name, ours in (
            (real, "multinomial", multinomial),
            (real.Tensor, "multinomial", multinomial),
            (real.Tensor, "backward", backward),
            (real.autograd, "backward", backwards),
            (real.autograd, "grad", grad),
        ):
            own = vars(owner).get(name)
            stack.callback(delattr, owner, name) if own is None else stack.callback(setattr, owner, name, own)
            setattr(owner, name, ours)
        stack.callback(nn.modules.module.register_module_forward_hook(said).remove)
        yield
