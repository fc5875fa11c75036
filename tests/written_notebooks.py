"""Notebooks of the course's public form: a supervised network first, then the policy gradient, its loss in the loop."""

from __future__ import annotations

import textwrap

from tests.notebook_helpers import notebook

SETUP = (
    """
    import torch
    import numpy as np
    import torch.nn as nn
    import torch.nn.functional as F
    from torch.distributions import Categorical
    from torch.utils.data import DataLoader, TensorDataset
    from collections import OrderedDict
    from tqdm import tqdm
    """,
    """
    d, seed, num_samples = 8, 73, 1000
    def rule(x):
        zp = ((x - 1) ** 2).sum(1) <= 2.5 * x.shape[1]
        zn = ((x + 1) ** 2).sum(1) <= 2.5 * x.shape[1]
        return 2 * (~zp).long() + (~zn).long()
    def generate_data(num_samples, input_dim):
        x = 4.4 * torch.rand(num_samples, input_dim) - 2.2
        y = rule(x)
        return x, y, F.one_hot(y, 4).float()
    torch.manual_seed(seed)
    x_train, y_train, true_y_train = generate_data(num_samples, d)
    x_valid, y_valid, true_y_valid = generate_data(num_samples, d)
    """,
    """
    def get_model(seed):
        torch.manual_seed(seed)
        return nn.Sequential(OrderedDict([("fc1", nn.Linear(d, 32)), ("relu1", nn.ReLU()),
                                          ("output", nn.Linear(32, 4))]))
    def accuracy(model, x, y):
        with torch.no_grad():
            return 100 * (model(x).argmax(1) == y).float().mean().item()
    @torch.no_grad()
    def reward_oracle(x, pred):
        return torch.where(pred == rule(x), 3.0, -1.0)
    """,
)
SUPERVISED = """
model = get_model(seed)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in tqdm(range(150)):
    loss = F.cross_entropy(model(x_train), y_train)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
sup_acc = accuracy(model, x_valid, y_valid)
"""
FRAME = """
model = get_model(seed)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
train_accs, valid_accs = [], []
for step in tqdm(range(250)):
    logits = model(x_train)
    logprob = F.log_softmax(logits, dim=1)
    predicted = torch.argmax(logits, dim=1)
    reward = reward_oracle(x_train, predicted)
    {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        train_accs.append(accuracy(model, x_train, y_train))
        valid_accs.append(accuracy(model, x_valid, y_valid))
"""
PLOT = "import matplotlib.pyplot as plt\nplt.plot(valid_accs)\nplt.show()"


def loop(loss: str) -> str:
    """The public notebook's second loop, with these lines for the loss."""
    lines = textwrap.dedent(loss).strip("\n").splitlines()
    return FRAME.replace("{loss}", "\n    ".join(lines))


def public(*cells: str, supervised: bool = True) -> bytes:
    """A notebook of the public form with these cells for the policy gradient."""
    texts = [*SETUP, *([SUPERVISED] if supervised else []), *cells]
    return notebook(*(textwrap.dedent(text).strip("\n") for text in texts))


CHOSEN = "chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)\n"
RIGHT: dict[str, bytes] = {
    "two statements": public(loop(CHOSEN + "loss = -(chosen * reward).mean()")),
    "one line": public(loop("loss = -(logprob[range(len(predicted)), predicted] * reward).mean()")),
    "number of samples": public(loop(CHOSEN + "loss = -(chosen * reward).sum() / num_samples")),
    "a thousand": public(loop(CHOSEN + "loss = -(chosen * reward).sum() / 1000")),
    "length of the data": public(loop(CHOSEN + "loss = -(chosen * reward).sum() / len(x_train)"), PLOT),
    "largest log-probability": public(loop("loss = -(logprob.max(dim=1).values * reward).mean()")),
    "no supervised network": public(loop("loss = (F.nll_loss(logprob, predicted, reduction='none') * reward).mean()"),
                                    supervised=False),
    "labels in an average with zero weight aside": public(
        loop("with torch.no_grad():\n    hit = (predicted == y_train).float().mean()\n" + CHOSEN
             + "loss = -(chosen * reward).mean()")),
    "own names, sampled": public("""
        net = get_model(1)
        opt = torch.optim.Adam(net.parameters(), lr=1e-2)
        for epoch in range(250):
            log_p = torch.log_softmax(net(x_train), -1)
            actions = torch.multinomial(log_p.exp(), 1).squeeze(1)
            r = reward_oracle(x_train, actions)
            J = (log_p[torch.arange(len(actions)), actions] * r).mean()
            opt.zero_grad()
            (-J).backward()
            opt.step()
        """),
    "categorical, before the black box": public("""
        policy = get_model(2)
        optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
        rewards = []
        for epoch in range(250):
            optimizer.zero_grad()
            dist = Categorical(logits=policy(x_train))
            a = dist.sample()
            log_prob = dist.log_prob(a)
            R = reward_oracle(x_train, a)
            loss = -(log_prob * R).mean()
            loss.backward()
            optimizer.step()
            rewards.append(R.mean().item())
        """),
    "baseline": public("""
        model = get_model(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        baseline = 0.0
        for _ in range(250):
            logits = model(x_train)
            dist = torch.distributions.Categorical(logits=logits)
            action = dist.sample()
            reward = reward_oracle(x_train, action)
            advantage = reward - baseline
            baseline = 0.9 * baseline + 0.1 * reward.mean().item()
            loss = -(dist.log_prob(action) * advantage).mean()
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        """),
    "batch mean, nll": public("""
        model = get_model(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(250):
            logp = F.log_softmax(model(x_train), dim=1)
            with torch.no_grad():
                pred = torch.distributions.Categorical(logp.exp()).sample()
                rew = reward_oracle(x_train, pred)
                adv = rew - rew.mean()
            nll = F.nll_loss(logp, pred, reduction="none")
            loss = torch.mean(adv * nll)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        """),
    "mini-batches": public("""
        model = get_model(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        loader = DataLoader(TensorDataset(x_train, y_train), batch_size=50, shuffle=True)
        for epoch in range(15):
            for xb, yb in loader:
                out = model(xb)
                lp = F.log_softmax(out, dim=1)
                act = out.argmax(1)
                r = reward_oracle(xb, act)
                loss = -(lp.gather(1, act[:, None]).squeeze(1) * r).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        """),
    "mini-batches by hand": public("""
        model = get_model(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        batch = 40
        for epoch in range(12):
            order = torch.randperm(len(x_train))
            for begin in range(0, len(x_train), batch):
                xb = x_train[order[begin:begin + batch]]
                lp = F.log_softmax(model(xb), dim=1)
                act = torch.multinomial(lp.exp(), 1)
                r = reward_oracle(xb, act.squeeze(1))
                loss = -(lp.gather(1, act).squeeze(1) * r).sum() / batch
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        """),
    "a function": public("""
        def train_policy(model, x, steps=250, lr=1e-2):
            optimizer = torch.optim.Adam(model.parameters(), lr=lr)
            n = len(x)
            for _ in range(steps):
                log_probs = nn.LogSoftmax(dim=1)(model(x))
                picks = log_probs.argmax(dim=1)
                rewards = reward_oracle(x, picks)
                objective = (log_probs[range(n), picks] * rewards).sum() / n
                loss = -objective
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return model
        trained = train_policy(get_model(seed), x_train)
        """),
    "a function of the black box": public("""
        def fit(network, black_box, x, steps):
            opt = torch.optim.Adam(network.parameters(), lr=1e-2)
            for _ in range(steps):
                lp = network(x).log_softmax(1)
                a = lp.exp().multinomial(1).squeeze(1)
                loss = -(black_box(x, a) * lp.gather(1, a.unsqueeze(1)).squeeze(1)).mean()
                opt.zero_grad(); loss.backward(); opt.step()
        model = get_model(seed)
        fit(model, reward_oracle, x_train, 250)
        """),
    "a class": public("""
        class Reinforce:
            def __init__(self, network, lr):
                self.network = network
                self.optimizer = torch.optim.Adam(network.parameters(), lr=lr)
            def loss(self, x):
                dist = Categorical(logits=self.network(x))
                actions = dist.sample()
                return -(dist.log_prob(actions) * reward_oracle(x, actions)).mean()
            def step(self, x):
                loss = self.loss(x)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
        agent = Reinforce(get_model(seed), 1e-2)
        for _ in range(250):
            agent.step(x_train)
        """),
    "a loss that is a module": public("""
        class PolicyLoss(nn.Module):
            def forward(self, logits, actions, rewards):
                return (F.cross_entropy(logits, actions, reduction="none") * rewards).mean()
        criterion = PolicyLoss()
        model = get_model(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(250):
            z = model(x_train)
            picked = z.argmax(1)
            loss = criterion(z, picked, reward_oracle(x_train, picked))
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        """),
    "a policy with a method": public("""
        class Policy(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1, self.fc2 = nn.Linear(8, 32), nn.Linear(32, 4)
            def forward(self, x):
                return Categorical(logits=self.fc2(F.relu(self.fc1(x))))
            def act(self, x):
                pi = self(x)
                a = pi.sample()
                return a, pi.log_prob(a)
        model = Policy()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(250):
            a, logp = model.act(x_train)
            loss = -(logp * reward_oracle(x_train, a)).mean()
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        """),
    "a lambda": public("""
        pg_loss = lambda lp, a, r: -(lp.gather(1, a[:, None])[:, 0] * r).mean()
        model = get_model(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(250):
            lp = F.log_softmax(model(x_train), 1)
            a = lp.argmax(1)
            loss = pg_loss(lp, a, reward_oracle(x_train, a))
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        """),
    "a nested function": public("""
        def run(seed, steps):
            def pg_loss(lp, a, r):
                return F.nll_loss(lp * r.unsqueeze(1), a)
            model = get_model(seed)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
            for _ in range(steps):
                lp = F.log_softmax(model(x_train), 1)
                a = lp.argmax(1)
                loss = pg_loss(lp, a, reward_oracle(x_train, a))
                optimizer.zero_grad(); loss.backward(); optimizer.step()
            return model
        if __name__ == "__main__":
            model = run(seed, 250)
        """),
    "climbing": public("""
        model = get_model(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, maximize=True)
        for _ in range(250):
            lp = F.log_softmax(model(x_train), 1)
            a = lp.argmax(1)
            objective = (lp.max(1).values * reward_oracle(x_train, a)).mean()
            optimizer.zero_grad(); objective.backward(); optimizer.step()
        """),
    "gradients by hand": public("""
        model = get_model(seed)
        velocity = [torch.zeros_like(w) for w in model.parameters()]
        for _ in range(600):
            lp = F.log_softmax(model(x_train), 1)
            a = lp.argmax(1)
            loss = -(lp.max(1).values * reward_oracle(x_train, a)).mean()
            grads = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for w, v, g in zip(model.parameters(), velocity, grads):
                    v.mul_(0.9).add_(g)
                    w.sub_(0.05 * v)
        """),
    "own sampler": public("""
        model = get_model(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(250):
            logits = model(x_train)
            gumbel = -torch.log(-torch.log(torch.rand_like(logits)))
            a = (logits.detach() + gumbel).argmax(1)
            lp = F.log_softmax(logits, 1)[torch.arange(len(a)), a]
            loss = -(lp * reward_oracle(x_train, a)).mean()
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        """),
    "both in one function": public("""
        def train(kind, steps=250):
            model = get_model(seed)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
            for _ in range(steps):
                out = model(x_train)
                if kind == "supervised":
                    loss = F.cross_entropy(out, y_train)
                else:
                    a = out.argmax(1)
                    lp = F.log_softmax(out, 1).gather(1, a[:, None]).squeeze(1)
                    loss = -(lp * reward_oracle(x_train, a)).mean()
                optimizer.zero_grad(); loss.backward(); optimizer.step()
            return model
        nets = {}
        for kind in ("supervised", "policy"):
            nets[kind] = train(kind)
        """, supervised=False),
}  # fmt: skip
"""Right ones, by how they are wrapped."""

WRONG: dict[str, tuple[bytes, dict[str, str]]] = {
    "flipped": (public(loop(CHOSEN + "loss = (chosen * reward).mean()")), {"sign": "pg_sign", "training": ""}),
    "flipped, own names, in a function": (public("""
        def improve(net, x, steps):
            opt = torch.optim.Adam(net.parameters(), lr=1e-2)
            for _ in range(steps):
                pi = Categorical(logits=net(x))
                acts = pi.sample()
                gain = pi.log_prob(acts) * reward_oracle(x, acts)
                opt.zero_grad(); gain.mean().backward(); opt.step()
            return net
        net = improve(get_model(0), x_train, 250)
        """), {"sign": "pg_sign", "training": ""}),
    "twice flipped": (public("""
        model = get_model(seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, maximize=True)
        for _ in range(250):
            lp = F.log_softmax(model(x_train), 1)
            a = lp.argmax(1)
            loss = -(lp.max(1).values * reward_oracle(x_train, a)).mean()
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        """), {"sign": "pg_sign", "training": ""}),
    "sum": (public(loop(CHOSEN + "loss = -(chosen * reward).sum()")), {"average": "sum_not_mean"}),
    "products N x N": (public(loop("chosen = logprob.gather(1, predicted[:, None])\nloss = -(chosen * reward).mean()")),
                       {"gradient": "broadcast_nxn", "unbiased": "", "training": ""}),
    "columns": (public(loop("loss = -(logprob[:, predicted] * reward).mean()")),
                {"gradient": "index_nxn", "sign": "index_nxn", "unbiased": "", "training": ""}),
    "labels": (public(loop("loss = F.cross_entropy(logits, y_train)")),
               {"gradient": "true_labels", "sign": "true_labels", "unbiased": "", "training": ""}),
    "reward unused": (public(loop("loss = F.nll_loss(logprob, predicted)")),
                      {"gradient": "reward_ignored", "sign": "reward_ignored", "unbiased": "", "training": ""}),
    "probabilities": (public(loop("loss = -(logits.softmax(1).max(1).values * reward).mean()")),
                      {"gradient": "probabilities", "unbiased": ""}),
    "nothing learnt": (public(loop("loss = -(reward + 0 * logprob.sum(1)).mean()")),
                       dict.fromkeys(("contract", "gradient", "sign", "average", "inputs", "unbiased"), "zero_gradient")
                       | {"training": ""}),
}  # fmt: skip
"""Wrong ones, with the checks of the loss that fail and their diagnoses."""
UNFILLED = {
    "none": public(loop("loss = None  # TODO")),
    "dots": public(loop("loss = ...")),
    "left out": public(loop("pass")),
    "raises": public(loop("raise NotImplementedError")),
}
UNCUT = {
    "a broken cell": (public("def policy_gradient_loss(logprob, predicted, reward):\n    return -(reward * logprob",
                             loop("loss = policy_gradient_loss(logprob, predicted, reward)")), "code cell 5"),
    "another black box": (public(loop(CHOSEN + "loss = -(chosen * reward).mean()").replace("reward_oracle", "answer")),
                          "depends on a call of reward_oracle"),
    "an error before": (public(loop("loss = -(logprob.max(1).values * reward).mean()").replace("(x_train)", "(late)"),
                               "late = torch.load('/content/late.pt')"), "NameError"),
    "no network": (public(loop(CHOSEN + "loss = -(chosen * reward).mean()")
                          .replace("model(x_train)", "x_train @ torch.zeros(8, 4, requires_grad=True)")), "no network"),
    "an error within": (public(loop("loss = -(logprob[predicted, :] * reward).mean()")), "RuntimeError"),
}  # fmt: skip
"""What cannot be cut out, and what the message says of it."""

STEPS = """
model = get_model(seed)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2{climbs})
n = len(x_train)
for epoch in range(100):
    {before}
    for i in range({rows}):
        {each}
    {after}
"""


def by_rows(
    each: str, *, before: str = "pass", after: str = "optimizer.step()", rows: str = "n", climbs: str = ""
) -> bytes:
    """A loop that asks for a gradient of each row, or of each few, and makes one step for all."""
    told = {"before": before, "each": each, "after": after}
    indented = {name: text.replace("\n", "\n" + " " * (8 if name == "each" else 4)) for name, text in told.items()}
    return public(STEPS.format(climbs=climbs, rows=rows, **indented))


ONCE = """logp = F.log_softmax(model(x_train), 1)
a = torch.multinomial(logp.exp(), 1).squeeze(1)
r = reward_oracle(x_train, a)
optimizer.zero_grad()"""
EACH = """logp = F.log_softmax(model(x_train[i:i + 1]), 1)
a = Categorical(logits=logp).sample()
r = reward_oracle(x_train[i:i + 1], a)
"""
CLIMB = """
model = get_model(seed)
for step in range(100):
    logp = F.log_softmax(model(x_train), 1)
    a = logp.argmax(1)
    objective = (logp.max(1).values * reward_oracle(x_train, a)).mean()
    {step}
"""
BY_HAND = {
    "added in place": "model.zero_grad()\nobjective.backward()\nwith torch.no_grad():\n"
    "    for w in model.parameters():\n        w += 0.05 * w.grad",
    "data": "model.zero_grad()\nobjective.backward()\nfor w in model.parameters():\n"
    "    w.data = w.data + 0.05 * w.grad.data",
    "grad": "grads = torch.autograd.grad(objective, list(model.parameters()))\nwith torch.no_grad():\n"
    "    for w, g in zip(model.parameters(), grads):\n        w.copy_(w + 0.05 * g)",
    "turned": "model.zero_grad()\nobjective.backward()\nfor w in model.parameters():\n    w.grad.neg_()\n"
    "torch.optim.SGD(model.parameters(), lr=0.05).step()",
}


def climbing(step: str, *, sign: str = "") -> bytes:
    """A loop that climbs an objective by this step; with the sign "-" it climbs a loss."""
    text = CLIMB.replace("(logp.max", f"{sign}(logp.max").replace("{step}", step.replace("\n", "\n    "))
    return public(text)


STEPPED: dict[str, tuple[bytes, dict[str, str]]] = {
    **{f"climbing by hand: {name}": (climbing(step), {}) for name, step in BY_HAND.items()},
    "a loss is climbed by hand": (climbing(BY_HAND["added in place"], sign="-"), {"sign": "pg_sign", "training": ""}),
    "an objective goes down by hand": (
        climbing(BY_HAND["added in place"].replace("w +=", "w -=")), {"sign": "pg_sign", "training": ""}),
    "rows of one call": (
        by_rows("loss = -logp[i, a[i]] * r[i] / n\nloss.backward(retain_graph=True)", before=ONCE), {}),
    "rows of one call, climbing": (
        by_rows("J = logp[i, a[i]] * r[i] / n\nJ.backward(retain_graph=True)", before=ONCE,
                climbs=", maximize=True"), {}),
    "rows of one call, not divided": (
        by_rows("loss = -logp[i, a[i]] * r[i]\nloss.backward(retain_graph=True)", before=ONCE),
        {"average": "sum_not_mean"}),
    "a call for each row, not divided": (
        by_rows(EACH + "(-logp[0, a[0]] * r[0]).backward()", before="optimizer.zero_grad()"),
        {"average": "sum_not_mean"}),
}  # fmt: skip
"""Loops whose step climbs, or is made of many gradients, with the checks of the loss that fail, and diagnoses."""
