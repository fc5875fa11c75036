"""The pictures of sampled digits: right ones pass however they are laid out, every defect has its own sentence."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from autograder.core import CheckFailed, Question, Trial, Verdict
from autograder.hw11 import ASSIGNMENT, pictures
from autograder.hw11.audit import pictures as audit
from autograder.hw11.pictures import digits, tiling
from autograder.hw11.pictures import probes as probe
from autograder.sandbox import wire
from autograder.sandbox.guest.student import Missing, Student
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers

FILE = pictures.FILES["vae"]
HOMEWORK = replace(
    ASSIGNMENT,
    questions=tuple(
        Question(model, number, model, (file,), (pictures.check(model, 2),))
        for number, (model, file) in enumerate(pictures.FILES.items(), 4)
    ),
)


@cache
def samples() -> np.ndarray:
    """The 200 tiles of the reference's picture, uint8: speckled, as p(x) is."""
    pixels = np.asarray(Image.open(helpers.REFERENCE / FILE))
    return pixels.reshape(10, 28, 20, 28).transpose(0, 2, 1, 3).reshape(200, 28, 28)


def png(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **options)
    return stream.getvalue()


def told(*files: bytes) -> dict[str, Any]:
    """What the probe tells of these pictures, over the wire."""
    with tempfile.TemporaryDirectory() as workspace:
        path = Path(workspace, FILE)
        path.parent.mkdir()
        for place, data in enumerate(files):
            path.with_stem(path.stem + (f"-{place}" if place else "")).write_bytes(data)
        seen = probe.pictures({"file": FILE}, Student(Path(workspace)))
    message = wire.encode(wire.Frame("test", values=seen))
    cut = wire.PREFIX.size + wire.lengths(message[: wire.PREFIX.size])[0]
    return dict(wire.decode(message[wire.PREFIX.size : cut], message[cut:]).values)


def graded(*files: bytes) -> Verdict:
    return pictures.picture(Trial({}, told(*files)))


def grid(rows: int = 10, columns: int = 20, gutter: int = 0, value: int = 0, outer: bool = True) -> np.ndarray:
    """The samples as torchvision's make_grid lays them out."""
    tiles = np.pad(samples(), ((0, 0), (0, gutter), (0, gutter)), constant_values=value)
    side = 28 + gutter
    laid = tiles.reshape(rows, columns, side, side).transpose(0, 2, 1, 3).reshape(rows * side, columns * side)
    if not gutter:
        return laid
    laid = laid[:-gutter, :-gutter]
    return np.pad(laid, gutter, constant_values=value) if outer else laid


def framed(pixels: np.ndarray, value: int) -> np.ndarray:
    return np.pad(pixels, ((40, 31), (55, 60)), constant_values=value)


def enlarged(pixels: np.ndarray, factor: float) -> np.ndarray:
    height, width = pixels.shape
    return np.asarray(
        Image.fromarray(pixels).resize((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)
    )


def coloured() -> Image.Image:
    """Half transparent over nothing, with a palette of purple to yellow, as image tools export it."""
    image = Image.fromarray(grid(gutter=2))
    image.putpalette([part for level in range(256) for part in (68 + level // 2, level, 84 - level // 4)])
    return image


def figure(draw: Callable[[Any], None], **options: Any) -> np.ndarray:
    """A matplotlib figure as it is saved."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    drawn = pyplot.figure(**options)
    draw(drawn)
    stream = io.BytesIO()
    drawn.savefig(stream)
    pyplot.close(drawn)
    return np.asarray(Image.open(stream).convert("RGB"))


def subplots(rows: int, columns: int, **options: Any) -> Callable[[Any], None]:
    def draw(drawn: Any) -> None:
        for axes, tile in zip(drawn.subplots(rows, columns).ravel(), samples(), strict=True):
            axes.imshow(tile, **options)
            axes.axis("off")

    return draw


def shown(**options: Any) -> Callable[[Any], None]:
    """One imshow with ticks and a title."""

    def draw(drawn: Any) -> None:
        axes = drawn.subplots()
        axes.imshow(grid(), **options)
        axes.set_title("200 samples")

    return draw


def screenshot() -> np.ndarray:
    """A window with a bar, text and a smaller picture beside the grid."""
    pixels = np.full((520, 900), 245, np.uint8)
    pixels[:24] = 60
    pixels[40:46, 100:400:3] = 0
    pixels[80:382, 150:752] = grid(gutter=2)
    return pixels


RIGHT: dict[str, Callable[[], bytes]] = {
    "as experiment.py writes it": lambda: (helpers.REFERENCE / FILE).read_bytes(),
    "the GAN's": lambda: (helpers.REFERENCE / pictures.FILES["gan"]).read_bytes(),
    "20 rows": lambda: png(grid(20, 10)),
    **{f"gutters of {width}": lambda width=width: png(grid(gutter=width)) for width in range(1, 5)},  # type: ignore[misc]
    "white gutters": lambda: png(grid(gutter=2, value=255)),
    "gutters inside alone": lambda: png(grid(20, 10, gutter=3, value=128, outer=False)),
    "margins of white": lambda: png(framed(grid(), 255)),
    "margins like the ground": lambda: png(framed(grid(gutter=2), 0)),
    "turned, margins like the ground": lambda: png(framed(grid(20, 10), 0)),
    "black on white": lambda: png(255 - grid()),
    "black on white with margins": lambda: png(framed(255 - grid(gutter=1, value=0), 255)),
    **{f"enlarged {factor} times": lambda factor=factor: png(enlarged(grid(gutter=2), factor)) for factor in (1.37, 4)},  # type: ignore[misc]
    "smaller": lambda: png(enlarged(grid(), 0.8)),
    "JPEG": lambda: png(grid(), "JPEG", quality=50),
    "RGB": lambda: png(np.stack([grid()] * 3, axis=2)),
    "RGBA": lambda: png(Image.fromarray(grid()).convert("RGBA")),
    "transparent ground": lambda: png(Image.merge("LA", [Image.new("L", (560, 280)), Image.fromarray(grid())])),
    "palette": lambda: png(coloured()),
    "one bit": lambda: png(Image.fromarray(grid()).convert("1")),
    "16 bits": lambda: png(Image.fromarray(grid().astype(np.uint16) * 257)),
    "grey scales turned down": lambda: png((60 + grid() / 2.5).astype(np.uint8)),
    "subplots": lambda: png(figure(subplots(10, 20, cmap="gray"), figsize=(10, 6))),
    "imshow, viridis": lambda: png(figure(shown(), figsize=(8, 5))),
    "imshow, default size": lambda: png(figure(shown(cmap="gray"))),
    "imshow, stretched": lambda: png(figure(shown(cmap="gray", aspect="auto"), figsize=(8, 8))),
    "screenshot": lambda: png(screenshot()),
}


@cache
def made(name: str) -> bytes:
    return RIGHT[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_picture_passes(name: str) -> None:
    data = made(name)
    verdict = graded(data)
    assert verdict.score == 1, verdict.message
    assert len(verdict.notes) == 1


@pytest.mark.parametrize("name", ["20 rows", "gutters of 2", "margins like the ground", "subplots"])
def test_the_tiles_are_cut_where_they_are(name: str) -> None:
    """Each tile looks most like the sample in its place, the rows from top to bottom."""
    pixels = told(made(name))["pictures.0.pixels"]
    tiles, _ = pictures.normal(tiling.cut(tiling.summed(pixels), pictures.read(pixels).layout))
    found, own = digits.features(tiles), digits.features(samples() / 255)
    assert np.array_equal((found @ own.T).argmax(1), np.arange(200))


def broken_size(width: int, height: int) -> bytes:
    """A PNG that announces this size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A PNG whose comment unpacks to 200 MB."""
    data = b"Comment\0\0" + zlib.compress(bytes(200 * 1024**2), 9)
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    whole = png(grid())
    return whole[:33] + chunk + whole[33:]


def moving() -> bytes:
    frames = [Image.fromarray(grid()), Image.fromarray(255 - grid())]
    return png(frames[0], save_all=True, append_images=frames[1:])


UNREADABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "it is empty"),
    "17 MB": (lambda: png(grid()) + bytes(17 * 1024**2), "17 MB"),
    "huge": (lambda: broken_size(50_000, 50_000), "2500 million pixels"),
    "beyond any size": (lambda: broken_size(2**31 - 1, 2**31 - 1), "million pixels"),
    "empty inside": (lambda: broken_size(560, 280), "damaged"),
    "cut off": (lambda: png(grid())[:9000], "damaged"),
    "JPEG cut off": (lambda: png(grid(), "JPEG")[:9000], "damaged"),
    "text bomb": (text_bomb, "damaged"),
    "animated": (moving, "more than one image"),
    "GIF": (lambda: png(grid(), "GIF"), "neither PNG nor JPEG"),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "neither PNG nor JPEG"),
    "header only": (lambda: b"\x89PNG\r\n\x1a\n", "ould not be read"),
    "one pixel": (lambda: png(grid()[:1, :1]), "1 x 1 pixels"),
    "a line": (lambda: png(np.zeros((2, 8000), np.uint8)), "8000 x 2 pixels"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_told(name: str) -> None:
    make, words = UNREADABLE[name]
    verdict = graded(make())
    assert verdict.score == 0
    assert verdict.diagnosis in ("picture_unreadable", "picture_small")
    assert words in verdict.message
    assert "xpected" in verdict.message


def loss_curve() -> np.ndarray:
    pixels = np.full((480, 640), 255, np.uint8)
    at = np.arange(60, 600)
    pixels[(60 + 300 * (1 - np.exp(-(at - 60) / 90))).astype(int), at] = 0
    return pixels


def many(count: int) -> np.ndarray:
    """The samples, of which all but `count` are replaced by noise: a model that is half trained."""
    rng = np.random.Generator(np.random.Philox(1))
    images = samples() / 255
    looks = digits.nearest(digits.features(images))[0]
    images[np.argsort(-looks)[count:]] = rng.random((200 - count, 28, 28)) * 0.6
    return audit.tiled(images)


def of_classes(count: int) -> np.ndarray:
    """Samples of the first classes alone, moved and thinned a little so that none is there twice."""
    images, rng = samples() / 255, np.random.Generator(np.random.Philox(2))
    moved = [np.roll(image, rng.integers(-1, 2, 2), (0, 1)) for image in np.tile(images, (20, 1, 1))]
    thinned = np.stack(moved) * (rng.random((4000, 28, 28)) < 0.9)
    looks, classes = digits.nearest(digits.features(thinned))
    return audit.tiled(thinned[(classes < count) & (looks > pictures.LOOKS)][:200])


def drawn(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


@cache
def training(seed: int = 4) -> np.ndarray:
    """200 of the digits that a model is trained with, (200, 28, 28) in [0, 1]."""
    images, _ = audit.real()
    found: np.ndarray = images[drawn(seed).permutation(len(images))[:200]]
    return found


CHANGED = ("rotated by 8 degrees", "rotated by 12 degrees", "rotated by 15 degrees", "sheared by 0.2",
           "nine tenths as large", "blurred", "drawn pixel by pixel", "noise of 40 levels")  # fmt: skip
OTHERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "turned to the other side": lambda images: audit.affine(images, degrees=-10),
    "sheared to the other side": lambda images: audit.affine(images, shear=-0.25),
    "a tenth larger": lambda images: audit.affine(images, scale=1.1),
    "turned and smaller": lambda images: audit.affine(images, degrees=6, scale=0.93),
    "less noise": lambda images: audit.noisy(images, 30, drawn(1)),
}


def turned(turn: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray | None = None) -> np.ndarray:
    tiles = samples() if pixels is None else pixels.reshape(10, 28, 20, 28).transpose(0, 2, 1, 3).reshape(200, 28, 28)
    return audit.tiled(np.ascontiguousarray(turn(tiles)) / 255)


@cache
def wrong() -> dict[str, np.ndarray]:
    return dict(audit.others())


WRONG: dict[str, tuple[Callable[[], np.ndarray], float, str]] = {
    "grey": (lambda: audit.tiled(wrong()["grey"]), 0, "picture_grey"),
    "all black": (lambda: np.zeros((280, 560), np.uint8), 0, "picture_grey"),
    "noise": (lambda: audit.tiled(wrong()["noise"]), 0, "picture_noise"),
    "shuffled": (lambda: audit.tiled(wrong()["digits' pixels shuffled"]), 0, "picture_noise"),
    "average": (lambda: audit.tiled(wrong()["average digit"]), 0, "picture_untrained"),
    "shapes": (lambda: audit.tiled(wrong()["ellipses, boxes, lines"]), 0, "picture_untrained"),
    "training digits": (lambda: audit.tiled(wrong()["training digits"]), 0, "picture_copies"),
    "training digits, enlarged": (
        lambda: enlarged(audit.tiled(wrong()["training digits"]), 1.6), 0, "picture_copies",
    ),
    "one digit": (lambda: audit.tiled(wrong()["one digit, 200 times"]), 0, "picture_alike"),
    "two digits": (lambda: audit.tiled(wrong()["two digits, 100 times"]), 0, "picture_alike"),
    "one sample": (lambda: audit.tiled(np.repeat(samples()[3:4] / 255, 200, 0)), 0, "picture_alike"),
    "four classes": (lambda: of_classes(4), 0.5, "picture_few_classes"),
    "two classes": (lambda: of_classes(2), 0, "picture_alike"),
    "half trained": (lambda: many(100), 0.5, "picture_little_training"),
    "hardly trained": (lambda: many(60), 0, "picture_noise"),
    "25 x 8": (lambda: grid(25, 8, gutter=2), 0.5, "picture_layout"),
    "a loss curve": (loss_curve, 0, "picture_no_grid"),
    **{f"digits, {name}": (lambda name=name: audit.tiled(dict(audit.changed(training(), drawn(3)))[name]), 0,  # type: ignore[misc]
       "picture_copies") for name in CHANGED},
    **{f"digits, {name}, other ones": (lambda made=made: audit.tiled(made(training(9))), 0, "picture_copies")  # type: ignore[misc]
       for name, made in OTHERS.items()},
    "training digits, mirrored": (lambda: audit.tiled(training()[:, :, ::-1]), 0, "picture_copies"),
    **{f"each tile {name.split(',')[0]}": (lambda turn=turn: turned(turn), 0.5, "picture_turned")  # type: ignore[misc]
       for name, turn in pictures.TURNS.items()},
    "all of it transposed": (lambda: grid().T, 0.5, "picture_turned"),
    "all of it mirrored, with margins": (lambda: framed(grid(gutter=2)[:, ::-1], 0), 0.5, "picture_turned"),
    "transposed, half trained": (lambda: turned(lambda tiles: tiles.transpose(0, 2, 1), many(60)), 0, "picture_noise"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_picture_is_told_why(name: str) -> None:
    make, score, diagnosis = WRONG[name]
    verdict = graded(png(make()))
    assert (verdict.score, verdict.diagnosis) == (score, diagnosis), verdict.message
    assert 20 <= len(verdict.message) <= 600
    assert "xpected" in verdict.message


@pytest.mark.slow
def test_of_several_pictures_the_best_counts() -> None:
    assert graded(png(loss_curve()), b"", png(grid())).score == 1
    assert graded(b"", png(loss_curve())).score == 0
    assert sum(name.endswith(".kind") for name in told(*[b"x"] * 9)) == probe.MAX_PICTURES


def test_no_more_is_sent_than_is_judged() -> None:
    """The largest pictures that are read come back averaged; four of the thinnest still fit into a frame."""
    for size in ((4000, 4000), (1001, 1000), (560, 16_000)):
        assert told(png(Image.new("L", size)))["pictures.0.pixels"].size <= pictures.MOST_PIXELS
    thin = graded(*[png(Image.new("L", (15_999_999, 1)))] * probe.MAX_PICTURES)
    assert thin.diagnosis == "picture_small"


@pytest.mark.parametrize(
    "got",
    [
        {},
        {"pictures.0.kind": ""},
        {"pictures.0.kind": 3},
        {"pictures.0.kind": np.zeros(0)},
        {"pictures.0.kind": np.array(["", "large"])},
        {"pictures.0.kind": np.zeros((2, 2)), "pictures.0.pixels": np.zeros((280, 560), np.uint8)},
        {"pictures.0.kind": "large", "pictures.0.found": np.zeros(0)},
        {"pictures.0.kind": "large", "pictures.0.found": -(2**63)},
        {"pictures.0.kind": "huge", "pictures.0.found": 10**400},
        {"pictures.0.kind": "x" * 10**6},
        {"pictures.0.kind": "", "pictures.0.pixels": np.zeros((280, 560), np.int64)},
        {"pictures.0.kind": "", "pictures.0.pixels": np.zeros((280, 0), np.uint8)},
        {"pictures.0.kind": "", "pictures.0.pixels": np.zeros((0, 0), np.uint8)},
        {"pictures.0.kind": "", "pictures.0.pixels": np.zeros((1, 280, 560), np.uint8)},
        {"pictures.0.": ""},
        {"pictures.0.kind": "huge"},
        {"pictures.0.kind": "", "pictures.0.pixels": "text"},
        {"pictures.0.kind": "", "pictures.0.pixels": np.zeros((300, 600))},
        {"pictures.0.kind": "", "pictures.0.pixels": np.zeros((300, 600, 3), np.uint8)},
        {"pictures.0.kind": "", "pictures.0.pixels": np.zeros((0, 600), np.uint8)},
        {"pictures.0.kind": "", "pictures.0.pixels": np.zeros((4000, 4000), np.uint8)},
        {"pictures.0.kind": "", "pictures.0.pixels": np.zeros((100, 10_000), np.uint8)},
    ],
)
def test_a_worker_that_lies_earns_nothing(got: dict[str, Any]) -> None:
    try:
        assert pictures.picture(Trial({}, got)).score == 0
    except CheckFailed as fault:
        assert "read" in str(fault)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(100, 800), (800, 100), (1048, 1048), (390, 2800), (100, 100)])
def test_what_a_worker_sends_takes_little_of_the_judges_time(shape: tuple[int, int]) -> None:
    """Four pictures of any size, and many more than that, of which no others are looked at."""
    for made in (drawn(1).integers(0, 256, shape), drawn(2).integers(0, 2, shape) * 255, np.zeros(shape)):
        one = {"kind": "", "pixels": made.astype(np.uint8)}
        got = {f"pictures.{place}.{name}": value for place in range(40) for name, value in one.items()}
        with helpers.judgement():
            assert pictures.picture(Trial({}, got)).score == 0  # type: ignore[arg-type]


def test_what_is_hardly_trained_is_not_called_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turned blots may look a little more like digits: that earns nothing that they would not earn upright."""
    few = pictures.read(many(60))
    name = next(iter(pictures.TURNS))
    monkeypatch.setattr(pictures, "_turned", lambda _tiles: name)
    assert pictures.read(many(60)).turned == ""
    assert pictures.judged(pictures.read(many(60))).diagnosis == pictures.judged(few).diagnosis


@pytest.mark.parametrize("name", ["noise of 80 levels", "rotated by 8, noise of 40", "moved by a pixel"])
@pytest.mark.slow
def test_what_cannot_be_told_from_samples_is_known(name: str) -> None:
    """Said in the module's own words; if one of these is told one day, they are to be changed."""
    verdict = graded(png(audit.tiled(dict(audit.changed(training(), drawn(3)))[name])))
    assert verdict.score == 1


def test_samples_of_a_perfect_model_would_pass() -> None:
    """Real digits of which the 5,000 know nothing: each is looked up among the others."""
    rows, _, _ = digits.known()
    some = drawn(6).permutation(5000)[:1000]
    among = rows[some] @ rows.T
    among[np.arange(1000), some] = -1
    assert (among.max(1) >= pictures.NEAR).mean() < 0.36
    assert pictures.MADE == 0.6 * pictures.NUMBER


def test_areas_are_averaged_exactly() -> None:
    """Of a picture that is linear in both directions each average is its value in the middle."""
    picture = (3 * np.arange(300)[:, None] + np.arange(700)[None]).astype(float)
    layout = tiling.Layout(10, 20, (3.3, 7.9), (29.1, 33.7), (28.4, 30.1))
    tiles = tiling.cut(tiling.summed(picture), layout)
    middle = (np.arange(28) + 0.5) / 28
    for tile in (0, 19, 20, 199):
        row, column = divmod(tile, 20)
        down = layout.start[0] + row * layout.pitch[0] + layout.size[0] * middle - 0.5
        across = layout.start[1] + column * layout.pitch[1] + layout.size[1] * middle - 0.5
        exact = 3 * down[:, None] + across[None]
        # Within a pixel the picture is flat, not linear: an edge is off by less than a pixel's quarter slope.
        assert np.abs(tiles[tile] - exact).max() < 1.0
    flat = tiling.cut(tiling.summed(np.full((300, 700), 7.0)), layout)
    assert np.abs(flat - 7).max() < 1e-6


def test_the_kept_digits_are_mlxtends() -> None:
    images, labels = audit.real()
    with np.load(digits.FILE, allow_pickle=False) as file:
        assert np.array_equal(file["digits"], digits.packed(images))
        assert np.array_equal(file["labels"], labels)
    assert np.array_equal(
        digits.packed(np.kron(digits.unpacked(digits.packed(images)), np.ones((2, 2)))), file_digits()
    )
    assert audit.accuracy() >= 0.95
    assert digits.FILE.stat().st_size < 600_000


def file_digits() -> np.ndarray:
    with np.load(digits.FILE, allow_pickle=False) as file:
        return file["digits"]


def test_real_digits_look_like_digits() -> None:
    """Against all others: 98 % or more, where noise never does."""
    rows, _, _ = digits.known()
    among = rows @ rows.T
    np.fill_diagonal(among, -1.0)
    nearest = among.max(1)
    assert (nearest >= pictures.LOOKS).mean() > 0.98
    assert (nearest >= pictures.SAME).mean() < 0.05


def test_through_the_wall(sandbox: Sandbox) -> None:
    """Found in another folder, under the name of a copy; the other picture is lacking, and that is all it costs."""
    files = {"homework/results/vae_samples (1).png": (helpers.REFERENCE / FILE).read_bytes()}
    seen = helpers.grade(sandbox, files, assignment=HOMEWORK)
    assert seen.scores() == {"vae.picture": 2, "gan.picture": 0}
    assert "gan_samples.png is not in the upload" in seen.messages("gan")[0]
    assert seen.results[0].status == seen.results[1].status == "graded"


def test_the_student_who_lacks_the_picture_is_told() -> None:
    with tempfile.TemporaryDirectory() as workspace, pytest.raises(Missing, match="Expected"):
        probe.pictures({"file": FILE}, Student(Path(workspace), (FILE,)))


def test_a_bomb_ends_in_a_sentence(sandbox: Sandbox) -> None:
    files = {FILE: broken_size(4000, 3999), pictures.FILES["gan"]: text_bomb()}
    seen = helpers.grade(sandbox, files, assignment=HOMEWORK)
    assert all("damaged" in message for message in seen.messages())
