"""The seven questions: which files they have, which functions are yours to write, and which checks look at these."""

from typing import NamedTuple


class Check(NamedTuple):
    """One public check: its title in the table, the function that makes it, and what has to be written for it."""

    title: str
    function: str
    written: str


class Question(NamedTuple):
    """A question of the homework. `code` is the file that its checks run, "" where there is nothing to run."""

    number: int
    id: str
    title: str
    optional: bool
    files: tuple
    code: str = ""
    checks: tuple = ()


def _same(*pairs):
    """Checks of a notebook: (title, function, written)."""
    return tuple(Check(*pair) for pair in pairs)


SAMPLE, BOUND, GAN = "sample_gaussian", "negative_elbo_bound", "loss_nonsaturating"

QUESTIONS = (
    Question(
        *(1, "summarization", "Summarization", False),
        ("summarization.ipynb", "submission_log.json", "answers.toml"),
        "summarization.ipynb",
        _same(
            ("TransformerLayer: step by step it gives what teacher forcing gives", "check_layer", "TransformerLayer"),
            ("TransformerStack: step by step it gives what teacher forcing gives", "check_stack", "TransformerStack"),
            ("greedy_decode: the example of the notebook", "check_greedy", "greedy_decode"),
            ("beam_search: the example, width 1, documents beside each other", "check_beam", "beam_search"),
        ),
    ),
    Question(
        *(2, "distributions", "Comparing distributions", False),
        ("comparing_distributions.ipynb", "answers.toml"),
        "comparing_distributions.ipynb",
        _same(
            ("kl_divergence: tables and Gaussians", "check_kl_divergence", "kl_divergence"),
            ("fit_gaussian: a minimum in both directions", "check_fit_gaussian", "fit_gaussian"),
        ),
    ),
    Question(
        *(3, "continual_learning", "Continual learning", True),
        ("continual_learning.ipynb", "answers.toml"),
        "continual_learning.ipynb",
        _same(
            ("permute_mnist: one permutation, decided by the seed", "check_permute_mnist", "permute_mnist"),
            ("on_task_update: squared gradients, a copy of the parameters", "check_on_task_update", "on_task_update"),
            ("ewc_penalty: value and gradient", "check_ewc_penalty", "ewc_penalty"),
            ("train_ewc: the loss and the penalty of earlier tasks", "check_train_ewc", "train_ewc"),
            ("rehearsal_set: all tasks, every image with its label", "check_rehearsal_set", "rehearsal_set"),
        ),
    ),
    Question(
        *(4, "vae", "VAE", False),
        ("gan_vae/utils.py", "gan_vae/models/vae.py", "gan_vae/vae_samples.png", "answers.toml"),
        "gan_vae/test_public.py",
        _same(
            ("sample_gaussian: shape and type", "test_sample_is_shaped_like_m", SAMPLE),
            ("sample_gaussian: arguments left alone", "test_sample_leaves_its_arguments_as_they_were", SAMPLE),
            ("sample_gaussian: standard normal noise", "test_noise_is_standard_normal", SAMPLE),
            ("sample_gaussian: follows m and v", "test_sample_follows_every_entry", SAMPLE),
            ("sample_gaussian: independent entries", "test_entries_have_noise_of_their_own", SAMPLE),
            ("sample_gaussian: new noise in every call", "test_every_call_has_new_noise", SAMPLE),
            ("sample_gaussian: gradients", "test_gradients_flow_through_the_sample", SAMPLE),
            ("negative_elbo_bound: three finite scalars", "test_bound_returns_three_finite_scalars", BOUND),
            ("negative_elbo_bound: KL term", "test_kl_term", BOUND),
            ("negative_elbo_bound: KL in closed form", "test_kl_is_in_closed_form", BOUND),
            ("negative_elbo_bound: reconstruction term", "test_reconstruction_term", BOUND),
            ("negative_elbo_bound: the sum of its terms", "test_bound_is_the_sum_of_its_terms", BOUND),
            ("negative_elbo_bound: average over the batch", "test_bound_averages_over_the_batch", BOUND),
            ("negative_elbo_bound: gradient to the encoder", "test_gradients_reach_the_encoder", BOUND),
            ("negative_elbo_bound: gradient to the decoder", "test_gradients_reach_the_decoder", BOUND),
            ("negative_elbo_bound: z drawn from q(z given x)", "test_z_is_drawn_from_the_posterior", BOUND),
        ),
    ),
    Question(
        *(5, "gan", "GAN", True),
        ("gan_vae/models/gan.py", "gan_vae/gan_samples.png", "answers.toml"),
        "gan_vae/test_public.py",
        _same(
            ("loss_nonsaturating: two finite scalars", "test_gan_returns_two_finite_scalars", GAN),
            ("loss_nonsaturating: loss of the discriminator", "test_gan_loss_of_the_discriminator", GAN),
            ("loss_nonsaturating: loss of the generator", "test_gan_loss_of_the_generator", GAN),
            ("loss_nonsaturating: average over the batch", "test_gan_losses_average_over_the_batch", GAN),
            ("loss_nonsaturating: gradient to the discriminator", "test_gan_gradient_to_the_discriminator", GAN),
            ("loss_nonsaturating: gradient to the generator", "test_gan_gradient_to_the_generator", GAN),
            ("loss_nonsaturating: large logits", "test_gan_losses_where_the_discriminator_is_sure", GAN),
            ("loss_nonsaturating: z standard normal", "test_gan_z_is_standard_normal", GAN),
            ("loss_nonsaturating: new z for every image and call", "test_gan_z_is_new_for_every_row_and_call", GAN),
        ),
    ),
    Question(
        *(6, "policy_gradient", "Policy gradient", False),
        ("policy_gradient.ipynb", "answers.toml"),
        "policy_gradient.ipynb",
        _same(("policy_gradient_loss: a scalar with the gradient of part (b)", "check_policy_gradient_loss",
               "policy_gradient_loss")),
    ),
    Question(7, "process", "Homework process", False, ("answers.toml",)),
)  # fmt: skip

GRADED = tuple(dict.fromkeys(file for question in QUESTIONS for file in question.files))
"""All files that count, by the names that the grader knows."""


def named(word):
    """The question that a word on the command line means, by its id, number or notebook; None for no question."""
    word = word.casefold().removesuffix(".ipynb").removeprefix("question")
    for question in QUESTIONS:
        stems = {file.removesuffix(".ipynb").casefold() for file in question.files if file.endswith(".ipynb")}
        if word in {question.id, str(question.number), *stems}:
            return question
    return None
