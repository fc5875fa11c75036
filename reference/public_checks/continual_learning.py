"""The checks of question 3 in continual_learning.ipynb, once more; check.py runs them beside your definitions."""

# ruff: noqa: F821
# The names that are not defined here are those of the notebook.


def check_permute_mnist():
    """Stops with a sentence if permute_mnist is not what was asked for."""
    first = np.arange(2 * 784, dtype=np.float32).reshape(2, 1, 28, 28)  # every pixel has a value of its own
    second = first[:1] + 784
    before = first.copy()
    returned = permute_mnist([first, second], 5)
    assert isinstance(returned, list | tuple) and len(returned) == 2, "A list of the two permuted arrays was expected."
    assert np.array_equal(first, before), "The images that were given have changed; new arrays were expected."
    shapes = [tuple(images.shape) for images in returned]
    expected = [first.shape, second.shape]
    assert shapes == expected, f"The shapes {expected} were expected, not {shapes}."
    a, b, c = (np.asarray(image).ravel() for images in returned for image in images)  # three images (784,)
    assert np.array_equal(np.sort(a), before[0].ravel()), "Each image was expected to keep its own pixels, all of them."
    assert not np.array_equal(a, before[0].ravel()), "Another order of the pixels was expected, not the old one."
    assert np.array_equal(a + 784, b), "The same permutation was expected for all images of an array; two differ."
    assert np.array_equal(b, c), "The same permutation was expected for all arrays of the list; two differ."
    again, other = (np.asarray(permute_mnist([first], number)[0])[0].ravel() for number in (5, 6))
    assert np.array_equal(a, again), "The same seed was expected to give the same permutation; two calls differ."
    assert not np.array_equal(a, other), "Another seed was expected to give another permutation."


@contextmanager
def in_place_of(**names):
    """Binds global names to something else for a while."""
    before = {name: globals()[name] for name in names}
    globals().update(names)
    try:
        yield
    finally:
        globals().update(before)


def small_case():
    """A linear model of 4 inputs and 3 classes, its optimiser, 6 inputs (6, 4) and their labels (6,)."""
    rng = np.random.default_rng(0)
    small = nn.Linear(4, 3).to(device)
    with torch.no_grad():
        for weight in small.parameters():
            weight.copy_(torch.as_tensor(rng.normal(size=weight.shape)))
    plain = torch.optim.SGD(small.parameters(), lr=0.1)
    return small, plain, rng.normal(size=(6, 4)).astype(np.float32), np.array([0, 2, 1, 1, 0, 2])


# Below, numbers of size 10 at most come of sums of some ten float32 terms, each rounded a few times:
# 10 * 10 * 10 * 6e-8 = 6e-5 at most. Mistakes change them by 0.01 and more.
CLOSE = {"rtol": 0, "atol": 1e-4}


def right_fisher(p, inputs):
    """A function of a parameter's name and n: what its Fisher information over the first n images may be.

    Labels may be those of the data, the likeliest or drawn ones, so any of the three for each image, or the average
    over them; instead of an average there may be a sum, and a batch's gradient may be squared in the end.
    """
    each = p[:, None, :] - torch.eye(3, device=p.device)  # (6, 3, 3): an image, its label, the slope by the logits
    slopes = {"weight": each[:, :, :, None] * inputs[:, None, None, :], "bias": each}  # (6, 3, 3, 4) and (6, 3, 3)

    def kinds(name, n):
        labels = torch.cartesian_prod(*[torch.arange(3, device=p.device)] * n).reshape(-1, n)  # (3^n, n)
        slope = slopes[name][:n]
        chosen = slope[torch.arange(n, device=p.device), labels]  # (3^n, n, *shape)
        weights = p[:n].reshape(n, 3, *[1] * (slope.dim() - 2))
        means = [*chosen.square().mean(1), *chosen.mean(1).square(), (weights * slope.square()).sum(1).mean(0)]
        return [factor * one for one in means for factor in {1, n, n * n}]

    return kinds


def check_on_task_update():
    """Stops with a sentence if on_task_update is not what was asked for."""
    small, plain, x, t = small_case()
    F.cross_entropy(small(torch.as_tensor(x).to(device)), torch.as_tensor(t).to(device)).backward()  # as training would
    with in_place_of(model=small, optimizer=plain, fisher_dict={}, optpar_dict={}), torch.enable_grad():
        start = {name: weight.detach().clone() for name, weight in small.named_parameters()}
        on_task_update(0, x, t)
        on_task_update(1, x[:1], t[:1])
        with torch.no_grad():
            for weight in small.parameters():
                weight += 1
        for kind, stored in (("fisher_dict", fisher_dict), ("optpar_dict", optpar_dict)):
            for task_id in (0, 1):
                assert task_id in stored and set(stored[task_id]) == set(start), (
                    f"{kind}[{task_id}] was expected to have the names {sorted(start)}; {kind} is {stored}."
                )
        for name, weight in start.items():
            assert torch.equal(optpar_dict[0][name], weight), (
                f"optpar_dict[0][{name!r}] was expected to stay what the parameter was; when the parameter changed, so "
                "did this."
            )
        inputs, labels = torch.as_tensor(x, device=device), torch.as_tensor(t, device=device)
        p = F.linear(inputs, start["weight"], start["bias"]).softmax(1)  # (6, 3)
        residual = p - F.one_hot(labels, 3)  # (6, 3)
        slopes = {"weight": residual[:, :, None] * inputs[:, None, :], "bias": residual}  # (6, 3, 4) and (6, 3)
        kinds = right_fisher(p, inputs)
        for name, each in slopes.items():
            seen = torch.as_tensor(fisher_dict[1][name])
            shape, expected = tuple(seen.shape), tuple(each.shape[1:])
            assert shape == expected, f"The shape {expected} of {name} was expected, not {shape}."
            assert any(torch.allclose(seen, one, **CLOSE) for one in kinds(name, 1)), (
                f"For a single image fisher_dict[1][{name!r}] was expected to be its squared gradient, "
                f"{each[0].square().flatten()[0]:.4f} at first; it is {seen.flatten()[0]:.4f}."
            )
            seen = torch.as_tensor(fisher_dict[0][name])
            assert any(torch.allclose(seen, one, **CLOSE) for one in kinds(name, 6)), (
                f"For six images fisher_dict[0][{name!r}] was expected to be the average of their squared gradients, "
                f"{each.square().mean(0).flatten()[0]:.4f} at first; it is {seen.flatten()[0]:.4f}."
            )


def by_hand():
    """A linear model of 2 inputs and 1 output, and made-up dictionaries of two tasks, to calculate by hand."""

    def parts(*numbers):
        *weight, bias = map(float, numbers)
        return {"weight": torch.tensor([weight], device=device), "bias": torch.tensor([bias], device=device)}

    small = nn.Linear(2, 1).to(device)
    small.load_state_dict(parts(3, -1, 0.5))
    return small, {0: parts(2, 0, 4), 1: parts(1, 3, 0)}, {0: parts(1, 5, 0), 1: parts(3, 1, 7)}


def check_ewc_penalty():
    """Stops with a sentence if ewc_penalty is not what was asked for."""
    small, fisher, optpar = by_hand()
    # lambda = 3: the sum over parameters is 2 * 2^2 + 0 * 6^2 + 4 * 0.5^2 = 9 for task 0, and 12 for task 1.
    cases = {(): (0, 0, 0, 0), (0,): (13.5, 12, 0, 6), (1,): (18, 0, -18, 0), (0, 1): (31.5, 12, -18, 6)}
    for tasks, (value, *slope) in cases.items():
        penalty = ewc_penalty(small, *({task: kept[task] for task in tasks} for kept in (fisher, optpar)), 3.0)
        said = f"With lambda 3 and the tasks {list(tasks)} of the example"
        assert np.shape(penalty) == (), f"{said} a scalar was expected; its shape is {tuple(penalty.shape)}."
        seen = torch.as_tensor(penalty).item()  # small integers and halves, and 1e-4 for a constant such as 1e-6
        near = [one for one in (value, 2 * value) if abs(seen - one) <= 1e-4 * (1 + one)]
        assert near, f"{said} {value} was expected, or {2 * value} without the 1/2, not {seen}."
        if tasks:
            assert penalty.requires_grad, "The penalty was expected to have a gradient in the model's parameters."
            slopes = torch.autograd.grad(penalty, list(small.parameters()))
            seen, expected = torch.cat([one.flatten() for one in slopes]).tolist(), [g * near[0] / value for g in slope]
            assert np.allclose(seen, expected, rtol=1e-4, atol=1e-4), (
                f"{said} the gradient {expected} was expected, not {seen}."
            )


def check_train_ewc():
    """Stops with a sentence if a step of train_ewc is not what was asked for."""
    _, _, x, t = small_case()

    def kept(rng):
        small, *_ = small_case()
        parts = [(name, rng.uniform(size=weight.shape)) for name, weight in small.named_parameters()]
        return {name: torch.as_tensor(part, dtype=torch.float32, device=device) for name, part in parts}

    rng = np.random.default_rng(1)
    fisher, optpar = ({task: kept(rng) for task in range(3)} for _ in range(2))  # of later tasks, too: not to be used

    def step(method, *task_id):
        """By how much one batch changes the parameters: (15,)."""
        small, plain, *_ = small_case()
        start = nn.utils.parameters_to_vector(small.parameters()).detach()
        names = {"model": small, "optimizer": plain, "fisher_dict": fisher, "optpar_dict": optpar, "ewc_lambda": 3.0}
        with in_place_of(**names):
            method(small, device, *task_id, x, t, plain, 1)
        return nn.utils.parameters_to_vector(small.parameters()).detach() - start

    for task_id in range(3):
        small, *_ = small_case()
        expected = [step(train)]
        if task_id:
            penalty = ewc_penalty(small, *({i: of[i] for i in range(task_id)} for of in (fisher, optpar)), 3.0)
            slopes = torch.autograd.grad(penalty, list(small.parameters()))
            way = 0.1 * torch.cat([slope.flatten() for slope in slopes])  # 0.1: the learning rate
            expected = [expected[0] - factor * way for factor in (1, 2, 0.5)]  # with or without the 1/2 of the formula
        seen = step(train_ewc, task_id)
        assert any(torch.allclose(seen, one, **CLOSE) for one in expected), (
            f"On task {task_id} the step of train was expected, and one down the slope of the penalty of the tasks "
            f"{list(range(task_id))}; the parameters went another way."
        )


def check_rehearsal_set():
    """Stops with a sentence if rehearsal_set is not what was asked for."""
    sizes = (30, 20, 10)
    t_tasks = [100 * task + np.arange(size) for task, size in enumerate(sizes)]  # every image has a label of its own
    x_tasks = [np.tile(t.reshape(-1, 1, 1, 1), (1, 1, 28, 28)).astype(np.float32) for t in t_tasks]
    for per_task, expected in ((None, [30, 20, 10]), (5, [5, 5, 10])):
        x, t = map(np.asarray, rehearsal_set(x_tasks, t_tasks, per_task=per_task))
        asked = f"with sizes {list(sizes)} and per_task={per_task}"
        assert len(x) == len(t), f"An image for each label was expected, not {len(x)} images and {len(t)} labels."
        assert np.array_equal(x[:, 0, 0, 0], t), "Each image was expected to keep its label; some have another one now."
        counts = np.bincount(t // 100, minlength=len(sizes)).tolist()
        assert counts == expected, f"{expected} images of the tasks were expected {asked}, not {counts}."
        assert len(set(t.tolist())) == len(t), f"Each image was expected once at most {asked}; some come twice."
        turns = np.count_nonzero(np.diff(t // 100))  # by chance two or fewer once in a million orders
        assert turns > 2, f"A random order was expected {asked}; the tasks come one after the other."
