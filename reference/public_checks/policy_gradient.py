"""The checks of question 6 in policy_gradient.ipynb, once more; check.py runs them beside your definitions."""

# ruff: noqa: F821
# The names that are not defined here are those of the notebook.


def check_policy_gradient_loss():
    """Stops with a sentence if the gradient of policy_gradient_loss is not the estimate of part (b)."""
    logits = torch.randn(6, n_classes, generator=torch.Generator().manual_seed(0))
    predicted = torch.tensor([0, 3, 1, 1, 2, 0])
    reward = torch.tensor([3.0, -1.0, -1.0, 3.0, 3.0, -1.0])

    def loss_and_gradient(rows):
        z = logits[rows].requires_grad_()  # (len(rows), n_classes)
        loss = policy_gradient_loss(F.log_softmax(z, dim=1), predicted[rows], reward[rows])
        assert isinstance(loss, torch.Tensor), f"A scalar tensor was expected; {type(loss).__name__} was returned."
        assert loss.shape == (), f"A scalar was expected; a tensor of shape {tuple(loss.shape)} was returned."
        assert loss.requires_grad, "The loss was expected to be computed from logprob; no gradient leads back to it."
        return loss.item(), torch.autograd.grad(loss, z)[0].double()

    def score(row, h=1e-4):
        """The gradient of the log-probability of one decision in its logits, by finite differences: (n_classes,)"""
        z, y = logits[row].double(), predicted[row]
        steps = h * torch.eye(n_classes, dtype=torch.float64)
        up, down = F.log_softmax(z + steps, dim=1)[:, y], F.log_softmax(z - steps, dim=1)[:, y]
        return (up - down) / (2 * h)

    def has_baseline():
        """Whether all is right but for a baseline: each reward r counts as a r + b, with 1 <= a <= 6 / 5 and b not 0.

        A constant that does not depend on the decision changes no mean of the estimate. With the mean of the other
        five rewards a is 6 / 5.
        """
        scores = torch.stack([score(row) for row in range(len(logits))])
        gradient = len(logits) * loss_and_gradient(list(range(len(logits))))[1]
        counted = -(gradient * scores).sum(1) / scores.square().sum(1)
        high, low = counted[reward == 3], counted[reward == -1]
        a = (high[0] - low[0]).item() / 4
        alike = torch.allclose(gradient, -counted[:, None] * scores, atol=1e-4)
        alike = alike and torch.allclose(high, high[0], atol=1e-4) and torch.allclose(low, low[0], atol=1e-4)
        return alike and 0.999 < a < 1.201 and abs(high[0].item() - 3 * a) > 1e-3

    # A baseline may be made of the rewards of earlier calls, and then be 0 at first.
    if any(has_baseline() for _ in range(20)):
        return
    # Errors: some ten float32 roundings of numbers up to 3 (10 * 6e-8 * 3 = 2e-6), differences h^2 / 6 = 2e-9.
    losses = []
    for row in range(len(logits)):
        loss, gradient = loss_and_gradient([row])
        expected = -reward[row].double() * score(row)
        seen = f"for one point with reward {reward[row]:g} it is {[round(g, 3) for g in gradient[0].tolist()]}"
        asked = f"{[round(g, 3) for g in expected.tolist()]} was expected."
        wrong_way = torch.allclose(gradient[0], -expected, atol=1e-5)
        assert not wrong_way, f"The gradient in the logits points uphill: {seen}, {asked} Minimising means L = -reward."
        assert torch.allclose(gradient[0], expected, atol=1e-5), f"The gradient in the logits: {seen}; {asked}"
        losses.append(loss)

    loss, mean = loss_and_gradient(list(range(len(logits))))[0], sum(losses) / len(losses)
    assert abs(loss - mean) < 1e-5, (
        f"For six points together the loss is {loss:.3f}; the average of the six losses, {mean:.3f}, was expected. "
        "(If the sizes look right: has some product along the way the shape (6, 6)?)"
    )
