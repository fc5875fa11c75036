"""Probe of the pictures of questions 4 and 5: decodes PNG and JPEG within limits and tells their grey values.

The file is a stranger's, and no code of the student's runs here. Nothing is compared with anything expected.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autograder.sandbox.guest.contents import Contents, Missing
from autograder.sandbox.parts import pack

MAX_BYTES = 16 * 1024**2
MAX_PIXELS = 16_000_000
"""A grid of 10 x 20 tiles that is enlarged four times has 2.5 million, the largest screens 15; all modes decode below
100 MB."""
MAX_SENT = 1_000_000
"""Of what is told: 70 x 70 for each of 200 tiles."""
MAX_PICTURES = 4
"""Of one model: a frame holds 16 MB."""


def pictures(given: Mapping[str, Any], student: Contents) -> dict[str, Any]:
    """The picture `given["file"]`, and those beside it whose name begins like its, as `pictures`.

    Of each `kind`, "" or what keeps it from being read, and then `pixels` (height, width), uint8, or `found`, a number.
    """
    file = given["file"]
    if file in student.absent:
        raise Missing(f"{file} is not in the upload. Expected: the picture of 200 sampled digits")
    path = student.workspace / file
    beside = sorted(other for other in path.parent.glob(f"{path.stem}?*{path.suffix}") if other.is_file())
    return pack(pictures=[_picture(one) for one in [path, *beside][:MAX_PICTURES]])


def warm() -> None:
    """Imports Pillow and the readers of its two formats where workers are forked from, once there is a picture."""
    from PIL import Image

    Image.preinit()


def _picture(path: Path) -> dict[str, Any]:
    from PIL import Image, UnidentifiedImageError

    with path.open("rb") as file:
        if not (size := file.seek(0, 2)):
            return {"kind": "empty"}
        if size > MAX_BYTES:
            return {"kind": "large", "found": size // 1024**2}
        file.seek(0)
        Image.MAX_IMAGE_PIXELS = None  # the header's size is looked at here, before anything is decoded
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                if image.width * image.height > MAX_PIXELS:
                    return {"kind": "huge", "found": image.width * image.height // 10**6}
                if getattr(image, "is_animated", False):
                    return {"kind": "animated"}
                return {"kind": "", "pixels": _grey(image)}
        except UnidentifiedImageError:
            return {"kind": "format"}
        except Exception:  # Pillow's readers raise nearly anything on malformed files
            return {"kind": "broken"}


def _grey(image: Any) -> np.ndarray[Any, Any]:
    """Its brightness (height, width), uint8, over white where it is transparent, averaged down to MAX_SENT pixels."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # 16 bits a pixel, which Pillow would clip at 255
        image = Image.fromarray((np.asarray(image, float).clip(0, 65535) / 257).round().astype(np.uint8))
    elif image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L")
    factor = int(np.ceil(np.sqrt(image.width * image.height / MAX_SENT)))
    return np.asarray(image.reduce(factor) if factor > 1 else image)
