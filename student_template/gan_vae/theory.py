"""Question 5 (a) and (b) in numbers: `python theory.py` shows on a few points what the proofs are about.

Distributions over k points are vectors (k,) of probabilities that sum to 1, and a discriminator is the vector
(k,) of its answers D(x), one for each point. The source is Goodfellow et al. 2014, "Generative adversarial nets".
"""

import math

import torch
import torch.nn.functional as F


def value(p_data, p_theta, d):
    """What the discriminator maximises: V(G, D) = E_data[log D(x)] + E_theta[log(1 - D(x))]   (equation 1).

    p_data, p_theta, d: (k,) each, d in [0, 1]. A point without mass adds nothing: 0 log 0 = 0.
    """
    return (torch.special.xlogy(p_data, d) + torch.special.xlog1py(p_theta, -d)).sum()


def optimal_discriminator(p_data, p_theta):
    """The D* that maximises V(G, D) for a fixed generator (proposition 1): (k,), (k,) -> (k,).

    Where neither distribution has mass every answer is optimal; 1/2 is returned there.
    """
    both = p_data + p_theta
    return torch.where(both > 0, p_data / torch.where(both > 0, both, 1), 0.5)


def jensen_shannon(p, q):
    """JSD(p || q) = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2: (k,), (k,) -> scalar, in nats."""
    m = (p + q) / 2

    def kl(a):  # sum of a log(a / m) over the points where a has mass: m has mass there too
        return torch.special.xlogy(a, torch.where(a > 0, a / torch.where(a > 0, m, 1), 1)).sum()

    return kl(p) / 2 + kl(q) / 2


def saturating_slope(logit):
    """The derivative of the minimax loss log(1 - D) by the fake's logit h, where D = sigmoid(h); any shape."""
    return _derivative(lambda h: F.logsigmoid(-h), logit)  # 1 - sigmoid(h) = sigmoid(-h)


def nonsaturating_slope(logit):
    """The derivative of the loss -log D (section 3, last paragraph) by the fake's logit h; any shape."""
    return _derivative(lambda h: -F.logsigmoid(h), logit)


def _derivative(loss, logit):
    h = torch.as_tensor(logit).detach().clone().requires_grad_()
    return torch.autograd.grad(loss(h).sum(), h)[0]


def discriminator_by_descent(p_data, p_theta, *, steps=1000, rate=2.0):
    """The answers (k,) of a discriminator with a free logit for each point, after gradient descent on -V."""
    # The second derivative of -V by a logit is (p_data + p_theta) D (1 - D), at most 1/2: a rate of 2 never overshoots.
    logits = torch.zeros_like(p_data)
    for _ in range(steps):
        logits -= rate * _derivative(lambda h: -value(p_data, p_theta, torch.sigmoid(h)), logits)
    return torch.sigmoid(logits)


def show(question, heads, rows, answer):
    """Print a question, its table of numbers (or words), and what can be seen in it."""
    print(f"\n{question}\n\n" + "".join(f"{head:>16}" for head in heads))
    print("  " + "-" * (16 * len(heads) - 2))
    for row in rows:
        # + 0.0 makes of -0.0, which rounding leaves, a plain zero.
        print("".join(f"{cell if isinstance(cell, str) else f'{round(float(cell), 6) + 0.0:.6f}':>16}" for cell in row))
    print(f"\n  {answer}")


def main():
    """Print the handout's three facts, each as a table."""
    h = torch.tensor([-12.0, -8.0, -4.0, -2.0, 0.0, 2.0, 4.0], dtype=torch.float64)
    show(
        "(a) How steep are the two losses of the generator, by the logit h of a fake?",
        ("h", "D = sigmoid(h)", "of log(1 - D)", "of -log D"),
        zip([f"{x:g}" for x in h.tolist()], torch.sigmoid(h), saturating_slope(h), nonsaturating_slope(h), strict=True),
        "From a fake that is recognised (D near 0) the first loss learns next to nothing, the second the most.",
    )
    p_data = torch.tensor([0.05, 0.15, 0.30, 0.35, 0.15], dtype=torch.float64)
    p_theta = torch.tensor([0.30, 0.30, 0.20, 0.10, 0.10], dtype=torch.float64)
    best, found = optimal_discriminator(p_data, p_theta), discriminator_by_descent(p_data, p_theta)
    show(
        "(b) What does a discriminator learn, against a generator that stays as it is?",
        ("p_data", "p_theta", "D by descent", "p_data / both"),
        zip(p_data, p_theta, found, best, strict=True),
        "Gradient descent on -V(G, D) ends at D* = p_data / (p_data + p_theta).",
    )
    here, there = torch.tensor([[0.5, 0.3, 0.2, 0.0, 0.0], [0.0, 0.0, 0.0, 0.6, 0.4]], dtype=torch.float64)
    rows = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):  # of the generator's mass where no data are
        fake = (1 - share) * here + share * there
        jsd, best = jensen_shannon(here, fake), optimal_discriminator(here, fake)
        rows.append((f"{share:.0%}", jsd, value(here, fake, best), 2 * jsd - math.log(4)))
    show(
        "(b) What does a generator minimise, against the best discriminator?",
        ("off the data", "JSD", "V(G, D*)", "-log 4 + 2 JSD"),
        rows,
        "From -log 4, where p_theta = p_data, up to 0, where they share no point and JSD = log 2.",
    )


if __name__ == "__main__":
    main()
