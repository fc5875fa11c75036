"""Wrong, right and half-right solutions for question 3: permuted pixels, elastic weight consolidation and rehearsal."""

from functools import partial

from autograder.audit.variants import Variant, written

PERMUTE, FISHER, KEPT = (f"continual_learning.{name}" for name in ("permute", "fisher", "fisher_parameters"))
PENALTY, TRAINING, REHEARSAL = (f"continual_learning.{name}" for name in ("penalty", "train_ewc", "rehearsal"))
BEHAVIOUR = "continual_learning.behaviour"

FILE = "continual_learning.ipynb"
_permute = partial(written, "permute", FILE)  # permute_mnist(mnist, seed)
_update = partial(written, "update", FILE)  # on_task_update(task_id, x_mem, t_mem)
_penalty = partial(written, "penalty", FILE)  # ewc_penalty(model, fisher_dict, optpar_dict, ewc_lambda)
_epoch = partial(written, "epoch", FILE)  # train_ewc(model, device, task_id, x_train, t_train, optimizer, epoch), train
_rehearsal = partial(written, "rehearsal", FILE)  # rehearsal_set(x_tasks, t_tasks, *, per_task=None, seed=0)

BATCHES = """
def on_task_update(task_id, x_mem, t_mem):
    optimizer.zero_grad()
    for start in range(0, len(t_mem), 256):
        x, t = torch.as_tensor(x_mem[start : start + 256]), torch.as_tensor(t_mem[start : start + 256]).long()
        loss = F.cross_entropy(model(x), t)
        loss.backward()
"""
"""A right beginning: the gradients add up over batches."""
STORED = """
    optpar_dict[task_id] = {name: p.detach().clone() for name, p in model.named_parameters()}
"""
"""A right end: what the parameters were."""
SQUARED = """
    fisher_dict[task_id] = {name: p.grad.detach().clone() ** 2 for name, p in model.named_parameters()}
"""
"""A right middle: the Fisher information."""


def _summed(term: str, tasks: str = "fisher_dict", result: str = "ewc_lambda * total") -> str:
    """A penalty that adds up a term over tasks and parameters."""
    return f"""
def ewc_penalty(model, fisher_dict, optpar_dict, ewc_lambda):
    total = torch.zeros(())
    for task in {tasks}:
        for name, p in model.named_parameters():
            fisher, old = fisher_dict[task][name], optpar_dict[task][name]
            total = total + {term}
    return {result}
"""


def _trained(loss: str, *, before: str = "", after: str = "") -> str:
    """An epoch with this loss; what is done ahead of the loop, and between `backward` and the step."""
    return f"""
def train_ewc(model, device, task_id, x_train, t_train, optimizer, epoch):
    model.train()
    {before or "pass"}
    for start in range(0, len(t_train), 256):
        x, t = torch.as_tensor(x_train[start : start + 256]), torch.as_tensor(t_train[start : start + 256]).long()
        optimizer.zero_grad()
        loss = {loss}
        loss.backward()
        {after or "pass"}
        optimizer.step()
"""


PLAIN = "F.cross_entropy(model(x), t)"
BEFORE = (
    "ewc_penalty(model, {k: fisher_dict[k] for k in range(task_id)}, "
    "{k: optpar_dict[k] for k in range(task_id)}, ewc_lambda)"
)
"""The penalty of the tasks before this one."""
EVERY = "ewc_penalty(model, fisher_dict, optpar_dict, ewc_lambda)"
"""That of all entries, whatever the dictionaries hold."""
PENALISED = f"{PLAIN} + {BEFORE}"


TERM = "(fisher_dict[task][name] * (optpar_dict[task][name] - param).pow(2)).sum() * ewc_lambda"
"""What public notebooks add to the loss for every task and parameter."""


def _written_out(term: str = TERM, tasks: str = "range(task_id)", *, add: str = "loss +=", sum: str = "loss") -> str:
    """An epoch as public notebooks have it, with the penalty in the loop."""
    return f"""
def train_ewc(model, device, task_id, x_train, t_train, optimizer, epoch):
    model.train()
    for start in range(0, len(t_train) - 1, 256):
        x, y = torch.as_tensor(x_train[start : start + 256]), torch.as_tensor(t_train[start : start + 256]).long()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        pen = 0
        for task in {tasks}:
            for name, param in model.named_parameters():
                {add} {term}
        loss = {sum}
        loss.backward()
        optimizer.step()
"""


def _together(body: str) -> str:
    """A set for rehearsal: what is done between the beginning and the end of a right function."""
    return f"""
def rehearsal_set(x_tasks, t_tasks, *, per_task=None, seed=0):
    rng = np.random.default_rng(seed)
    xs, ts = list(x_tasks), list(t_tasks)
    if per_task is not None:
        for task in range(len(xs) - 1):
            kept = rng.choice(len(ts[task]), per_task, replace=False)
            xs[task], ts[task] = xs[task][kept], ts[task][kept]
{body}
"""


# ----------------------------------------------------------------------------------------------------
# Wrong solutions
# ----------------------------------------------------------------------------------------------------

WRONG: tuple[Variant, ...] = (
    # Permuted pixels.
    _permute("each-image", "Every image gets a permutation of its own.",
             """
             def permute_mnist(mnist, seed):
                 rng = np.random.default_rng(seed)
                 return [np.stack([rng.permutation(image.ravel()).reshape(image.shape) for image in images])
                         for images in mnist]
             """, caught_by=(PERMUTE,), diagnosis="permute_each_image"),
    _permute("each-array", "The permutation is drawn inside of the loop over the arrays.",
             """
             def permute_mnist(mnist, seed):
                 rng = np.random.default_rng(seed)
                 return [images.reshape(len(images), -1)[:, rng.permutation(784)].reshape(images.shape)
                         for images in mnist]
             """, caught_by=(PERMUTE,), diagnosis="permute_each_array"),
    _permute("fixed-seed", "The seed is written out, and the argument is not used.",
             """
             def permute_mnist(mnist, seed):
                 order = np.random.default_rng(42).permutation(784)
                 return [images.reshape(len(images), -1)[:, order].reshape(images.shape) for images in mnist]
             """, caught_by=(PERMUTE,), diagnosis="permute_seed_ignored"),
    _permute("no-seed", "The generator is not seeded.",
             """
             def permute_mnist(mnist, seed):
                 order = np.random.permutation(784)
                 return [images.reshape(len(images), -1)[:, order].reshape(images.shape) for images in mnist]
             """, caught_by=(PERMUTE,), diagnosis="permute_unseeded"),
    _permute("images", "The images change places, not their pixels.",
             """
             def permute_mnist(mnist, seed):
                 return [np.roll(images, 1, axis=0) for images in mnist]
             """, caught_by=(PERMUTE,), diagnosis="permute_values"),
    _permute("in-place", "The given arrays are written to.",
             """
             def permute_mnist(mnist, seed):
                 order = np.random.default_rng(seed).permutation(784)
                 for images in mnist:
                     images[:] = images.reshape(len(images), -1)[:, order].reshape(images.shape)
                 return mnist
             """, caught_by=(PERMUTE,), diagnosis="in_place"),
    _permute("rows", "Rows of pixels are permuted as a whole.",
             """
             def permute_mnist(mnist, seed):
                 order = np.random.default_rng(seed).permutation(28)
                 return [images[:, :, order] for images in mnist]
             """, caught_by=(PERMUTE,), diagnosis="permute_rows"),
    _permute("flat", "The images are not brought back into their shape.",
             """
             def permute_mnist(mnist, seed):
                 order = np.random.default_rng(seed).permutation(784)
                 return [images.reshape(len(images), -1)[:, order] for images in mnist]
             """, caught_by=(PERMUTE,), diagnosis="shape"),
    _permute("same", "shuffle() works on the copy that tolist() made.",
             """
             def permute_mnist(mnist, seed):
                 order = np.arange(784)
                 np.random.default_rng(seed).shuffle(order.tolist())
                 return [images.reshape(len(images), -1)[:, order].reshape(images.shape) for images in mnist]
             """, caught_by=(PERMUTE,), diagnosis="permute_none"),
    _permute("only-array", "The arrays are stacked into one.",
             """
             def permute_mnist(mnist, seed):
                 order = np.random.default_rng(seed).permutation(784)
                 images = np.concatenate(mnist)
                 return images.reshape(len(images), -1)[:, order].reshape(images.shape)
             """, caught_by=(PERMUTE,), diagnosis="unusable"),
    _permute("with-replacement", "Pixels are drawn with replacement.",
             """
             def permute_mnist(mnist, seed):
                 order = np.random.default_rng(seed).integers(0, 784, 784)
                 return [images.reshape(len(images), -1)[:, order].reshape(images.shape) for images in mnist]
             """, caught_by=(PERMUTE,), diagnosis="permute_values"),
    # The Fisher information.
    _update("not-squared", "The gradients are stored as they are.",
            BATCHES + "    fisher_dict[task_id] = {n: p.grad.detach().clone() for n, p in model.named_parameters()}\n"
            + STORED, caught_by=(FISHER, BEHAVIOUR), diagnosis="fisher_not_squared"),
    _update("zeroed-once", "The gradients of all images before it are in each image's square.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                fisher_dict[task_id] = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
                model.zero_grad()
                for k in range(len(t_mem)):
                    x, t = torch.as_tensor(x_mem[k : k + 1]), torch.as_tensor(t_mem[k : k + 1]).long()
                    F.cross_entropy(model(x), t).backward()
                    for name, p in model.named_parameters():
                        fisher_dict[task_id][name] += p.grad.detach() ** 2 / len(t_mem)
                optpar_dict[task_id] = {name: p.detach().clone() for name, p in model.named_parameters()}
            """,
            caught_by=(FISHER,), diagnosis="fisher_accumulated"),
    _update("absolute", "The gradients' size is stored.",
            BATCHES + "    fisher_dict[task_id] = {n: p.grad.abs() for n, p in model.named_parameters()}\n" + STORED,
            caught_by=(FISHER,), diagnosis="fisher_absolute"),
    _update("root", "The root of the mean square of each image's gradient is taken.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                total = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
                for x, t in zip(torch.as_tensor(x_mem), torch.as_tensor(t_mem).long()):
                    model.zero_grad()
                    F.cross_entropy(model(x[None]), t[None]).backward()
                    for n, p in model.named_parameters():
                        total[n] += p.grad ** 2
                fisher_dict[task_id] = {n: (f / len(t_mem)).sqrt() for n, f in total.items()}
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """, caught_by=(FISHER,)),
    _update("negative", "The square has a minus, as the Hessian of the log-likelihood has.",
            BATCHES + "    fisher_dict[task_id] = {n: -p.grad.square() for n, p in model.named_parameters()}\n"
            + STORED, caught_by=(FISHER, BEHAVIOUR), diagnosis="fisher_sign"),
    _update("squared-twice", "What is squared already is squared again.",
            BATCHES + "    fisher_dict[task_id] = {n: p.grad.pow(2).pow(2) for n, p in model.named_parameters()}\n"
            + STORED, caught_by=(FISHER,), diagnosis="fisher_fourth_power", sometimes=(BEHAVIOUR,)),
    _update("not-zeroed", "What training left of gradients is added to.",
            BATCHES.replace("    optimizer.zero_grad()\n", "") + SQUARED + STORED,
            caught_by=(FISHER,), diagnosis="fisher_not_zeroed", sometimes=(BEHAVIOUR,)),
    _update("no-backward", "The gradients are those that training left.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                loss = F.cross_entropy(model(torch.as_tensor(x_mem)), torch.as_tensor(t_mem).long())
                fisher_dict[task_id] = {n: p.grad.clone() ** 2 for n, p in model.named_parameters()}
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """, caught_by=(FISHER,), diagnosis="fisher_not_zeroed", sometimes=(BEHAVIOUR,)),
    _update("last-batch", "Gradients are set to zero for every batch, and squared after the last one.",
            BATCHES.replace("        loss.backward()", "        optimizer.zero_grad()\n        loss.backward()")
            + SQUARED + STORED, caught_by=(FISHER,), diagnosis="fisher_last_batch"),
    _update("last-image", "Every image's square takes the place of the one before.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                for x, t in zip(torch.as_tensor(x_mem), torch.as_tensor(t_mem).long()):
                    model.zero_grad()
                    F.cross_entropy(model(x[None]), t[None]).backward()
                    fisher_dict[task_id] = {n: p.grad ** 2 for n, p in model.named_parameters()}
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """, caught_by=(FISHER,), diagnosis="fisher_last_batch", sometimes=(BEHAVIOUR,)),
    _update("of-parameters", "The parameters are squared, not their gradients.",
            BATCHES + "    fisher_dict[task_id] = {n: p.detach() ** 2 for n, p in model.named_parameters()}\n" + STORED,
            caught_by=(FISHER,), diagnosis="fisher_parameters", sometimes=(BEHAVIOUR,)),
    _update("loss", "The squared loss is stored for every parameter.",
            BATCHES + """
    fisher_dict[task_id] = {n: torch.full_like(p, loss.item() ** 2) for n, p in model.named_parameters()}
""" + STORED, caught_by=(FISHER,), diagnosis="fisher_constant", sometimes=(BEHAVIOUR,)),
    _update("nll-of-logits", "nll_loss is given logits.",
            BATCHES.replace("F.cross_entropy", "F.nll_loss") + SQUARED + STORED,
            caught_by=(FISHER,), diagnosis="fisher_loss", sometimes=(BEHAVIOUR,)),
    _update("squared-error", "The loss is the squared distance from the one-hot label.",
            BATCHES.replace("F.cross_entropy(model(x), t)", "((model(x) - torch.eye(len(model(x).T))[t]) ** 2).mean()")
            + SQUARED + STORED, caught_by=(FISHER,), diagnosis="fisher_loss", sometimes=(BEHAVIOUR,)),
    _update("no-bias", "Parameters with one dimension are left out.",
            BATCHES + """
    fisher_dict[task_id] = {n: p.grad ** 2 for n, p in model.named_parameters() if p.dim() > 1}
""" + STORED, caught_by=(FISHER, BEHAVIOUR), diagnosis="fisher_missing"),
    _update("last-parameter", "The dictionary is made anew for every parameter.",
            BATCHES + """
    for name, p in model.named_parameters():
        fisher_dict[task_id] = {name: p.grad.clone() ** 2}
""" + STORED, caught_by=(FISHER, BEHAVIOUR), diagnosis="fisher_missing"),
    _update("one-task", "The dictionaries are emptied before every task.",
            BATCHES.replace("    optimizer.zero_grad()\n", "    fisher_dict.clear()\n    optimizer.zero_grad()\n", 1)
            + SQUARED + STORED, caught_by=(FISHER,), diagnosis="fisher_missing"),
    _update("running-sum", "The Fisher information is added to that of the first task.",
            BATCHES + """
    for name, p in model.named_parameters():
        fisher_dict.setdefault(task_id, {})[name] = p.grad.clone() ** 2
        if task_id:
            fisher_dict[0][name] += fisher_dict[task_id][name]
""" + STORED, caught_by=(FISHER,), diagnosis="fisher_overwritten"),
    _update("graph", "The gradients have a graph of their own.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                names = [n for n, _ in model.named_parameters()]
                loss = F.cross_entropy(model(torch.as_tensor(x_mem)), torch.as_tensor(t_mem).long())
                slopes = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
                fisher_dict[task_id] = {n: g**2 for n, g in zip(names, slopes)}
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """, caught_by=(FISHER, BEHAVIOUR), diagnosis="fisher_graph"),
    _update("likeliest-last-batch", "The model's likeliest labels, of which only the last batch is left.",
            BATCHES.replace("loss = F.cross_entropy(model(x), t)", "optimizer.zero_grad(); out = model(x)\n"
            "        loss = F.cross_entropy(out, out.argmax(1))") + SQUARED + STORED,
            caught_by=(FISHER,), diagnosis="fisher_last_batch", sometimes=(BEHAVIOUR,)),
    _update("steps", "The optimiser makes a step for every batch.",
            BATCHES + "        optimizer.step()\n" + SQUARED + STORED,
            caught_by=(FISHER, KEPT), diagnosis="update_moves", sometimes=(BEHAVIOUR,)),
    # The old parameters.
    _update("alias", "The live parameters are stored.",
            BATCHES + SQUARED + "    optpar_dict[task_id] = {n: p.data for n, p in model.named_parameters()}\n",
            caught_by=(KEPT, BEHAVIOUR), diagnosis="optpar_alias"),
    _update("live", "The parameters themselves are stored.",
            BATCHES + SQUARED + "    optpar_dict[task_id] = dict(model.named_parameters())\n",
            caught_by=(KEPT, BEHAVIOUR), diagnosis="optpar_alias"),
    _update("cloned-graph", "The clones hang on the live parameters.",
            BATCHES + SQUARED + "    optpar_dict[task_id] = {n: p.clone() for n, p in model.named_parameters()}\n",
            caught_by=(KEPT, BEHAVIOUR), diagnosis="optpar_graph"),
    _update("gradients-kept", "The gradients are stored for parameters.",
            BATCHES + SQUARED + "    optpar_dict[task_id] = {n: p.grad.clone() for n, p in model.named_parameters()}\n",
            caught_by=(KEPT,), diagnosis="optpar_wrong", sometimes=(BEHAVIOUR,)),
    _update("not-kept", "The parameters are not stored.",
            BATCHES + SQUARED, caught_by=(KEPT, BEHAVIOUR), diagnosis="optpar_missing"),
    _update("first-kept", "Each task's parameters are put in all places.",
            BATCHES + SQUARED + STORED + """
    for earlier in range(task_id):
        optpar_dict[earlier] = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
""", caught_by=(KEPT,), diagnosis="optpar_overwritten"),
    # The penalty.
    _penalty("not-squared", "The difference is not squared.", _summed("(fisher * (p - old)).sum()"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_no_square"),
    _penalty("absolute", "The difference's size is taken.", _summed("(fisher * (p - old).abs()).sum()"),
             caught_by=(PENALTY,), diagnosis="penalty_absolute", sometimes=(BEHAVIOUR,)),
    _penalty("no-fisher", "All parameters are held alike.", _summed("((p - old) ** 2).sum()"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_no_fisher"),
    _penalty("squared-as-a-whole", "Fisher times difference is squared.", _summed("((fisher * (p - old)) ** 2).sum()"),
             caught_by=(PENALTY,), diagnosis="penalty_fisher_squared", sometimes=(BEHAVIOUR,)),
    _penalty("squared-sum", "The sum over the entries is squared.", _summed("(fisher * (p - old)).sum() ** 2"),
             caught_by=(PENALTY,), diagnosis="penalty_squared_sum", sometimes=(BEHAVIOUR,)),
    _penalty("mean", "Entries are averaged.", _summed("(fisher * (p - old) ** 2).mean()"),
             caught_by=(PENALTY,), diagnosis="penalty_mean", sometimes=(BEHAVIOUR,)),
    _penalty("sign", "The penalty is negative.", _summed("(-fisher * (p - old) ** 2).sum()"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_sign"),
    _penalty("lambda-twice", "Lambda is in the term and in the result.",
             _summed("ewc_lambda * (fisher * (p - old) ** 2).sum()"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_lambda_squared"),
    _penalty("no-lambda", "Lambda is forgotten.", _summed("(fisher * (p - old) ** 2).sum()", result="total"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_no_lambda"),
    _penalty("detached", "Copies of the parameters are compared.", _summed("(fisher * (p.data - old) ** 2).sum()"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_detached"),
    _penalty("item", "The terms are made plain numbers.", _summed("(fisher * (p - old) ** 2).sum().item()"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_detached"),
    _penalty("last-task", "The total is set to zero for every task.",
             _summed("(fisher * (p - old) ** 2).sum()", tasks="list(fisher_dict)[-1:]"),
             caught_by=(PENALTY,), diagnosis="penalty_last_task"),
    _penalty("first-task", "The return is inside of the loop.",
             _summed("(fisher * (p - old) ** 2).sum()", tasks="list(fisher_dict)[:1]"),
             caught_by=(PENALTY,), diagnosis="penalty_first_task"),
    _penalty("all-but-last", "The range ends one too early.",
             _summed("(fisher * (p - old) ** 2).sum()", tasks="range(len(fisher_dict) - 1)"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_task_missing"),
    _penalty("weights-only", "Biases are left out.",
             _summed("(fisher * (p - old) ** 2).sum() * (p.dim() > 1)"),
             caught_by=(PENALTY,), diagnosis="penalty_parameters"),
    _penalty("no-old", "The parameters are drawn to zero.", _summed("(fisher * p ** 2).sum() + 0 * old.sum()"),
             caught_by=(PENALTY,), diagnosis="penalty_no_optpar", sometimes=(BEHAVIOUR,)),
    _penalty("constant", "One is added, so that it is never zero.",
             _summed("(fisher * (p - old) ** 2).sum()", result="ewc_lambda * (1 + total)"),
             caught_by=(PENALTY,), diagnosis="penalty_value"),
    _penalty("globals", "The names in its head are others than those that it uses, which are the notebook's.",
             """
             def ewc_penalty(model, fishers, optpars, lam):
                 total = 0
                 for task in fisher_dict:
                     for name, p in model.named_parameters():
                         total = total + (fisher_dict[task][name] * (p - optpar_dict[task][name]) ** 2).sum()
                 return lam * total
             """, caught_by=(PENALTY, TRAINING), diagnosis="penalty_globals"),
    _penalty("global-model", "It takes a network, and looks at the notebook's model.",
             """
             def ewc_penalty(network, fisher_dict, optpar_dict, ewc_lambda):
                 total = 0
                 for task in fisher_dict:
                     for name, p in model.named_parameters():
                         total = total + (fisher_dict[task][name] * (p - optpar_dict[task][name]) ** 2).sum()
                 return ewc_lambda * total
             """, caught_by=(PENALTY,), diagnosis="penalty_globals"),
    _penalty("global-lambda", "It takes lam, and multiplies by the notebook's ewc_lambda.",
             _summed("(fisher * (p - old) ** 2).sum()").replace("optpar_dict, ewc_lambda)", "optpar_dict, lam)"),
             caught_by=(PENALTY,), diagnosis="penalty_globals"),
    _penalty("one-optpar", "The last task's old parameters serve for all.",
             _summed("(fisher * (p - optpar_dict[max(optpar_dict)][name]) ** 2).sum()"),
             caught_by=(PENALTY,), diagnosis="penalty_one_optpar"),
    _penalty("one-fisher", "The first task's Fisher information serves for all.",
             _summed("(fisher_dict[0][name] * (p - old) ** 2).sum()"),
             caught_by=(PENALTY,), diagnosis="penalty_one_fisher"),
    _penalty("from-one", "The range begins at 1.",
             _summed("(fisher * (p - old) ** 2).sum()", tasks="range(1, len(fisher_dict))"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_task_missing"),
    _penalty("swapped", "The dictionaries have changed places.", _summed("(old * (p - fisher) ** 2).sum()"),
             caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_swapped"),
    _penalty("divided", "The squares are divided by the Fisher information.",
             _summed("((p - old) ** 2 / fisher).sum()"),
             caught_by=(PENALTY,), diagnosis="penalty_fisher_inverse", sometimes=(BEHAVIOUR,)),
    _penalty("quarter", "It is halved twice.",
             _summed("0.5 * (fisher * (p - old) ** 2).sum()", result="0.5 * ewc_lambda * total"),
             caught_by=(PENALTY,), diagnosis="penalty_factor", sometimes=(BEHAVIOUR,)),
    _penalty("not-summed", "The sums of the parameters' tensors are returned one by one.",
             """
             def ewc_penalty(model, fisher_dict, optpar_dict, ewc_lambda):
                 terms = [(fisher_dict[k][n] * (p - optpar_dict[k][n]) ** 2).sum()
                          for k in fisher_dict for n, p in model.named_parameters()]
                 return ewc_lambda * torch.stack(terms) if terms else torch.zeros(())
             """, caught_by=(PENALTY, BEHAVIOUR), diagnosis="penalty_not_summed"),
    _penalty("norm", "The distance is taken, not its square.",
             _summed("(fisher * (p - old) ** 2).sum()", 
                     result="ewc_lambda * (total + 1e-12).sqrt() if fisher_dict else 0.0"),
             caught_by=(PENALTY,), diagnosis="penalty_root", sometimes=(BEHAVIOUR,)),
    _penalty("norms", "torch.norm of the weighted difference is added up.",
             _summed("torch.norm(fisher * (p - old))"),
             caught_by=(PENALTY,), diagnosis="penalty_root", sometimes=(BEHAVIOUR,)),
    _penalty("task-average", "The tasks' penalties are averaged.",
             _summed("(fisher * (p - old) ** 2).sum()", result="ewc_lambda * total / max(len(fisher_dict), 1)"),
             caught_by=(PENALTY,), diagnosis="penalty_mean"),
    # An epoch with the penalty.
    _epoch("no-penalty", "The penalty is left out.", _trained("F.cross_entropy(model(x), t)"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_lost"),
    _epoch("after-backward", "The penalty is added when the gradients are there already.",
           _trained("F.cross_entropy(model(x), t)",
                    after="loss = loss + ewc_penalty(model, fisher_dict, optpar_dict, ewc_lambda)"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_lost"),
    _epoch("detached", "The penalty's number is added.", _trained(PENALISED + ".detach()"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_lost"),
    _epoch("subtracted", "The penalty is subtracted.", _trained(PENALISED.replace(" + ", " - ")),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_sign"),
    _epoch("lambda-twice", "The penalty, which has lambda in it, is multiplied by it.",
           _trained(PENALISED.replace("+ ewc", "+ ewc_lambda * ewc")),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_lambda_squared"),
    _epoch("no-lambda", "Lambda is left at 1.", _trained(PENALISED.replace("ewc_lambda)", "1.0)")),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_no_lambda"),
    _epoch("last-task", "Only the task before is thought of.",
           _trained("F.cross_entropy(model(x), t) + (ewc_penalty(model, {0: fisher_dict[task_id - 1]}, "
                    "{0: optpar_dict[task_id - 1]}, ewc_lambda) if task_id else 0)").replace("{0:", "{task_id - 1:"),
           caught_by=(TRAINING,), diagnosis="penalty_last_task"),
    _epoch("first-task", "Only task 0 is thought of.",
           _trained("F.cross_entropy(model(x), t) + (ewc_penalty(model, {0: fisher_dict[0]}, {0: optpar_dict[0]}, "
                    "ewc_lambda) if task_id else 0)"),
           caught_by=(TRAINING,), diagnosis="penalty_first_task"),
    _epoch("first-batch", "The penalty is added to the first batch's loss alone.",
           _trained(PENALISED.replace("+ ewc", "+ (start == 0) * ewc")),
           caught_by=(TRAINING,), diagnosis="penalty_some_steps"),
    _epoch("inline-no-square", "The penalty is written out, and not squared.",
           _trained("F.cross_entropy(model(x), t)"
                    " + ewc_lambda * sum((fisher_dict[k][n] * (p - optpar_dict[k][n])).sum()"
                    " for k in range(task_id) for n, p in model.named_parameters())"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_no_square"),
    _epoch("inline-current-task", "The range has the task itself in it, which is not there yet.",
           _trained("F.cross_entropy(model(x), t)"
                    " + ewc_lambda * sum((fisher_dict[k][n] * (p - optpar_dict[k][n]) ** 2).sum()"
                    " for k in range(task_id + 1) for n, p in model.named_parameters())"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_current_task"),
    _epoch("inline-one-short", "The range ends one too early.",
           _trained("F.cross_entropy(model(x), t)"
                    " + ewc_lambda * sum((fisher_dict[k][n] * (p - optpar_dict[k][n]) ** 2).sum()"
                    " for k in range(task_id - 1) for n, p in model.named_parameters())"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_task_missing"),
    _epoch("inline-one-late", "The range is that from 1 to the task itself.",
           _written_out(tasks="range(1, task_id + 1)"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_current_task"),
    _epoch("inline-one-optpar", "The old parameters are always those of the task before.",
           _written_out(TERM.replace("optpar_dict[task]", "optpar_dict[task_id - 1]")),
           caught_by=(TRAINING,), diagnosis="penalty_one_optpar"),
    _epoch("inline-one-task", "The task before is looked up in every turn.",
           _written_out(TERM.replace("dict[task]", "dict[task_id - 1]")),
           caught_by=(TRAINING,), diagnosis="penalty_last_task"),
    _epoch("inline-overwritten", "Each term takes the place of the one before.",
           _written_out(add="pen =", sum="loss + pen"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_overwritten"),
    _epoch("inline-swapped", "The dictionaries have changed places.",
           _written_out("(optpar_dict[task][name] * (fisher_dict[task][name] - param).pow(2)).sum() * ewc_lambda"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_swapped"),
    _epoch("stale", "The penalty is computed once, before the loop.",
           _trained(f"{PLAIN} + pen", before=f"pen = {BEFORE}").replace("backward()", "backward(retain_graph=True)"),
           caught_by=(TRAINING,), diagnosis="penalty_stale", sometimes=(BEHAVIOUR,)),
    _epoch("one-late", "The penalty is computed for the next batch, before the step.",
           _trained(f"{PLAIN} + pen", before=f"pen = {BEFORE}", after=f"pen = {BEFORE}"),
           caught_by=(TRAINING,), diagnosis="penalty_stale", sometimes=(BEHAVIOUR,)),
    _epoch("adds-up", "The penalties of all batches are in the last one's loss.",
           _trained(f"{PLAIN} + pen", before="pen = 0").replace("backward()", "backward(retain_graph=True)")
           .replace("        loss =", f"        pen = pen + {BEFORE}\n        loss ="),
           caught_by=(TRAINING,), diagnosis="penalty_adds_up", sometimes=(BEHAVIOUR,)),
    _epoch("lambda-of-another-kind", "ewc_lambda is a number, and taken for a tensor.",
           _trained(f"{PLAIN} + {BEFORE.replace('ewc_lambda', 'ewc_lambda.detach()')}"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="raised"),
    _epoch("halved", "The half is put before a penalty that has it.",
           _trained(f"{PLAIN} + 0.5 * {BEFORE}"),
           caught_by=(TRAINING,), diagnosis="penalty_factor", sometimes=(BEHAVIOUR,)),
    _epoch("divided", "The penalty is divided by the number of tasks.",
           _trained(f"{PLAIN} + {BEFORE} / max(task_id, 1)"),
           caught_by=(TRAINING,), diagnosis="penalty_mean", sometimes=(BEHAVIOUR,)),
    _epoch("swapped", "The dictionaries are handed over in the wrong order.",
           _trained(PENALISED.replace("fisher_dict", "_dict").replace("optpar_dict", "fisher_dict")
                    .replace(" _dict", " optpar_dict")),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="penalty_swapped"),
    _epoch("softmax-twice", "cross_entropy is given probabilities.",
           _trained(PENALISED.replace("model(x)", "F.softmax(model(x), dim=1)")),
           caught_by=(TRAINING,), diagnosis="loss", sometimes=(BEHAVIOUR,)),
    _epoch("nll", "nll_loss is given logits.", _trained(PENALISED.replace("cross_entropy", "nll_loss")),
           caught_by=(TRAINING,), diagnosis="loss", sometimes=(BEHAVIOUR,)),
    _epoch("clipped", "The gradient is cut down to a length of 0.1.",
           _trained(PENALISED, after="torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)"),
           caught_by=(TRAINING,), diagnosis="loss_factor", sometimes=(BEHAVIOUR,)),
    _epoch("zeroed-late", "Gradients are set to zero between backward and the step.",
           _trained(PENALISED, after="optimizer.zero_grad()"),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="no_gradient"),
    _epoch("decays", "Parameters shrink a little after every step.",
           _trained(PENALISED) + "        for p in model.parameters():\n            p.data.mul_(0.999)\n",
           caught_by=(TRAINING,), diagnosis="parameters_moved", sometimes=(BEHAVIOUR,)),
    _epoch("sum", "The cross entropy is summed over the batch.",
           _trained(PENALISED.replace("model(x), t)", 'model(x), t, reduction="sum")', 1)),
           caught_by=(TRAINING,), diagnosis="loss_sum", sometimes=(BEHAVIOUR,)),
    _epoch("not-zeroed", "Gradients add up over the batches.",
           _trained(PENALISED).replace("        optimizer.zero_grad()\n", ""),
           caught_by=(TRAINING,), diagnosis="not_zeroed", sometimes=(BEHAVIOUR,)),
    _epoch("no-step", "The optimiser makes no step.",
           _trained(PENALISED).replace("        optimizer.step()\n", ""),
           caught_by=(TRAINING, BEHAVIOUR), diagnosis="unusable"),
    _epoch("one-batch", "The return is inside of the loop.",
           _trained(PENALISED) + "        return\n", caught_by=(TRAINING,), diagnosis="epoch"),
    _epoch("one-step", "The step is behind the loop, which leaves the gradient of the last batch.",
           _trained(PENALISED).replace("        optimizer.step()", "    optimizer.step()"),
           caught_by=(TRAINING,), diagnosis="one_step", sometimes=(BEHAVIOUR,)),
    # Naive training, which was given.
    _epoch("train-without-step", "train was changed, and makes no step any more.",
           """
           def train(model, device, x_train, t_train, optimizer, epoch):
               for images, labels in batches(x_train, t_train, epoch):
                   optimizer.zero_grad()
                   F.cross_entropy(model(images), labels).backward()
           """, caught_by=(BEHAVIOUR,), diagnosis="not_learnt"),
    _epoch("train-upwards", "train was changed, and climbs the loss.",
           """
           def train(model, device, x_train, t_train, optimizer, epoch):
               for images, labels in batches(x_train, t_train, epoch):
                   optimizer.zero_grad()
                   (-F.cross_entropy(model(images), labels)).backward()
                   optimizer.step()
           """, caught_by=(BEHAVIOUR,), diagnosis="not_learnt"),
    # Rehearsal.
    _rehearsal("labels-apart", "Images and labels are shuffled one after the other.",
               _together("    return rng.permutation(np.concatenate(xs)), rng.permutation(np.concatenate(ts))"),
               caught_by=(REHEARSAL, BEHAVIOUR), diagnosis="rehearsal_labels"),
    _rehearsal("labels-left", "Only the images are shuffled.",
               _together("    return rng.permutation(np.concatenate(xs)), np.concatenate(ts)"),
               caught_by=(REHEARSAL, BEHAVIOUR), diagnosis="rehearsal_labels"),
    _rehearsal("newest-only", "The set is the newest task's.",
               _together("    return tuple(shuffle_in_unison([xs[-1], ts[-1]], seed))"),
               caught_by=(REHEARSAL, BEHAVIOUR), diagnosis="rehearsal_task_lost"),
    _rehearsal("newest-lost", "The range ends before the newest task.",
               _together("    if len(xs) > 1:\n        xs, ts = xs[:-1], ts[:-1]\n"
                         "    return tuple(shuffle_in_unison([np.concatenate(xs), np.concatenate(ts)], seed))"),
               caught_by=(REHEARSAL, BEHAVIOUR), diagnosis="rehearsal_newest"),
    _rehearsal("first-and-newest", "Of the earlier tasks only the first is there.",
               _together("    xs, ts = [xs[0], xs[-1]], [ts[0], ts[-1]]\n"
                         "    return tuple(shuffle_in_unison([np.concatenate(xs), np.concatenate(ts)], seed))"),
               caught_by=(REHEARSAL,), diagnosis="rehearsal_task_lost"),
    _rehearsal("last-and-newest", "Of the earlier tasks only the last is there.",
               _together("    xs, ts = xs[-2:], ts[-2:]\n"
                         "    return tuple(shuffle_in_unison([np.concatenate(xs), np.concatenate(ts)], seed))"),
               caught_by=(REHEARSAL,), diagnosis="rehearsal_task_lost"),
    _rehearsal("twice", "Images are drawn with replacement.",
               _together("    x, t = np.concatenate(xs), np.concatenate(ts)\n"
                         "    n = [len(one) for one in ts]\n"
                         "    drawn = [sum(n[:k]) + rng.integers(0, n[k], n[k]) for k in range(len(n))]\n"
                         "    chosen = np.concatenate(drawn)\n"
                         "    return tuple(shuffle_in_unison([x[chosen], t[chosen]], seed))"),
               caught_by=(REHEARSAL,), diagnosis="rehearsal_twice"),
    _rehearsal("blocks", "Nothing is shuffled.", _together("    return np.concatenate(xs), np.concatenate(ts)"),
               caught_by=(REHEARSAL,), diagnosis="rehearsal_blocks", sometimes=(BEHAVIOUR,)),
    _rehearsal("blocks-shuffled", "Every task is shuffled for itself.",
               _together("    pairs = [shuffle_in_unison([x, t], seed) for x, t in zip(xs, ts)]\n"
                         "    return np.concatenate([x for x, _ in pairs]), np.concatenate([t for _, t in pairs])"),
               caught_by=(REHEARSAL,), diagnosis="rehearsal_blocks", sometimes=(BEHAVIOUR,)),
    _rehearsal("normalised", "The images are divided by 255 once more.",
               _together("    return tuple(shuffle_in_unison([np.concatenate(xs) / 255, np.concatenate(ts)], seed))"),
               caught_by=(REHEARSAL,), diagnosis="rehearsal_images", sometimes=(BEHAVIOUR,)),
    _rehearsal("flat", "The images are flattened.",
               _together("    x = np.concatenate(xs)\n"
                         "    return tuple(shuffle_in_unison([x.reshape(len(x), -1), np.concatenate(ts)], seed))"),
               caught_by=(REHEARSAL,), diagnosis="shape"),
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------
# Right solutions
# ----------------------------------------------------------------------------------------------------

RIGHT: tuple[Variant, ...] = (
    _permute("global-seed", "numpy's global generator is seeded, and a list of indices shuffled.",
             """
             def permute_mnist(mnist, seed):
                 np.random.seed(seed)
                 places = list(range(28 * 28))
                 np.random.shuffle(places)
                 permuted = []
                 for part in mnist:
                     flat = part.reshape(part.shape[0], 28 * 28)
                     permuted.append(flat[:, places].reshape(part.shape[0], 1, 28, 28))
                 return permuted
             """),
    _permute("torch", "torch draws the permutation; the results are tensors, in a tuple.",
             """
             def permute_mnist(mnist, seed):
                 generator = torch.Generator().manual_seed(seed)
                 order = torch.randperm(784, generator=generator)
                 return tuple(torch.as_tensor(part).flatten(1)[:, order].view(-1, 1, 28, 28) for part in mnist)
             """),
    _permute("take-in-loop", "Every image is taken apart for itself.",
             """
             def permute_mnist(mnist, seed):
                 order = np.random.RandomState(seed % 2**32).permutation(784)
                 return [np.array([image.ravel()[order].reshape(1, 28, 28) for image in part]) for part in mnist]
             """),
    _update("accumulated", "Gradients add up over batches, and are squared at the end.", BATCHES + SQUARED + STORED),
    _update("accumulated-by-64", "The same with other batches, and a loop up to len - 1.",
            (BATCHES + SQUARED + STORED).replace("256", "64").replace("len(t_mem)", "len(t_mem) - 1")),
    _update("whole", "The square of all images' mean gradient.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                model.zero_grad()
                F.cross_entropy(model(torch.as_tensor(x_mem)), torch.as_tensor(t_mem).long()).backward()
                fisher_dict[task_id], optpar_dict[task_id] = {}, {}
                for n, p in model.named_parameters():
                    fisher_dict[task_id][n] = p.grad.data.clone().pow(2)
                    optpar_dict[task_id][n] = p.data.clone()
            """),
    _update("batch-squares", "The batches' squared gradients are averaged, weighed by their sizes.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                fisher = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
                for x, t in zip(torch.as_tensor(x_mem).split(128), torch.as_tensor(t_mem).split(128)):
                    model.zero_grad()
                    F.cross_entropy(model(x), t).backward()
                    for n, p in model.named_parameters():
                        fisher[n] += p.grad ** 2 * len(t) / len(t_mem)
                fisher_dict[task_id] = fisher
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """),
    _update("batch-squares-of-sums", "The batches' losses are sums, and so are their squares.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                fisher = {n: 0 for n, p in model.named_parameters()}
                for x, t in zip(torch.as_tensor(x_mem).split(100), torch.as_tensor(t_mem).split(100)):
                    loss = F.cross_entropy(model(x), t, reduction="sum")
                    slopes = torch.autograd.grad(loss, list(model.parameters()))
                    fisher = {n: fisher[n] + g**2 for n, g in zip(fisher, slopes)}
                fisher_dict[task_id] = fisher
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """),
    _update("each-image-summed", "Each image's squared gradients, added up and not divided; a shuffled order.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                x, t = torch.as_tensor(x_mem), torch.as_tensor(t_mem).long()
                fisher_dict[task_id] = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
                for i in torch.randperm(len(t)).tolist():
                    model.zero_grad()
                    F.nll_loss(F.log_softmax(model(x[i : i + 1]), dim=1), t[i : i + 1]).backward()
                    for n, p in model.named_parameters():
                        fisher_dict[task_id][n] += p.grad.data ** 2
            """),
    _update("vmap", "Gradients of all images at once, by torch.func.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                params = {n: p.detach() for n, p in model.named_parameters()}
                def loss(params, x, t):
                    return F.cross_entropy(torch.func.functional_call(model, params, (x[None],)), t[None])
                slopes = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(
                    params, torch.as_tensor(x_mem), torch.as_tensor(t_mem).long())
                fisher_dict[task_id] = {n: (g**2).mean(0) for n, g in slopes.items()}
                optpar_dict[task_id] = {n: p.clone() for n, p in params.items()}
            """),
    _update("likeliest-labels", "The model's own likeliest labels, image by image.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                fisher = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
                for x in torch.as_tensor(x_mem):
                    model.zero_grad()
                    logits = model(x[None])
                    F.cross_entropy(logits, logits.argmax(1)).backward()
                    for n, p in model.named_parameters():
                        fisher[n] += p.grad ** 2 / len(x_mem)
                fisher_dict[task_id] = fisher
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """),
    _update("drawn-labels", "Labels drawn from the model, image by image.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                fisher = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
                for x in torch.as_tensor(x_mem):
                    model.zero_grad()
                    logits = model(x[None])
                    label = torch.distributions.Categorical(logits=logits.detach()).sample()
                    F.cross_entropy(logits, label).backward()
                    for n, p in model.named_parameters():
                        fisher[n] += p.grad ** 2 / len(x_mem)
                fisher_dict[task_id] = fisher
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """),
    _update("expected-labels", "The expectation over all labels under the model.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                fisher = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
                for x in torch.as_tensor(x_mem):
                    logprob = F.log_softmax(model(x[None]), dim=1)[0]
                    for one in logprob:
                        slopes = torch.autograd.grad(one, list(model.parameters()), retain_graph=True)
                        for n, g in zip(fisher, slopes):
                            fisher[n] += one.exp().detach() * g**2 / len(x_mem)
                fisher_dict[task_id] = fisher
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """),
    _update("rebound", "The dictionaries are bound anew, with all tasks.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                global fisher_dict, optpar_dict
                for p in model.parameters():
                    p.grad = None
                F.cross_entropy(model(torch.as_tensor(x_mem)), torch.as_tensor(t_mem)).backward()
                fisher_dict = {**fisher_dict, task_id: {n: p.grad.square() for n, p in model.named_parameters()}}
                optpar_dict = {**optpar_dict, task_id: {n: p.data.clone() for n, p in model.named_parameters()}}
            """),
    _update("epsilon", "A little is added to every square.",
            BATCHES + SQUARED.replace("** 2", "** 2 + 1e-6") + STORED),
    _update("epsilon-in-the-logarithm", "A little is added to the probabilities, image by image.",
            """
            def on_task_update(task_id, x_mem, t_mem):
                fisher = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
                for x, t in zip(torch.as_tensor(x_mem), torch.as_tensor(t_mem).long()):
                    model.zero_grad()
                    (-torch.log(model(x[None]).softmax(1) + 1e-6)[0, t]).backward()
                    for n, p in model.named_parameters():
                        fisher[n] += p.grad ** 2 / len(t_mem)
                fisher_dict[task_id] = fisher
                optpar_dict[task_id] = {n: p.detach().clone() for n, p in model.named_parameters()}
            """),
    _penalty("epsilon", "A little is added to the Fisher information.",
             _summed("((fisher + 1e-6) * (p - old) ** 2).sum()")),
    _penalty("lambda-list", "ewc_lambda has one value for each task.",
             _summed("ewc_lambda[task] * (fisher * (p - old) ** 2).sum()", result="total"),
             prelude="ewc_lambda = [0, 100, 100]"),
    _penalty("without-half", "Lambda times the sum, without the half.", _summed("(fisher * (p - old) ** 2).sum()")),
    _penalty("float-at-first", "A loop that begins with 0, and so returns it without an earlier task.",
             """
             def ewc_penalty(model, fisher_dict, optpar_dict, ewc_lambda):
                 loss = 0
                 for task in fisher_dict.keys():
                     for name, param in model.named_parameters():
                         loss += (fisher_dict[task][name] * (optpar_dict[task][name] - param).pow(2)).sum() * ewc_lambda
                 return loss
             """),
    _penalty("multiplied-out", "The square is multiplied out.",
             _summed("(fisher * (p * p - 2 * p * old + old * old)).sum()", result="0.5 * ewc_lambda * total")),
    _penalty("one-vector", "All parameters as one vector.",
             """
             def ewc_penalty(model, fisher_dict, optpar_dict, ewc_lambda):
                 names = [n for n, _ in model.named_parameters()]
                 now = torch.cat([p.flatten() for p in model.parameters()])
                 penalty = now.sum() * 0
                 for k, fisher in fisher_dict.items():
                     f = torch.cat([fisher[n].flatten() for n in names])
                     old = torch.cat([optpar_dict[k][n].flatten() for n in names])
                     penalty = penalty + f @ (now - old) ** 2
                 return ewc_lambda / 2 * penalty
             """),
    _epoch("inline", "The penalty is written out in the loop, as lambda times the sum.",
           """
           def train_ewc(model, device, task_id, x_train, t_train, optimizer, epoch):
               model.train()
               for start in range(0, len(t_train) - 1, 256):
                   end = start + 256
                   x, y = torch.from_numpy(x_train[start:end]), torch.from_numpy(t_train[start:end]).long()
                   x, y = x.to(device), y.to(device)
                   optimizer.zero_grad()
                   output = model(x)
                   loss = F.cross_entropy(output, y)
                   for task in range(task_id):
                       for name, param in model.named_parameters():
                           fisher = fisher_dict[task][name]
                           optpar = optpar_dict[task][name]
                           loss += (fisher * (optpar - param).pow(2)).sum() * ewc_lambda
                   loss.backward()
                   optimizer.step()
           """),
    _epoch("lambda-list", "ewc_lambda is a tensor, or a list, with one value for each task.",
           _written_out(TERM + "[task]"), prelude="ewc_lambda = torch.tensor([30.0, 30.0, 40.0])"),
    _epoch("lambda-dictionary", "ewc_lambda is a dictionary, and the task is its key.",
           _trained(f"{PLAIN} + {BEFORE.replace('ewc_lambda', 'ewc_lambda.get(task_id, 0.0)')}"),
           prelude="ewc_lambda = {1: 30.0, 2: 50.0}"),
    _epoch("lambda-array", "ewc_lambda is an array, from which the earlier tasks' values are cut.",
           _written_out(TERM.replace("ewc_lambda", "ewc_lambda[:task_id].tolist()[task]")),
           prelude="ewc_lambda = np.full(3, 30.0)"),
    _epoch("keys", "Of the dictionaries' keys those below task_id are taken.",
           _written_out(tasks="[k for k in sorted(fisher_dict) if k < task_id]")),
    _epoch("two-backwards", "The penalty has a backward of its own; gradients are cleared after the step.",
           """
           def train_ewc(model, device, task_id, x_train, t_train, optimizer, epoch):
               optimizer.zero_grad()
               for x, t in zip(torch.as_tensor(x_train).split(256), torch.as_tensor(t_train).split(256)):
                   F.cross_entropy(model(x), t).backward()
                   if task_id > 0:
                       earlier = [{k: kept[k] for k in range(task_id)} for kept in (fisher_dict, optpar_dict)]
                       ewc_penalty(model, *earlier, ewc_lambda).backward()
                   optimizer.step()
                   optimizer.zero_grad()
           """),
    _epoch("loader", "A shuffling DataLoader of another batch size; one call of the penalty for each task.",
           """
           def train_ewc(model, device, task_id, x_train, t_train, optimizer, epoch):
               data = torch.utils.data.TensorDataset(torch.as_tensor(x_train), torch.as_tensor(t_train).long())
               for x, t in torch.utils.data.DataLoader(data, batch_size=64, shuffle=True):
                   optimizer.zero_grad()
                   loss = nn.CrossEntropyLoss()(model(x.to(device)), t.to(device))
                   for k in range(task_id):
                       loss = loss + ewc_penalty(model, {k: fisher_dict[k]}, {k: optpar_dict[k]}, ewc_lambda)
                   loss.backward()
                   optimizer.step()
           """),
    _rehearsal("global-shuffle", "numpy's global generator shuffles; the memory has the first images.",
               """
               def rehearsal_set(x_tasks, t_tasks, *, per_task=None, seed=0):
                   x, t = x_tasks[-1], t_tasks[-1]
                   for past_x, past_t in zip(x_tasks[:-1], t_tasks[:-1]):
                       x = np.concatenate((x, past_x[:per_task]))
                       t = np.concatenate((t, past_t[:per_task]))
                   places = np.arange(len(t))
                   np.random.shuffle(places)
                   return x[places], t[places]
               """),
    _rehearsal("torch", "Tensors, in a list.",
               """
               def rehearsal_set(x_tasks, t_tasks, *, per_task=None, seed=0):
                   torch.manual_seed(seed)
                   xs, ts = [], []
                   for k, (x, t) in enumerate(zip(x_tasks, t_tasks)):
                       n = len(t) if per_task is None or k == len(t_tasks) - 1 else per_task
                       kept = torch.randperm(len(t))[:n]
                       xs.append(torch.as_tensor(x)[kept])
                       ts.append(torch.as_tensor(t)[kept])
                   order = torch.randperm(sum(map(len, ts)))
                   return [torch.cat(xs)[order], torch.cat(ts)[order]]
               """),
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------
# Half-right solutions: each with the points that it loses, and why no more
# ----------------------------------------------------------------------------------------------------

HALF_RIGHT: tuple[tuple[Variant, float, str], ...] = (
    (_update("part-of-them", "Only the first 200 images are used.",
             (BATCHES + SQUARED + STORED).replace("    optimizer.zero_grad()\n",
             "    optimizer.zero_grad()\n    x_mem, t_mem = x_mem[:200], t_mem[:200]\n", 1),
             caught_by=(FISHER,), diagnosis="fisher_part"), 1.0, "A Fisher information of fewer images."),
    (_update("first-batch", "The loop is left after the first batch.",
             BATCHES + "        break\n" + SQUARED + STORED,
             caught_by=(FISHER,), diagnosis="fisher_part"), 1.0, "A Fisher information of fewer images."),
    (_penalty("crashes-at-first", "Without an earlier task there is no first name.",
              """
              def ewc_penalty(model, fisher_dict, optpar_dict, ewc_lambda):
                  terms = [(fisher_dict[k][n] * (p - optpar_dict[k][n]) ** 2).sum()
                           for k in fisher_dict for n, p in model.named_parameters()]
                  return ewc_lambda * torch.stack(terms).sum()
              """, caught_by=(PENALTY, BEHAVIOUR), diagnosis="raised"), 1.5, "With earlier tasks it is right."),
    (_penalty("one-at-first", "Without an earlier task it is lambda.",
              _summed("(fisher * (p - old) ** 2).sum()", result="ewc_lambda * total if fisher_dict else ewc_lambda"),
              caught_by=(PENALTY,), diagnosis="penalty_first"), 1.0, "With earlier tasks it is right."),
    (_epoch("all-entries", "All entries of the dictionaries are in the penalty, whichever they are.",
            _trained(f"{PLAIN} + {EVERY}"),
            caught_by=(TRAINING,), diagnosis="penalty_later_tasks"), 1.0, "With earlier tasks' alone it is right."),
    (_epoch("inline-all-entries", "The same, written out.", _written_out(tasks="fisher_dict"),
            caught_by=(TRAINING,), diagnosis="penalty_later_tasks"), 1.0, "With earlier tasks' alone it is right."),
    (_epoch("up-to-the-task", "The entry of the task itself is used where there is one.",
            _written_out(tasks="[k for k in fisher_dict if k <= task_id]"),
            caught_by=(TRAINING,), diagnosis="penalty_current_task"), 1.0, "With earlier tasks' alone it is right."),
    (_epoch("crashes-at-first", "For the first task there is no task before it to look up.",
            _trained(PENALISED, before="optpar_dict[task_id - 1]"),
            caught_by=(TRAINING, BEHAVIOUR), diagnosis="raised"), 1.5, "With earlier tasks every step is right."),
    (_epoch("decay-at-first", "For the first task the parameters are drawn to zero.",
            _trained(PENALISED + " + (task_id == 0) * sum(0.01 * (p**2).sum() for p in model.parameters())"),
            caught_by=(TRAINING,), diagnosis="plain"), 1.0, "With earlier tasks every step is right."),
    (_rehearsal("no-memory", "per_task is not used.",
                """
                def rehearsal_set(x_tasks, t_tasks, *, per_task=None, seed=0):
                    return tuple(shuffle_in_unison([np.concatenate(x_tasks), np.concatenate(t_tasks)], seed))
                """, caught_by=(REHEARSAL,), diagnosis="rehearsal_proportions"), 0.5, "The set of all is right."),
    (_rehearsal("newest-cut", "The newest task is cut down to per_task, too.",
                """
                def rehearsal_set(x_tasks, t_tasks, *, per_task=None, seed=0):
                    rows = [np.random.default_rng(seed).permutation(len(t))[:per_task] for t in t_tasks]
                    x, t = (np.concatenate([a[r] for a, r in zip(of, rows)]) for of in (x_tasks, t_tasks))
                    return tuple(shuffle_in_unison([x, t], seed))
                """, caught_by=(REHEARSAL,), diagnosis="rehearsal_proportions"), 0.5, "The set of all is right."),
    (_rehearsal("with-replacement", "What is kept of earlier tasks is drawn with replacement.",
                """
                def rehearsal_set(x_tasks, t_tasks, *, per_task=None, seed=0):
                    rng = np.random.default_rng(seed)
                    rows = [np.arange(len(t)) if per_task is None else rng.integers(0, 3, per_task) for t in t_tasks]
                    rows[-1] = np.arange(len(t_tasks[-1]))
                    x, t = (np.concatenate([a[r] for a, r in zip(of, rows)]) for of in (x_tasks, t_tasks))
                    return tuple(shuffle_in_unison([x, t], seed))
                """, caught_by=(REHEARSAL,), diagnosis="rehearsal_twice"), 0.5, "The set of all is right."),
)  # fmt: skip
