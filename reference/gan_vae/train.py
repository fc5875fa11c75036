"""One step of gradient descent for each kind of model, and the loop around it."""

import torch
from models.gan import GAN
from tqdm import tqdm

LEARNING_RATE = 1e-3


class Trainer:
    """Trains a VAE or a GAN.

    Args:
        model: the VAE or GAN, on `device`
        batches: an iterator of (batch, 784) grey values in [0, 1]
        device: where the model is
        on_save: called as on_save(step) every `iter_save` steps and after the last
    """

    def __init__(self, model, batches, *, device="cpu", on_save=lambda step: None):
        self.model = model
        self.batches = batches
        self.device = device
        self.on_save = on_save
        if isinstance(model, GAN):
            self.step = self.gan_step
            # Two optimisers: the networks move against each other. A lower first beta forgets old gradients
            # sooner, which matters where the opponent keeps changing (Radford et al. 2016, section 4).
            self.g_optimizer = torch.optim.Adam(model.g.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.999))
            self.d_optimizer = torch.optim.Adam(model.d.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.999))
        else:
            self.step = self.vae_step
            # Fused: one kernel for all of a step's arithmetic. The numbers are the same up to rounding.
            self.optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)

    def vae_step(self, grey):
        """One step down the negative ELBO; grey (batch, 784) in [0, 1]. Returns scalar tensors to show."""
        # The model is one of binary pixels. A fresh draw in every step, with the grey value as probability
        # of a one, is also a kind of data augmentation (Salakhutdinov and Murray 2008).
        x = torch.bernoulli(grey)
        loss, summaries = self.model.loss(x)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {name.split("/")[-1]: torch.as_tensor(value).detach() for name, value in summaries.items()}

    def gan_step(self, grey):
        """One step for the generator and one for the discriminator, as `vae_step` is for the VAE."""
        d_loss, g_loss = self.model.loss_nonsaturating(grey.reshape(-1, 1, 28, 28), device=self.device)
        g_weights, d_weights = list(self.model.g.parameters()), list(self.model.d.parameters())
        # Each loss is differentiated by its own network's weights only, so d_loss may be written with or
        # without a detach. Both gradients are taken before either step: a step changes weights in place,
        # and the second loss was computed with the old ones.
        g_grads = torch.autograd.grad(g_loss, g_weights, retain_graph=True)
        d_grads = torch.autograd.grad(d_loss, d_weights)
        for weights, grads in ((g_weights, g_grads), (d_weights, d_grads)):
            for weight, grad in zip(weights, grads, strict=True):
                weight.grad = grad
        self.g_optimizer.step()
        self.d_optimizer.step()
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}

    def run(self, iter_max, iter_save):
        """Take `iter_max` steps; returns the scalars of the last one."""
        self.model.train()
        shown = {}
        with tqdm(range(1, iter_max + 1), mininterval=0.5) as bar:
            for step in bar:
                shown = self.step(next(self.batches).to(self.device))
                if step % 50 == 0:  # not more often: to read a value means to wait for the GPU
                    bar.set_postfix({name: f"{value.item():.2f}" for name, value in shown.items()}, refresh=False)
                if step % iter_save == 0 or step == iter_max:
                    self.on_save(step)
        return {name: value.item() for name, value in shown.items()}
