"""The reference's policy gradient: properties of its loss, its data and black box, its notebook, its study."""

import itertools
import json
import math
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from autograder.authoring import template
from autograder.hw11.audit import training
from tests.reference_notebook import Notebook

pytestmark = pytest.mark.slow

NOTEBOOK = Notebook("policy_gradient.ipynb")
PATH, TEXT, sources, run = NOTEBOOK.path, NOTEBOOK.text, NOTEBOOK.sources, NOTEBOOK.run
SOLUTION = "    # BEGIN SOLUTION"


ref = run(["imports", "data", "model", "oracle", "loss"])
settings.register_profile("reference", max_examples=30, derandomize=True, database=None, deadline=None)
few = settings(settings.get_profile("reference"), max_examples=12)
many = settings(settings.get_profile("reference"))


def u(dtype):
    """Unit roundoff: the relative error of one operation."""
    return torch.finfo(dtype).eps / 2


# ------------------------------------------------------------------------------------ strategies

points = st.integers(1, 6)
classes = st.integers(2, 5)
dtypes = st.sampled_from([torch.float32, torch.float64])
seeds = st.integers(0, 2**31)
eighths = st.integers(-24, 24).map(lambda k: k / 8)  # to +-3, exact in every dtype


@st.composite
def decisions(draw, dtype=None):
    """Logits (n, C) to +-10, decisions (n,) and rewards (n,): those of the homework, or any to +-5."""
    n, c = draw(points), draw(classes)
    dtype = draw(dtypes) if dtype is None else dtype
    generator = torch.Generator().manual_seed(draw(seeds))
    logits = 20 * torch.rand(n, c, generator=generator, dtype=dtype) - 10
    predicted = torch.randint(c, (n,), generator=generator)
    if draw(st.booleans()):
        reward = torch.where(torch.rand(n, generator=generator) < 0.5, 3.0, -1.0).to(dtype)
    else:
        reward = 10 * torch.rand(n, generator=generator, dtype=dtype) - 5
    return logits, predicted, reward


def loss_and_gradient(logits, predicted, reward):
    """The loss, and its gradient (n, C) in the logits."""
    logits = logits.detach().clone().requires_grad_()
    loss = ref.policy_gradient_loss(F.log_softmax(logits, dim=1), predicted, reward)
    return loss.detach(), torch.autograd.grad(loss, logits)[0]


def sizes(logits, predicted, reward):
    """(n,) sizes of the terms that the loss sums, |R_i log p_i| / n, in float64."""
    chosen = F.log_softmax(logits, dim=1)[range(len(predicted)), predicted]
    return (reward.double() * chosen.double()).abs() / len(predicted)


def softmax_error(logits):
    """By how much each log-probability of a row errs, (n,): z - max(z) - log(sum(exp(z - max(z)))).

    The differences are below the range of the row and err by u of it; exp passes that on and adds two roundings,
    the sum adds C, the logarithm one, the last difference one of the result (range + log C at most).
    """
    spread = (logits.amax(1) - logits.amin(1)).double()
    return u(logits.dtype) * (3 * spread + logits.shape[1] + 8)


# ------------------------------------------------------------------------------------ the loss


@many
@given(decisions(), seeds)
def test_order_of_the_batch_does_not_matter(case, seed):
    order = torch.randperm(len(case[1]), generator=torch.Generator().manual_seed(seed))
    loss, gradient = loss_and_gradient(*case)
    moved, moved_gradient = loss_and_gradient(*(part[order] for part in case))
    # Rows are treated alike, so that only the order of the sum differs: n + 2 roundings in each.
    assert abs(moved - loss) <= 2 * (len(order) + 2) * u(loss.dtype) * sizes(*case).sum()
    assert torch.equal(moved_gradient, gradient[order])


@many
@given(decisions())
def test_a_batch_twice_is_the_batch(case):
    n, dtype = len(case[1]), case[0].dtype
    loss, gradient = loss_and_gradient(*case)
    twice, twice_gradient = loss_and_gradient(*(torch.cat([part, part]) for part in case))
    # A sum of n terms and one of 2n; gradients are divided by 2n in place of n: a rounding or two each.
    assert abs(twice - loss) <= (3 * n + 4) * u(dtype) * sizes(*case).sum()
    bound = 4 * u(dtype) * case[2].abs().double() / n
    assert ((twice_gradient[:n] + twice_gradient[n:] - gradient).abs().amax(1) <= 2 * bound).all()


@many
@given(decisions(), st.sampled_from([1.0, -30.0, 1000.0]))
def test_a_constant_added_to_a_row_of_logits_changes_nothing(case, constant):
    logits, predicted, reward = case
    n, dtype = len(predicted), logits.dtype
    loss, gradient = loss_and_gradient(*case)
    shifts = constant * torch.arange(1, n + 1, dtype=dtype).unsqueeze(1)  # (n, 1): another one for every row
    moved, moved_gradient = loss_and_gradient(logits + shifts, predicted, reward)
    # Adding rounds each logit by u |z + c|, a log-probability by at most twice that; then both ways compute a
    # log-softmax, with an error of its own, and a sum.
    rounded = 2 * u(dtype) * (logits + shifts).abs().amax(1).double()
    error = rounded + 2 * softmax_error(logits) + softmax_error(logits + shifts)  # (n,)
    size = reward.abs().double() / n
    assert abs(moved - loss) <= (size * error).sum() + 2 * (n + 2) * u(dtype) * sizes(*case).sum()
    # A probability below 1 errs by no more than its logarithm, and by a rounding of exp; four more follow.
    assert ((moved_gradient - gradient).abs().amax(1) <= size * (error + 10 * u(dtype))).all()


@few
@given(decisions(torch.float64))
def test_gradient_is_that_of_finite_differences(case):
    logits, predicted, reward = case

    def loss(logits):
        return ref.policy_gradient_loss(F.log_softmax(logits, dim=1), predicted, reward)

    # Step 1e-6; values below 5 * 22: rounding 1e-16 * 110 * 10 / 1e-6 = 1e-7; truncation below h^2 * 5.
    assert torch.autograd.gradcheck(loss, (logits.requires_grad_(),), atol=1e-6, rtol=1e-6)


@many
@given(decisions())
def test_gradient_is_the_reward_times_the_score(case):
    logits, predicted, reward = case
    n, dtype = len(predicted), logits.dtype
    _, gradient = loss_and_gradient(*case)
    p = logits.double().softmax(1)
    expected = -(F.one_hot(predicted, logits.shape[1]) - p) * reward.double().unsqueeze(1) / n
    size = reward.abs().double() / n
    assert gradient.dtype == dtype
    assert ((gradient.double() - expected).abs().amax(1) <= size * (softmax_error(logits) + 8 * u(dtype))).all()


@many
@given(decisions(), seeds, eighths, eighths)
def test_linear_in_the_reward(case, seed, a, b):
    logits, predicted, one = case
    n, dtype = len(predicted), logits.dtype
    other = 10 * torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=dtype) - 5
    of_one, of_other = (loss_and_gradient(logits, predicted, reward)[0].double() for reward in (one, other))
    together = loss_and_gradient(logits, predicted, a * one + b * other)[0].double()
    # Three roundings in the combined reward, three in that of the losses, n + 2 in each of the losses.
    size = (abs(a) * sizes(logits, predicted, one) + abs(b) * sizes(logits, predicted, other)).sum()
    assert abs(together - (a * of_one + b * of_other)) <= (2 * n + 10) * u(dtype) * size


@few
@given(st.integers(1, 3), st.integers(2, 3), seeds, st.sampled_from([0.0, 3.0, -10.0]))
def test_unbiased_and_a_constant_baseline_changes_no_expectation(n, c, seed, baseline):
    generator = torch.Generator().manual_seed(seed)
    logits = 6 * torch.rand(n, c, generator=generator, dtype=torch.float64) - 3
    rewards = 8 * torch.rand(n, c, generator=generator, dtype=torch.float64) - 4  # of every action at every point
    p = logits.softmax(1)
    rows, mean, spread = torch.arange(n), torch.zeros_like(logits), torch.zeros(())
    for actions in map(torch.tensor, itertools.product(range(c), repeat=n)):  # all C^n outcomes
        _, gradient = loss_and_gradient(logits, actions, rewards[rows, actions] - baseline)
        mean += p[rows, actions].prod() * gradient
        spread = torch.maximum(spread, gradient.abs().max())
    free = logits.clone().requires_grad_()
    (exact,) = torch.autograd.grad(-(free.softmax(1) * rewards).sum(1).mean(), free)
    # A sum of C^n products of n + 1 factors that err by some 3 * 6 + C + 8 roundings (softmax_error), n times.
    bound = (c**n + n * (3 * 6 + c + 10) + 20) * u(torch.float64) * (spread + rewards.abs().max())
    assert ((mean - exact).abs() <= bound).all()
    assert spread > 1e3 * bound  # the test could have failed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_logits_stay_finite(dtype):
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4]], dtype=dtype)
    reward = torch.tensor([3.0, -1.0, 3.0], dtype=dtype)
    loss, gradient = loss_and_gradient(logits, torch.tensor([1, 1, 0]), reward)
    # log p = -20000, 0, -log 2: the loss is -(3 * -20000 - 0 - 3 log 2) / 3, and probabilities are 0, 1 or 1/2.
    assert loss.item() == pytest.approx(20000 + math.log(2), rel=8 * u(dtype))
    expected = torch.tensor([[1.0, -1.0], [0.0, 0.0], [-0.5, 0.5]], dtype=dtype)
    assert ((gradient - expected).abs() <= 8 * u(dtype)).all()


# ------------------------------------------------------------------------------------ data, network, black box


def classes_of(x):
    """The rule of the handout in float64 numpy, and how far each point is from its borders."""
    x = x.double().numpy()
    dp, dn = (np.linalg.norm(x - centre, axis=1) ** 2 - 2.5 * x.shape[1] for centre in (1, -1))
    return np.select([(dp <= 0) & (dn <= 0), dp <= 0, dn <= 0], [0, 1, 2], 3), np.minimum(abs(dp), abs(dn))


@few
@given(st.integers(1, 2000), st.integers(1, 12), seeds)
def test_labels_follow_the_rule(n, dim, seed):
    torch.manual_seed(seed)
    x, y, true_y = ref.generate_data(n, dim)
    assert x.shape == (n, dim) and y.shape == (n,) and true_y.shape == (n, 4) and y.dtype == torch.int64
    assert x.abs().max() <= 2.2
    expected, distance = classes_of(x)
    # Sums of at most 12 float32 squares below 3.2^2: on the border itself either answer is right.
    assert ((y.numpy() == expected) | (distance <= 16 * u(torch.float32) * 12 * 3.2**2)).all()
    assert torch.equal(true_y.argmax(1), y) and torch.equal(true_y.sum(1), torch.ones(n))
    mirrored = torch.tensor([0, 2, 1, 3])[ref.true_class(-x)]  # the two centres change places, exactly
    assert torch.equal(mirrored, y)


def test_labels_of_points_known_by_heart():
    corners = torch.tensor([[0.0] * 8, [1.0] * 8, [-1.0] * 8, [2.0, -2.0] * 4])
    assert ref.true_class(corners).tolist() == [0, 1, 2, 3]


def test_data_of_the_homework():
    assert (ref.d, ref.seed, ref.n_classes) == (8, 73, 4)
    for x, y in ((ref.x_train, ref.y_train), (ref.x_valid, ref.y_valid)):
        assert x.shape == (1000, 8) and set(y.tolist()) == {0, 1, 2, 3}
    assert not torch.equal(ref.x_train, ref.x_valid)


def test_shares_of_the_classes():
    torch.manual_seed(1)
    ours = ref.generate_data(100_000, 8)[1].bincount(minlength=4) / 100_000
    theirs = np.random.default_rng(1).uniform(-2.2, 2.2, (400_000, 8))
    expected = np.bincount(classes_of(torch.from_numpy(theirs))[0], minlength=4) / 400_000
    # Hoeffding: each share is off by more than sqrt(log(2e9) / 2n) with a chance of 1e-9.
    slack = sum(math.sqrt(math.log(2e9) / (2 * n)) for n in (100_000, 400_000))
    assert (abs(ours.numpy() - expected) <= slack).all()
    assert expected.min() > 0.1 and expected.max() < 0.4  # no class is rare, and none makes up for the others


def test_network_of_the_homework():
    model = ref.get_model(5)
    assert [name for name, _ in model.named_children()] == ["fc1", "relu1", "output"]
    assert model.fc1.weight.shape == (32, 8) and model.output.weight.shape == (4, 32)
    same, other = ref.get_model(5).state_dict(), ref.get_model(6).state_dict()
    assert all(torch.equal(weight, same[name]) for name, weight in model.state_dict().items())
    assert not torch.equal(model.fc1.weight, other["fc1.weight"])


def test_accuracy_is_in_percent():
    model = ref.get_model(0)
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(torch.tensor([0.0, 2.0, 1.0, 1.0]))
    assert ref.accuracy(model, torch.randn(4, 8), torch.tensor([1, 1, 1, 3])) == 75.0


def test_rewards_are_three_and_minus_one():
    torch.manual_seed(2)
    x, y, _ = ref.generate_data(200, 8)
    for shift in range(4):
        reward = ref.reward_oracle(x.clone().requires_grad_(), (y + shift) % 4)
        assert not reward.requires_grad and reward.shape == (200,)
        assert (reward == (-1 if shift else 3)).all()


# ------------------------------------------------------------------------------------ the notebook


def test_template_leaves_no_trace_of_the_solution():
    assert SOLUTION in sources()["loss"]
    text, regions = template.cut_notebook(TEXT, PATH.name)
    assert regions == 1 and not any(word in text for word in ("gather", "chosen", "SOLUTION"))
    with pytest.raises(NotImplementedError, match=r"policy_gradient_loss: return a scalar"):
        run(["imports", "data", "loss"], text).policy_gradient_loss(torch.zeros(1, 4), torch.zeros(1).long(), None)


def with_body(body):
    """The notebook with another body of policy_gradient_loss."""
    notebook = json.loads(TEXT)
    (cell,) = (cell for cell in notebook["cells"] if cell["id"] == "loss")
    head, _, _ = "".join(cell["source"]).partition(SOLUTION)
    cell["source"] = f"{head}    {body}\n"
    return json.dumps(notebook)


def self_check(text, capsys):
    run(["imports", "data", "loss", "check"], text)
    return capsys.readouterr().out.splitlines()[-1]


def test_self_check_says_kindly_what_is_left(capsys):
    text, _ = template.cut_notebook(TEXT, PATH.name)
    assert self_check(text, capsys).startswith("Still to be written: policy_gradient_loss: return a scalar")


@pytest.mark.parametrize(
    "body",
    [
        "return F.nll_loss(logprob, predicted, reduction='none').mul(reward).mean()",
        "return -(logprob * F.one_hot(predicted, 4) * reward[:, None]).sum(1).mean()",
        "return sum(-reward[i] * logprob[i, predicted[i]] for i in range(len(reward))) / len(reward)",
        "return -(logprob[torch.arange(len(reward)), predicted] @ reward) / len(reward)",
        "return -torch.distributions.Categorical(logits=logprob).log_prob(predicted).mul(reward).mean()",
    ],
)
def test_self_check_accepts(body, capsys):
    assert self_check(with_body(body), capsys).startswith("policy_gradient_loss: a scalar")


CHOSEN = "logprob.gather(1, predicted[:, None])"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (f"return (reward * {CHOSEN}[:, 0]).mean()", "points uphill"),
        (f"return -{CHOSEN}.mean()", "The gradient in the logits: for one point with reward 3"),
        (f"return -(reward * {CHOSEN}[:, 0].exp()).mean()", "The gradient in the logits"),
        ("return -(reward[:, None] * logprob).mean()", "The gradient in the logits"),
        ("return -(reward * logprob.max(1).values).mean()", "The gradient in the logits"),
        (f"return -(reward * {CHOSEN}[:, 0]).sum()", "average of the six losses"),
        (f"return -(reward * {CHOSEN}).mean()", r"the shape \(6, 6\)"),
        ("return -(reward * logprob[:, predicted]).mean()", r"the shape \(6, 6\)"),
        (f"return -(reward * {CHOSEN}[:, 0])", r"A scalar was expected; a tensor of shape \(6,\)"),
        (f"return -(reward * {CHOSEN}[:, 0]).mean().item()", "float was returned"),
        ("return -reward.mean()", "no gradient leads back"),
    ],
)
def test_self_check_explains(body, sentence, capsys):
    with pytest.raises(AssertionError, match=sentence):
        self_check(with_body(body), capsys)


def test_notebook_runs_from_top_to_bottom():
    assert TEXT.count("iterations = 3000") == 1
    text = TEXT.replace("iterations = 3000", "iterations = 60")
    with mock.patch("matplotlib.pyplot.show"), mock.patch("tqdm.tqdm", lambda steps, **_: steps):
        import matplotlib.pyplot as plt

        plt.switch_backend("Agg")
        end = run(sources(text), text)
        plt.close("all")
    named = ("train_accs", "valid_accs", "sampled_train_accs", "sampled_valid_accs")
    assert all(len(getattr(end, name)) == 60 for name in named)
    # `model` is still the one that policy gradient has trained, and the lists are of it.
    assert end.accuracy(end.model, end.x_train, end.y_train) == end.train_accs[-1] > 55
    assert end.accuracy(end.model, end.x_valid, end.y_valid) == end.valid_accs[-1] > 55
    assert end.accuracy(end.sampled_model, end.x_valid, end.y_valid) == end.sampled_valid_accs[-1] > 55
    assert end.accuracy(end.supervised_model, end.x_valid, end.y_valid) == end.supervised_valid_accs[-1] > 55
    assert not any(map(torch.equal, end.model.parameters(), end.sampled_model.parameters()))


# ------------------------------------------------------------------------------------ the study of its accuracy


def trained(seed, *, sampled, iterations):
    """One network trained in float64 with the notebook's own functions: accuracy, and recall of each class."""
    torch.manual_seed(seed)
    (x, y, _), (fresh, fresh_y, _) = ref.generate_data(1000, 8), ref.generate_data(4000, 8)
    x, fresh, model = x.double(), fresh.double(), ref.get_model(seed).double()
    draws = torch.Generator().manual_seed(seed)
    training.weights(draws)  # the study draws its actions behind the weights
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(iterations):
        logits = model(x)
        logprob = F.log_softmax(logits, dim=1)
        predicted = logits.argmax(dim=1)
        if sampled:
            uniform = torch.rand(1, 1, 1000, generator=draws, dtype=torch.float64).flatten()
            below = logprob.exp().cumsum(1)[:, :-1] <= uniform.unsqueeze(1)
            predicted = below.sum(1)
        loss = ref.policy_gradient_loss(logprob, predicted, ref.reward_oracle(x, predicted))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(ref.true_class(x), y)
    shares = [ref.accuracy(model, fresh[fresh_y == k], fresh_y[fresh_y == k]) for k in range(4)]
    return [ref.accuracy(model, fresh, fresh_y), *shares]


@pytest.mark.parametrize("sampled", [False, True])
def test_study_trains_what_the_notebook_trains(sampled):
    # Alike up to sums in another order, 1e-16: a decision would have to lie that near to a tie to differ. What
    # remains is accuracy()'s float32 mean: a rounding of 100.
    seen = training.study(2, sampled=sampled, first=73, iterations=100, chunk=1, dtype=torch.float64)
    expected = [trained(seed, sampled=sampled, iterations=100) for seed in (73, 74)]
    assert seen.shape == (2, 5) and np.abs(seen - expected).max() <= 100 * 2 * u(torch.float32)
    assert seen[:, 0].min() > 60  # it has learned something


def test_study_does_not_mix_networks():
    together, alone = (
        training.study(3, sampled=False, iterations=20, chunk=chunk, dtype=torch.float64) for chunk in (3, 1)
    )
    assert np.array_equal(together, alone) and len(set(alone[:, 0])) == 3


@pytest.mark.parametrize("name", training.LOSSES)
def test_study_makes_the_mistakes_that_it_names(name):
    bodies = {
        "right": f"-(reward * {CHOSEN}[:, 0]).mean()",
        "sign": f"(reward * {CHOSEN}[:, 0]).mean()",
        "reward ignored": f"-{CHOSEN}.mean()",
        "probabilities": f"-(reward * {CHOSEN}[:, 0].exp()).mean()",
        "all actions": "-(reward[:, None] * logprob).mean()",
        "sum": f"-(reward * {CHOSEN}[:, 0]).sum()",
        "N x N, rewards": f"-(reward * {CHOSEN}).mean()",
        "N x N, actions": "-(reward * logprob[:, predicted]).mean()",
    }
    generator = torch.Generator().manual_seed(2)
    logprob = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64).log_softmax(2)  # (S, N, C)
    predicted = torch.randint(4, (2, 5), generator=generator)
    reward = torch.where(torch.rand(2, 5, generator=generator) < 0.5, 3.0, -1.0).double()
    function = run(["imports", "data", "loss"], with_body(f"return {bodies[name]}")).policy_gradient_loss
    expected = [function(*case) for case in zip(logprob, predicted, reward, strict=True)]
    seen = training.LOSSES[name](logprob.transpose(1, 2), predicted, reward)
    # At most 25 float64 terms below 15.
    assert (seen - torch.stack(expected)).abs().max() <= 50 * u(torch.float64) * 15 * 25
