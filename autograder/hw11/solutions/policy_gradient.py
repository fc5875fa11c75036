"""Wrong, right and half-right solutions for question 6: the scalar whose gradient is the score-function estimate."""

from functools import partial

from autograder.audit.variants import Variant, written

EVERY_CHECK = (
    "policy_gradient.contract",
    "policy_gradient.gradient",
    "policy_gradient.sign",
    "policy_gradient.average",
    "policy_gradient.inputs",
    "policy_gradient.unbiased",
    "policy_gradient.training",
)
NO_GRADIENT = (
    "policy_gradient.contract",
    "policy_gradient.gradient",
    "policy_gradient.sign",
    "policy_gradient.average",
    "policy_gradient.unbiased",
    "policy_gradient.training",
)
WRONG_GRADIENT = ("policy_gradient.gradient", "policy_gradient.unbiased")
EVERY_CHECK_BUT_THE_FORM = (
    "policy_gradient.gradient",
    "policy_gradient.sign",
    "policy_gradient.unbiased",
    "policy_gradient.training",
)
# A product of every reward with every score is 1/N of an unbiased estimate, since foreign rewards are a baseline; the
# noise ruins it.
EVERY_REWARD_FOR_EVERY_ROW = (
    "policy_gradient.gradient",
    "policy_gradient.unbiased",
    "policy_gradient.training",
)
WRONG_SIGN = ("policy_gradient.sign", "policy_gradient.training")


_loss = partial(written, "pg", "policy_gradient.ipynb")  # policy_gradient_loss(logprob, predicted, reward)

# ----------------------------------------------------------------------------------------------------
# Wrong solutions
# ----------------------------------------------------------------------------------------------------

WRONG: tuple[Variant, ...] = (
    # Half precision, to save memory.
    _loss(
        "half",
        "The loss is rounded to half precision.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * chosen).mean().half()
        """,
        caught_by=("policy_gradient.contract",),
        diagnosis="half_precision",
    ),
    _loss(
        "half-logprob",
        "The log-probabilities are rounded to half precision, and so are their gradients.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.half().gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * chosen).mean()
        """,
        caught_by=("policy_gradient.contract",),
        diagnosis="half_precision",
    ),
    _loss(
        "bfloat16-logprob",
        "The log-probabilities are rounded to bfloat16, and so are their gradients.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1).bfloat16()
            return -(reward * chosen).mean()
        """,
        caught_by=("policy_gradient.contract",),
        diagnosis="half_precision",
    ),
    # The loss goes the wrong way.
    _loss(
        "minus-forgotten",
        "The average of reward times log-probability is returned, which is to be maximised.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return (reward * chosen).mean()
        """,
        caught_by=WRONG_SIGN,
        diagnosis="pg_sign",
    ),
    _loss(
        "minus-twice",
        "`nll_loss` has the minus already, and a second one is written before it.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            nll = F.nll_loss(logprob, predicted, reduction="none")
            return -(reward * nll).mean()
        """,
        caught_by=WRONG_SIGN,
        diagnosis="pg_sign",
    ),
    _loss(
        "cost-negated",
        "The reward is turned into a cost, and the cost into a reward again by the minus of the other formula.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            cost = -reward
            chosen = logprob[torch.arange(logprob.shape[0]), predicted]
            return torch.mean(-cost * chosen)
        """,
        caught_by=WRONG_SIGN,
        diagnosis="pg_sign",
    ),
    _loss(
        "kept-positive",
        "The loss is made positive with `abs`, so that batches with mostly bad rewards are climbed.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.view(-1, 1)).view(-1)
            loss = -(reward * chosen).mean()
            return loss.abs()
        """,
        caught_by=("policy_gradient.sign",),
    ),
    _loss(
        "sign-of-small-batches",
        "Batches of less than 10 rows go through a loop that subtracts, and whose result is negated once more.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            n = len(predicted)
            if n < 10:
                loss = 0
                for i in range(n):
                    loss -= reward[i] * logprob[i, predicted[i]] / n
                return -loss
            return (F.nll_loss(logprob, predicted, reduction="none") * reward).mean()
        """,
        caught_by=("policy_gradient.sign",),
    ),
    _loss(
        "sign-by-batch-size",
        "A batch of 33 to 99 rows takes a branch of its own, where the minus was forgotten.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            n = len(predicted)
            chosen = logprob[torch.arange(n), predicted]
            if n <= 32:  # a loop is quick enough
                return -sum(r * c for r, c in zip(reward, chosen)) / n
            if n < 100:
                return (reward * chosen).mean()
            return -torch.dot(reward, chosen) / n
        """,
        caught_by=("policy_gradient.sign",),
    ),
    # The right sum, not averaged over the batch.
    _loss(
        "dot-product",
        "The dot product of rewards and log-probabilities is a sum, and nothing divides it.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -torch.dot(reward, chosen)
        """,
        caught_by=("policy_gradient.average",),
        diagnosis="sum_not_mean",
    ),
    _loss(
        "loop-without-division",
        "The rows are summed up in a loop, and the division by their number is missing.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            loss = 0
            for i in range(len(predicted)):
                loss = loss - reward[i] * logprob[i, predicted[i]]
            return loss
        """,
        caught_by=("policy_gradient.average",),
        diagnosis="sum_not_mean",
    ),
    _loss(
        "averaged-twice",
        "Every row is divided by the batch size, and then the mean is taken.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            n = logprob.size(0)
            losses = reward * F.nll_loss(logprob, predicted, reduction="none") / n
            return torch.mean(losses)
        """,
        caught_by=("policy_gradient.average",),
        diagnosis="averaged_twice",
    ),
    _loss(
        "one-hot-mean",
        "The mean of the masked table also counts the classes that were not decided on.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            one_hot = F.one_hot(predicted, logprob.shape[1]).float()
            return -(one_hot * logprob * reward.unsqueeze(1)).mean()
        """,
        caught_by=("policy_gradient.average",),
        diagnosis="mean_over_classes",
    ),
    _loss(
        "divided-by-1000",
        "The sum is divided by the number of training points, whatever the batch.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * chosen).sum() / 1000
        """,
        caught_by=("policy_gradient.average",),
    ),
    _loss(
        "divided-by-classes",
        "The sum is divided by the number of classes: the wrong dimension was looked up.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * chosen).sum() / logprob.shape[-1]
        """,
        caught_by=("policy_gradient.average",),
    ),
    _loss(
        "divided-by-one-less",
        "The sum is divided by one less than the number of rows, as for a sample variance.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob[range(len(predicted)), predicted]
            return -(reward * chosen).sum() / (len(predicted) - 1)
        """,
        caught_by=("policy_gradient.average",),
    ),
    # What comes back is no scalar.
    _loss(
        "per-example",
        "One loss for each row is returned, and nothing averages them.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -reward * chosen
        """,
        caught_by=(
            "policy_gradient.contract",
            "policy_gradient.average",
        ),
        diagnosis="not_averaged",
    ),
    _loss(
        "per-example-divided",
        "Every row's share of the average is returned, and nothing adds them up.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            nll = F.nll_loss(logprob, predicted, reduction="none")
            return reward * nll / len(reward)
        """,
        caught_by=("policy_gradient.contract",),
    ),
    # No gradient leads from what comes back to the logits.
    _loss(
        "item",
        "The loss is returned as a number, by `item`.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * chosen).mean().item()
        """,
        caught_by=NO_GRADIENT,
        diagnosis="item",
    ),
    _loss(
        "detached",
        "The log-probabilities are detached, although it is the reward that has no gradient.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.detach().gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * chosen).mean()
        """,
        caught_by=NO_GRADIENT,
        diagnosis="detached",
    ),
    _loss(
        "no-grad",
        "The loss is computed under `no_grad`, since policy gradient uses no derivatives of the black box.",
        """
        @torch.no_grad()
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob[torch.arange(len(predicted)), predicted]
            return -(reward * chosen).mean()
        """,
        caught_by=NO_GRADIENT,
        diagnosis="detached",
    ),
    _loss(
        "wrapped-again",
        "The loss is wrapped in a new tensor that requires a gradient: backward runs, but reaches nothing.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            losses = []
            for i in range(len(predicted)):
                losses.append(-reward[i].item() * logprob[i, predicted[i]].item())
            return torch.tensor(sum(losses) / len(losses), requires_grad=True)
        """,
        caught_by=NO_GRADIENT,
    ),
    _loss(
        "numpy",
        "The average is taken by numpy, and its result made a tensor.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.detach().numpy()[np.arange(len(predicted)), predicted.numpy()]
            return torch.tensor(-np.mean(reward.numpy() * chosen))
        """,
        caught_by=NO_GRADIENT,
        prelude="import numpy as np",
    ),
    _loss(
        "reward-alone",
        "The negative average reward is returned, which is what is to become small, but has no gradient.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return -reward.mean()
        """,
        caught_by=NO_GRADIENT,
        diagnosis="reward_only",
    ),
    _loss(
        "reward-requires-grad",
        "The black box's answers are told to require a gradient, and averaged.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            reward = reward.clone().requires_grad_(True)
            return -torch.mean(reward)
        """,
        caught_by=NO_GRADIENT,
        diagnosis="reward_only",
    ),
    _loss(
        "nothing-returned",
        "The loss is computed and printed, but not returned.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            loss = -(reward * chosen).mean()
            print("loss", loss.item())
        """,
        caught_by=(*NO_GRADIENT, "policy_gradient.inputs"),
    ),
    _loss(
        "log-of-log",
        "The logarithm is taken of a logarithm, which is negative.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * torch.log(chosen)).mean()
        """,
        caught_by=NO_GRADIENT,
    ),
    # A gradient arrives, and is zero.
    _loss(
        "times-zero",
        "The sum of all log-probabilities, times zero.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return logprob.sum() * 0
        """,
        caught_by=EVERY_CHECK,
        diagnosis="zero_gradient",
    ),
    _loss(
        "one-for-certain",
        "The probabilities of all classes are averaged and weighted, and their sum is 1 whatever the network does.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return -(reward * logprob.exp().sum(dim=1)).mean()
        """,
        caught_by=EVERY_CHECK,
        diagnosis="zero_gradient",
    ),
    _loss(
        "log-of-one",
        "The logarithm of the probabilities' sum is zero, and so is its gradient.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return -(reward * torch.logsumexp(logprob, dim=1)).mean()
        """,
        caught_by=EVERY_CHECK,
        diagnosis="zero_gradient",
    ),
    _loss(
        "constant",
        "A constant is returned, for the time being.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return torch.tensor(0.5)
        """,
        caught_by=EVERY_CHECK,
    ),
    # Something else than the log-probability of the decision.
    _loss(
        "probabilities",
        "The probability of the decision takes the place of its logarithm.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            prob = logprob.exp().gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * prob).mean()
        """,
        caught_by=WRONG_GRADIENT,
        diagnosis="probabilities",
    ),
    _loss(
        "softmax-nll",
        "`nll_loss` expects log-probabilities, but is given the softmax.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            prob = F.softmax(logprob, dim=-1)
            return (F.nll_loss(prob, predicted, reduction="none") * reward).mean()
        """,
        caught_by=WRONG_GRADIENT,
        diagnosis="probabilities",
    ),
    _loss(
        "cross-entropy-of-probabilities",
        "`cross_entropy` takes a softmax of its own, here of probabilities.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            probs = torch.exp(logprob)
            return torch.mean(reward * F.cross_entropy(probs, predicted, reduction="none"))
        """,
        caught_by=("policy_gradient.gradient",),
    ),
    _loss(
        "log-probability-squared",
        "The squared log-probability is pulled towards zero, as by a mean squared error.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return (reward * chosen ** 2).mean()
        """,
        caught_by=WRONG_GRADIENT,
    ),
    _loss(
        "regression-on-reward",
        "The probability of the decision is fitted to its reward, as a value function would be.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            prob = logprob.exp().gather(1, predicted.unsqueeze(1)).squeeze(1)
            return F.mse_loss(prob, reward)
        """,
        caught_by=WRONG_GRADIENT,
    ),
    _loss(
        "decision-as-classifier",
        "Whether the reward is positive is learnt by binary cross entropy of the decision's probability.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            prob = logprob.exp().gather(1, predicted.unsqueeze(1)).squeeze(1).clamp(1e-6, 1 - 1e-6)
            return F.binary_cross_entropy(prob, (reward > 0).float())
        """,
        caught_by=WRONG_GRADIENT,
    ),
    _loss(
        "divided-by-probability",
        "The reward is divided by the decision's probability, which the sampling has accounted for already.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            weight = reward / chosen.detach().exp()
            return -(weight * chosen).mean()
        """,
        caught_by=WRONG_GRADIENT,
    ),
    _loss(
        "focal",
        "Decisions that are sure are weighted down, as the focal loss does.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            nll = F.nll_loss(logprob, predicted, reduction="none")
            focus = (1 - torch.exp(-nll.detach())) ** 2
            return (focus * reward * nll).mean()
        """,
        caught_by=WRONG_GRADIENT,
    ),
    # Other classes than those that were decided on.
    _loss(
        "all-classes",
        "The reward multiplies the log-probabilities of all classes, and the decision is not looked at.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return -(reward.unsqueeze(1) * logprob).mean()
        """,
        caught_by=EVERY_CHECK_BUT_THE_FORM,
        diagnosis="all_actions",
    ),
    _loss(
        "all-classes-summed",
        "The log-probabilities are summed over all classes before the reward multiplies them.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return -torch.mean(reward * logprob.sum(dim=1))
        """,
        caught_by=EVERY_CHECK_BUT_THE_FORM,
        diagnosis="all_actions",
    ),
    _loss(
        "all-classes-expected",
        "The expected score over all classes, which is zero, takes the place of the decision's.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            prob = logprob.exp().detach()
            return -(reward * (prob * logprob).sum(dim=1)).mean()
        """,
        caught_by=EVERY_CHECK,
        diagnosis="zero_gradient",
    ),
    _loss(
        "next-class",
        "Classes are counted from one, so that the log-probability of another class is read.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            rows = torch.arange(len(predicted))
            return -(reward * logprob[rows, predicted - 1]).mean()
        """,
        caught_by=EVERY_CHECK_BUT_THE_FORM,
    ),
    _loss(
        "least-probable",
        "The least probable class is taken for the decision: its negative log-probability is the largest.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            nll, _ = (-logprob).max(dim=1)
            return (reward * nll).mean()
        """,
        caught_by=EVERY_CHECK_BUT_THE_FORM,
    ),
    _loss(
        "true-labels",
        "The labels of the training points take the place of the decisions and their rewards.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return F.nll_loss(logprob, y_train[:len(logprob)])
        """,
        caught_by=(
            "policy_gradient.gradient",
            "policy_gradient.sign",
            "policy_gradient.unbiased",
            "policy_gradient.training",
        ),
        sometimes=("policy_gradient.average",),
        diagnosis="true_labels",
    ),
    _loss(
        "inferred-labels",
        "Where the reward is bad, some other class is taught as if it were the right one.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            label = torch.where(reward > 0, predicted, (predicted + 1) % logprob.shape[1])
            return F.nll_loss(logprob, label)
        """,
        caught_by=WRONG_GRADIENT,
    ),
    _loss(
        "gathered-along-rows",
        "`gather` runs along the batch in place of the classes.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(0, predicted.unsqueeze(0)).squeeze(0)
            return -(reward * chosen).mean()
        """,
        caught_by=EVERY_CHECK,
    ),
    _loss(
        "greedy-max",
        "The log-probability of the most probable class is taken, whichever class was decided on.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            best = logprob.max(dim=-1).values
            return -(reward * best).mean()
        """,
        caught_by=("policy_gradient.unbiased",),
        diagnosis="greedy_action",
    ),
    _loss(
        "greedy-argmax",
        "The decision is made again, by argmax, as in the starter code's loop.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            predicted = torch.argmax(logprob, dim=1)
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * chosen).mean()
        """,
        caught_by=("policy_gradient.unbiased",),
        diagnosis="greedy_action",
    ),
    _loss(
        "greedy-rows",
        "Only rows whose decision is the most probable class count.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            sure = predicted == logprob.argmax(dim=1)
            return -torch.where(sure, reward * chosen, torch.zeros_like(chosen)).mean()
        """,
        caught_by=("policy_gradient.unbiased",),
    ),
    _loss(
        "clamped-at-chance",
        "Log-probabilities below those of a guess are clamped, where no gradient passes.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            floor = -math.log(logprob.shape[1]) - 1e-3
            return -(reward * chosen.clamp(min=floor)).mean()
        """,
        caught_by=("policy_gradient.unbiased",),
        prelude="import math",
    ),
    # The reward of a row does not reach its own log-probability.
    _loss(
        "reward-ignored",
        "The plain `nll_loss` of the decisions: the reward is not used.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return F.nll_loss(logprob, predicted)
        """,
        caught_by=EVERY_CHECK_BUT_THE_FORM,
        diagnosis="reward_ignored",
    ),
    _loss(
        "reward-column",
        "A column of rewards times a row of log-probabilities is a table of N x N products.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward.unsqueeze(1) * chosen).mean()
        """,
        caught_by=EVERY_REWARD_FOR_EVERY_ROW,
        diagnosis="broadcast_nxn",
    ),
    _loss(
        "squeeze-forgotten",
        "`gather` leaves a column, and the row of rewards is broadcast against it.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = torch.gather(logprob, 1, predicted.unsqueeze(1))
            return torch.mean(-chosen * reward)
        """,
        caught_by=EVERY_REWARD_FOR_EVERY_ROW,
        diagnosis="broadcast_nxn",
    ),
    _loss(
        "product-of-means",
        "The mean of the products is taken for the product of the means.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return F.nll_loss(logprob, predicted) * reward.mean()
        """,
        caught_by=EVERY_REWARD_FOR_EVERY_ROW,
        diagnosis="broadcast_nxn",
    ),
    _loss(
        "columns-for-pairs",
        "`logprob[:, predicted]` picks N columns of every row, not one entry.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return -(reward.unsqueeze(1) * logprob[:, predicted]).mean()
        """,
        caught_by=EVERY_CHECK_BUT_THE_FORM,
        diagnosis="index_nxn",
    ),
    _loss(
        "columns-and-rewards",
        "`logprob[:, predicted]` is N x N, and the row of rewards multiplies its columns.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return -(logprob[:, predicted] * reward).mean()
        """,
        caught_by=EVERY_CHECK_BUT_THE_FORM,
        diagnosis="index_nxn",
    ),
    _loss(
        "columns-selected",
        "`index_select` along the classes gives N columns for every row, which are summed up.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.index_select(1, predicted)
            return -(chosen * reward).sum() / len(reward)
        """,
        caught_by=(*EVERY_CHECK_BUT_THE_FORM, "policy_gradient.average"),
        diagnosis="index_nxn",
    ),
    _loss(
        "last-row-forgotten",
        "The rows up to -1 are taken, which leaves out the last one.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward[:-1] * chosen[:-1]).sum() / len(reward)
        """,
        caught_by=("policy_gradient.gradient",),
        sometimes=("policy_gradient.average",),
    ),
    _loss(
        "first-rows-only",
        "The loop runs over the classes in place of the rows, so that only the first four rows count.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            loss = 0
            for _, row, action, r in zip(range(logprob.shape[1]), logprob, predicted, reward):
                loss = loss - r * row[action]
            return loss / len(predicted)
        """,
        caught_by=("policy_gradient.gradient", "policy_gradient.average", "policy_gradient.training"),
    ),
    _loss(
        "discounted-rows",
        "The rows are discounted as if they were the steps of an episode.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            discount = 0.95 ** torch.arange(len(reward))
            return -(discount * reward * chosen).mean()
        """,
        caught_by=(
            "policy_gradient.gradient",
            "policy_gradient.average",
        ),
    ),
    # Another reward than the given one.
    _loss(
        "rewards-clipped",
        "Rewards are clipped to [-2, 2].",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward.clamp(-2, 2) * chosen).mean()
        """,
        caught_by=("policy_gradient.gradient",),
        diagnosis="reward_clipped",
    ),
    _loss(
        "punishments-dropped",
        "Negative rewards are replaced by zero: nothing is learnt from a wrong decision.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            nll = F.nll_loss(logprob, predicted, reduction="none")
            return (F.relu(reward) * nll).mean()
        """,
        caught_by=("policy_gradient.gradient",),
        diagnosis="reward_clipped",
    ),
    _loss(
        "sign-of-reward",
        "Only the sign of the reward is used.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(torch.sign(reward) * chosen).mean()
        """,
        caught_by=("policy_gradient.gradient",),
        diagnosis="reward_sign",
    ),
    _loss(
        "tanh-of-reward",
        "The rewards are squashed by a tanh.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(torch.tanh(reward) * chosen).mean()
        """,
        caught_by=("policy_gradient.gradient",),
    ),
    _loss(
        "reward-times-magnitude",
        "The reward is multiplied by its magnitude.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * reward.abs() * chosen).mean()
        """,
        caught_by=("policy_gradient.gradient",),
    ),
    _loss(
        "reward-squared",
        "The reward is squared, so that punishments become rewards.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward ** 2 * chosen).mean()
        """,
        caught_by=("policy_gradient.sign", *WRONG_GRADIENT),
        diagnosis="reward_squared",
    ),
    _loss(
        "reward-magnitude",
        "The magnitude of the reward is used without its sign.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward.abs() * chosen).mean()
        """,
        caught_by=("policy_gradient.sign", *WRONG_GRADIENT),
        diagnosis="reward_magnitude",
    ),
    _loss(
        "rewards-normalised",
        "The batch's rewards are centred and divided by their standard deviation.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            advantage = (reward - reward.mean()) / (reward.std() + 1e-8)
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(advantage * chosen).mean()
        """,
        caught_by=(
            "policy_gradient.gradient",
            "policy_gradient.average",
        ),
        diagnosis="reward_normalised",
        sometimes=("policy_gradient.sign",),
    ),
    _loss(
        "divided-by-reward",
        "The log-probability is divided by the reward.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(chosen / reward).mean()
        """,
        caught_by=("policy_gradient.gradient",),
        diagnosis="reward_divided",
    ),
    _loss(
        "positive-or-not",
        "Whether the reward is positive takes its place.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            hit = (reward > 0).float()
            return (hit * F.nll_loss(logprob, predicted, reduction="none")).mean()
        """,
        caught_by=("policy_gradient.gradient",),
        diagnosis="reward_sign",
        sometimes=("policy_gradient.sign",),
    ),
    _loss(
        "rewards-between-zero-and-one",
        "The batch's rewards are scaled to between 0 and 1.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            scaled = (reward - reward.min()) / (reward.max() - reward.min())
            return -(scaled * logprob[range(len(predicted)), predicted]).mean()
        """,
        caught_by=("policy_gradient.gradient",),
        diagnosis="reward_normalised",
        sometimes=("policy_gradient.sign",),
    ),
    _loss(
        "softmax-of-rewards",
        "A softmax turns the rewards of the batch into weights.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            weight = F.softmax(reward, dim=0)
            return -(weight * logprob[range(len(predicted)), predicted]).sum()
        """,
        caught_by=("policy_gradient.gradient", "policy_gradient.sign", "policy_gradient.unbiased"),
        diagnosis="reward_softmax",
    ),
    _loss(
        "rewards-over-deviation",
        "The rewards are divided by their standard deviation, and not centred.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward / reward.std() * chosen).mean()
        """,
        caught_by=("policy_gradient.average",),
        diagnosis="reward_normalised",
    ),
    # A term too many.
    _loss(
        "entropy-bonus",
        "A bonus for the entropy of the policy is added, as actor-critic methods do.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            entropy = -(logprob.exp() * logprob).sum(dim=1)
            return -(reward * chosen + 0.05 * entropy).mean()
        """,
        caught_by=("policy_gradient.gradient",),
    ),
    _loss(
        "large-logits-penalised",
        "The squared log-probabilities of all classes are added as a penalty.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            penalty = 0.01 * logprob.pow(2).sum(dim=1)
            return (penalty - reward * chosen).mean()
        """,
        caught_by=("policy_gradient.gradient",),
    ),
    # The arguments are changed.
    _loss(
        "reward-negated-in-place",
        "The reward is negated in place, so that the caller's rewards change their sign.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return (reward.neg_() * chosen).mean()
        """,
        caught_by=("policy_gradient.inputs",),
        diagnosis="in_place",
    ),
    _loss(
        "reward-told-to-require-grad",
        "The caller's rewards are told to require a gradient, although they are constants.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            reward.requires_grad_(True)
            nll = F.nll_loss(logprob, predicted, reduction="none")
            return torch.mean(reward * nll)
        """,
        caught_by=("policy_gradient.inputs",),
    ),
    _loss(
        "decisions-made-a-column",
        "The caller's decisions are turned into a column in place.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze_(1)).squeeze(1)
            return -(reward * chosen).mean()
        """,
        caught_by=("policy_gradient.inputs",),
    ),
    _loss(
        "decisions-overwritten",
        "The caller's decisions become positions in the flattened table, in place.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            n, k = logprob.shape
            predicted += k * torch.arange(n)
            return -(reward * logprob.reshape(-1)[predicted]).mean()
        """,
        caught_by=("policy_gradient.inputs",),
        diagnosis="in_place",
    ),
    _loss(
        "rewards-clipped-in-place",
        "Rewards below -1/2 are replaced in the caller's tensor.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            reward[reward < -0.5] = -0.5
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * chosen).mean()
        """,
        caught_by=("policy_gradient.gradient", "policy_gradient.inputs"),
    ),
    _loss(
        "log-probabilities-overwritten",
        "The log-probabilities are multiplied in place, which backward refuses: it needs their old values.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            logprob *= reward.unsqueeze(1)
            return F.nll_loss(logprob, predicted)
        """,
        caught_by=EVERY_CHECK,
    ),
    # Large batches take another path.
    _loss(
        "last-chunk-only",
        "Batches of more than 85 rows are cut into chunks, and the last chunk's loss is returned.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            for start in range(0, len(reward), 85):
                rows = slice(start, start + 85)
                chosen = logprob[rows].gather(1, predicted[rows].unsqueeze(1)).squeeze(1)
                loss = -(reward[rows] * chosen).mean()
            return loss
        """,
        caught_by=("policy_gradient.training",),
    ),
    _loss(
        "gradient-of-last-chunk",
        "Batches of more than 85 rows are summed up in chunks, and all sums but the last are turned into numbers.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            total = 0.0
            for log_p, action, r in zip(logprob.split(85), predicted.split(85), reward.split(85)):
                total = float(total) + (r * F.nll_loss(log_p, action, reduction="none")).sum()
            return total / len(reward)
        """,
        caught_by=("policy_gradient.training",),
    ),
    _loss(
        "outer-product-for-large-batches",
        "Batches of more than 100 rows take a matrix product, which pairs every reward with every decision.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            n = len(reward)
            chosen = logprob.gather(1, predicted.view(-1, 1))
            if n > 100:
                return -(reward.view(-1, 1) @ chosen.view(1, -1)).mean()
            return -(reward.view(-1, 1) * chosen).mean()
        """,
        caught_by=("policy_gradient.training",),
    ),
    _loss(
        "softmax-once-more",
        "The exponentials of the log-probabilities are taken for logits.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return (F.cross_entropy(logprob.exp(), predicted, reduction="none") * reward).mean()
        """,
        caught_by=WRONG_GRADIENT,
        diagnosis="softmax_twice",
    ),
    _loss(
        "probability-times-logarithm",
        "The log-probability is weighted by the probability, although the action was drawn by it.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * chosen.exp() * chosen).mean()
        """,
        caught_by=(*WRONG_GRADIENT, "policy_gradient.training"),
        diagnosis="probability_twice",
    ),
    _loss(
        "actions-out-of-order",
        "The actions are reversed, the rewards are not.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.flip(0).unsqueeze(1)).squeeze(1)
            return -(reward * chosen).mean()
        """,
        caught_by=(*WRONG_GRADIENT, "policy_gradient.sign", "policy_gradient.training"),
        diagnosis="other_action",
    ),
)

# ----------------------------------------------------------------------------------------------------
# Right solutions
# ----------------------------------------------------------------------------------------------------

RIGHT: tuple[Variant, ...] = (
    # The entry of the decision is looked up.
    _loss(
        "gather",
        "`gather` picks the decisions, and the minus stands before the mean.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -torch.mean(chosen * reward)
        """,
    ),
    _loss(
        "gather-columns",
        "Everything stays a column, rewards too.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = torch.gather(logprob, dim=-1, index=predicted.reshape(-1, 1))
            return (-chosen * reward.reshape(-1, 1)).mean()
        """,
    ),
    _loss(
        "gather-of-negative",
        "The table is negated before an entry is picked.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            surprise = (-logprob).gather(1, predicted[:, None])[:, 0]
            loss = surprise * reward
            return loss.mean(dim=0)
        """,
    ),
    _loss(
        "arange",
        "Rows and decisions index the table in pairs.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            rows = torch.arange(logprob.size(0), device=logprob.device)
            return -(logprob[rows, predicted] * reward).mean()
        """,
    ),
    _loss(
        "python-range",
        "A range and a list index the table.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            actions = predicted.tolist()
            return (-reward * logprob[range(len(actions)), actions]).mean()
        """,
    ),
    _loss(
        "flat-index",
        "The table is flattened, and positions in it are computed.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            n, k = logprob.shape
            position = predicted + k * torch.arange(n)
            return torch.dot(logprob.flatten().index_select(0, position), -reward) / n
        """,
    ),
    _loss(
        "take-along-dim",
        "`take_along_dim` with its dimension kept on both sides.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = torch.take_along_dim(logprob, predicted.unsqueeze(-1), dim=-1)
            per_row = (chosen * reward.unsqueeze(-1)).sum(dim=-1, keepdim=True)
            return per_row.mean().neg()
        """,
    ),
    _loss(
        "diagonal",
        "The diagonal of `logprob[:, predicted]` holds the decisions.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = torch.diag(logprob[:, predicted])
            return -(reward * chosen).mean()
        """,
    ),
    _loss(
        "boolean-mask",
        "A boolean mask selects one entry of every row.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            classes = torch.arange(logprob.shape[1])
            decided = classes.unsqueeze(0) == predicted.unsqueeze(1)
            return -(torch.masked_select(logprob, decided) * reward).mean()
        """,
    ),
    # The other entries are multiplied by zero.
    _loss(
        "one-hot",
        "A one-hot mask, summed over the classes.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            mask = F.one_hot(predicted, num_classes=logprob.shape[1])
            chosen = (mask * logprob).sum(dim=1)
            return -(chosen * reward).mean()
        """,
    ),
    _loss(
        "one-hot-sum",
        "The masked table is summed up as a whole and divided by the number of rows.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            mask = torch.eye(logprob.shape[1])[predicted]
            weighted = reward.view(-1, 1) * mask * logprob
            return -weighted.sum() / len(weighted)
        """,
    ),
    _loss(
        "one-hot-matmul",
        "Each one-hot row is multiplied with its row of the table as matrices.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            mask = F.one_hot(predicted, logprob.shape[1]).to(logprob.dtype)
            chosen = torch.bmm(mask.unsqueeze(1), logprob.unsqueeze(2)).flatten()
            return -(reward @ chosen) / reward.shape[0]
        """,
    ),
    _loss(
        "notebook-constant",
        "The notebook's `n_classes` is used.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            mask = F.one_hot(predicted, n_classes).float()
            return -torch.mean(reward * torch.sum(mask * logprob, dim=1))
        """,
    ),
    _loss(
        "einsum",
        "One einsum over rows and classes.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            mask = F.one_hot(predicted, logprob.size(1)).to(logprob)
            return -torch.einsum("nc,nc,n->", mask, logprob, reward) / logprob.size(0)
        """,
    ),
    _loss(
        "where",
        "Other entries become zero by `where`.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            decided = F.one_hot(predicted, logprob.shape[-1]).bool()
            kept = torch.where(decided, logprob, torch.zeros_like(logprob))
            return -(kept.sum(-1) * reward).sum() / kept.shape[0]
        """,
    ),
    _loss(
        "scatter",
        "The gradient is written into a table by `scatter_`, and multiplied with the log-probabilities.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            weight = torch.zeros_like(logprob).scatter_(1, predicted[:, None], reward[:, None])
            return -(weight * logprob).sum() / weight.size(0)
        """,
    ),
    # torch's own losses and distributions.
    _loss(
        "nll-loss",
        "`nll_loss` without reduction brings the minus.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return (F.nll_loss(logprob, predicted, reduction='none') * reward).mean()
        """,
    ),
    _loss(
        "nll-of-weighted",
        "`nll_loss` picks from, and averages, a table that is multiplied with the rewards beforehand.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return F.nll_loss(logprob * reward.unsqueeze(1), predicted)
        """,
    ),
    _loss(
        "nll-module",
        "`nn.NLLLoss` as a module.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            criterion = nn.NLLLoss(reduction="none")
            losses = criterion(logprob, predicted)
            return torch.mean(torch.mul(losses, reward))
        """,
    ),
    _loss(
        "cross-entropy",
        "`cross_entropy` of log-probabilities is the same as of logits.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            ce = F.cross_entropy(logprob, predicted, reduction="none")
            return (ce * reward).mean()
        """,
    ),
    _loss(
        "cross-entropy-soft",
        "`cross_entropy` with one-hot rows as its target.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            target = F.one_hot(predicted, logprob.shape[1]).float()
            return F.cross_entropy(logprob, target * reward.unsqueeze(1))
        """,
    ),
    _loss(
        "categorical",
        "torch's categorical distribution of the logits.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            policy = torch.distributions.Categorical(logits=logprob)
            return -(policy.log_prob(predicted) * reward).mean()
        """,
    ),
    _loss(
        "categorical-of-probabilities",
        "torch's categorical distribution of the probabilities, imported at the top of the cell.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            pi = Categorical(probs=logprob.exp())
            return (-pi.log_prob(predicted) * reward).mean()
        """,
        prelude="from torch.distributions import Categorical",
    ),
    # More than is needed, without harm.
    _loss(
        "log-softmax-again",
        "The log-softmax of log-probabilities leaves them as they are.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            logp = F.log_softmax(logprob, dim=1)
            return -(logp.gather(1, predicted.unsqueeze(1)).squeeze() * reward).mean()
        """,
    ),
    _loss(
        "exp-and-log",
        "Probabilities are computed, and their logarithm is taken.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            prob = torch.exp(logprob)[torch.arange(len(predicted)), predicted]
            return -(torch.log(prob) * reward).mean()
        """,
    ),
    _loss(
        "reward-detached",
        "The reward is detached, cast, and moved, all of which it does not need.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            reward = reward.detach().float().to(logprob.device)
            predicted = predicted.detach().long().to(logprob.device)
            selected = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            loss = -1 * (selected * reward)
            return loss.mean()
        """,
    ),
    _loss(
        "double",
        "The average is taken in double precision.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.double().gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward.double() * chosen).mean()
        """,
    ),
    _loss(
        "loss-of-black-box",
        "The handout's L is minus the reward, and its estimate is averaged.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            L = -reward
            log_p = logprob[torch.arange(len(L)), predicted]
            return (L * log_p).sum() / len(L)
        """,
    ),
    _loss(
        "probability-ratio",
        "The ratio of the probability to itself, detached, has the score for its gradient.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            ratio = torch.exp(chosen - chosen.detach())
            return -(ratio * reward).mean()
        """,
    ),
    _loss(
        "copies-changed-in-place",
        "A copy of the rewards and the gathered entries are changed in place, the arguments are not.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            weight = reward.clone()
            weight.neg_()
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            chosen *= weight
            return chosen.mean()
        """,
    ),
    _loss(
        "views-of-arguments",
        "Columns are made of views, which leaves the arguments' own shapes alone.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            predicted, reward = predicted.view(-1, 1), reward.view(-1, 1)
            return -(logprob.gather(1, predicted) * reward).sum() / predicted.numel()
        """,
    ),
    # Loops.
    _loss(
        "loop",
        "A loop over the rows.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            n = logprob.shape[0]
            loss = 0
            for i in range(n):
                loss -= logprob[i][predicted[i]] * reward[i]
            return loss / n
        """,
    ),
    _loss(
        "loop-stacked",
        "Each row's loss is put in a list, which is stacked and averaged.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            losses = [-r * row[a] for row, a, r in zip(logprob, predicted, reward)]
            return torch.stack(losses).mean()
        """,
    ),
    _loss(
        "loop-over-classes",
        "A loop over the classes, each with the rows that were decided for it.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            total = torch.zeros(())
            for k in range(logprob.shape[1]):
                mine = predicted == k
                total = total + (logprob[mine, k] * reward[mine]).sum()
            return -total / predicted.shape[0]
        """,
    ),
    _loss(
        "loop-over-rewards",
        "Rows with the same reward are summed up by `nll_loss`, and weighted together.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            loss = 0.0
            for r in reward.unique():
                same = reward == r
                loss = loss + r * F.nll_loss(logprob[same], predicted[same], reduction="sum")
            return loss / len(reward)
        """,
    ),
    _loss(
        "loop-over-chunks",
        "Large batches are cut into chunks, and all of them count.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            total = 0.0
            for log_p, action, r in zip(logprob.split(100), predicted.split(100), reward.split(100)):
                total = total + (r * F.nll_loss(log_p, action, reduction="none")).sum()
            return total / len(reward)
        """,
    ),
    # Baselines, which lessen the noise.
    _loss(
        "baseline-constant",
        "A constant baseline of one half.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            advantage = reward - 0.5
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(advantage * chosen).mean()
        """,
    ),
    _loss(
        "baseline-leave-one-out",
        "Every row's baseline is the mean of the other rows' rewards.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            others = (reward.sum() - reward) / (len(reward) - 1)
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -((reward - others) * chosen).mean()
        """,
    ),
    _loss(
        "baseline-batch-mean",
        "The batch's mean reward is the baseline.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            advantage = reward - reward.mean()
            nll = F.nll_loss(logprob, predicted, reduction="none")
            return (advantage * nll).mean()
        """,
    ),
    _loss(
        "baseline-running-mean",
        "A running mean of past calls' rewards is the baseline.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            baseline = past["mean"]
            past["mean"] = 0.9 * baseline + 0.1 * reward.mean().item()
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -((reward - baseline) * chosen).mean()
        """,
        prelude='past = {"mean": 0.0}',
    ),
    # The way the code is written down.
    _loss(
        "documented",
        "Type hints, a docstring and assertions surround a single line.",
        '''
        def policy_gradient_loss(
            logprob: torch.Tensor,
            predicted: torch.Tensor,
            reward: torch.Tensor,
            *,
            reduction: str = "mean",
        ) -> torch.Tensor:
            """REINFORCE: -1/n sum_i R_i log p(y_i | x_i)."""
            assert logprob.dim() == 2 and predicted.shape == reward.shape == logprob.shape[:1]
            assert reduction == "mean"
            return -(reward * logprob[torch.arange(len(reward)), predicted]).mean()
        ''',
    ),
    _loss(
        "nested",
        "A nested function picks the log-probabilities, a lambda averages.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            def pick(table, columns):
                return table.gather(1, columns.unsqueeze(1)).squeeze(1)

            average = lambda values: values.sum() / values.numel()
            return average(-reward * pick(logprob, predicted))
        """,
    ),
    _loss(
        "helper-above",
        "A helper stands above the function in its cell.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            return -(reward * log_prob_of(logprob, predicted)).mean()
        """,
        prelude="""
        def log_prob_of(logprob, actions):
            return logprob.gather(1, actions.unsqueeze(1)).squeeze(1)
        """,
    ),
    _loss(
        "talkative",
        "Shapes and the loss are printed at every call.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            print("logprob", logprob.shape, "predicted", predicted.shape, "reward", reward.shape)
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            loss = -(reward * chosen).mean()
            print("loss", loss)
            return loss
        """,
    ),
    _loss(
        "stub-left",
        "The starter code's exception stands after the return.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            loss = -(reward * chosen).mean()
            return loss
            raise NotImplementedError("policy_gradient_loss")
        """,
    ),
    _loss(
        "tabs",
        "The body is indented with tabs.",
        "def policy_gradient_loss(logprob, predicted, reward):\n"
        "\tchosen = logprob.gather(1, predicted.unsqueeze(1))\n"
        "\tchosen = chosen.squeeze(1)\n"
        "\treturn -(reward * chosen).mean()\n",
    ),
    _loss(
        "windows-line-ends",
        "The lines end with carriage return and line feed.",
        "def policy_gradient_loss(logprob, predicted, reward):\r\n"
        "    chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)\r\n"
        "\r\n"
        "    return -(reward * chosen).mean()\r\n",
    ),
    _loss(
        "not-ascii",
        "Comments and names are not all ASCII.",
        """
        def policy_gradient_loss(logprob, predicted, reward):
            # 策略梯度: ∇J(θ) ≈ −1/N · Σ Rᵢ ∇ log π(aᵢ|sᵢ)  ✓
            log_π = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
            return -(reward * log_π).mean()
        """,
    ),
)

# ----------------------------------------------------------------------------------------------------
# Half-right solutions
# ----------------------------------------------------------------------------------------------------

_NOT_AVERAGED = "The direction is right, but an average over the batch was asked for."
_ARGUMENT_CHANGED = "The loss is right, but the caller's rewards are not the function's to change."

HALF_RIGHT: tuple[tuple[Variant, float, str], ...] = (
    # The size depends on the batch or on the number of classes.
    (
        _loss(
            "sum",
            "The rows are summed up, not averaged.",
            """
            def policy_gradient_loss(logprob, predicted, reward):
                chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
                return -(reward * chosen).sum()
            """,
            caught_by=("policy_gradient.average",),
            diagnosis="sum_not_mean",
        ),
        2.0,
        _NOT_AVERAGED,
    ),
    (
        _loss(
            "mean-divided-again",
            "The mean over the rows is divided by their number once more.",
            """
            def policy_gradient_loss(logprob, predicted, reward):
                chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
                return -(reward * chosen).mean() / len(reward)
            """,
            caught_by=("policy_gradient.average",),
            diagnosis="averaged_twice",
        ),
        2.0,
        _NOT_AVERAGED,
    ),
    (
        _loss(
            "scattered-mean",
            "The rewards are scattered into a table of all classes, which is averaged as a whole.",
            """
            def policy_gradient_loss(logprob, predicted, reward):
                weight = torch.zeros_like(logprob)
                weight[torch.arange(len(predicted)), predicted] = reward
                return -torch.mean(weight * logprob)
            """,
            caught_by=("policy_gradient.average",),
            diagnosis="mean_over_classes",
        ),
        2.0,
        _NOT_AVERAGED,
    ),
    # The right loss changes its arguments.
    (
        _loss(
            "reward-multiplied-in-place",
            "The minus is multiplied into the caller's rewards.",
            """
            def policy_gradient_loss(logprob, predicted, reward):
                reward *= -1
                chosen = logprob.gather(1, predicted.unsqueeze(1)).squeeze(1)
                return (reward * chosen).mean()
            """,
            caught_by=("policy_gradient.inputs",),
            diagnosis="in_place",
        ),
        1.0,
        _ARGUMENT_CHANGED,
    ),
    (
        _loss(
            "baseline-in-place",
            "The batch's mean reward is subtracted from the caller's rewards.",
            """
            def policy_gradient_loss(logprob, predicted, reward):
                reward -= reward.mean()
                return (reward * F.nll_loss(logprob, predicted, reduction="none")).mean()
            """,
            caught_by=("policy_gradient.inputs",),
            diagnosis="in_place",
        ),
        1.0,
        _ARGUMENT_CHANGED,
    ),
)
