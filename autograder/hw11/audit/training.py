"""Measures the accuracy that right and wrong policy gradients reach over many seeds, to find where a pass mark can lie.

`python -m autograder.hw11.audit.training FOLDER SEEDS SEEDS_OF_MISTAKES` prints the table, keeps the arrays in FOLDER.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

DIM, HIDDEN, CLASSES = 8, 32, 4
POINTS, FRESH = 1000, 4000
ITERATIONS, RATE = 3000, 2e-3
CHUNK = 16  # networks at once: enough to hide the cost of a call, few enough for their activations to stay in cache
SAMPLED = ("argmax", "sampled")
QUANTILES = (0.001, 0.01, 0.05)

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From log-probabilities (S, C, N), actions (S, N) and rewards (S, N) to a loss for each network, (S,)."""


def _chosen(logprob: Tensor, action: Tensor) -> Tensor:
    """The log-probabilities (S, N) of the actions taken."""
    return logprob.gather(1, action.unsqueeze(1)).squeeze(1)  # (S, 1, N) -> (S, N)


def _every_action_at_every_point(logprob: Tensor, action: Tensor, reward: Tensor) -> Tensor:
    """`logprob[:, predicted]` is (N, N): the mean over i and j of r_j logprob_i[a_j]."""
    earned = torch.zeros_like(logprob).scatter(1, action.unsqueeze(1), reward.unsqueeze(1)).mean(2)  # (S, C)
    return -(earned * logprob.mean(2)).sum(1)


LOSSES: dict[str, Loss] = {
    "right": lambda logprob, action, reward: -(reward * _chosen(logprob, action)).mean(1),
    "sign": lambda logprob, action, reward: (reward * _chosen(logprob, action)).mean(1),
    "reward ignored": lambda logprob, action, reward: -_chosen(logprob, action).mean(1),
    "probabilities": lambda logprob, action, reward: -(reward * _chosen(logprob, action).exp()).mean(1),
    "all actions": lambda logprob, action, reward: -(reward.unsqueeze(1) * logprob).mean((1, 2)),
    "sum": lambda logprob, action, reward: -(reward * _chosen(logprob, action)).sum(1),
    # Rewards (N,) times log-probabilities (N, 1) are (N, N), and their mean is the product of the means.
    "N x N, rewards": lambda logprob, action, reward: -reward.mean(1) * _chosen(logprob, action).mean(1),
    "N x N, actions": _every_action_at_every_point,
}


def data(generator: torch.Generator, points: int) -> Tensor:
    """x (DIM, points), uniform in [-2.2, 2.2]; transposed, so that classes and features come before points."""
    return (4.4 * torch.rand(points, DIM, generator=generator) - 2.2).T


def labels(x: Tensor) -> Tensor:
    """Classes (S, N) of x (S, DIM, N): 0 near both of 1 and -1, 1 near 1 only, 2 near -1 only, 3 near neither."""
    near = [(x - centre).square().sum(1) <= 2.5 * DIM for centre in (1, -1)]
    return 2 * (~near[0]).long() + (~near[1]).long()


def weights(generator: torch.Generator) -> list[Tensor]:
    """W (out, in) and b (out, 1) of both layers as nn.Linear draws them: uniform within 1 / sqrt(in), in its order."""
    drawn = []
    for out, into in ((HIDDEN, DIM), (CLASSES, HIDDEN)):
        bound = 1 / math.sqrt(into)
        drawn += [torch.empty(out, size).uniform_(-bound, bound, generator=generator) for size in (into, 1)]
    return drawn


def study(
    seeds: int,
    *,
    sampled: bool,
    loss: str = "right",
    first: int = 0,
    iterations: int = ITERATIONS,
    chunk: int = CHUNK,
    dtype: torch.dtype = torch.float32,
) -> npt.NDArray[np.float64]:
    """Trains one network for each of the seeds first, first + 1, ... and tells how well each does on fresh points.

    Each has data of its own (from its seed) and initial weights of its own (from its seed too, as `get_model`
    draws them). `sampled`: actions are drawn from the policy, else the most probable one is taken. The networks
    of a chunk share one generator of actions. `loss` is a key of LOSSES.

    Training amplifies rounding: in float64 one seed's accuracy is that of a loop over one network exactly for
    some hundred iterations, and within about two points after 3000. Only the distribution over seeds is a result.

    Returns:
        (seeds, 1 + CLASSES) in percent: accuracy, then recall of each class, on FRESH points
    """
    starts = range(first, first + seeds, chunk)
    parts = [
        _trained(range(start, min(start + chunk, first + seeds)), sampled, LOSSES[loss], iterations, dtype)
        for start in starts
    ]
    return np.concatenate(parts)


def _trained(seeds: range, sampled: bool, loss: Loss, iterations: int, dtype: torch.dtype) -> npt.NDArray[np.float64]:
    """`study` for one chunk. All S networks live in one set of tensors with S in front."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    x = torch.stack([data(generator, POINTS) for generator in generators]).to(dtype)  # (S, DIM, N)
    fresh = torch.stack([data(generator, FRESH) for generator in generators]).to(dtype)
    drawn = [weights(generator.manual_seed(seed)) for seed, generator in zip(seeds, generators, strict=True)]
    parameters = [torch.stack(layer).to(dtype).requires_grad_() for layer in zip(*drawn, strict=True)]
    w1, b1, w2, b2 = parameters

    def logits(x: Tensor) -> Tensor:
        return torch.baddbmm(b2, w2, torch.baddbmm(b1, w1, x).relu_())  # (S, HIDDEN, N) -> (S, CLASSES, N)

    y, draws = labels(x), generators[0]
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)  # works entry by entry: networks do not mix
    for _ in range(iterations):
        logprob = logits(x).log_softmax(1)
        with torch.no_grad():
            if sampled:  # the first class whose cumulative probability exceeds a uniform number
                u = torch.rand(len(seeds), 1, POINTS, generator=draws, dtype=dtype)
                action = (u >= logprob[:, :-1].exp().cumsum(1)).sum(1)
            else:
                action = logprob.max(1).indices  # argmax is many times slower along this dimension
            reward = torch.where(action == y, 3.0, -1.0).to(dtype)
        optimizer.zero_grad()
        loss(logprob, action, reward).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    with torch.no_grad():
        y, right = labels(fresh), logits(fresh).max(1).indices == labels(fresh)
        shares = [(right & (y == k)).sum(1) / (y == k).sum(1) for k in range(CLASSES)]
        return 100 * torch.stack([right.double().mean(1), *shares], dim=1).double().numpy()


def row(name: str, accuracy: npt.NDArray[np.float64]) -> str:
    """One line of the table, from what `study` returned."""
    overall, recall = accuracy[:, 0], accuracy[:, 1:]
    low = [overall.min(), *np.quantile(overall, QUANTILES), overall.max()]
    lost = 100 * np.mean(recall.min(1) < 1)  # a class that is practically never recognised
    figures = "".join(f"{value:8.2f}" for value in (overall.mean(), overall.std(ddof=1), *low, lost))
    return f"{name:<28}{len(overall):>6}{figures}"


def run(folder: Path, seeds: int, seeds_of_mistakes: int) -> None:
    """Studies untrained networks and all of LOSSES with both ways of choosing actions.

    Prints a line for each as it goes, and saves what `study` returned as FOLDER/NAME.npy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = ("mean", "sd", "min", *(f"{100 * q:g} %" for q in QUANTILES), "max", "lost %")
    print(f"{'loss, actions':<28}{'seeds':>6}" + "".join(f"{column:>8}" for column in columns) + "       s")
    both = [(loss, sampled) for loss in LOSSES for sampled in (False, True)]
    for loss, sampled in [("untrained", False), *both]:
        started, number = time.perf_counter(), seeds if loss in ("untrained", "right") else seeds_of_mistakes
        if loss == "untrained":
            name, accuracy = loss, study(number, sampled=False, iterations=0)
        else:
            name, accuracy = f"{loss}, {SAMPLED[sampled]}", study(number, sampled=sampled, loss=loss)
        np.save(folder / f"{name.replace(',', '').replace(' ', '-')}.npy", accuracy)
        print(f"{row(name, accuracy)}{time.perf_counter() - started:8.0f}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
