"""Asks and judges `policy_gradient_loss(logprob, predicted, reward)`: its gradient, with given and with drawn actions.

With given actions the loss has no luck in it: with p = softmax(logits), the gradient to row i's logits is
    -(onehot(a_i) - p_i) R_i / N                                      (Williams 1992, REINFORCE)
exactly, up to rounding. A baseline b_i in place of 0, R_i - b_i, leaves the estimate unbiased where it does
not depend on row i's own action and reward (ibid., section 3); whether it does is tried by changing one row.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.random import Generator
from scipy.special import softmax

from autograder.core import Array, CheckFailed, Counterexample, Request, Spec, Specs, Trial, Values, Verdict
from autograder.hw11.precision import HALF, refuse_half
from autograder.judging.judges import (
    Misconception,
    apart,
    array,
    got_and_expected,
    passed,
    shown,
    tolerance_ratio,
    within,
)
from autograder.judging.stats import gamma
from autograder.sandbox.parts import each, items, pack, section, take
from autograder.sandbox.returns import count, declared, entries, flag, numbers, parts, text
from autograder.text import clean

CLASSES = 4
CASES = (7, 5, 12, 64, 10)
"""Batch sizes: more than there are classes, so that who takes actions for rows is told so by the gradient."""
TWICE, ONCE = 4, 1
"""One case has the rows of another twice: that leaves an average as it is, whatever is averaged."""
CLEAR = {2: -1, 3: 1}
"""Cases whose rewards are all of one sign."""
CALLS, ROWS = 512, 64
ALTERED = {"altered": (6, 6), "many": (64, 2)}
"""Parts where one row at a time is changed: the batch size, and how many of its rows."""
REWARDS = (-3, -2, -1, 1, 2, 3)
SMALLEST_STEP = 64 * 2.0**-149
"""What fewer than 64 roundings may add where a gradient is so small that float32's smallest step, 2^-149, counts."""

# ------------------------------------------------------------------------------------- what is asked


def _values(rng: Generator) -> Values:
    """Cases whose actions are the likeliest ones, as the homework's training loop picks them.

    In one case all rewards are punishments, in another none is: there the sign of a wrong loss shows clearly.
    """
    cases: list[dict[str, Array]] = []
    for case, rows in enumerate(CASES):
        logits = (1.5 * rng.standard_normal((rows, CLASSES))).astype(np.float32)
        reward = rng.choice(REWARDS, rows).astype(np.float32)
        reward[:2] = rng.permutation([3, -1])  # never all alike, and with a mean that is not 0
        if case in CLEAR:
            reward = CLEAR[case] * np.abs(reward)
        if case == TWICE:
            logits, reward = (np.concatenate([cases[ONCE][name]] * 2) for name in ("logits", "reward"))
        cases.append({"logits": logits, "action": logits.argmax(1), "reward": reward})
    return pack(cases=cases)


def _draw(rng: Generator, p: Array) -> Array:
    """One action for each row of p (rows, classes)."""
    actions: Array = (rng.random((len(p), 1)) > p.cumsum(1)).sum(1).clip(0, CLASSES - 1)
    return actions


def _sampled(rng: Generator) -> Values:
    """Actions drawn from the policy, and a reward for each that depends on its row and on itself."""
    logits = (0.8 * rng.standard_normal((ROWS, CLASSES))).astype(np.float32)
    table = rng.choice(REWARDS, (ROWS, CLASSES)).astype(np.float32)
    p = softmax(logits.astype(float), axis=1)
    actions = np.stack([_draw(rng, p) for _ in range(CALLS)])
    return {
        "logits": logits,
        "table": table,
        "actions": actions,
        "rewards": table[np.arange(ROWS), actions],
    }


def _altered(rng: Generator, size: int, rows: int) -> Values:
    """The same batch again and again: as it is, then with another action and reward in each of `rows` rows in turn."""
    logits = (0.8 * rng.standard_normal((size, CLASSES))).astype(np.float32)
    actions = np.tile(rng.integers(0, CLASSES, size), (1 + rows, 1))
    rewards = np.tile(np.resize(np.array([-3, 1, 2, -3, 1, -1], np.float32), size), (1 + rows, 1))
    for row in range(rows):
        actions[1 + row, row] = (actions[1 + row, row] + 1) % CLASSES
        rewards[1 + row, row] = 3
    return {"logits": logits, "actions": actions, "rewards": rewards}


def _loss(rng: Generator) -> Values:
    values, sampled = _values(rng), _sampled(rng)
    return pack(values=values, sampled=sampled, **{part: _altered(rng, *shape) for part, shape in ALTERED.items()})


def _losses(given: Values) -> dict[str, Spec]:
    """What `values` returns of each case; a loss that was not summed may have an entry for every pair of numbers."""
    cases = []
    for case in items(given, "cases"):
        rows, classes = np.shape(case["logits"])
        cases.append(
            {
                "loss": entries(rows * classes),
                "is_tensor": flag(),
                "kept": flag(),
                "action": entries(rows),
                "reward": entries(rows),
                "slope": numbers(rows, classes),
                "used": numbers(rows),
            }
        )
    return declared(cases=cases)


def _returns(given: Values) -> Specs:
    slopes = {
        part: {
            "slopes": numbers(*np.shape(given[f"{part}.actions"]), np.shape(given[f"{part}.logits"])[1]),
            "used": numbers(*np.shape(given[f"{part}.actions"])),
        }
        for part in ("sampled", *ALTERED)
    }
    return parts(values={**_losses(take(given, "values")), "labels": text(40), "batch": count()}, **slopes)


REQUEST = Request(
    "policy_gradient.probes:loss", _loss, seconds=30.0, returns=_returns, needs=("policy_gradient.ipynb",)
)

# ---------------------------------------------------------------------------------- reading gradients


@dataclass(frozen=True)
class LogitSlope:
    """One gradient (N, classes) of the loss to the logits, and what is right for it."""

    got: Array
    p: Array
    action: Array
    reward: Array

    @property
    def score(self) -> Array:
        """onehot(a) - p: the gradient of log p(a), (N, classes)."""
        score: Array = np.eye(CLASSES)[self.action] - self.p
        return score

    @property
    def want(self) -> Array:
        want: Array = -self.score * self.reward[:, None] / len(self.p)
        return want

    @property
    def bound(self) -> Array:
        """Rounding: log_softmax, exp and the sums over N and the classes err by a few u of R / N each.

        200 covers every way of writing it: normalising once more, one-hot sums, loops over rows.
        """
        size = (np.abs(self.reward).max() + np.abs(self.reward)) / len(self.p)
        bound: Array = np.broadcast_to(gamma(200 + len(self.p)) * size[:, None], self.p.shape)
        return bound

    def size(self) -> float:
        """The multiple of `want` that fits best; its sign is negative where the loss would be maximised."""
        return float((self.got * self.want).sum() / (self.want**2).sum())

    def used(self, want: Array | float, factor: float) -> float:
        """Share of the rounding bound against `want` times the factor."""
        return tolerance_ratio(self.got, factor * np.asarray(want), abs(factor) * self.bound + SMALLEST_STEP)

    @property
    def slack(self) -> Array:
        """What rounding may change each of the `weights` by, (N,)."""
        score = np.abs(self.score)
        slack: Array = len(self.p) * (self.bound * score).sum(1) / (score**2).sum(1)
        return slack

    @property
    def nothing(self) -> bool:
        """Whether it is zero, up to rounding."""
        return within(self.got, 0.0, self.bound)

    def size_slack(self) -> float:
        """What rounding may change `size` by, as a share of it."""
        return float((self.bound * np.abs(self.want)).sum() / (self.want**2).sum())

    def weights(self, factor: float) -> Array | None:
        """k (N,) where the gradient is -k_i times the score / N times the factor in every row, else None."""
        n, score = len(self.p), self.score
        k: Array = -(self.got * score).sum(1) / (score**2).sum(1) * n / factor
        bound = abs(factor) * self.bound * (1 + np.abs(k)[:, None])
        return k if within(self.got, -factor * k[:, None] * score / n, bound) else None


@dataclass(frozen=True)
class PolicyLossReading:
    """The loss, read: how large its gradients are beside the right ones, and what is subtracted from the rewards.

    `sizes` is empty where some gradient is no multiple of the right one. `baseline` is "none", "independent",
    or "own" where it depends on the row's own reward by at most its share in the batch's mean; "half" where nothing is
    subtracted, but half precision has rounded the rewards.
    """

    slopes: tuple[LogitSlope, ...]
    sizes: tuple[float, ...]
    sign: int
    baseline: str
    tolerance_used: float


def slopes(trial: Trial) -> tuple[LogitSlope, ...]:
    """The gradients of all cases. Raises `CheckFailed` where none arrived, or nothing but zeros did."""
    values = section(trial, "values")
    found = []
    for case, rows in zip(each(values), CASES, strict=True):
        if "slope" not in case.got:
            raise CheckFailed(
                "No gradient of the loss reached the network's logits. Expected: a loss that depends on logprob, "
                "the log-probability of the chosen actions. The reward itself has no gradient.",
                diagnosis=_no_gradient(values),
            )
        logits = array(case.given, "logits")
        found.append(
            LogitSlope(
                array(case.got, "slope", shape=(rows, CLASSES), what="The gradient with respect to the logits"),
                softmax(logits, axis=1),
                _actions(case, "used", "action"),
                array(case.given, "reward"),
            )
        )
    if all(slope.nothing for slope in found) and not _is_multiple(tuple(found)):
        raise CheckFailed(
            "The gradient of the loss with respect to the logits is zero in every batch, so training changes "
            "nothing. Expected: a loss that falls when the log-probability of a rewarded action rises.",
            diagnosis="zero_gradient",
        )
    return tuple(found)


def _actions(values: Trial, used: str, given: str) -> Array:
    """The actions (N,) or (versions, N) that a loop took by itself, or those that the function was given."""
    actions = array(values.given, given)
    if used not in values.got:
        return actions.astype(int)
    found = array(values.got, used, shape=actions.shape, what="The actions that your loop rewards")
    if not np.isin(found, range(CLASSES)).all():
        raise CheckFailed("An action that your loop rewards is not a class. Expected: 0, 1, 2 or 3.")
    return found.astype(int)


def _no_gradient(values: Trial) -> str:
    """Which misconception leaves no gradient: a loss of the rewards alone, or one that was cut off."""
    for case in each(values):
        reward, loss = array(case.given, "reward"), case.got.get("loss")
        if not isinstance(loss, np.ndarray) or loss.size != 1:
            return "detached"
        known = [sign * each for each in (reward.mean(), reward.sum()) for sign in (1, -1)]
        if not any(within(loss, value, 1e-5 * (1 + abs(value))) for value in known):
            return "detached"
    return "reward_only"


def _signs(numbers: Sequence[float]) -> int:
    """1 where some are positive and none negative, -1 where it is the other way round, else 0."""
    return int(max(numbers) > 0 <= min(numbers)) - int(min(numbers) < 0 >= max(numbers))


def _multiples(found: tuple[LogitSlope, ...]) -> tuple[tuple[float, ...], float]:
    """The multiples of the right gradients that fit best, and the share of the rounding bound that they use."""
    sizes = tuple(slope.size() for slope in found)
    return sizes, max(slope.used(slope.want, size) for slope, size in zip(found, sizes, strict=True))


def _is_multiple(found: tuple[LogitSlope, ...]) -> bool:
    """Whether the gradients are multiples of the right ones, however small, such as those of a loss times 1e-38.

    Rounding is bounded in proportion to them: what is left where terms cancel is no multiple of anything. The size of
    such a loss is wrong, which one check judges; direction and sign are right as long as float32 can hold them.
    """
    sizes, used = _multiples(found)
    return used <= 1 and all(sizes)


def _scales(found: tuple[LogitSlope, ...]) -> Iterator[tuple[float, ...]]:
    """What the average and the sum are multiples of the average by, with either sign."""
    for sign in (1, -1):
        yield (float(sign),) * len(found)
        yield tuple(float(sign * len(slope.p)) for slope in found)


def _is_rounded(found: tuple[LogitSlope, ...], sizes: tuple[float, ...]) -> bool:
    """Whether every row is weighed by its reward rounded to fewer digits, at worst bfloat16's eight bits.

    Rounding multiplies R / N by a factor that is at most 2^-8 from 1, and the same for R, -R and 2 R: it sees their
    binary digits alone. A baseline, which is subtracted from them, moves the three apart.
    """
    for slope, size in zip(found, sizes, strict=True):
        k, magnitude = slope.weights(size), np.abs(slope.reward)
        if k is None:
            return False
        factor, slack, digits = k / slope.reward, slope.slack / magnitude, np.frexp(magnitude)[0]
        if (np.abs(factor - 1) > 2**-8 + slack).any():
            return False
        if any((factor - slack)[digits == one].max() > (factor + slack)[digits == one].min() for one in set(digits)):
            return False
    return True


@lru_cache(maxsize=2)
def read(trial: Trial) -> PolicyLossReading:
    """The reading that explains all cases."""
    found = slopes(trial)
    sizes, used = _multiples(found)
    if used <= 1 and all(sizes):
        return PolicyLossReading(found, sizes, _signs(sizes), "none", used)
    for signed in _scales(found):
        kind = "half" if _is_rounded(found, signed) else _baseline(trial, found, signed)
        if kind:
            return PolicyLossReading(found, signed, _signs(signed), kind, 0.0)
    return PolicyLossReading(found, (), _signs([sizes[case] for case in CLEAR]), "", 0.0)


def _baseline(trial: Trial, found: tuple[LogitSlope, ...], sizes: tuple[float, ...]) -> str:
    """ "independent" or "own" where R_i - b_i explains every gradient with a baseline b that is one, else ""."""
    for slope, size in zip(found, sizes, strict=True):
        k = slope.weights(size)
        # A baseline lies among the rewards: -(the sum of all others), which N x N products amount to, does not.
        if k is None:
            return ""
        most = np.abs(slope.reward).max()
        if (np.abs(slope.reward - k) > most + slope.slack * (1 + np.abs(k))).any():
            return ""
    kinds = {
        _kept(trial, part, sizes[0] * (rows / CASES[0] if abs(sizes[0]) > 1 else 1))
        for part, (rows, _) in ALTERED.items()
    }
    return "" if "" in kinds else "own" if "own" in kinds else "independent"


def _kept(trial: Trial, part: str, factor: float) -> str:
    """The same by how a row's weight changes with its own reward.

    k changes by as much as the reward where the baseline stays, by 1 - 1/N of it where it is the batch's mean. Both
    weights have the error of the gradient that they are read from.
    """
    versions = _slopes_of(trial, part)
    ks = [slope.weights(factor) for slope in versions]
    before, own = versions[0], 1 - 1 / len(versions[0].p)
    stays = moves = True
    for row, after in enumerate(ks[1:]):
        if ks[0] is None or after is None:
            return ""
        change = float(versions[1 + row].reward[row] - before.reward[row])
        kept = float(after[row] - ks[0][row]) / change
        sizes = (versions[1 + row].slack[row] * (1 + abs(after[row])), before.slack[row] * (1 + abs(ks[0][row])))
        slack = sum(sizes) / abs(change)
        stays &= abs(kept - 1) <= slack
        moves &= abs(kept - own) <= slack
    return "independent" if stays else "own" if moves else ""


def _slopes_of(trial: Trial, part: str) -> list[LogitSlope]:
    """The gradients of a part that was asked with several actions and rewards for the same logits."""
    of = section(trial, part)
    actions, rewards = _actions(of, "used", "actions"), array(of.given, "rewards")
    if "used" in of.got and "table" in of.given:
        rewards = array(of.given, "table")[np.arange(actions.shape[1]), actions]
    p = softmax(array(of.given, "logits"), axis=1)
    got = array(of.got, "slopes", shape=(*actions.shape, CLASSES), what="The gradient with respect to the logits")
    return [LogitSlope(*each[:1], p, *each[1:]) for each in zip(got, actions, rewards, strict=True)]


# ------------------------------------------------------------------------------------ how it is judged

EXPECTED = (
    "Expected: the gradient of the average of `-reward * log p(action)`: `reward * (p - 1) / N` at the chosen action, "
    "`reward * p / N` elsewhere."
)


def _shares(slope: LogitSlope, weight: Array) -> Array:
    """For each class (classes,) the mean over all rows of weight (N,) where the row's action is the class."""
    shares: Array = (np.eye(CLASSES)[slope.action] * weight[:, None]).mean(0)
    return shares


def _chances(s: LogitSlope) -> Array:
    """The probability (N,) of the action that was chosen."""
    chances: Array = s.p[np.arange(len(s.p)), s.action]
    return chances


def _of_second_softmax(s: LogitSlope) -> Array:
    """The gradient (N, classes) where the probabilities p are taken for logits of a second softmax q.

    With J = diag(p) - p p^T, the softmax's own derivative, it is J (q - onehot(a)) R / N.
    """
    off = softmax(s.p, axis=1) - np.eye(CLASSES)[s.action]
    through: Array = s.p * (off - (s.p * off).sum(1, keepdims=True))
    return through * s.reward[:, None] / len(s.p)


def _of_other_actions(s: LogitSlope) -> Array:
    """The right gradient (N, classes) for those actions that the gradient at hand pushes most, whichever they are."""
    pushed = (-s.got * np.sign(s.reward)[:, None]).argmax(1)
    return LogitSlope(s.got, s.p, pushed, s.reward).want


ROWS_BY_ACTION = (
    "`logprob[predicted]` selects whole rows, and the actions are their row numbers. The log-probability of the "
    "chosen action of each row is `logprob[torch.arange(N), predicted]` or `logprob.gather(1, predicted[:, None])`."
)


def _by_action(s: LogitSlope, weight: Array, of: Array) -> Array:
    """The gradient (N, classes) of -mean_i weight_i f(row a_i) of logprob, where `of` (N, classes) is row r's of f."""
    sums = np.zeros(len(s.p))
    np.add.at(sums, s.action, weight)
    found: Array = -sums[:, None] * of / len(s.p)
    return found


def _to_action(s: LogitSlope, action: Array) -> Array:
    """The gradient (N, classes) of each row's log-probability of the given action (N,)."""
    found: Array = np.eye(CLASSES)[action] - s.p
    return found


def _row_numbers(s: LogitSlope) -> Array:
    """The number of each row, as far as it is an action: the rows behind them are never taken."""
    return np.minimum(np.arange(len(s.p)), CLASSES - 1)


def _one_column(s: LogitSlope, action: int) -> Array:
    """The gradient (N, classes) where every row's entry is taken of this column, in the row that its action names."""
    return _by_action(s, s.reward, _to_action(s, np.full(len(s.p), action)))


REGRESSION = "It is a squared error between {0} and the reward. The reward must multiply the log-probability."


def _log_chances(s: LogitSlope) -> Array:
    return np.log(_chances(s))


MISTAKES = (
    *(
        Misconception("index_rows", ROWS_BY_ACTION, formula)
        for formula in (
            lambda s: _by_action(s, s.reward, 1 - CLASSES * s.p),
            lambda s: _by_action(s, np.full(len(s.p), s.reward.mean()), 1 - CLASSES * s.p),
            lambda s: _by_action(s, s.reward, _to_action(s, _row_numbers(s))),
            lambda s: _by_action(s, np.full(len(s.p), s.reward.mean()), _to_action(s, _row_numbers(s))),
        )
    ),
    *(Misconception("index_rows", ROWS_BY_ACTION, partial(_one_column, action=action)) for action in range(CLASSES)),
    *(
        Misconception("reward_regression", REGRESSION.format(what), formula)
        for what, formulas in (
            (
                "the log-probability of the chosen action",
                (
                    lambda s: 2 * s.score * (_log_chances(s) - s.reward)[:, None] / len(s.p),
                    lambda s: s.score * (_log_chances(s) - s.reward)[:, None] / len(s.p),
                ),
            ),
            (
                "minus the log-probability of the chosen action",
                (
                    lambda s: 2 * s.score * (_log_chances(s) + s.reward)[:, None] / len(s.p),
                    lambda s: s.score * (_log_chances(s) + s.reward)[:, None] / len(s.p),
                ),
            ),
            (
                "the probability of the chosen action",
                (
                    lambda s: 2 * s.score * (_chances(s) * (_chances(s) - s.reward))[:, None] / len(s.p),
                    lambda s: s.score * (_chances(s) * (_chances(s) - s.reward))[:, None] / len(s.p),
                ),
            ),
        )
        for formula in formulas
    ),
    Misconception(
        "probabilities",
        "It is the gradient of the probability itself. The logarithm is missing, so unlikely actions hardly count.",
        lambda s: s.want * s.p[np.arange(len(s.p)), s.action][:, None],
    ),
    Misconception(
        "broadcast_nxn",
        "Every row was weighted by the mean reward of the batch, not by its own. Tensors of shapes (N, 1) and (N,) "
        "give N x N products.",
        lambda s: -s.score * s.reward.mean() / len(s.p),
    ),
    Misconception(
        "index_nxn",
        "`logprob[:, predicted]` has shape N x N, with the actions of all rows in each row. Use "
        "`logprob[torch.arange(N), predicted]`.",
        lambda s: -(_shares(s, s.reward) - s.reward.mean() * s.p) / len(s.p),
    ),
    Misconception(
        "index_nxn",
        "`logprob[:, predicted]` has shape N x N, with the actions of all rows in each row. Use "
        "`logprob[torch.arange(N), predicted]`.",
        lambda s: -s.reward[:, None] * (_shares(s, np.ones(len(s.p))) - s.p) / len(s.p),
    ),
    Misconception("reward_ignored", "The loss does not use the reward.", lambda s: -s.score / len(s.p)),
    Misconception(
        "all_actions",
        "It contains the log-probabilities of all actions. Only the chosen action was tried and rewarded.",
        lambda s: -(1 - CLASSES * s.p) * s.reward[:, None] / len(s.p),
    ),
    Misconception(
        "reward_squared", "It is weighted by the square of the reward.", lambda s: s.want * s.reward[:, None]
    ),
    Misconception(
        "reward_magnitude",
        "It is weighted by the absolute value of the reward, so a punishment counts as a reward.",
        lambda s: s.want * np.sign(s.reward)[:, None],
    ),
    Misconception(
        "reward_sign",
        "Only the sign of the reward counts in it, not its size.",
        lambda s: s.want / np.abs(s.reward)[:, None],
    ),
    Misconception(
        "reward_sign",
        "It only distinguishes positive rewards from others and ignores their size.",
        lambda s: -s.score * (s.reward > 0)[:, None] / len(s.p),
    ),
    Misconception(
        "reward_divided",
        "It is divided by the reward instead of multiplied by it.",
        lambda s: -s.score / s.reward[:, None] / len(s.p),
    ),
    Misconception(
        "reward_normalised",
        "The rewards were rescaled to lie between 0 and 1, and this scale changes with every batch.",
        lambda s: -s.score * ((s.reward - s.reward.min()) / np.ptp(s.reward))[:, None] / len(s.p),
    ),
    Misconception(
        "reward_softmax",
        "The rewards went through a softmax, which makes them positive. So punished actions become likelier, too.",
        lambda s: -s.score * softmax(s.reward)[:, None],
    ),
    Misconception("reward_clipped", "Negative rewards are missing in it.", lambda s: s.want * (s.reward > 0)[:, None]),
    Misconception(
        "reward_clipped",
        "Rewards above 2 were clipped to 2 in it.",
        lambda s: -s.score * np.clip(s.reward, -2, 2)[:, None] / len(s.p),
    ),
    Misconception(
        "reward_normalised",
        "The rewards were divided by their standard deviation, which changes with every batch.",
        lambda s: -s.score * ((s.reward - s.reward.mean()) / s.reward.std())[:, None] / len(s.p),
    ),
    Misconception(
        "reward_normalised",
        "The rewards were divided by their standard deviation, which changes with every batch.",
        lambda s: -s.score * ((s.reward - s.reward.mean()) / s.reward.std(ddof=1))[:, None] / len(s.p),
    ),
    Misconception(
        "softmax_twice",
        "Softmax was applied twice. `logprob` already comes from log_softmax, and its exponentials are "
        "probabilities, not logits.",
        _of_second_softmax,
    ),
    Misconception(
        "probability_twice",
        "The log-probability was also multiplied by the probability. The actions are drawn with these "
        "probabilities, so they are weighted already.",
        lambda s: s.want * (_chances(s) * (1 + np.log(_chances(s))))[:, None],
    ),
    Misconception(
        "other_action",
        "In some rows the reward goes to an action other than `predicted`. Was an action drawn again, or are the "
        "rows out of order?",
        _of_other_actions,
    ),
)
SIZES = (
    ("sum_not_mean", float, "It is the sum over the batch. Expected: the average over the batch."),
    (
        "averaged_twice",
        lambda rows: 1 / rows,
        "It was divided by the batch size twice. Expected: the average over the batch.",
    ),
    (
        "mean_over_classes",
        lambda rows: 1 / CLASSES,
        "It was also divided by the number of classes. Expected: the average over the batch only.",
    ),
    ("sum_not_mean", lambda rows: rows / CLASSES, "It is the sum over the batch, divided by the number of classes."),
)


@lru_cache(maxsize=2)
def recognised(trial: Trial) -> tuple[Misconception | None, int]:
    """The known mistake that explains the gradients of all cases, whatever their size, and with which sign it does."""
    found = slopes(trial)
    for known in MISTAKES:
        wants = [known.formula(slope) for slope in found]
        for scale in (lambda rows: 1.0, *(size for _, size, _ in SIZES)):
            for sign in (1, -1):
                factors = [sign * scale(len(slope.p)) for slope in found]
                if all(s.used(want, factor) <= 2 for s, want, factor in zip(found, wants, factors, strict=True)):
                    return known, sign
    bonus = _entropy_bonus(found)
    return (bonus, 1) if bonus else (None, 0)


ENTROPY_NEAR = 1e-3
"""Share of an entropy's gradient that it may be off by: what rounding makes of it is a thousand times smaller, and
another term, which explains five batches by one weight, is off by most of its size. It decides about words alone."""


def _entropy_bonus(found: tuple[LogitSlope, ...]) -> Misconception | None:
    """The mistake where the gradient is right but for that of the policy's entropy, with one weight in every batch.

    The entropy H = -sum_k p_k log p_k of a row has the gradient -p_k (log p_k + H).
    """
    entropies = []
    for s in found:
        log = np.log(s.p)
        entropies.append(s.p * (log - (s.p * log).sum(1, keepdims=True)) / len(s.p))  # of minus the average
    for of_loss, of_entropy in itertools.product((0, 1), repeat=2):  # averaged or summed
        scales = [(float(len(s.p)) ** of_loss, float(len(s.p)) ** of_entropy) for s in found]
        rests = [s.got - scale * s.want for s, (scale, _) in zip(found, scales, strict=True)]
        terms = [scale * term for term, (_, scale) in zip(entropies, scales, strict=True)]
        weight = sum(float((a * b).sum()) for a, b in zip(rests, terms, strict=True)) / sum(
            float((term**2).sum()) for term in terms
        )
        if abs(weight) > 1e-6 and all(
            within(rest, weight * term, scale * 2 * s.bound + ENTROPY_NEAR * abs(weight) * np.abs(term).max())
            for s, rest, term, (scale, _) in zip(found, rests, terms, scales, strict=True)
        ):
            done = "subtracted" if weight > 0 else "added"
            told = (
                f"{shown(abs(weight), 2)} times the entropy of the policy was {done} (an entropy bonus). Expected: "
                "the loss without it."
            )
            return Misconception("entropy_bonus", told, lambda s: s.want)
    return None


def labels_in(trial: Trial) -> str:
    """The name of the labels that the loss uses, "" where it uses none."""
    name = section(trial, "values").got.get("labels")
    return clean(name, limit=40, line=True) if isinstance(name, str) else ""


def contract(trial: Trial) -> Verdict:
    values = section(trial, "values")
    for case, rows in zip(each(values), CASES, strict=True):
        if case.got.get("is_tensor") is not True:
            raise CheckFailed(
                "The function returned a plain number. Expected: a scalar tensor, because backward() needs one.",
                diagnosis="item",
            )
        loss = case.got.get("loss")
        if isinstance(loss, np.ndarray) and loss.shape != ():
            raise CheckFailed(
                f"For a batch of {rows} rows the loss has shape {list(loss.shape)}. Expected: a scalar, the average "
                "over the batch.",
                diagnosis="not_averaged",
            )
        array(case.got, "loss", shape=(), what="The loss")
        refuse_half(case.got, "loss", "The loss")
    found = slopes(trial)
    if _multiples(found)[1] > 1 and any(_is_rounded(found, sizes) for sizes in _scales(found)):
        raise CheckFailed(
            "Each row is weighted by its reward times a number near 1, such as 0.9998. Half precision, which has "
            "three digits, rounded the gradient. Expected: float32 throughout, the type of logprob and reward.",
            diagnosis=HALF,
        )
    return passed("The loss is one finite number and has a gradient.")


def gradient(trial: Trial) -> Verdict:
    reading = read(trial)
    if reading.sizes:
        remark = {
            "none": "",
            "independent": " A baseline is subtracted from the reward, which keeps the estimate unbiased.",
            "own": " The mean of the batch is subtracted from the reward. This biases the estimate by 1/N only.",
            "half": " Half precision rounded it, which another check judges.",
        }[reading.baseline]
        told = (
            "The gradient is the reward times the gradient of the log-probability of the chosen action, up to a factor."
        )
        return passed(told + remark, tolerance_used=reading.tolerance_used)
    if name := labels_in(trial):
        raise CheckFailed(
            f"The gradient with respect to the logits is wrong. The loss uses the labels, `{name}`. A policy "
            f"gradient never sees labels, and learns from the reward of the chosen action only. {EXPECTED}",
            diagnosis="true_labels",
        )
    known, _ = recognised(trial)
    if known is not None:
        return Verdict(0.0, f"The gradient with respect to the logits is wrong. {known.sentence} {EXPECTED}", known.id)
    return Verdict(0.0, f"The gradient with respect to the logits is wrong. {EXPECTED}")


FLAT, STEEP = (0, 0, 0, 0), (1, 0, 0, 0)
TINY = (
    ((FLAT,), (0,), (1,)),
    ((FLAT,), (0,), (-1,)),
    ((FLAT,), (0,), (2,)),
    ((FLAT,), (1,), (1,)),
    ((STEEP,), (0,), (1,)),
    ((FLAT, FLAT), (0, 1), (1, -1)),
    ((FLAT, FLAT), (0, 1), (1, 2)),
    ((FLAT, STEEP), (0, 0), (1, 3)),
)
"""Logits (N, classes), actions (N,) and rewards (N,)."""


def _tiny(_rng: Generator) -> Values:
    cases = [
        {"logits": np.array(logits, np.float32), "action": np.array(action), "reward": np.array(reward, np.float32)}
        for logits, action, reward in TINY
    ]
    return pack(cases=cases)


def _first(_failed: Trial, tiny: Trial) -> str:
    """The sentence for the first tiny batch whose gradient is wrong.

    The first with a row that is no multiple of the right one, whatever baseline is subtracted. If there is none, the
    first that is not the right gradient's multiple as a whole: one and the same for all batches of a single row, since
    size and sign are judged elsewhere. A single row's gradient of 0 shows nothing: a baseline can be all of its reward.
    """
    found: list[tuple[int, LogitSlope]] = []
    for case, (one, (logits, _, reward)) in enumerate(zip(each(tiny), TINY, strict=True)):
        got = one.got.get("slope")
        # A nan may be the standard deviation of one reward.
        if isinstance(got, np.ndarray) and got.shape == (len(logits), CLASSES) and np.isfinite(got).all():
            p, action = softmax(np.array(logits, float), axis=1), _actions(one, "used", "action")
            found.append((case, LogitSlope(got.astype(float), p, action, np.array(reward, float))))
    common = next((size for _, slope in found if (size := slope.size())), 1.0)

    def off(slope: LogitSlope) -> bool:
        alone = len(slope.p) == 1
        return slope.used(slope.want, common if alone else slope.size()) > 1 and not (alone and not slope.got.any())

    turned = [one for one in found if one[1].weights(1.0) is None]
    for case, slope in turned or [one for one in found if off(one[1])]:
        (logits, _, reward), action = TINY[case], slope.action
        row = int(np.abs(slope.got - slope.want).max(1).argmax())
        where = "" if len(logits) == 1 else f" of row {row + 1}"
        return (
            f"Smallest example: the logits {shown(logits)}, actions {shown(action)} and rewards {shown(reward)} "
            f"gave the gradient{where} {got_and_expected(slope.got[row].round(6), slope.want[row])}"
        )
    return ""


SMALLEST = Counterexample(
    Request("policy_gradient.probes:tiny", _tiny, seconds=3, deterministic=True, returns=_losses), _first
)


def sign(trial: Trial) -> Verdict:
    reading = read(trial)
    if not reading.sizes and (name := labels_in(trial)):
        raise CheckFailed(
            f"The loss uses the labels, `{name}`, so this check cannot be judged. Expected: only the reward of the "
            "chosen action decides which action becomes likelier.",
            diagnosis="true_labels",
        )
    if reading.sign > 0:
        return passed("Minimising the loss makes rewarded actions likelier.")
    known, turned = (None, 0) if reading.sizes else recognised(trial)
    if turned < 0 or (known is None and reading.sign < 0 and all(map(_is_against, reading.slopes))):
        raise CheckFailed(
            "Minimising the loss makes rewarded actions less likely, so its sign is wrong. Expected: -reward times "
            "log-probability, because the optimiser minimises the loss and the reward must be maximised.",
            diagnosis="pg_sign",
        )
    if known is not None:
        raise CheckFailed(
            f"Minimising the loss does not make rewarded actions likelier in every batch. {known.sentence} "
            "Expected: -reward times log-probability, which makes them likelier in every batch.",
            diagnosis=known.id,
        )
    raise CheckFailed(
        f"Minimising the loss makes rewarded actions {'less likely' if reading.sign < 0 else 'likelier'} in "
        f"{'the batches that were tried' if reading.sign < 0 else 'some batches and less likely in others'}. "
        "Expected: -reward times log-probability, which makes them likelier in every batch."
    )


def _is_against(slope: LogitSlope) -> bool:
    """Whether the right gradient, turned round, is most of it: more than the cosine of 45 degrees."""
    lengths = float((slope.got**2).sum() * (slope.want**2).sum())
    return float((slope.got * slope.want).sum()) < -float(np.sqrt(lengths / 2))


def average(trial: Trial) -> Verdict:
    reading, values = read(trial), section(trial, "values")
    rows = [len(slope.p) for slope in reading.slopes]

    def are(scale: Callable[[int], float]) -> bool:
        pairs = zip(reading.slopes, reading.sizes, rows, strict=True)
        return all(abs(abs(size) - scale(n)) <= (slope.size_slack() + 1e-12) * scale(n) for slope, size, n in pairs)

    cases = [case.got for case in each(values)]
    shapes = [np.shape(case.get("loss", ())) for case in cases]
    if any(shapes) and not (reading.sizes and are(lambda _rows: 1.0)):  # gradients are those of the sum of all entries
        raise CheckFailed(
            f"For a batch of {rows[0]} rows the loss has shape {list(shapes[0])}, so the losses of the rows are not "
            "averaged. Expected: one number, the average over the batch.",
            diagnosis="not_averaged",
        )
    if not reading.sizes:  # then what is averaged is not known, but whether it is an average can be
        once, twice = (float(array(cases[case], "loss", what="The loss").mean()) for case in (ONCE, TWICE))
        # The rounding of any formula is far below 1 %, and a sum is twice as large.
        if abs(twice - once) <= 0.01 * abs(once) + 1e-6:
            return passed("A batch with every row twice has the same loss, as an average has.")
        double, single = apart(twice, once, 3)
        raise CheckFailed(
            f"A batch with every row twice has a loss of {double}, and with every row once {single}. Expected: the "
            "average over the batch, which is the same for both.",
            diagnosis="sum_not_mean" if abs(twice - 2 * once) <= 0.01 * abs(once) else "",
        )
    batch = values.got.get("batch")
    if are(lambda _rows: 1.0):
        return passed("The loss is the average over the batch.")
    if type(batch) is int and batch > 0 and are(lambda n: min(n, batch) / batch):
        return passed(f"The loss is the sum over the batch divided by {batch}, the batch size of your loop.")
    deviations = [[slope.reward.std(ddof=ddof) for slope in reading.slopes] for ddof in (0, 1)]
    known = next(((name, sentence) for name, scale, sentence in SIZES if are(scale)), None)
    if known is None and any(_are_ones(reading, several) for several in deviations):
        known = (
            "reward_normalised",
            "The rewards were divided by their standard deviation, which changes with the batch.",
        )
    seen = ", ".join(
        f"{apart(abs(size), 1, 3)[0]} times for {n} rows" for size, n in zip(reading.sizes, rows, strict=True)
    )
    name, sentence = known or ("scaled", f"Its gradient has the wrong size, compared with the expected one: {seen}.")
    expected = "" if "Expected:" in sentence else " Expected: the average."
    raise CheckFailed(f"The loss is not the average over the batch. {sentence}{expected}", diagnosis=name)


def _are_ones(reading: PolicyLossReading, factors: Sequence[float]) -> bool:
    """Whether every size times its factor is 1, within rounding."""
    pairs = zip(reading.slopes, reading.sizes, factors, strict=True)
    return all(abs(abs(size) * factor - 1) <= slope.size_slack() + gamma(64) for slope, size, factor in pairs)


def inputs(trial: Trial) -> Verdict:
    """What does nothing with its inputs leaves them alone, too, and earns nothing by it."""
    cases = each(section(trial, "values"))
    if "slope" in cases[0].got:
        slopes(trial)
    elif len({str(case.got.get("loss")) for case in cases}) == 1:
        raise CheckFailed(
            "The loss is the same number for every batch, so this check cannot be judged. Expected: a loss that is "
            "computed from logprob, predicted and reward.",
            diagnosis="zero_gradient",
        )
    if "used" in cases[0].got:
        return passed("The loss is written in the training loop, so there is no caller whose inputs could change.")
    for case, rows in zip(cases, CASES, strict=True):
        for name, word in (("action", "predicted"), ("reward", "reward")):
            after = array(case.got, name, what=f"After the call {word}")
            if not np.array_equal(after, array(case.given, name)):
                raise CheckFailed(
                    f"After the call {word} has changed, but the caller still uses it. Expected: {word} is "
                    "unchanged. Operations that end in an underscore, and +=, write into their argument.",
                    diagnosis="in_place",
                )
        if case.got.get("kept") is not True:
            raise CheckFailed(
                f"For a batch of {rows} rows logprob was changed, or the reward was made to require a gradient. "
                "Expected: both are unchanged. The reward comes from a black box and is a constant.",
                diagnosis="in_place",
            )
    return passed("The call left logprob, predicted and reward unchanged.")


def _are_multiples(calls: Sequence[LogitSlope], factor: float) -> bool:
    """Whether each gradient is what is right for it, times the factor: as `Slope.used` says, of all calls at once."""
    n, p = calls[0].p.shape[0], calls[0].p
    actions, rewards = (np.stack(each) for each in zip(*((call.action, call.reward) for call in calls), strict=True))
    want = -(np.eye(CLASSES)[actions] - p) * rewards[:, :, None] / n  # (calls, N, classes)
    sizes = (np.abs(rewards).max(1, keepdims=True) + np.abs(rewards)) / n
    bound = abs(factor) * gamma(200 + n) * sizes[:, :, None] + 1e-12
    return within(np.stack([call.got for call in calls]), factor * want, np.broadcast_to(bound, want.shape))


ALONG = 0.1
"""So near to 1 the share along the exact gradient explains nothing to a reader; no verdict rests on it."""


def unbiased(trial: Trial, alpha: float) -> Verdict:
    """Null: the gradients are an unbiased estimate, of independent rows, with weights among the rewards."""
    reading, calls = read(trial), _slopes_of(trial, "sampled")
    if reading.sizes:
        size = reading.sizes[CASES.index(ROWS)]  # of a batch as large
        if _are_multiples(calls, size):
            return passed("With actions drawn from the policy the estimate is unbiased.")
        if reading.baseline != "none" and all(call.weights(size) is not None for call in calls):
            return passed("With actions drawn from the policy the estimate is unbiased, including the baseline.")
    sizes = (
        (reading.sizes[CASES.index(ROWS)],)
        if reading.sizes
        else ((float(reading.sign),) if reading.sign else (1.0, -1.0))
    )
    table = array(section(trial, "sampled").given, "table")
    p = calls[0].p
    exact = -p * (table - (p * table).sum(1, keepdims=True))  # sum_a p_a R_a (onehot(a) - p), times N, negated
    got = np.stack([call.got for call in calls]).mean(0) * ROWS
    p_value, seen = max(_bias(got / size, exact, p, table) for size in sizes)
    if p_value >= alpha:
        return passed(f"Over {CALLS * ROWS:,} drawn actions the estimate shows no bias beyond chance.", p=p_value)
    times, once = apart(seen, 1.0, 2)
    message = (
        f"Over {CALLS * ROWS:,} actions drawn from the policy, the average gradient has {times} times the expected "
        f"size along the exact gradient. Expected: {once} times, an unbiased estimate of the gradient summed over "
        "all actions."
    )
    if abs(seen - 1) < ALONG:  # then the numbers say that nothing is wrong, and another direction that something is
        message = (
            f"Over {CALLS * ROWS:,} actions drawn from the policy, the average gradient has the right size along "
            "the exact gradient, but it also has a part in other directions. Expected: an unbiased estimate of the "
            "gradient summed over all actions."
        )
    if reading.sizes and all(_greedy(call, sizes[0]) for call in calls):
        return Verdict(
            0.0,
            f"{message} The likeliest action was used in place of the chosen action, `predicted`.",
            "greedy_action",
            p=p_value,
        )
    return Verdict(0.0, f"{message} Weight only the log-probability of the chosen action by the reward.", p=p_value)


def _greedy(call: LogitSlope, size: float) -> bool:
    """Whether the likeliest action took the chosen one's place."""
    other = LogitSlope(call.got, call.p, call.p.argmax(1), call.reward)
    return other.used(other.want, size) <= 1


def _bias(got: Array, exact: Array, p: Array, table: Array) -> tuple[float, float]:
    """The smallest corrected p of the directions tried, and the average along the exact gradient as a share of it.

    Each direction u gives a sum of independent terms k (onehot(a) - p) . u with |k| <= max R, so Bernstein's
    inequality bounds its deviation: P(|mean - expected| >= t) <= 2 exp(-n t^2 / (2 (v + b t / 3))).
    """
    most, n = float(max(REWARDS)), CALLS * ROWS
    surprise = -p * (np.log(p) - (p * np.log(p)).sum(1, keepdims=True))  # of the entropy, by the logits
    directions = (
        exact,
        np.eye(CLASSES)[p.argmax(1)] - p,
        np.eye(CLASSES)[p.argmin(1)] - p,
        surprise,
        (1 - CLASSES * p) * table.mean(1, keepdims=True),
        *(np.eye(CLASSES)[action] - p for action in range(CLASSES)),
    )
    smallest = 1.0
    for u in directions:
        along = (np.eye(CLASSES)[None] - p[:, None]) @ u[:, :, None]  # (rows, actions, 1): what each action adds
        variance = most**2 * float((p * along[..., 0] ** 2).sum(1).mean())
        largest = most * float(np.abs(along).max())
        t = abs(float(((got - exact) * u).sum(1).mean()))
        bound = 2 * float(np.exp(-n * t**2 / (2 * (variance + largest * t / 3))))
        smallest = min(smallest, bound * len(directions))
    size = float((exact**2).sum(1).mean())
    return min(1.0, smallest), float((got * exact).sum(1).mean()) / size
