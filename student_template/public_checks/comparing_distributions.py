"""The checks of question 2 in comparing_distributions.ipynb, once more; check.py runs them beside your definitions."""

# ruff: noqa: F821
# The names that are not defined here are those of the notebook.


def check_kl_divergence():
    """Stops with a sentence if kl_divergence is not what was asked for."""
    third = 1 / 3
    cases = [  # p, q, D(p || q), D(q || p)
        ([0.5, 0.5], [0.25, 0.75], np.log(2) - np.log(3) / 2, 3 / 4 * np.log(3) - np.log(2)),
        ([0, third, 2 * third], [0.25, 0.25, 0.5], np.log(4 / 3), np.inf),
        ([0, 0.5, 0.5], [0.5, 0.5, 0], np.inf, np.inf),
        ([0, 0.5, 0.5], [0, 0.5, 0.5], 0, 0),
        ([0.93, 0.07], [0.07, 0.93], 0.86 * np.log(93 / 7), 0.86 * np.log(93 / 7)),
        (Gaussian(1, 2), Gaussian(1, 2), 0, 0),
        (Gaussian(3, 1), Gaussian(2, 1), 1 / 2, 1 / 2),
        (Gaussian(0, 2), Gaussian(0, 1), 3 / 2 - np.log(2), np.log(2) - 3 / 8),
    ]
    for one, other, first, second in cases:
        for p, q, expected, swapped in ((one, other, first, second), (other, one, second, first)):
            given = [np.array(d) if isinstance(d, list) else d for d in (p, q)]
            seen = kl_divergence(*given)
            assert seen is not None and np.ndim(seen) == 0, (
                f"A single float was expected for p = {p} and q = {q}; {seen!r} was returned."
            )
            seen = float(seen)
            # Gaussians: some thirty roundings of numbers below 30, which are 30 * 30 * 6e-8 = 6e-5 in float32. Tables:
            # 1e-6 added against zeros moves these sums by 1e-6 (0.93 / 0.07 + ...) or, where p is 0, by
            # 1e-6 log 1e-6: by less than 2e-5.
            if np.isclose(seen, expected, rtol=0, atol=1e-4 if isinstance(p, Gaussian) else 2e-5):
                continue
            hint = ""
            if np.isclose(seen, expected / np.log(2)):
                hint = " This is in bits; nats were asked for."
            elif np.isclose(seen, swapped):
                hint = " This is D(q || p)."
            raise AssertionError(f"For p = {p} and q = {q}: {expected:.6f} was expected, {seen:.6f} returned.{hint}")

    assert abs(kl_divergence([0.5, 0.5], [0.5, 0.5])) < 2e-5, "For two equal lists, not arrays, zero was expected."

    p, q = Gaussian(0.3, 0.5), Gaussian(-0.4, 0.8)
    x = integration_grid(p, q)  # (n,)
    first, second = table_of(p, x), table_of(q, x)
    closed, summed = kl_divergence(p, q), np.sum(first * (np.log(first) - np.log(second)))
    # On this grid sums are integrals up to exp(-50), the mass beyond 10 standard deviations; what is left are n
    # roundings of terms whose sizes add up to less than 10: below 1e-12 for n = 288. The closed form may be in float32.
    assert abs(closed - summed) < 1e-4, (
        f"The closed form for {p} and {q} gives {closed:.6f}, but the same two as tables on a fine grid {summed:.6f}; "
        "the same value was expected."
    )


def to_minimise(target, gaussian, direction):
    """The divergence that the fit in this direction minimises."""
    return divergence_on_grid(target, gaussian) if direction == "forward" else divergence_on_grid(gaussian, target)


CHECKED = [  # weights, means and standard deviations; the least divergence, forward and reverse, rounded down
    ((1.0,), (2.5,), (0.6,), 0.00000, 0.00000),
    ((0.68, 0.32), (-3.4, 3.2), (0.4, 1.6), 1.01833, 0.38521),
    ((0.5, 0.5), (-1.2, 3.4), (0.5, 0.5), 0.85600, 0.69314),
    ((0.31, 0.38, 0.31), (2.7, -3.1, 3.9), (0.62, 0.55, 0.62), 0.82220, 0.48714),
    ((0.2, 0.8), (2.4, 0.8), (0.49, 1.35), 0.02717, 0.02764),
    ((0.56, 0.44), (-0.6, 2.6), (1.46, 0.73), 0.10905, 0.13890),
    ((0.575, 0.425), (0.9, 4.0), (1.42, 0.74), 0.09360, 0.11894),
    ((0.68, 0.32), (27.0, 73.0), (2.8, 11.2), 1.01445, 0.38519),
    ((0.32, 0.68), (31.0, 77.0), (11.2, 2.8), 1.01445, 0.38519),
]


def check_fit_gaussian():
    """Stops with a sentence if fit_gaussian is not what was asked for."""
    for weights, means, stds, *least in CHECKED:
        for sign in (1, -1):  # each of them, and its mirror image
            target = Mixture(weights, tuple(sign * mean for mean in means), stds)
            for direction, possible in zip(("forward", "reverse"), least, strict=True):
                fit = fit_gaussian(target, direction)
                if isinstance(fit, tuple | list) and len(fit) == 2:  # a pair, which the grader takes, too
                    fit = Gaussian(*map(float, fit))
                assert isinstance(fit, Gaussian), f"A Gaussian was expected; {type(fit).__name__} was returned."
                assert np.isfinite(fit.mean) and 0 < fit.std < np.inf, f"A mean and a width were expected, not {fit}."
                seen = to_minimise(target, fit, direction)
                steps = [(0.03, 1), (-0.03, 1), (0, 1.03), (0, 1 / 1.03)]
                around = [Gaussian(fit.mean + fit.std * a, fit.std * b) for a, b in steps]
                lower = min(around, key=lambda other: to_minimise(target, other, direction))
                hint = "This is a minimum, but there is a lower one elsewhere."
                if to_minimise(target, lower, direction) < seen:
                    hint = f"It is no minimum: {lower} is better."
                # A relative error e in both parameters costs about 1.5 e^2: these 0.001 nats forgive two percent.
                assert seen <= possible + 0.001, (
                    f"For {target}, {direction}: the smallest divergence was expected, {possible:.4f} nats. "
                    f"You return {fit} with {seen:.4f} nats. {hint}"
                )
    try:
        fit_gaussian(Mixture((1.0,), (2.5,), (0.6,)), "sideways")
    except ValueError:
        return
    raise AssertionError("For the direction 'sideways' a ValueError was expected; nothing was raised.")
