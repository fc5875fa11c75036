"""Trains a VAE or a GAN on handwritten digits, then reports and draws what it learned."""

import argparse
from pathlib import Path

import torch
import utils as ut
from data import batches, load_digits
from models.gan import GAN
from models.vae import VAE
from PIL import Image
from train import Trainer

BATCH_SIZE = 100
ROWS, COLUMNS = 10, 20


def build_config_from_args(is_jupyter=False):
    """Read the command line (in a notebook: take the defaults) and return its flags as a namespace."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", choices=("vae", "gan"), default="vae", help="which model to train")
    parser.add_argument("--num_latents", type=int, default=64, help="dimension of the latent variables")
    parser.add_argument("--iter_max", type=int, default=10000, help="number of training iterations")
    parser.add_argument("--iter_save", type=int, default=500, help="iterations between two checkpoints")
    parser.add_argument("--runid", type=int, default=0, help="part of the run's name, and its seed")
    parser.add_argument("--train", type=int, choices=(0, 1), default=1, help="0: use the last checkpoint")
    parser.add_argument("--out_dir", type=str, default="results", help="where checkpoints and images go")
    return parser.parse_args([] if is_jupyter else None)


def save_digits(images, path):
    """Write 200 images (200, 784) or (200, 1, 28, 28) in [0, 1] as one PNG, tiled in a grid of 10 x 20."""
    tiles = images.detach().cpu().reshape(ROWS, COLUMNS, 28, 28)
    grid = tiles.permute(0, 2, 1, 3).reshape(ROWS * 28, COLUMNS * 28)  # a row of tiles, then a row of pixels
    Image.fromarray((255 * grid).round().to(torch.uint8).numpy()).save(path)
    print(f"Wrote {ROWS * COLUMNS} sampled digits to {path}")


def latest_checkpoint(folder):
    """The checkpoint with the most steps; SystemExit with a sentence when there is none."""
    found = sorted(folder.glob("step-*.pt"))
    if not found:
        raise SystemExit(f"There is no checkpoint in {folder} yet: run once with --train 1.")
    return found[-1]


def experiment(config):
    """Train as `config` says (see `build_config_from_args`), report, draw; returns the trained model."""
    torch.manual_seed(config.runid)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = f"{config.model}-z{config.num_latents}-run{config.runid}"
    out_dir = Path(config.out_dir)
    checkpoints = out_dir / name
    checkpoints.mkdir(parents=True, exist_ok=True)

    train_digits, (test_images, test_labels) = load_digits()
    make = VAE if config.model == "vae" else GAN
    # Channels last in memory is how convolutions work fastest, on a CPU and on a GPU; shapes stay as they are.
    model = make(name=name, z_dim=config.num_latents).to(device, memory_format=torch.channels_last)
    if config.train:
        Trainer(
            model,
            batches(train_digits.to(device), BATCH_SIZE),  # moved once, not batch by batch
            device=device,
            on_save=lambda step: torch.save(model.state_dict(), checkpoints / f"step-{step:06d}.pt"),
        ).run(config.iter_max, config.iter_save)
    else:
        path = latest_checkpoint(checkpoints)
        model.load_state_dict(torch.load(path, map_location=device, weights_only=True))
        print(f"Read {path}")

    model.eval()
    with torch.no_grad():
        images = model.sample_x(ROWS * COLUMNS)
        for file in (f"{name}.png", f"{config.model}_samples.png"):  # the second is the one to hand in
            save_digits(images, out_dir / file)
        if config.model == "vae":
            # x ~ p(x) is speckled, every pixel being drawn by itself; its probabilities are easier to read.
            save_digits(model.sample_sigmoid(ROWS * COLUMNS), out_dir / f"{name}-probabilities.png")
            ut.evaluate_lower_bound(model, (test_images.to(device), test_labels))
    return model


if __name__ == "__main__":
    try:
        experiment(build_config_from_args())
    except NotImplementedError as error:
        raise SystemExit(f"Still to be written: {error}") from None
