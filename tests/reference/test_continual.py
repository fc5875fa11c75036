"""The reference's continual learning: properties of its permutations, Fisher information, penalty and rehearsal."""

import json
import textwrap
from collections import Counter
from fractions import Fraction
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autograder.authoring import template
from autograder.sandbox.guest import notebooks
from tests.reference_notebook import Notebook

NOTEBOOK = Notebook("continual_learning.ipynb")
PATH, TEXT, sources, run = NOTEBOOK.path, NOTEBOOK.text, NOTEBOOK.sources, NOTEBOOK.run
GRADED = ("permute_mnist", "on_task_update", "ewc_penalty", "train_ewc", "rehearsal_set")
GIVEN = ("Net", "MLPNet", "train", "test", "batches", "shuffle_in_unison")
MEASURES = ("accuracy_matrix", "average_accuracy", "forgetting")
CPU = torch.device("cpu")
U = 2.0**-53
"""Unit roundoff of float64."""
many = settings(max_examples=30, derandomize=True, database=None, deadline=None)
few = settings(many, max_examples=12)


def define(*names, text=TEXT):
    """The namespace of these names of the notebook and of what they need, found as the grader finds them."""
    source = notebooks.source_of(notebooks.read(text.encode()))
    assert not source.faults
    space = {"__name__": "notebook"}
    assert notebooks.execute(PATH.name, source.definitions(names), space) == {}
    assert set(names) <= set(space)
    return space


space = define(*GRADED, *GIVEN, *MEASURES)
ref = SimpleNamespace(**space)

# ------------------------------------------------------------------------------------ strategies

seeds = st.integers(0, 2**31)
sizes = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def dyadic(rng, shape, low=-24, high=24):
    """Eighths from -3 to 3: few digits, so that the sums and products below are exact in float64."""
    return torch.from_numpy(rng.integers(low, high, endpoint=True, size=shape) / 8)


@st.composite
def kept(draw):
    """A small network in float64, and dictionaries of up to three tasks as on_task_update fills them."""
    rng = np.random.default_rng(draw(seeds))
    model = nn.Sequential(nn.Linear(draw(st.integers(1, 4)), 3), nn.ReLU(), nn.Linear(3, 2)).double()
    shapes = {name: weight.shape for name, weight in model.named_parameters()}
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(dyadic(rng, weight.shape))
    tasks = range(draw(st.integers(0, 3)))
    fisher = {task: {name: dyadic(rng, shape, 0) for name, shape in shapes.items()} for task in tasks}
    optpar = {task: {name: dyadic(rng, shape) for name, shape in shapes.items()} for task in tasks}
    return model, fisher, optpar


def moved(model, origin, ray, step):
    """The model with parameters origin + step * ray."""
    model.load_state_dict({name: origin[name] + step * ray[name] for name in origin})
    return model


# ------------------------------------------------------------------------------------ the penalty


@many
@given(kept(), st.sampled_from([0.0, 0.5, 3.0]))
def test_penalty_is_the_sum_that_the_paper_has(case, strength):
    model, fisher, optpar = case
    expected = Fraction(0)
    for task in fisher:
        for name, weight in model.named_parameters():
            rows = zip(
                *(one.flatten().tolist() for one in (fisher[task][name], weight, optpar[task][name])), strict=True
            )
            expected += sum(Fraction(f) * (Fraction(a) - Fraction(b)) ** 2 for f, a, b in rows)
    penalty = ref.ewc_penalty(model, fisher, optpar, strength)
    assert penalty.shape == () and penalty.item() == Fraction(strength) / 2 * expected >= 0


@many
@given(kept())
def test_penalty_is_zero_at_the_old_parameters_and_nowhere_below(case):
    model, fisher, optpar = case
    for task in fisher:
        model.load_state_dict(optpar[task])
        assert ref.ewc_penalty(model, {task: fisher[task]}, {task: optpar[task]}, 3.0).item() == 0
        for name, weight in model.named_parameters():  # one weight moved: it is its Fisher information that shows
            with torch.no_grad():
                weight.view(-1)[0] += 2
            seen = ref.ewc_penalty(model, {task: fisher[task]}, {task: optpar[task]}, 1.0).item()
            assert seen == 2 * fisher[task][name].flatten()[0].item()
            model.load_state_dict(optpar[task])


@many
@given(kept(), seeds)
def test_penalty_is_quadratic_along_a_ray(case, seed):
    model, fisher, optpar = case
    rng = np.random.default_rng(seed)
    origin = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    ray = {name: dyadic(rng, weight.shape) for name, weight in origin.items()}
    values = [ref.ewc_penalty(moved(model, origin, ray, step), fisher, optpar, 2.0).item() for step in range(5)]
    assert not any(np.diff(values, n=3))  # third differences of a parabola vanish, here exactly
    curvature = sum((fisher[task][name] * ray[name] ** 2).sum().item() for task in fisher for name in ray)
    assert np.diff(values, n=2).tolist() == [2 * curvature] * 3


@many
@given(kept())
def test_penalty_is_additive_over_tasks(case):
    model, fisher, optpar = case
    each = [ref.ewc_penalty(model, {task: fisher[task]}, {task: optpar[task]}, 3.0).item() for task in fisher]
    assert ref.ewc_penalty(model, fisher, optpar, 3.0).item() == sum(each)


@many
@given(kept())
def test_gradient_of_the_penalty_is_lambda_f_times_the_way_back(case):
    model, fisher, optpar = case
    penalty = ref.ewc_penalty(model, fisher, optpar, 3.0)
    if not fisher:
        assert penalty.item() == 0
        return
    slopes = torch.autograd.grad(penalty, list(model.parameters()))
    for (name, weight), slope in zip(model.named_parameters(), slopes, strict=True):
        expected = sum(3 * fisher[task][name] * (weight.detach() - optpar[task][name]) for task in fisher)
        assert torch.equal(slope, expected)


# ------------------------------------------------------------------------------------ what is kept of a task


@st.composite
def softmax_models(draw):
    """A linear model in float64 of up to 5 inputs, inputs (n, d) and labels (n,); weights and inputs to +-2."""
    n, d, c = draw(st.integers(1, 8)), draw(st.integers(1, 5)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(seeds))
    model = nn.Linear(d, c).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.from_numpy(rng.uniform(-2, 2, weight.shape)))
    return model, rng.uniform(-2, 2, (n, d)), rng.integers(c, size=n)


def remembered(model, x, t, task_id=0):
    """What on_task_update keeps of a task."""
    fisher_dict: dict[str, Any] = {}
    optpar_dict: dict[str, Any] = {}
    with mock.patch.dict(space, model=model, fisher_dict=fisher_dict, optpar_dict=optpar_dict, device=CPU):
        ref.on_task_update(task_id, x, t)
    assert list(fisher_dict) == list(optpar_dict) == [task_id]
    return fisher_dict[task_id], optpar_dict[task_id]


def closed_form(model, x, t):
    """The gradients of each sample's cross entropy in numpy: (n, c, d) in the weights, (n, c) in the biases."""
    logits = x @ model.weight.detach().numpy().T + model.bias.detach().numpy()
    p = np.exp(logits - logits.max(1, keepdims=True))
    residual = p / p.sum(1, keepdims=True) - np.eye(logits.shape[1])[t]
    return residual[:, :, None] * x[:, None, :], residual


BOUND = 6000 * U
"""Logits are sums of at most 6 terms of sizes adding up to 22, with an error of 7 * 22 u = 154 u; a probability errs
by at most twice that and 10 roundings, 320 u; a gradient, times an input of 2 at most, by 650 u; its square by
2 * 2 * 650 u = 2600 u, and an average of 8 such squares of 4 at most by 9 * 4 u more. Twice, since numpy errs, too."""


@many
@given(softmax_models())
def test_fisher_of_a_linear_softmax_model_is_the_closed_form(case):
    model, x, t = case
    fisher, _ = remembered(*case)
    assert set(fisher) == {"weight", "bias"}
    for name, slopes in zip(("weight", "bias"), closed_form(model, x, t), strict=True):
        assert (fisher[name] >= 0).all()
        assert np.abs(fisher[name].numpy() - (slopes**2).mean(0)).max() <= BOUND


def test_fisher_is_not_the_square_of_the_average():
    model = nn.Linear(1, 2).double()
    nn.init.zeros_(model.weight), nn.init.zeros_(model.bias)
    fisher, _ = remembered(model, np.ones((2, 1)), np.array([0, 1]))  # gradients -1/2 and 1/2: their average is 0
    assert torch.equal(fisher["weight"], torch.full((2, 1), 0.25).double())


@few
@given(softmax_models(), seeds)
def test_fisher_is_an_average_over_images_in_any_order(case, seed):
    model, x, t = case
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(t)), 2))
    once, twice = remembered(model, x, t)[0], remembered(model, x[order], t[order])[0]
    for name in once:  # the same 8 squares, once and twice: roundings of sums of 16 terms of 4 / 8 at most
        assert (once[name] - twice[name]).abs().max() <= 2 * 18 * 4 * U


@pytest.mark.parametrize("network", [ref.Net, ref.MLPNet])
def test_fisher_of_the_networks_is_the_average_of_single_images(network):
    x = np.random.default_rng(0).uniform(size=(3, 1, 28, 28))
    t = np.array([1, 7, 7])
    model = network().double()
    squares = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for row in range(3):
        model.zero_grad()
        (-model(torch.from_numpy(x[row : row + 1])).log_softmax(1)[0, t[row]]).backward()
        for name, weight in model.named_parameters():
            squares[name] += weight.grad.square() / 3
    fisher, _ = remembered(model, x, t)
    assert set(fisher) == set(squares)
    for name, expected in squares.items():
        # The same products in the same order but for the loss: its few roundings go through at most five layers.
        assert (fisher[name] - expected).abs().max() <= 1e-12 * expected.max()
        assert expected.max() > 0


@few
@given(softmax_models())
def test_parameters_are_kept_as_they_were_and_gradients_left_alone(case):
    model, x, t = case
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, 7.0)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    fisher, optpar = remembered(model, x, t)
    for weight in model.parameters():
        assert (weight.grad == 7).all()
        with torch.no_grad():
            weight += 1
    assert all(torch.equal(optpar[name], value) and not optpar[name].requires_grad for name, value in before.items())
    assert not any(value.requires_grad for value in fisher.values())


# ------------------------------------------------------------------------------------ training


@few
@given(softmax_models(), st.integers(0, 2), seeds)
def test_a_step_of_ewc_is_the_plain_step_and_the_pull_of_earlier_tasks(case, task_id, seed):
    model, x, t = case
    rng = np.random.default_rng(seed)
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    fisher, optpar = (
        {task: {name: torch.from_numpy(rng.uniform(size=w.shape)) for name, w in start.items()} for task in range(3)}
        for _ in range(2)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with mock.patch.dict(space, fisher_dict=fisher, optpar_dict=optpar, ewc_lambda=3.0):
        ref.train_ewc(model, CPU, task_id, x, t, optimizer, 1)
    ended = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    model.load_state_dict(start)
    for name, slopes in zip(("weight", "bias"), closed_form(model, x, t), strict=True):
        slope = torch.from_numpy(slopes.mean(0))
        for task in range(task_id):
            slope = slope + 3 * fisher[task][name] * (start[name] - optpar[task][name])
        # A gradient errs by 650 u as above, the pulls of two tasks (sizes 9) and the step by some ten roundings.
        assert (ended[name] - (start[name] - 0.5 * slope)).abs().max() <= 2 * (650 + 10 * 20) * U


@few
@given(st.integers(1, 700), st.integers(1, 5))
def test_an_epoch_shows_every_image_once_with_its_label(n, epoch):
    x = np.arange(n, dtype=np.float32).reshape(-1, 1, 1, 1)
    shown = list(ref.batches(x, np.arange(n), epoch))
    assert [len(t) for _, t in shown] == [256] * (n // 256) + [n % 256] * (n % 256 > 0)
    labels = torch.cat([t for _, t in shown])
    assert torch.equal(torch.cat([x for x, _ in shown]).flatten().long(), labels)
    assert labels.sort().values.tolist() == list(range(n))
    again = torch.cat([t for _, t in ref.batches(x, np.arange(n), epoch)])
    assert torch.equal(again, labels)
    assert n < 20 or not torch.equal(torch.cat([t for _, t in ref.batches(x, np.arange(n), epoch + 1)]), labels)


def test_accuracy_is_in_percent():
    logits = torch.eye(10)[torch.tensor([3, 3, 1, 0])]
    assert ref.test(nn.Identity(), CPU, logits.numpy(), np.array([3, 1, 1, 0])) == 75.0


def test_networks_take_images_to_ten_logits():
    for network, layers in ((ref.Net, {nn.Conv2d: 2, nn.Linear: 2}), (ref.MLPNet, {nn.Linear: 3})):
        model = network()
        assert model(torch.zeros(5, 1, 28, 28)).shape == (5, 10)
        assert Counter(map(type, model.children())) == layers


# ------------------------------------------------------------------------------------ permuted pixels

shapes = st.sampled_from([(1, 28, 28), (28, 28), (784,)])


@few
@given(sizes, shapes, seeds, st.booleans())
def test_permutation_is_one_bijection_of_the_pixels(counts, shape, seed, as_tensors):
    numbers = np.arange(784, dtype=np.float32)  # each pixel its number, plus 1000 times that of the image
    arrays, image = [], 0
    for count in counts:
        offsets = 1000 * np.arange(image, image + count, dtype=np.float32)
        arrays.append((offsets[:, None] + numbers).reshape(count, *shape))
        image += count
    given_ = [torch.from_numpy(array.copy()) if as_tensors else array.copy() for array in arrays]
    permuted = ref.permute_mnist(given_, seed)
    assert isinstance(permuted, list) and [tuple(one.shape) for one in permuted] == [one.shape for one in arrays]
    assert all(np.array_equal(np.asarray(one), array) for one, array in zip(given_, arrays, strict=True))
    rows = np.concatenate([np.asarray(one).reshape(len(one), 784) for one in permuted])  # (images, 784)
    order = rows[0]
    assert sorted(order) == list(numbers) and not np.array_equal(order, numbers)
    assert np.array_equal(rows, order + 1000 * np.arange(image)[:, None])
    again = ref.permute_mnist(given_[-1:], seed)[0]
    assert np.array_equal(np.asarray(again), np.asarray(permuted[-1]))


@few
@given(st.integers(1, 6), seeds)
def test_permuted_images_keep_their_grey_values(n, seed):
    images = np.random.default_rng(seed).integers(0, 5, (n, 28, 28))
    (permuted,) = ref.permute_mnist([images], seed)
    assert np.array_equal(np.sort(permuted.reshape(n, -1)), np.sort(images.reshape(n, -1)))
    (other,) = ref.permute_mnist([images], seed + 1)
    # Equal only if 784 pixels of five values agree: two fixed seeds of an example, not luck.
    assert not np.array_equal(permuted, other)


# ------------------------------------------------------------------------------------ rehearsal


def numbered(counts):
    """Images and labels of tasks in which each image shows its label, the task's number times 100 plus its own."""
    labels = [100 * task + np.arange(count) for task, count in enumerate(counts)]
    return [t.reshape(-1, 1, 1, 1) * np.ones((1, 1, 2, 2)) for t in labels], labels


@many
@given(sizes, st.none() | st.integers(0, 14), seeds)
def test_rehearsal_keeps_pairs_and_proportions_and_loses_no_task(counts, per_task, seed):
    x_tasks, t_tasks = numbered(counts)
    x, t = ref.rehearsal_set(x_tasks, t_tasks, per_task=per_task, seed=seed)
    assert x.shape == (len(t), 1, 2, 2) and (x == t.reshape(-1, 1, 1, 1)).all()
    assert len(np.unique(t)) == len(t)  # drawn without replacement
    seen = np.bincount(t // 100, minlength=len(counts)).tolist()
    assert seen == [min(count, count if per_task is None else per_task) for count in counts[:-1]] + counts[-1:]
    assert set(t_tasks[-1]) <= set(t)  # all of the newest
    assert all(np.array_equal(a, b) for a, b in zip(numbered(counts)[1], t_tasks, strict=True))


def test_rehearsal_draws_and_shuffles_by_its_seed():
    x_tasks, t_tasks = numbered((60, 60, 60))
    first, again, other = (ref.rehearsal_set(x_tasks, t_tasks, per_task=30, seed=seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert set(first[first < 200]) != set(other[other < 200])  # other images
    assert not np.array_equal(first, np.sort(first))
    # Fixed seeds, no luck: in a shuffled set each half has of each task between a fifth and four fifths.
    halves = np.array([np.bincount(half // 100, minlength=3) for half in np.split(first, 2)])
    assert (halves > halves.sum(0) / 5).all()


@many
@given(st.integers(1, 20), seeds)
def test_shuffling_in_unison(n, seed):
    one, other = np.arange(n), np.arange(n) + 100
    a, b = ref.shuffle_in_unison([one, other], seed)
    assert np.array_equal(a + 100, b) and np.array_equal(np.sort(a), one)
    assert one.tolist() == list(range(n))


# ------------------------------------------------------------------------------------ measures


@pytest.mark.parametrize(
    ("R", "averages", "lost"),
    [
        ([[80.0]], [80.0], 0.0),
        ([[90, 10], [60, 80]], [50, 70], 30.0),
        ([[90, 10], [95, 80]], [50, 87.5], -5.0),  # learning the second helped the first
        ([[90, 10, 10], [95, 90, 10], [40, 60, 90]], [110 / 3, 65, 190 / 3], ((95 - 40) + (90 - 60)) / 2),
        ([[90, 50, 10], [70, 40, 30], [70, 40, 90]], [50, 140 / 3, 200 / 3], ((90 - 70) + (50 - 40)) / 2),
    ],
)
def test_measures_of_matrices_by_hand(R, averages, lost):
    assert ref.average_accuracy(R).tolist() == pytest.approx(averages, rel=4 * U)
    assert ref.forgetting(R) == lost


def test_accuracy_matrix_tests_all_tasks_after_each():
    learnt: list[Any] = []

    def test(model, device, x_test, t_test):
        assert (model, device, t_test) == ("model", CPU, "labels")
        return 10 * len(learnt) + x_test

    with mock.patch.dict(space, start_over=learnt.remove, test=test, model="model", device=CPU):
        learnt.append("network")  # start_over has to be called first, and with the network
        R = ref.accuracy_matrix("network", learnt.append, (1, 2, 3), "labels")
    assert learnt == [0, 1, 2]
    assert R.tolist() == [[11, 12, 13], [21, 22, 23], [31, 32, 33]]


# ------------------------------------------------------------------------------------ the notebook


@pytest.mark.parametrize("names", [[name] for name in GRADED] + [["ewc_lambda", "fisher_dict", "optpar_dict"]])
def test_definitions_need_neither_digits_nor_training(names):
    source = notebooks.source_of(notebooks.read(TEXT.encode()))
    bound = set().union(*(one.binds for one in source.definitions(names)))
    assert bound.isdisjoint({"load_digits", "x_train", "naive_R", "swept", "plt"})


ARGUMENTS: Any = {
    "permute_mnist": ([np.zeros((1, 784))], 0),
    "on_task_update": (0, np.zeros((1, 3)), np.zeros(1, int)),
    "ewc_penalty": (None, {}, {}, 1.0),
    "train_ewc": (nn.Linear(3, 2), CPU, 0, np.zeros((1, 3)), np.zeros(1, int), None, 1),
    "rehearsal_set": ([np.zeros((1, 3))], [np.zeros(1, int)]),
}


def test_template_leaves_no_trace_of_the_solutions():
    text, regions = template.cut_notebook(TEXT, PATH.name)
    assert regions == len(GRADED) == len(ARGUMENTS)
    assert not any(word in text for word in ("autograd.grad leaves", "would be another task", "[:None]", "SOLUTION"))
    bare = define(*GRADED, text=text)
    for name, arguments in ARGUMENTS.items():
        with pytest.raises(NotImplementedError, match=rf"^{name}: \w"):
            bare[name](*arguments)


def with_bodies(**bodies):
    """The notebook with other solutions of some of its graded functions."""
    notebook = json.loads(TEXT)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        for name, body in bodies.items():
            if cell["cell_type"] == "code" and f"def {name}(" in source:
                head, _, rest = source.partition("# BEGIN SOLUTION")
                indent = head.rpartition("\n")[2]
                _, _, tail = rest.partition("# END SOLUTION")
                cell["source"] = head.removesuffix(indent) + textwrap.indent(body, indent) + tail
    return json.dumps(notebook)


CHECKED = ["permute", "check-permute", "networks", "training", "fisher", "check-fisher", "penalty", "check-penalty"]
CHECKED = ["imports", "settings", *CHECKED, "train-ewc", "check-train-ewc", "rehearsal", "check-rehearsal"]


def self_checks(text, capsys):
    """The last line that each of the five checks prints."""
    capsys.readouterr()
    run(CHECKED, text)
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if "weights" not in line]


def test_self_checks_say_kindly_what_is_left(capsys):
    lines = self_checks(template.cut_notebook(TEXT, PATH.name)[0], capsys)
    assert len(lines) == len(GRADED)
    for line, name in zip(lines, GRADED, strict=True):
        assert line.startswith(f"Still to be written: {name}: ")


PERMUTE = """np.random.seed(seed)
order = np.random.permutation(784)
return [{each} for images in mnist]"""
ROW = "np.array([image.ravel()[order].reshape(image.shape) for image in images])"
FISHER = """optimizer.zero_grad()
loss = F.cross_entropy(model(torch.from_numpy(x_mem).to(device)), torch.from_numpy(t_mem).to(device))
{before}loss.backward()
fisher_dict[task_id], optpar_dict[task_id] = {{}}, {{}}
for name, p in model.named_parameters():
    fisher_dict[task_id][name] = {fisher}
    optpar_dict[task_id][name] = {optpar}"""
COPY, SQUARED = "p.data.clone()", "p.grad.data.clone().pow(2)"
PENALTY = """total = 0
for task in fisher_dict:
    for name, p in model.named_parameters():
        total += {term}
return {result}"""
TERM = "(fisher_dict[task][name] * (p - optpar_dict[task][name]).pow(2)).sum()"
LOSS = "loss = F.cross_entropy(model(images), labels)\n{more}"
EARLIER = """for task in {tasks}:
    loss = loss + ewc_penalty(model, {{task: fisher_dict[task]}}, {{task: optpar_dict[task]}}, ewc_lambda)"""
REHEARSAL = """x, t = list(x_tasks[-1:]), list(t_tasks[-1:])
for images, labels in zip({earlier}, {labels}):
    rows = np.random.default_rng(seed).choice(len(labels), per_task or len(labels), replace={replace})
    x.append(images[rows])
    t.append(labels[rows])
x, t = np.concatenate(x), np.concatenate(t)
return {result}"""


def permute(each=ROW):
    return {"permute_mnist": PERMUTE.format(each=each)}


def fisher(fisher=SQUARED, optpar=COPY, before=""):
    return {"on_task_update": FISHER.format(fisher=fisher, optpar=optpar, before=before)}


def penalty(term=TERM, result="ewc_lambda * total"):
    return {"ewc_penalty": PENALTY.format(term=term, result=result)}


def ewc(tasks="range(task_id)"):
    return {"train_ewc": LOSS.format(more=EARLIER.format(tasks=tasks) if tasks else "")}


def rehearsal(earlier="x_tasks[:-1]", labels="t_tasks[:-1]", replace="False", result="shuffle_in_unison([x, t], seed)"):
    body = REHEARSAL.format(earlier=earlier, labels=labels, replace=replace, result=result)
    return {"rehearsal_set": body}


def test_self_checks_accept_other_right_answers(capsys):
    lines = self_checks(with_bodies(**permute(), **fisher(), **penalty(), **ewc(), **rehearsal()), capsys)
    assert [line.partition(":")[0] for line in lines] == list(GRADED)


@pytest.mark.parametrize(
    ("bodies", "sentence"),
    [
        (permute("images"), "Another order of the pixels"),
        (permute("np.sort(images.reshape(len(images), -1))"), "The shapes"),
        (permute("images[:, :, ::-1][:, :, :, ::-1] * 0"), "keep its own pixels"),
        (permute("images[:, :, ::-1]"), "Another seed was expected"),
        (permute("np.array([np.random.permutation(i.ravel()).reshape(i.shape) for i in images])"), "all images of an"),
        (permute("images.reshape(-1, 784)[:, np.random.permutation(784)].reshape(images.shape)"), "all arrays"),
        (permute(f"images.__setitem__(..., {ROW}) or images"), "have changed"),
        (fisher(fisher="p.grad.data.clone()"), "For one image"),
        (fisher(fisher="p.grad.data.clone().abs()"), "For one image"),
        (fisher(fisher="p.data.clone()"), "For one image"),
        (
            fisher(before="loss = -loss\n", fisher="p.grad.data.clone().pow(1 + len(t_mem) // 2)"),
            "six images",
        ),
        (fisher(optpar="p.data"), "stay what the parameter was"),
        (fisher(before="task_id = 0\n"), r"fisher_dict\[1\] was expected"),
        (penalty(term=TERM.replace("pow(2)", "abs()")), "was expected, or"),
        (penalty(term=TERM.replace("sum", "mean")), "was expected, or"),
        (penalty(term=TERM.replace("fisher_dict[task][name] * ", "")), "was expected, or"),
        (penalty(term=TERM.replace("(p ", "(p.detach() ")), "have a gradient"),
        (penalty(result="-ewc_lambda * total"), "was expected, or"),
        (penalty(result="ewc_lambda ** 2 * total"), "was expected, or"),
        (penalty(term=TERM, result="ewc_lambda * torch.as_tensor(total) * torch.ones(2)"), "a scalar was expected"),
        (ewc(tasks=""), "On task 1"),
        (ewc(tasks="range(task_id + 1)"), "On task 0"),
        (ewc(tasks="range(max(task_id - 1, 0), task_id)"), "On task 2"),
        (ewc(tasks="fisher_dict"), "On task 0"),
        (
            rehearsal(result="(np.random.default_rng(1).permutation(x), np.random.default_rng(2).permutation(t))"),
            "label",
        ),
        (rehearsal(result="(x, t)"), "A random order"),
        (rehearsal(earlier="x_tasks[:1]", labels="t_tasks[:1]"), "images of the tasks were expected"),
        (rehearsal(earlier="x_tasks", labels="t_tasks"), "images of the tasks were expected"),
        (rehearsal(replace="True"), "once at most"),
        (rehearsal(result="(x[1:], t)"), "An image for each label"),
    ],
)
def test_self_checks_explain(bodies, sentence, capsys):
    with pytest.raises(AssertionError, match=sentence):
        self_checks(with_bodies(**bodies), capsys)


def test_notebook_runs_from_top_to_bottom(monkeypatch, capsys):
    monkeypatch.setenv("HW11_QUICK", "1")
    shown = []

    def show():
        import matplotlib.pyplot as plt

        plt.gcf().canvas.draw()
        shown.append(len(plt.gcf().axes))

    offline = mock.patch("urllib.request.urlopen", side_effect=OSError("offline"))
    with offline, mock.patch.dict("sys.modules", {"torchvision": None}):
        end = run(sources(), show=show)
    assert shown == [24, 4, 4, 2]
    for R, accs in ((end.naive_R, end.naive_accs), (end.ewc_R, end.ewc_accs), (end.rehe_R, end.rehe_accs)):
        assert R.shape == (3, 3) and (R >= 0).all() and (R <= 100).all()
        assert accs == R.mean(axis=1).tolist()
    assert np.array_equal(end.naive_R[0], end.ewc_R[0])  # without an earlier task EWC is plain training
    assert end.ewc_lambda == 30.0 and len(end.swept) == 4
    assert sorted(end.fisher_dict) == sorted(end.optpar_dict) == [0, 1, 2]
    printed = capsys.readouterr().out
    assert "MNIST could not be loaded" in printed and "Still to be written" not in printed
