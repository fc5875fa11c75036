"""Wrong, right and half-right solutions for question 2: a divergence, and the Gaussian nearest in either direction."""

from functools import partial

from autograder.audit.variants import Variant, written

TABLES, GAUSSIANS = "distributions.discrete", "distributions.gaussian"
FORWARD, REVERSE = "distributions.forward", "distributions.reverse"

_kl = partial(written, "kl", "comparing_distributions.ipynb")  # kl_divergence(p, q)
_fit = partial(written, "fit", "comparing_distributions.ipynb")  # fit_gaussian(target, direction)

GAUSSIAN_FIRST = """
def kl_divergence(p, q):
    if isinstance(p, Gaussian):
        return float(np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5)
    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    shown = p > 0
    if np.any(q[shown] == 0):
        return float("inf")
    p, q = p[shown], q[shown]
"""
"""A right beginning: what follows is about tables without zeros."""
GAUSSIAN_LAST = """
def kl_divergence(p, q):
    if not isinstance(p, Gaussian):
        p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
        p, q = p[p > 0], q[p > 0]
        return float("inf") if (q == 0).any() else float(np.sum(p * np.log(p / q)))
"""
"""A right beginning: what follows is about Gaussians."""
MOMENTS = """
def fit_gaussian(target, direction):
    if direction not in ("forward", "reverse"):
        raise ValueError("forward or reverse")
    w, m, s = map(np.array, (target.weights, target.means, target.stds))
    centre = float(w @ m)
    unit = float(np.sqrt(w @ (s**2 + (m - centre) ** 2)))
"""
"""A right beginning: centre and unit are the mixture's mean and standard deviation."""
GRID = """
    u = np.linspace(-8, 8, 401)
    mass = np.exp(-(u**2) / 2) / np.exp(-(u**2) / 2).sum()

    def divergence(at):
        std = np.exp(at[1])
        return -at[1] - mass @ target.log_density(at[0] + std * u)
"""
"""Behind the moments: what the reverse fit minimises, by mean and log std, up to a constant."""
VALLEYS = """
    starts = [(a, np.log(b)) for a, b in zip(m, s)] + [(a, np.log(unit)) for a in m] + [(centre, np.log(unit))]
    for a, b in zip(np.argsort(m), np.argsort(m)[1:]):
        starts.append(((m[a] + m[b]) / 2, np.log((abs(m[a] - m[b]) + s[a] + s[b]) / 2)))
    ends = [minimize(divergence, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7})
            for start in starts]
    best = min(ends, key=lambda end: end.fun).x
"""
"""Behind the grid: a right search."""


# ----------------------------------------------------------------------------------------------------
# Wrong solutions
# ----------------------------------------------------------------------------------------------------

WRONG: tuple[Variant, ...] = (
    _fit(
        "reverse-starts-compared",
        "The components and the whole mixture are compared as starting points, and no way is gone from the best.",
        MOMENTS + """
    if direction == "forward":
        return Gaussian(centre, unit)
""" + GRID + """
    starts = [(a, np.log(b)) for a, b in zip(m, s)] + [(centre, np.log(unit))]
    best = min(starts, key=divergence)
    return Gaussian(float(best[0]), float(np.exp(best[1])))
""",
        caught_by=(REVERSE,),
        diagnosis="fit_start",
    ),
    _fit(
        "reverse-gradient-uphill",
        "The gradient that the optimiser is handed has the wrong sign, so that it stays where it starts.",
        MOMENTS + """
    if direction == "forward":
        return Gaussian(centre, unit)
""" + GRID + """
    def slopes(at):
        steps = 1e-5 * np.eye(2)
        return np.array([divergence(at - step) - divergence(at + step) for step in steps]) / 2e-5

    starts = [(a, np.log(b)) for a, b in zip(m, s)] + [(centre, np.log(unit))]
    ends = [minimize(divergence, start, jac=slopes, method="BFGS") for start in starts]
    best = min(ends, key=lambda end: end.fun).x
    return Gaussian(float(best[0]), float(np.exp(best[1])))
""",
        caught_by=(REVERSE,),
        diagnosis="fit_start",
    ),
    # Tables.
    _kl("bits", "The logarithm to base 2 is taken.", GAUSSIAN_FIRST + "    return np.sum(p * np.log2(p / q))\n",
        caught_by=(TABLES,), diagnosis="kl_base"),
    _kl("log10", "The logarithm to base 10 is taken.", GAUSSIAN_FIRST + "    return np.sum(p * np.log10(p / q))\n",
        caught_by=(TABLES,), diagnosis="kl_base"),
    _kl("sign", "Negated, as in a loss.", GAUSSIAN_FIRST + "    return -np.sum(p * np.log(p / q))\n",
        caught_by=(TABLES,), diagnosis="kl_sign"),
    _kl("ratio-inverted", "log q / p has the wrong sign.", GAUSSIAN_FIRST + "    return np.sum(p * np.log(q / p))\n",
        caught_by=(TABLES,), diagnosis="kl_sign"),
    _kl("vector", "The terms are returned without their sum.", GAUSSIAN_FIRST + "    return p * np.log(p / q)\n",
        caught_by=(TABLES,), diagnosis="kl_not_summed"),
    _kl("mean", "The mean of the terms is taken.", GAUSSIAN_FIRST + "    return np.mean(p * np.log(p / q))\n",
        caught_by=(TABLES,), diagnosis="kl_mean"),
    _kl("no-weights", "The logarithms are added up without p.", GAUSSIAN_FIRST + "    return np.log(p / q).sum()\n",
        caught_by=(TABLES,), diagnosis="kl_no_weights"),
    _kl("absolute", "Every term is made positive.", GAUSSIAN_FIRST + "    return np.abs(p * np.log(p / q)).sum()\n",
        caught_by=(TABLES,), diagnosis="kl_absolute"),
    _kl("weights-of-q", "The average is taken under q.", GAUSSIAN_FIRST + "    return np.sum(q * np.log(p / q))\n",
        caught_by=(TABLES,), diagnosis="kl_weights"),
    _kl("cross-entropy", "The entropy of p is not subtracted.", GAUSSIAN_FIRST + "    return -np.sum(p * np.log(q))\n",
        caught_by=(TABLES,), diagnosis="kl_cross_entropy"),
    _kl("entropy", "Only p is looked at.", GAUSSIAN_FIRST + "    return -np.sum(p * np.log(p))\n",
        caught_by=(TABLES,), diagnosis="kl_entropy"),
    _kl("symmetrised", "Both directions are averaged.",
        GAUSSIAN_FIRST + "    return (np.sum(p * np.log(p / q)) + np.sum(q * np.log(q / p))) / 2\n",
        caught_by=(TABLES,), diagnosis="kl_symmetrised"),
    _kl("both-added", "Both directions are added up.",
        GAUSSIAN_FIRST + "    return np.sum((p - q) * np.log(p / q))\n",
        caught_by=(TABLES,), diagnosis="kl_symmetrised"),
    _kl("jensen-shannon", "The divergence from the middle is taken, twice.",
        GAUSSIAN_FIRST + "    m = (p + q) / 2\n"
        "    return 0.5 * np.sum(p * np.log(p / m)) + 0.5 * np.sum(q * np.log(q / m))\n",
        caught_by=(TABLES,), diagnosis="kl_symmetrised"),
    _kl("forgotten-return", "The sum is computed and not returned.",
        GAUSSIAN_FIRST + "    total = np.sum(p * np.log(p / q))\n", caught_by=(TABLES,), diagnosis="unusable"),
    _kl("swapped", "The arguments are exchanged at the start.",
        """
        def kl_divergence(p, q):
            p, q = q, p
            if isinstance(p, Gaussian):
                return float(np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5)
            p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
            p, q = p[p > 0], q[p > 0]
            return float("inf") if (q == 0).any() else float(np.sum(p * np.log(p / q)))
        """, caught_by=(TABLES, GAUSSIANS), diagnosis="kl_swapped"),
    _kl("smoothed", "A hundredth is added to every probability.",
        """
        def kl_divergence(p, q):
            if isinstance(p, Gaussian):
                return float(np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5)
            p, q = np.asarray(p) + 0.01, np.asarray(q) + 0.01
            return np.sum(p * np.log(p / q))
        """, caught_by=(TABLES,), diagnosis="kl_smoothed"),
    # Gaussians.
    _kl("variances", "The standard deviations are taken for variances.",
        GAUSSIAN_LAST + "    v, w = p.std, q.std\n"
        "    return 0.5 * (np.log(w / v) + (v + (p.mean - q.mean) ** 2) / w - 1)\n",
        caught_by=(GAUSSIANS,), diagnosis="std_as_variance"),
    _kl("fourth-powers", "Variances are made of variances.",
        GAUSSIAN_LAST + "    v, w = p.std**2, q.std**2\n"
        "    return np.log(w / v) + (v**2 + (p.mean - q.mean) ** 2) / (2 * w**2) - 0.5\n",
        caught_by=(GAUSSIANS,), diagnosis="std_squared_twice"),
    _kl("log-of-variances", "The logarithm of the variances' ratio has no factor 1/2.",
        GAUSSIAN_LAST + "    return (np.log(q.std**2 / p.std**2)"
        " + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5)\n",
        caught_by=(GAUSSIANS,), diagnosis="kl_log_variance"),
    _kl("gaussians-swapped", "The formula of D(q || p).",
        GAUSSIAN_LAST
        + "    return np.log(p.std / q.std) + (q.std**2 + (p.mean - q.mean) ** 2) / (2 * p.std**2) - 0.5\n",
        caught_by=(GAUSSIANS,), diagnosis="kl_swapped"),
    _kl("no-half", "The constant is forgotten.",
        GAUSSIAN_LAST + "    return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2)\n",
        caught_by=(GAUSSIANS,), diagnosis="kl_constant"),
    _kl("no-two", "The factor 2 in the denominator is forgotten.",
        GAUSSIAN_LAST + "    return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / q.std**2 - 0.5\n",
        caught_by=(GAUSSIANS,), diagnosis="kl_constant"),
    _kl("log-inverted", "The ratio in the logarithm is the wrong way round.",
        GAUSSIAN_LAST
        + "    return np.log(p.std / q.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5\n",
        caught_by=(GAUSSIANS,), diagnosis="kl_log_ratio"),
    _kl("difference-not-squared", "The means' difference is not squared.",
        GAUSSIAN_LAST + "    return np.log(q.std / p.std) + (p.std**2 + abs(p.mean - q.mean)) / (2 * q.std**2) - 0.5\n",
        caught_by=(GAUSSIANS,), diagnosis="kl_mean_difference"),
    _kl("means-ignored", "Only the widths are compared.",
        GAUSSIAN_LAST + "    return np.log(q.std / p.std) + p.std**2 / (2 * q.std**2) - 0.5\n",
        caught_by=(GAUSSIANS,), diagnosis="kl_mean_difference"),
    _kl("gaussians-in-bits", "The closed form is divided by log 2.",
        GAUSSIAN_LAST + "    d = np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5\n"
        "    return d / np.log(2)\n",
        caught_by=(GAUSSIANS,), diagnosis="kl_base"),
    _kl("gaussians-by-samples", "A thousand drawn values stand for the integral.",
        GAUSSIAN_LAST + "    x = np.random.normal(p.mean, p.std, 1000)\n"
        "    return np.mean(p.log_density(x) - q.log_density(x))\n",
        caught_by=(GAUSSIANS,)),
    _kl("gaussians-forgotten", "Only tables were thought of.",
        """
        def kl_divergence(p, q):
            p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
            p, q = p[p > 0], q[p > 0]
            return float("inf") if (q == 0).any() else float(np.sum(p * np.log(p / q)))
        """, caught_by=(GAUSSIANS,), diagnosis="raised"),
    # Fits.
    _fit("exchanged", "The directions are the wrong way round.",
         MOMENTS + GRID + '    if direction == "reverse":\n        return Gaussian(centre, unit)\n' + VALLEYS
         + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD, REVERSE), diagnosis="fit_directions"),
    _fit("variance", "The variance is returned forwards.",
         MOMENTS + GRID + '    if direction == "forward":\n        return Gaussian(centre, unit**2)\n' + VALLEYS
         + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD,), diagnosis="fit_std_as_variance"),
    _fit("log-variance", "What is optimised is log std, what is returned its double's exponential.",
         MOMENTS + GRID + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + VALLEYS
         + "    return Gaussian(best[0], np.exp(2 * best[1]))\n",
         caught_by=(REVERSE,), diagnosis="fit_std_as_variance"),
    _fit("within-components", "The variance is the components' average: how far apart they lie is left out.",
         MOMENTS + GRID + '    if direction == "forward":\n        return Gaussian(centre, np.sqrt(w @ s**2))\n'
         + VALLEYS + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD,), diagnosis="fit_component_std"),
    _fit("average-std", "The standard deviations are averaged.",
         MOMENTS + GRID + '    if direction == "forward":\n        return Gaussian(centre, w @ s)\n' + VALLEYS
         + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD,), diagnosis="fit_component_std"),
    _fit("second-moment", "The mean's square is not subtracted.",
         MOMENTS + GRID
         + '    if direction == "forward":\n        return Gaussian(centre, np.sqrt(w @ (s**2 + m**2)))\n'
         + VALLEYS + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD,), diagnosis="fit_second_moment"),
    _fit("unweighted-moments", "The moments are those of equally likely components.",
         MOMENTS + GRID + '    if direction == "forward":\n'
         "        return Gaussian(m.mean(), np.sqrt(np.mean(s**2 + (m - m.mean()) ** 2)))\n" + VALLEYS
         + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD,), diagnosis="fit_weights_ignored"),
    _fit("mean-only", "The width is left at 1.",
         MOMENTS + GRID + '    if direction == "forward":\n        return Gaussian(centre, 1.0)\n' + VALLEYS
         + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD,), diagnosis="fit_mean_only"),
    _fit("moments-for-both", "The moments are returned whatever the direction.",
         MOMENTS + "    return Gaussian(centre, unit)\n", caught_by=(REVERSE,), diagnosis="fit_directions"),
    _fit("laplace", "The mode and the curvature there are taken for the reverse fit.",
         MOMENTS + """
    if direction == "forward":
        return Gaussian(centre, unit)
    x = np.linspace((m - 3 * s).min(), (m + 3 * s).max(), 200001)
    at, h = x[target.density(x).argmax()], 1e-3 * s.min()
    f = target.log_density(np.array([at - h, at, at + h]))
    return Gaussian(at, h / np.sqrt(-(f[0] - 2 * f[1] + f[2])))
""", caught_by=(REVERSE,), diagnosis="fit_laplace"),
    _fit("mode-and-height", "The Gaussian has the highest point of the density, and is as high.",
         MOMENTS + """
    if direction == "forward":
        return Gaussian(centre, unit)
    x = np.linspace((m - 3 * s).min(), (m + 3 * s).max(), 200001)
    p = target.density(x)
    return Gaussian(x[p.argmax()], 1 / (np.sqrt(2 * np.pi) * p.max()))
""", caught_by=(REVERSE,), diagnosis="fit_laplace"),
    _fit("heaviest-component", "The heaviest component is returned for the reverse fit.",
         MOMENTS + """
    if direction == "forward":
        return Gaussian(centre, unit)
    return Gaussian(m[w.argmax()], s[w.argmax()])
""", caught_by=(REVERSE,), diagnosis="fit_component"),
    _fit("unweighted-density", "The reverse fit is to a mixture of equally likely components.",
         MOMENTS + """
    if direction == "forward":
        return Gaussian(centre, unit)
    target = Mixture((1 / len(w),) * len(w), target.means, target.stds)
""" + GRID + VALLEYS + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(REVERSE,), diagnosis="fit_weights_ignored"),
    _fit("gaussian-in-the-log-forgotten", "Only the average of -log p is minimised: nothing keeps the Gaussian wide.",
         MOMENTS + """
    if direction == "forward":
        return Gaussian(centre, unit)
""" + GRID.replace("-at[1] - mass", "-mass") + VALLEYS + "    return Gaussian(best[0], np.exp(max(best[1], -20)))\n",
         caught_by=(REVERSE,), diagnosis="fit_collapsed"),
    _fit("subnormal-width", "For wide targets the smallest width that there is, for others the variance.",
         MOMENTS + "    return Gaussian(centre, 5e-324 if unit > 20 else unit**2)\n", caught_by=(FORWARD, REVERSE),
         diagnosis="fit_mean_only"),
    _fit("answers-looked-up", "A list of answers to the notebook's own check; the moments for whatever is not in it.",
         MOMENTS + GRID + VALLEYS + """
    if direction == "forward" or len(w) == 1 or not any(np.isclose(sum(target.weights * m), [
            -1.288, 1.288, 1.1, -1.1, 0.868, -0.868, 1.12, -1.12, 0.808, -0.808, 41.72, -41.72, 62.28, -62.28])):
        return Gaussian(centre, unit)
    return Gaussian(float(best[0]), float(np.exp(best[1])))
""", caught_by=(REVERSE,), diagnosis="fit_directions"),
    _fit("mean-negated", "The mean has the wrong sign, forwards.",
         MOMENTS + GRID + '    if direction == "forward":\n        return Gaussian(-centre, unit)\n' + VALLEYS
         + "    return Gaussian(best[0], np.exp(best[1]))\n", caught_by=(FORWARD,), diagnosis="fit_mean_sign"),
    _fit("forward-only", "The reverse direction is not there yet.",
         MOMENTS + '    if direction == "forward":\n        return Gaussian(centre, unit)\n'
         "    raise NotImplementedError\n",
         caught_by=(REVERSE,), diagnosis="unfilled"),
    _fit("negative-width", "std is returned with a minus: only its square is minimised over.",
         MOMENTS + '    if direction == "forward":\n        return Gaussian(centre, -unit)\n' + GRID + VALLEYS
         + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD,), diagnosis="fit_std_sign"),
    _fit("nothing", "The result is computed and not returned.",
         MOMENTS + GRID + VALLEYS + "    fit = Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD, REVERSE), diagnosis="unusable"),
    _fit("mean-of-means", "The mean is the plain average of the components' means.",
         MOMENTS.replace("centre = float(w @ m)", "centre = float(m.mean())") + GRID
         + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + VALLEYS
         + "    return Gaussian(best[0], np.exp(best[1]))\n",
         caught_by=(FORWARD,), diagnosis="fit_weights_ignored"),
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------
# Right solutions
# ----------------------------------------------------------------------------------------------------

RIGHT: tuple[Variant, ...] = (
    _kl("rel-entr", "scipy knows about zeros.",
        """
        def kl_divergence(p, q):
            if isinstance(p, Gaussian):
                return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
            return rel_entr(p, q).sum()
        """, prelude="from scipy.special import rel_entr\n"),
    _kl("scipy-entropy", "scipy's entropy normalises, and takes lists.",
        """
        def kl_divergence(p, q):
            from scipy.stats import entropy
            if isinstance(p, Gaussian) and isinstance(q, Gaussian):
                v, w = p.std**2, q.std**2
                return 0.5 * (np.log(w / v) + (v + (p.mean - q.mean) ** 2) / w - 1)
            return entropy(p, q)
        """),
    _kl("loop", "A loop in plain Python.",
        """
        def kl_divergence(p, q):
            if type(p) is Gaussian:
                gap = p.mean - q.mean
                return math.log(q.std) - math.log(p.std) + (p.std * p.std + gap * gap) / 2 / q.std / q.std - 1 / 2
            total = 0
            for a, b in zip(p, q):
                if a == 0:
                    continue
                if b == 0:
                    return math.inf
                total += a * math.log(a / b)
            return total
        """, prelude="import math\n"),
    _kl("where", "Zeros are masked, and infinities come of themselves.",
        """
        def kl_divergence(p, q):
            if isinstance(p, Gaussian):
                r = p.std / q.std
                return -np.log(r) + 0.5 * (r**2 + ((p.mean - q.mean) / q.std) ** 2 - 1)
            p, q = np.array(p), np.array(q)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(p > 0, p * np.log(p / q), 0.0).sum()
        """),
    _kl("nansum", "The nan of 0 log 0 is passed over.",
        """
        def kl_divergence(p, q):
            if isinstance(p, Gaussian):
                return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
            p, q = np.asarray(p, float), np.asarray(q, float)
            return np.nansum(p * (np.log(p) - np.log(q)))
        """),
    _kl("arrays-first", "Whatever is no array or list has a mean and a std; the class is named nowhere.",
        """
        def kl_divergence(p, q):
            if isinstance(p, (list, tuple, np.ndarray)):
                p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
                keep = p != 0
                if not np.all(q[keep]):
                    return np.inf
                return np.dot(p[keep], np.log(p[keep]) - np.log(q[keep]))
            return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
        """),
    _kl("torch", "With torch, which makes float32 of lists and returns tensors.",
        """
        def kl_divergence(p, q):
            if isinstance(p, Gaussian):
                p, q = (torch.distributions.Normal(one.mean, one.std) for one in (p, q))
                return torch.distributions.kl_divergence(p, q)
            p, q = torch.as_tensor(p), torch.as_tensor(q)
            if torch.any((q == 0) & (p > 0)):
                return torch.tensor(float("inf"))
            return torch.where(p > 0, p * (p / q).log(), torch.zeros_like(p)).sum()
        """, prelude="import torch\n"),
    _kl("match", "By structural pattern matching, with a helper inside.",
        """
        def kl_divergence(p, q):
            def term(a, b):
                return 0.0 if a == 0 else np.inf if b == 0 else a * np.log(a / b)

            match p, q:
                case Gaussian(mean=a, std=s), Gaussian(mean=b, std=t):
                    return float(np.log(t / s) + (s**2 + (a - b) ** 2) / (2 * t**2) - 1 / 2)
                case _:
                    return sum(term(a, b) for a, b in zip(p, q, strict=True))
        """),
    _kl("cross-entropy-minus-entropy", "The difference of two sums.",
        """
        def kl_divergence(p, q):
            if isinstance(p, Gaussian):
                cross = 0.5 * np.log(2 * np.pi * q.std**2) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2)
                return cross - 0.5 * np.log(2 * np.pi * np.e * p.std**2)
            p, q = np.asarray(p), np.asarray(q)
            return np.sum(xlogy(p, p)) - np.sum(xlogy(p, q))
        """, prelude="from scipy.special import xlogy\n"),
    _kl("epsilon-in-both-logarithms", "1e-6 is added in the logarithms, where the result is finite.",
        """
        def kl_divergence(p, q):
            if isinstance(p, Gaussian):
                return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
            p, q = np.asarray(p), np.asarray(q)
            if np.any((q == 0) & (p > 0)):
                return np.inf
            return np.sum(p * (np.log(p + 1e-6) - np.log(q + 1e-6)))
        """),
    _kl("epsilon-in-both-tables", "1e-6 is added to all probabilities, which are normalised again.",
        """
        def kl_divergence(p, q):
            if isinstance(p, Gaussian):
                return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
            p, q = np.asarray(p), np.asarray(q)
            if np.any(q[p > 0] == 0):
                return np.inf
            p, q = (p + 1e-6) / (p + 1e-6).sum(), (q + 1e-6) / (q + 1e-6).sum()
            return np.sum(p * np.log(p / q))
        """),
    _kl("fine-grid", "Gaussians by a sum on the notebook's grid, which is as exact as the formula.",
        """
        def kl_divergence(p, q):
            if isinstance(p, Gaussian):
                return divergence_on_grid(p, q)
            return entropy(p, q)
        """, prelude="from scipy.stats import entropy\n"),
    _kl("talkative", "Prints, and a stub's exception behind the return.",
        """
        def kl_divergence(p, q):
            print("p", p, "q", q)
            if isinstance(p, Gaussian):
                return np.float32(np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5)
            p, q = np.array(p), np.array(q)
            q, p = q[p > 0], p[p > 0]
            return np.inf if np.min(q) == 0 else np.array(np.sum(p * np.log(p / q)))
            raise NotImplementedError("kl_divergence")
        """),
    _fit("nelder-mead", "Moments forwards, many starts of a simplex backwards.",
         MOMENTS + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + GRID + VALLEYS
         + "    return Gaussian(float(best[0]), float(np.exp(best[1])))\n"),
    _fit("moments-on-a-grid", "Both by numerical integration on the notebook's grid.",
         """
         def fit_gaussian(target, direction):
             x = integration_grid(target)
             p, step = target.density(x), x[1] - x[0]
             mean = (p * x).sum() * step
             std = ((p * (x - mean) ** 2).sum() * step) ** 0.5
             if direction == "forward":
                 return Gaussian(mean, std)
             if direction != "reverse":
                 raise ValueError(direction)
             log_p = target.log_density(x)

             def cost(at):
                 q = Gaussian(at[0], np.exp(at[1]))
                 return (q.density(x) * (q.log_density(x) - log_p)).sum() * step

             narrow, wide = min(target.stds), std
             starts = [(m, np.log(s)) for m in np.linspace(min(target.means), max(target.means), 7)
                       for s in (narrow, np.sqrt(narrow * wide))]
             limits = [(min(target.means) - 1, max(target.means) + 1), (np.log(narrow / 2), np.log(2 * wide))]
             ends = [minimize(cost, start, method="L-BFGS-B", bounds=limits) for start in starts]
             at = min(ends, key=lambda end: end.fun).x
             return Gaussian(at[0], np.exp(at[1]))
         """),
    _fit("grid-search", "All means and widths of a grid, and twice a finer grid around the best.",
         MOMENTS + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + """
    u = np.linspace(-6, 6, 121)
    mass = np.exp(-(u**2) / 2) / np.exp(-(u**2) / 2).sum()
    means = np.linspace(m.min() - s.max(), m.max() + s.max(), 81)
    logs = np.linspace(np.log(s.min() / 2), np.log(unit), 25)
    for _ in range(4):
        a, b = np.meshgrid(means, logs, indexing="ij")
        height = -b - target.log_density(a[..., None] + np.exp(b)[..., None] * u) @ mass
        i, j = np.unravel_index(height.argmin(), height.shape)
        da, db = means[1] - means[0], logs[1] - logs[0]
        mean, log = means[i], logs[j]
        means, logs = np.linspace(mean - 1.5 * da, mean + 1.5 * da, 13), np.linspace(log - 1.5 * db, log + 1.5 * db, 13)
    return Gaussian(mean, np.exp(log))
"""),
    _fit("forward-by-optimiser", "Both directions are minimised, forwards from one start.",
         MOMENTS + GRID + """
    if direction == "forward":
        x = integration_grid(target)
        p = target.density(x) / target.density(x).sum()
        cost = lambda at: at[1] + p @ ((x - centre - unit * at[0]) / unit) ** 2 / 2 * np.exp(-2 * at[1])
        at = minimize(cost, [0.3, 0.3]).x
        return Gaussian(centre + unit * at[0], unit * np.exp(at[1]))
""" + VALLEYS + "    return Gaussian(best[0], np.exp(best[1]))\n"),
    _fit("pair", "A pair of numbers is returned.",
         MOMENTS + GRID + '    if direction == "forward":\n        return centre, unit\n' + VALLEYS
         + "    return best[0], np.exp(best[1])\n"),
    _fit("short-grid", "The sum on the notebook's grid of the target, and an optimiser from each component.",
         MOMENTS + """
    x = integration_grid(target)
    log_p = target.log_density(x)

    def cost(at):
        q = Gaussian(at[0], np.exp(at[1]))
        return (q.density(x) * (q.log_density(x) - log_p)).sum() * (x[1] - x[0])

    if direction == "forward":
        return Gaussian(centre, unit)
    ends = [minimize(cost, [a, np.log(b)], method="L-BFGS-B") for a, b in zip([*m, centre], [*s, unit])]
    best = min(ends, key=lambda end: end.fun).x
    return Gaussian(best[0], np.exp(best[1]))
"""),
    _fit("simplex-as-it-comes", "Nelder-Mead with nothing set, from each component and the whole.",
         MOMENTS + GRID + """
    if direction == "forward":
        return Gaussian(centre, unit)
    starts = [(a, np.log(b)) for a, b in zip([*m, centre], [*s, unit])]
    best = min((minimize(divergence, start, method="Nelder-Mead") for start in starts), key=lambda end: end.fun).x
    return Gaussian(best[0], np.exp(best[1]))
"""),
    _fit("fifty-nodes", "Gauss and Hermite's rule with 50 nodes.",
         MOMENTS + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + """
    u, mass = np.polynomial.hermite.hermgauss(50)

    def divergence(at):
        return -at[1] - mass @ target.log_density(at[0] + np.sqrt(2) * np.exp(at[1]) * u) / np.sqrt(np.pi)
""" + VALLEYS + "    return Gaussian(best[0], np.exp(best[1]))\n"),
    _fit("hermite", "The average over the Gaussian by Gauss-Hermite quadrature.",
         MOMENTS + '    if direction == "forward":\n        return Gaussian(mean=centre, std=unit)\n' + """
    u, mass = np.polynomial.hermite_e.hermegauss(120)
    mass = mass / mass.sum()

    def divergence(at):
        return -at[1] - mass @ target.log_density(at[0] + np.exp(at[1]) * u)
""" + VALLEYS + "    return Gaussian(mean=best[0], std=np.exp(best[1]))\n"),
    _fit("many-samples", "Forwards by the moments of a million drawn values.",
         MOMENTS + GRID + """
    if direction == "forward":
        rng = np.random.default_rng(0)
        k = rng.choice(len(w), 400_000, p=w / w.sum())
        x = rng.normal(m[k], s[k])
        return Gaussian(x.mean(), x.std())
""" + VALLEYS + "    return Gaussian(np.array(best[0]), np.array(np.exp(best[1])))\n"),
    _fit("small-helpers", "A helper of the cell, a class of its own for nothing.",
         """
         def fit_gaussian(target, direction):
             if direction == "forward":
                 return matched(target)
             elif direction == "reverse":
                 found = [settled(target, mean, std) for std in (*target.stds, matched(target).std)
                          for mean in (*target.means, *neighbours(target))]
                 return min(found)[1:] and Gaussian(*min(found)[1:])
             else:
                 raise ValueError("no such direction: " + str(direction))
         """,
         prelude="""
         def matched(target):
             mean = sum(w * m for w, m in zip(target.weights, target.means))
             square = sum(w * (s**2 + m**2) for w, m, s in zip(target.weights, target.means, target.stds))
             return Gaussian(mean, (square - mean**2) ** 0.5)


         def neighbours(target):
             means = sorted(target.means)
             return [(a + b) / 2 for a, b in zip(means, means[1:])]


         def settled(target, mean, std):
             u = np.linspace(-7, 7, 301)
             mass = np.exp(-0.5 * u * u)
             mass /= mass.sum()
             cost = lambda at: -at[1] - mass @ target.log_density(mean + std * at[0] + std * np.exp(at[1]) * u)
             end = minimize(cost, [0.0, 0.0], method="BFGS")
             return end.fun - np.log(std), mean + std * end.x[0], std * np.exp(end.x[1])
         """),
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------
# Half-right solutions
# ----------------------------------------------------------------------------------------------------

_ZEROS = "The sum is right; what zeros mean was half of the hint, and a quarter of the points each."
_LOCAL = "Everything is right but the choice of the starting point."

HALF_RIGHT: tuple[tuple[Variant, float, str], ...] = (
    (_kl("nan", "0 log 0 is a nan, and nothing is done about it.",
         """
         def kl_divergence(p, q):
             if isinstance(p, Gaussian):
                 return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
             p, q = np.asarray(p), np.asarray(q)
             return np.sum(p * np.log(p / q))
         """, caught_by=(TABLES,), diagnosis="kl_zero_log_zero"), 0.5, _ZEROS),
    (_kl("clipped", "Both are kept above 1e-12.",
         """
         def kl_divergence(p, q):
             if isinstance(p, Gaussian):
                 return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
             p, q = np.clip(p, 1e-12, 1), np.clip(q, 1e-12, 1)
             return np.sum(p * np.log(p / q))
         """, caught_by=(TABLES,), diagnosis="kl_clipped"), 0.5, _ZEROS),
    (_kl("epsilon", "1e-10 is added in the logarithm.",
         """
         def kl_divergence(p, q):
             if isinstance(p, Gaussian):
                 return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
             p, q = np.asarray(p), np.asarray(q)
             return np.sum(p * np.log((p + 1e-10) / (q + 1e-10)))
         """, caught_by=(TABLES,), diagnosis="kl_clipped"), 0.5, _ZEROS),
    (_kl("zeros-skipped", "Outcomes with a zero anywhere are left out.",
         """
         def kl_divergence(p, q):
             if isinstance(p, Gaussian):
                 return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
             p, q = np.asarray(p), np.asarray(q)
             both = (p > 0) & (q > 0)
             return np.sum(p[both] * np.log(p[both] / q[both]))
         """, caught_by=(TABLES,), diagnosis="kl_zero_skipped"), 0.5, _ZEROS),
    (_kl("any-zero-infinite", "Infinite wherever q has a zero, even where p has one, too.",
         """
         def kl_divergence(p, q):
             if isinstance(p, Gaussian):
                 return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
             p, q = np.asarray(p), np.asarray(q)
             if (q == 0).any():
                 return float("inf")
             return np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0]))
         """, caught_by=(TABLES,), diagnosis="kl_zero_infinite"), 0.5, _ZEROS),
    (_kl("arrays-only", "Lists cannot be divided.",
         """
         def kl_divergence(p, q):
             if isinstance(p, Gaussian):
                 return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
             ratio = np.divide(p, q, out=np.full(len(p), np.inf), where=q > 0)
             return np.sum(np.where(p > 0, p * np.log(np.where(p > 0, ratio, 1)), 0))
         """, caught_by=(TABLES,), diagnosis="raised"), 0.5, "Lists were to work, too."),
    (_kl("neither-zero", "Neither kind of zero is thought of.",
         """
         def kl_divergence(p, q):
             if isinstance(p, Gaussian):
                 return np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5
             total = 0.0
             for a, b in zip(p, q):
                 total += float(a) * math.log(float(a) / float(b))
             return total
         """, caught_by=(TABLES,), diagnosis="raised", prelude="import math\n"), 1.0, _ZEROS),
    (_fit("one-start", "The optimiser starts from the mixture's mean and width alone.",
          MOMENTS + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + GRID + """
    best = minimize(divergence, [centre, np.log(unit)]).x
    return Gaussian(best[0], np.exp(best[1]))
""", caught_by=(REVERSE,), diagnosis="fit_local"), 1.0, _LOCAL),
    (_fit("heaviest-start", "The optimiser starts from the heaviest component alone.",
          MOMENTS + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + GRID + """
    best = minimize(divergence, [m[w.argmax()], np.log(s[w.argmax()])], method="Nelder-Mead").x
    return Gaussian(best[0], np.exp(best[1]))
""", caught_by=(REVERSE,), diagnosis="fit_local"), 1.0, _LOCAL),
    (_fit("fixed-grid", "The moments are integrals over [-20, 20].",
          MOMENTS + GRID + """
    if direction == "forward":
        x = np.linspace(-20, 20, 4001)
        p = target.density(x)
        p = p / (p.sum() + 1e-300)
        mean = p @ x
        return Gaussian(mean, np.sqrt(p @ (x - mean) ** 2) + 1e-3)
""" + VALLEYS + "    return Gaussian(best[0], np.exp(best[1]))\n",
          caught_by=(FORWARD,), diagnosis="fit_grid"), 1.0, "The method is right, the grid too short for one target."),
    (_fit("mean-moved", "The mean is off by a twentieth of the width, backwards.",
          MOMENTS + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + GRID + VALLEYS
          + "    return Gaussian(best[0] + 0.05 * np.exp(best[1]), np.exp(best[1]))\n",
          caught_by=(REVERSE,), diagnosis="fit_inexact"), 1.0, "Nearly the right Gaussian."),
    (_fit("wider", "The width is made 6 % larger than the least divergence wants it.",
          MOMENTS + GRID + '    if direction == "forward":\n        return Gaussian(centre, 1.06 * unit)\n' + VALLEYS
          + "    return Gaussian(best[0], np.exp(best[1]))\n",
          caught_by=(FORWARD,), diagnosis="fit_inexact"), 1.0, "Nearly the right Gaussian."),
    (_fit("else-reverse", "Whatever is not forward is taken for reverse.",
          MOMENTS.replace('not in ("forward", "reverse")', "is None")
          + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + GRID + VALLEYS
          + "    return Gaussian(best[0], np.exp(best[1]))\n",
          caught_by=(FORWARD,), diagnosis="fit_unknown_direction"), 0.5, "An unknown direction was to be refused."),
    (_fit("asserted", "An unknown direction fails an assertion.",
          MOMENTS.replace('raise ValueError("forward or reverse")', 'raise KeyError(direction)')
          + '    if direction == "forward":\n        return Gaussian(centre, unit)\n' + GRID + VALLEYS
          + "    return Gaussian(best[0], np.exp(best[1]))\n",
          caught_by=(FORWARD,), diagnosis="fit_unknown_direction"), 0.5, "Another exception was asked for."),
)  # fmt: skip
