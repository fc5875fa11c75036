"""Looks at a picture of 200 sampled digits: its size, whether 10 x 20 tiles fit into it, and whether they are empty."""

ROWS, COLUMNS, SIDE = 10, 20, 28
LAYOUTS = ((10, 20), (20, 10), (25, 8), (8, 25))
"""As asked, turned, and torchvision's make_grid with its eight images a row: all hold 200 digits."""
GUTTERS = range(5)
"""Pixels between two tiles; make_grid's default is 2."""
EMPTY = 24
"""A tile whose grey values differ by no more than this is of one colour, but for what JPEG does to it."""


def look(path, model):
    """The rows (state, title, lines) for the picture of a model, "vae" or "gan"."""
    title = f"{model}_samples.png"
    if path is None:
        how = f"Run `python experiment.py --model {model}` in gan_vae/, which writes results/{title}."
        return [("unfilled", title, [f"There is no picture of 200 sampled digits. {how}"])]
    try:
        from PIL import Image
    except ImportError:
        return [("skipped", title, ["This could not be checked: pillow is not installed. Run: pip install pillow"])]
    try:
        with Image.open(path) as opened:
            width, height = opened.size
            if width * height > 40_000_000:
                return [("wrong", title, [f"It has {width} x {height} pixels. Expected: about 560 x 280."])]
            grey = opened.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return [
            ("wrong", title, [f"It cannot be read as a picture ({type(error).__name__}). Expected: a PNG or JPEG."])
        ]
    low, high = grey.getextrema()
    if high - low <= EMPTY:
        return [("wrong", title, ["All of it has one colour. Expected: 200 digits, 10 rows of 20."])]
    layout = _layout(width, height)
    if layout is None:
        said = f"It has {width} x {height} pixels, into which 10 rows of 20 equal squares do not fit exactly."
        plain = "Expected: 560 x 280 pixels, 10 rows of 20 digits of 28 x 28 pixels, as experiment.py writes it."
        about = 1.4 <= width / height <= 2.9  # a margin, a title: the grader looks for the grid within
        return [("note" if about else "wrong", title, [said, plain])]
    rows, columns, gutter, outer, scale = layout
    empty = sum(_empty(grey, row, column, gutter, outer, scale) for row in range(rows) for column in range(columns))
    if empty:
        return [("wrong", title, [f"{empty} of its 200 tiles are of one colour. Expected: a digit in each."])]
    if (rows, columns) != (ROWS, COLUMNS):
        said = f"It shows {rows} rows of {columns} digits. Expected: 10 rows of 20."
        return [("note", title, [said])]
    return [("ok", f"{title}: 10 rows of 20 tiles, none of them empty", [])]


def _layout(width, height):
    """(rows, columns, gutter, outer gutter, scale) of a picture of this size; None where there is none."""
    for rows, columns in LAYOUTS:
        for gutter in GUTTERS:
            for outer in dict.fromkeys((0, gutter)):
                across = width / (columns * (SIDE + gutter) - gutter + 2 * outer)
                down = height / (rows * (SIDE + gutter) - gutter + 2 * outer)
                # Each length was rounded to a whole pixel.
                if min(across, down) > 0.4 and abs(across - down) * SIDE * min(rows, columns) <= 2:
                    return rows, columns, gutter, outer, (across, down)
    return None


def _empty(grey, row, column, gutter, outer, scale):
    """Whether a tile is of one colour."""
    left, top = ((outer + index * (SIDE + gutter)) * size for index, size in zip((column, row), scale, strict=True))
    box = (round(left), round(top), round(left + SIDE * scale[0]), round(top + SIDE * scale[1]))
    low, high = grey.crop(box).getextrema()
    return high - low <= EMPTY
