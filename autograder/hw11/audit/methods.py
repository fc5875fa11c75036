"""Numerical methods for question 2's fits, each as a solution: which of them must work whatever is drawn."""

from __future__ import annotations

from collections.abc import Iterator

from autograder.audit.homework import Method
from autograder.audit.solutions import Solution

HEAD = """
def fit_gaussian(target, direction):
    if direction not in ("forward", "reverse"):
        raise ValueError("forward or reverse")
    w, m, s = map(np.array, (target.weights, target.means, target.stds))
    centre = float(w @ m)
    unit = float(np.sqrt(w @ (s**2 + (m - centre) ** 2)))
"""
FORWARD = '    if direction == "forward":\n        return Gaussian(centre, unit)\n'
"""In closed form."""

# ---------------------------------------- what is minimised backwards, by mean and log std, up to a constant

ALONG = """
    u = np.linspace(-{reach}, {reach}, {count})
    mass = np.exp(-(u**2) / 2) / np.exp(-(u**2) / 2).sum()

    def cost(at):
        return -at[1] - mass @ target.log_density(at[0] + np.exp(at[1]) * u)
"""
HERMITE = """
    u, mass = np.polynomial.hermite_e.hermegauss({count})
    mass = mass / mass.sum()

    def cost(at):
        return -at[1] - mass @ target.log_density(at[0] + np.exp(at[1]) * u)
"""
SAMPLES = """
    u = np.random.default_rng(0).normal(size={count})

    def cost(at):
        return -at[1] - target.log_density(at[0] + np.exp(at[1]) * u).mean()
"""
SHORT = """
    x = integration_grid(target)
    log_p = target.log_density(x)

    def cost(at):
        q = Gaussian(at[0], np.exp(at[1]))
        return (q.density(x) * (q.log_density(x) - log_p)).sum() * (x[1] - x[0])
"""
TABLES = """
    x = integration_grid(target)
    p = table_of(target, x)

    def cost(at):
        return kl_divergence(table_of(Gaussian(at[0], np.exp(at[1])), x), p)
"""
NOTEBOOK = """
    def cost(at):
        return divergence_on_grid(Gaussian(at[0], np.exp(at[1])), target)
"""
FIXED = """
    x = np.linspace(-20, 20, 4001)
    log_p = target.log_density(x)

    def cost(at):
        q = Gaussian(at[0], np.exp(at[1]))
        return (q.density(x) * (q.log_density(x) - log_p)).sum() * (x[1] - x[0])
"""
COSTS = {
    "a grid that goes along": ALONG.format(reach=8, count=401),
    "the notebook's divergence_on_grid": NOTEBOOK,
    "the notebook's integration_grid of the target": SHORT,
    "tables on that grid": TABLES,
}

# -------------------------------------------------------------------------------- starts, and the searches

PARTS = "    starts = [(a, np.log(b)) for a, b in zip(m, s)] + [(centre, np.log(unit))]\n"
CROSSED = "    starts = [(a, np.log(b)) for a in (*m, centre) for b in (s.min(), s.max(), unit)]\n"
WHOLE = "    starts = [(centre, np.log(unit))]\n"
ZERO = "    starts = [(0.0, 0.0)]\n"
HEAVIEST = "    starts = [(m[w.argmax()], np.log(s[w.argmax()]))]\n"

LIMITS = "[(m.min() - 1, m.max() + 1), (np.log(s.min() / 2), np.log(2 * unit))]"
BEST = """    best = min(ends, key=lambda end: end.fun).x
    return Gaussian(float(best[0]), float(np.exp(best[1])))
"""


def _scipy(method: str, more: str = "") -> str:
    return f"    ends = [minimize(cost, start, method={method!r}{more}) for start in starts]\n{BEST}"


SEARCHES = {
    "BFGS": _scipy("BFGS"),
    "L-BFGS-B": _scipy("L-BFGS-B"),
    "L-BFGS-B within limits": _scipy("L-BFGS-B", f", bounds={LIMITS}"),
    "Nelder-Mead": _scipy("Nelder-Mead"),
    "Powell": _scipy("Powell"),
    "conjugate gradients": _scipy("CG"),
    "SLSQP": _scipy("SLSQP"),
    "truncated Newton": _scipy("TNC"),
}
SLOW = {"COBYLA": _scipy("COBYLA"), "trust-constr": _scipy("trust-constr")}
WIDTHS = """    ends = [
        minimize(lambda at: cost((at[0], np.log(at[1]))), (a, np.exp(b)), method="L-BFGS-B",
                 bounds=[(None, None), (1e-3, None)])
        for a, b in starts
    ]
    best = min(ends, key=lambda end: end.fun).x
    return Gaussian(float(best[0]), float(best[1]))
"""
NEWTON = """
    ends = []
    for start in starts:
        at, h = np.array(start, float), 1e-4
        for _ in range(60):
            e = h * np.eye(2)
            slope = np.array([cost(at + a) - cost(at - a) for a in e]) / (2 * h)
            curve = np.array([[cost(at + a + b) - cost(at + a - b) - cost(at - a + b) + cost(at - a - b) for a in e]
                              for b in e]) / (4 * h * h)
            sizes, axes = np.linalg.eigh(curve)
            step = -axes @ ((axes.T @ slope) / np.maximum(abs(sizes), 1e-2))
            while cost(at + step) > cost(at) + 1e-12 and np.linalg.norm(step) > 1e-10:
                step = step / 2
            at = at + step
            if np.linalg.norm(step) < 1e-7:
                break
        ends.append((cost(at), *at))
    _, mean, log = min(ends)
    return Gaussian(float(mean), float(np.exp(log)))
"""
DESCENT = """
    import torch

    weights, means, stds = (torch.tensor(of, dtype=torch.{dtype}) for of in (w, m, s))
    u = torch.linspace(-7, 7, 101, dtype=torch.{dtype})
    mass = torch.softmax(-(u**2) / 2, 0)

    def loss(mean, log):
        x = mean[:, None] + log.exp()[:, None] * u
        parts = weights.log() - stds.log() - ((x[..., None] - means) / stds) ** 2 / 2
        return -log - parts.logsumexp(-1) @ mass

    mean, log = (torch.tensor(of, dtype=torch.{dtype}, requires_grad=True) for of in zip(*starts))
    optimizer = torch.optim.{name}([mean, log], lr={rate})
    for _ in range({steps}):
        optimizer.zero_grad()
        loss(mean, log).sum().backward()
        optimizer.step()
    with torch.no_grad():
        best = int(loss(mean, log).argmin())
    return Gaussian(float(mean[best]), float(log[best].exp()))
"""
FIXED_POINT = """
    u = np.linspace(-8, 8, 401)
    mass = np.exp(-(u**2) / 2) / np.exp(-(u**2) / 2).sum()
    ends = []
    for mean, std in [(a, np.exp(b)) for a, b in starts]:
        for _ in range(300):
            z = (mean + std * u[:, None] - m) / s
            r = np.exp(np.log(w / s) - z**2 / 2 - (np.log(w / s) - z**2 / 2).max(1, keepdims=True))
            r = r / r.sum(1, keepdims=True)
            first = (r * -z / s).sum(1)
            second = (r * (z**2 - 1) / s**2).sum(1) - first**2
            precision = max(-(mass @ second), 1e-3 / std**2)
            mean, std = mean + 0.3 * (mass @ first) / precision, std**0.7 * precision**-0.15
        ends.append((-np.log(std) - mass @ target.log_density(mean + std * u), mean, std))
    return Gaussian(*map(float, min(ends)[1:]))
"""
GRID_SEARCH = f"""
    means, logs = (np.linspace(*limits, count) for limits, count in zip({LIMITS}, ({{rows}}, {{columns}})))
    heights = np.array([-logs - target.log_density(a + np.exp(logs)[:, None] * u) @ mass for a in means])
    i, j = np.unravel_index(heights.argmin(), heights.shape)
    return Gaussian(float(means[i]), float(np.exp(logs[j])))
"""
GLOBAL = {
    "differential_evolution": ("differential evolution", f"differential_evolution(cost, {LIMITS}, seed=0)"),
    "basinhopping": (
        "basin hopping",
        "min((basinhopping(cost, start, niter=3, seed=0) for start in starts), key=lambda end: end.fun)",
    ),
    "dual_annealing": ("dual annealing", f"dual_annealing(cost, {LIMITS}, seed=0, maxiter=100)"),
    "brute": ("brute force and a simplex", f"brute(cost, {LIMITS}, Ns=30, full_output=True)"),
}

# ------------------------------------------------------------------------------------------------------- forwards

EXPECTATION = """    if direction == "forward":
        x = integration_grid(target)
        p = table_of(target, x)
        mean, std = 0.0, 1.0
        for _ in range(50):  # expectation, maximisation, with one component
            share = np.ones_like(x) * p
            mean = (share @ x) / share.sum()
            std = np.sqrt(share @ (x - mean) ** 2 / share.sum())
        return Gaussian(mean, std)
"""
BY_TABLE = """    if direction == "forward":
        x = integration_grid(target)
        p = table_of(target, x)
        return Gaussian(p @ x, np.sqrt(p @ (x - p @ x) ** 2))
"""
BY_SEARCH = """    if direction == "forward":
        at = minimize(lambda at: divergence_on_grid(target, Gaussian(at[0], np.exp(at[1]))),
                      [m.mean(), np.log(np.ptp(m) / 2 + s.max())], method={method!r}).x
        return Gaussian(float(at[0]), float(np.exp(at[1])))
"""
BY_SAMPLES = """    if direction == "forward":
        rng = np.random.default_rng(0)
        k = rng.choice(len(w), {count}, p=w / w.sum())
        x = rng.normal(m[k], s[k])
        return Gaussian(x.mean(), x.std())
"""


def _methods() -> Iterator[Method]:
    along = COSTS["a grid that goes along"]

    def made(name: str, *parts: str, sound: bool = True, imports: str = "") -> Method:
        source = (HEAD + "".join(parts)).strip("\n")
        solution = Solution(f"method-{name}", name, "comparing_distributions.ipynb", source, prelude=imports)
        return Method(solution, "check_fit_gaussian", sound)

    yield made("closed form and Newton", FORWARD, along, PARTS, NEWTON)
    for place, cost in COSTS.items():
        for name, search in SEARCHES.items():
            # On a grid that stays where it is, a Gaussian that has wandered off costs nothing, and few start far away.
            sound = place in ("a grid that goes along", "the notebook's divergence_on_grid") or name in (
                *("BFGS", "L-BFGS-B", "L-BFGS-B within limits", "Nelder-Mead", "Powell"),
            )
            yield made(f"{name} on {place}", FORWARD, cost, PARTS, search, sound=sound)
    for name, search in SEARCHES.items():
        yield made(f"{name} from more starts", FORWARD, along, CROSSED, search)
        yield made(f"{name} from more starts on a short grid", FORWARD, SHORT, CROSSED, search, sound=False)
    for name, search in SLOW.items():
        yield made(name, FORWARD, along, PARTS, search)
    yield made("L-BFGS-B by std", FORWARD, along, PARTS, WIDTHS)
    for dtype in ("float32", "float64"):
        for rate, steps in ((0.05, 600), (0.02, 1200)):
            descent = DESCENT.format(dtype=dtype, name="Adam", rate=rate, steps=steps)
            yield made(f"Adam at {rate} in {dtype}", FORWARD, CROSSED, descent)
    descent = DESCENT.format(dtype="float64", name="SGD", rate=0.02, steps=2000)
    yield made("gradient descent", FORWARD, CROSSED, descent, sound=False)  # too slow where the target is wide
    yield made("a fixed point of both equations", FORWARD, PARTS, FIXED_POINT)
    for tool, (name, call) in GLOBAL.items():
        found = f"    found = {call}\n    best = found[0] if isinstance(found, tuple) else found.x\n"
        last = "    return Gaussian(float(best[0]), float(np.exp(best[1])))\n"
        imports = f"from scipy.optimize import {tool}\n"
        yield made(name, FORWARD, along, PARTS, found, last, imports=imports)
    for rows, columns in ((20, 20), (60, 40), (150, 100), (400, 150)):
        search = GRID_SEARCH.format(rows=rows, columns=columns)
        coarse = ALONG.format(reach=6, count=101)
        yield made(f"a grid of {rows} means and {columns} widths", FORWARD, coarse, search, sound=rows >= 400)
    for count in (5, 8, 10, 15, *range(20, 101)):
        cost = HERMITE.format(count=count)
        yield made(f"{count} nodes and BFGS", FORWARD, cost, PARTS, SEARCHES["BFGS"], sound=count >= 20)
    for count in range(20, 101, 10):
        for name in ("L-BFGS-B", "Nelder-Mead", "Powell"):
            yield made(f"{count} nodes and {name}", FORWARD, HERMITE.format(count=count), PARTS, SEARCHES[name])
    for count in (9, 13, 17, 25, 41, 81, 161):
        cost = ALONG.format(reach=6, count=count)
        yield made(f"{count} points that go along", FORWARD, cost, PARTS, SEARCHES["BFGS"], sound=count >= 41)
    for count in (300, 1000, 3000, 10_000, 30_000):
        cost = SAMPLES.format(count=count)
        yield made(f"{count} drawn values", FORWARD, cost, PARTS, SEARCHES["BFGS"], sound=count >= 30_000)
    for name, starts in (("the whole", WHOLE), ("0 and 1", ZERO), ("the heaviest component", HEAVIEST)):
        for search in ("BFGS", "Nelder-Mead"):
            yield made(f"{search} from {name} alone", FORWARD, along, starts, SEARCHES[search], sound=False)
    yield made("a grid that stays where it is", FORWARD, FIXED, PARTS, SEARCHES["BFGS"], sound=False)
    rest = (along, PARTS, SEARCHES["BFGS"])
    yield made("forward by expectation and maximisation", EXPECTATION, *rest)
    yield made("forward by the moments of a table", BY_TABLE, *rest)
    for name in ("BFGS", "L-BFGS-B", "Nelder-Mead", "Powell"):
        yield made(f"forward by {name}", BY_SEARCH.format(method=name), *rest)
    for count in (300, 3000, 30_000, 300_000):
        yield made(f"forward by {count} drawn values", BY_SAMPLES.format(count=count), *rest, sound=count >= 300_000)


METHODS: tuple[Method, ...] = tuple(_methods())
