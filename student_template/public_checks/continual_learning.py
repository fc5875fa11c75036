"""The checks of question 3 in continual_learning.ipynb, once more; check.py runs them beside your definitions."""

# ruff: noqa: F821
# The names that are not defined here are those of the notebook.

FORMS = (  # of images, and of ewc_lambda: as they are here, and as they are in some notebooks
    (np.copy, float),
    (torch.tensor, float),
    (np.copy, lambda value: [value] * 16),
    (np.copy, lambda value: dict.fromkeys(range(16), value)),
    (np.copy, lambda value: torch.full((16,), value)),
    (np.copy, lambda value: np.full(16, value)),
    (np.copy, torch.tensor),
    (np.copy, np.float64),
)


def in_some_form(check):
    """Runs check(images, strength): with numpy arrays and a float; in other forms where your code cannot take these."""
    first = None
    for form in FORMS:
        try:
            return check(*form)
        except Exception as error:
            if first is None and not isinstance(error, TypeError | AttributeError | IndexError):
                raise
            first = first or error
    raise first


def permuted_alike(form, _):
    first = np.arange(2 * 784, dtype=np.float32).reshape(2, 1, 28, 28)  # every pixel has a value of its own
    before, second = form(first), form(first[:1] + 784)
    returned = permute_mnist([before, second], 5)
    assert isinstance(returned, list | tuple) and len(returned) == 2, "A list of the two permuted arrays was expected."
    assert np.array_equal(first, before), "The images that were given have changed; new arrays were expected."
    shapes = [tuple(images.shape) for images in returned]
    expected = [tuple(first.shape), tuple(second.shape)]
    assert shapes == expected, f"The shapes {expected} were expected, not {shapes}."
    a, b, c = (np.asarray(image).ravel() for images in returned for image in images)  # three images (784,)
    assert np.array_equal(np.sort(a), first[0].ravel()), "Each image was expected to keep its own pixels, all of them."
    assert not np.array_equal(a, first[0].ravel()), "Another order of the pixels was expected, not the old one."
    assert np.array_equal(a + 784, b), "The same permutation was expected for all images of an array; two differ."
    assert np.array_equal(b, c), "The same permutation was expected for all arrays of the list; two differ."
    again, other = (np.asarray(permute_mnist([form(first)], number)[0])[0].ravel() for number in (5, 6))
    assert np.array_equal(a, again), "The same seed was expected to give the same permutation; two calls differ."
    assert not np.array_equal(a, other), "Another seed was expected to give another permutation."


def check_permute_mnist():
    """Stops with a sentence if permute_mnist is not what was asked for."""
    in_some_form(permuted_alike)


@contextmanager
def in_place_of(**names):
    """Binds global names to something else for a while."""
    before = {name: globals()[name] for name in names if name in globals()}
    globals().update(names)
    try:
        yield
    finally:
        globals().update(before)


class Small(nn.Module):
    """A linear model of the first pixels of images (n, 1, 28, 28), which notes the last one, the image's number."""

    def __init__(self, pixels, classes, seed=0):
        super().__init__()
        self.linear = nn.Linear(pixels, classes)
        self.seen = []
        numbers = np.random.default_rng(seed)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.as_tensor(numbers.normal(scale=0.5, size=weight.shape)))
        self.to(device)

    def forward(self, x):
        flat = x.flatten(1)
        if torch.is_grad_enabled():
            try:  # noqa: SIM105
                self.seen += flat[:, -1].tolist()
            except RuntimeError:  # inside of vmap there are no numbers
                pass
        return self.linear(flat[:, : self.linear.in_features].float())


def images_of(pixels):
    """Images (n, 1, 28, 28) with these first pixels (n, d), their number as the last, and zeros between."""
    images = np.zeros((len(pixels), 784), np.float32)
    images[:, : pixels.shape[1]] = pixels
    images[:, -1] = np.arange(len(pixels))
    return images.reshape(-1, 1, 28, 28)


def squares_of(slopes, p):
    """The squares of an image's slopes, one of (3, ...) for each label: of any label, or their mean by p (3,)."""
    squares = slopes.square()
    return [*squares, torch.tensordot(p, squares, 1)]


def in_proportion(seen, candidates):
    """Whether `seen` is one of the candidates times a positive number, which lambda would make up for.

    Slopes err by some ten roundings of numbers below 10, 10 * 10 * 6e-8, against a largest one above 0.1; and they
    may have a constant of 1e-6 at a logarithm. Mistakes change the direction by 0.05 and more.
    """
    return any(torch.allclose(F.normalize(seen.flatten(), dim=0), F.normalize(one.flatten(), dim=0), rtol=0, atol=5e-3)
               for one in candidates)  # fmt: skip


def rounded(numbers):
    """Numbers for a message."""
    return [round(one, 3) for one in numbers.tolist()]


def updates(form, _):
    small = Small(12, 3)
    plain = torch.optim.SGD(small.parameters(), lr=0.1)
    rng = np.random.default_rng(0)
    apart = np.kron(np.diag(rng.uniform(0.5, 1, 6)), [1, 3])  # (6, 12): each image has two pixels of its own, a and 3 a
    twice = np.tile(rng.normal(size=12), (2, 1))  # (2, 12): one image, two times
    t = np.array([0, 2, 1, 1, 0, 2])
    for weight in small.parameters():
        weight.grad = torch.ones_like(weight)  # as training would leave something
    with in_place_of(model=small, optimizer=plain, fisher_dict={}, optpar_dict={}), torch.enable_grad():
        start = {name: weight.detach().clone() for name, weight in small.named_parameters()}
        on_task_update(0, form(images_of(apart)), form(t))
        on_task_update(1, form(images_of(twice)), form(t[:2] * 0 + 1))
        with torch.no_grad():
            for weight in small.parameters():
                weight += 1
        for kind, stored in (("fisher_dict", fisher_dict), ("optpar_dict", optpar_dict)):
            for task_id in (0, 1):
                assert task_id in stored and set(start) <= set(stored[task_id]), (
                    f"{kind}[{task_id}] was expected to have the names {sorted(start)}; {kind} is {stored}."
                )
        for name, weight in start.items():
            assert torch.equal(torch.as_tensor(optpar_dict[0][name]).to(device), weight), (
                f"optpar_dict[0][{name!r}] was expected to stay what the parameter was; when the parameter changed, so "
                "did this."
            )
        fisher = {}
        for task_id in (0, 1):
            for name, weight in start.items():
                fisher[task_id, name] = seen = torch.as_tensor(fisher_dict[task_id][name]).detach().to(device).float()
                shape, expected = tuple(seen.shape), tuple(weight.shape)
                assert shape == expected, f"The shape {expected} of {name} was expected, not {shape}."
    weight, bias = start.values()

    def slopes_of(pixels):
        """The probabilities (3,) of an image (12,), and the slopes by the logits (3, 3), one row for each label."""
        p = F.linear(torch.as_tensor(pixels, device=device).float(), weight, bias).softmax(0)
        return p, p - torch.eye(3, device=device)

    # One image twice: whatever the batches are, the sum is of squares like these; labels may be drawn for each.
    p, slopes = slopes_of(twice[0])
    pairs = [slopes[i].square() + slopes[j].square() for i in range(3) for j in range(3)]
    pairs += [(slopes[i] + slopes[j]).square() for i in range(3) for j in range(3)]
    right = [p @ slopes.square(), *pairs]  # by the logits (3,), which are the biases
    inputs = torch.as_tensor(twice[0], device=device).float().square()
    seen = torch.cat([fisher[1, name].reshape(3, -1) for name in start], 1)  # (3, 13)
    both = [torch.cat([one[:, None] * inputs, one[:, None]], 1) for one in right]
    one, first = slopes[1].square(), seen[:, -1]
    assert in_proportion(seen, both), (
        "For one image, which was given twice, fisher_dict[1] was expected to be its squared gradient, up to a factor: "
        f"for the biases {rounded(one / one.max())} times a number. Divided by their largest they are "
        f"{rounded(first / first.abs().max())}; or the weights do not fit."
    )
    # Images of which each has pixels of its own: in these columns no other image counts, whatever the batches are.
    for row, pixels in enumerate(apart):
        a, b = fisher[0, "linear.weight"][:, 2 * row : 2 * row + 2].T  # (3,) each
        if row == 5 and not a.any() and not b.any():
            continue  # the last image alone makes no batch in some loops
        p, slopes = slopes_of(pixels)
        said = f"For six images fisher_dict[0] was expected to have each image's squared gradient; of image {row}"
        assert a.any(), f"{said} there is nothing."
        assert in_proportion(torch.cat([a, b]), [torch.cat([one, 9 * one]) for one in squares_of(slopes, p)]), (
            f"{said}, for pixels of 1 and 3, {rounded(torch.cat([a, b]) / a.abs().max())} is not in proportion to it."
        )


def check_on_task_update():
    """Stops with a sentence if on_task_update is not what was asked for."""
    in_some_form(updates)


def by_hand():
    """A linear model of 2 inputs and 1 output, and made-up dictionaries of two tasks, to calculate by hand."""

    def parts(*numbers):
        *weight, bias = map(float, numbers)
        return {"weight": torch.tensor([weight], device=device), "bias": torch.tensor([bias], device=device)}

    small = nn.Linear(2, 1).to(device)
    small.load_state_dict(parts(3, -1, 0.5))
    return small, {0: parts(2, 0, 4), 1: parts(1, 3, 0)}, {0: parts(1, 5, 0), 1: parts(3, 1, 7)}


def penalises(_, strength):
    small, fisher, optpar = by_hand()
    # lambda = 3: the sum over parameters is 2 * 2^2 + 0 * 6^2 + 4 * 0.5^2 = 9 for task 0, and 12 for task 1.
    cases = {(): (0, 0, 0, 0), (0,): (13.5, 12, 0, 6), (1,): (18, 0, -18, 0), (0, 1): (31.5, 12, -18, 6)}
    for tasks, (value, *slope) in cases.items():
        penalty = ewc_penalty(small, *({i: kept[i] for i in tasks} for kept in (fisher, optpar)), strength(3.0))
        said = f"With lambda 3 and the tasks {list(tasks)} of the example"
        assert np.prod(np.shape(penalty)) == 1, f"{said} a scalar was expected; its shape is {tuple(penalty.shape)}."
        seen = torch.as_tensor(penalty).item()  # small integers and halves, and 1e-4 for a constant such as 1e-6
        near = [one for one in (value, 2 * value) if abs(seen - one) <= 1e-4 * (1 + one)]
        assert near, f"{said} {value} was expected, or {2 * value} without the 1/2, not {seen}."
        if tasks:
            assert penalty.requires_grad, "The penalty was expected to have a gradient in the model's parameters."
            slopes = torch.autograd.grad(penalty.sum(), list(small.parameters()))
            seen, expected = torch.cat([one.flatten() for one in slopes]).tolist(), [g * near[0] / value for g in slope]
            assert np.allclose(seen, expected, rtol=1e-4, atol=1e-4), (
                f"{said} the gradient {expected} was expected, not {seen}."
            )


def check_ewc_penalty():
    """Stops with a sentence if ewc_penalty is not what was asked for."""
    in_some_form(penalises)


class Noting(torch.optim.SGD):
    """Gradient descent that notes of each step the parameters before it, the gradient, and the images of its batch."""

    def __init__(self, small):
        super().__init__(small.parameters(), lr=0.01)
        self.small, self.notes = small, []

    def step(self, closure=None):
        loss = None if closure is None else closure()
        weights = list(self.small.parameters())
        slopes = [torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in weights]
        batch = [int(number) for number in dict.fromkeys(self.small.seen)]
        self.notes.append((*([one.detach().clone() for one in each] for each in (weights, slopes)), batch))
        self.small.seen.clear()
        super().step()
        return loss


def trains(form, strength):
    rng = np.random.default_rng(1)
    x, t = images_of(rng.normal(size=(6, 4))), np.array([0, 2, 1, 1, 0, 2])
    shapes = {name: weight.shape for name, weight in Small(4, 3).named_parameters()}

    def kept():
        parts = {name: rng.uniform(0.2, 2, size=shape) for name, shape in shapes.items()}
        return {name: torch.as_tensor(part, dtype=torch.float32, device=device) for name, part in parts.items()}

    fisher, optpar = ({task: kept() for task in range(3)} for _ in range(2))  # of later tasks, too: not to be used
    calls = []

    def made_up(model, fisher_dict, optpar_dict, ewc_lambda):
        """In place of ewc_penalty, so that train_ewc alone is checked: a penalty whose slopes are known."""
        calls.append(list(fisher_dict))
        one_each = isinstance(ewc_lambda, dict) or np.ndim(ewc_lambda) > 0
        sizes = {i: ewc_lambda[i] if one_each else ewc_lambda for i in fisher_dict}
        sums = [(weight * fisher_dict[i][name]).sum() * size for i, size in sizes.items()
                for name, weight in model.named_parameters()]  # fmt: skip
        return sum(sums)

    names = {"fisher_dict": fisher, "optpar_dict": optpar, "ewc_lambda": strength(3.0)}
    own = globals().get("ewc_penalty")
    if getattr(own, "__code__", None) and own.__code__.co_varnames[: own.__code__.co_argcount] == (
        *("model", "fisher_dict", "optpar_dict", "ewc_lambda"),
    ):
        names["ewc_penalty"] = made_up
    for task_id in range(3):
        small = Small(4, 3, seed=2)
        noting = Noting(small)
        calls.clear()
        with in_place_of(model=small, optimizer=noting, **names):
            train_ewc(small, device, task_id, form(x), form(t), noting, 1)
        asked = f"On task {task_id} a step was expected down the slope of the cross entropy"
        more = f" and of the penalty of the tasks {list(range(task_id))}" if task_id else ""
        assert noting.notes, f"{asked}{more}; `optimizer.step()` was never called."
        for weights, slopes, batch in noting.notes:
            assert batch, f"{asked}{more}; it was made without a call of the model."
            plain, rest = Small(4, 3), []
            for one, weight in zip(plain.parameters(), weights, strict=True):
                one.data.copy_(weight)
            loss = F.cross_entropy(plain(torch.as_tensor(x[batch], device=device)), torch.tensor(t[batch]).to(device))
            for one, slope in zip(torch.autograd.grad(loss, list(plain.parameters())), slopes, strict=True):
                rest.append(slope - one)
            if calls:  # the slope of the penalty that was made up
                ways = [[3.0 * sum(fisher[i][name] for i in range(task_id)) for name in shapes]] if task_id else []
            else:  # lambda F (theta - theta_k), or twice that without the 1/2
                hung = [
                    sum((3.0 * fisher[i][name] * (one - optpar[i][name]) for i in range(task_id)), 0 * one)
                    for name, one in zip(shapes, weights, strict=True)
                ]
                ways = [[factor * one for one in hung] for factor in (1, 2)]
            ways = ways if task_id else [[torch.zeros_like(one) for one in weights]]
            # Sums of some ten float32 terms of size 20 at most, each rounded a few times: 10 * 20 * 10 * 6e-8.
            assert any(
                all(torch.allclose(*pair, rtol=0, atol=2e-4) for pair in zip(rest, way, strict=True)) for way in ways
            ), f"{asked}{more}; the gradient at a call of `optimizer.step()` was another one."


def check_train_ewc():
    """Stops with a sentence if a step of train_ewc is not what was asked for."""
    in_some_form(trains)


def rehearses(form, _):
    sizes = (30, 20, 10)
    t_tasks = [100 * task + np.arange(size) for task, size in enumerate(sizes)]  # every image has a label of its own
    x_tasks = [np.tile(t.reshape(-1, 1, 1, 1), (1, 1, 28, 28)).astype(np.float32) for t in t_tasks]
    for per_task, expected in ((None, [30, 20, 10]), (5, [5, 5, 10])):
        given, few = [[form(one) for one in each] for each in (x_tasks, t_tasks)], {"per_task": per_task}
        x, t = map(np.asarray, rehearsal_set(*given, **(few if per_task else {})))
        asked = f"with sizes {list(sizes)}{f' and per_task={per_task}' if per_task else ''}"
        assert len(x) == len(t), f"An image for each label was expected, not {len(x)} images and {len(t)} labels."
        assert np.array_equal(x[:, 0, 0, 0], t), "Each image was expected to keep its label; some have another one now."
        counts = np.bincount(t // 100, minlength=len(sizes)).tolist()
        assert counts == expected, f"{expected} images of the tasks were expected {asked}, not {counts}."
        assert len(set(t.tolist())) == len(t), f"Each image was expected once at most {asked}; some come twice."
        turns = np.count_nonzero(np.diff(t // 100))  # by chance two or fewer once in a million orders
        assert turns > 2, f"A random order was expected {asked}; the tasks come one after the other."


def check_rehearsal_set():
    """Stops with a sentence if rehearsal_set is not what was asked for."""
    in_some_form(rehearses)
