"""Tell ink from paper in a small grey cutting, however dark the scan and however noisy."""

from PIL import Image, ImageFilter, ImageOps

_CONTRAST = 70  # grey levels darker than the paper: ink
_STROKE, _FAINT = 2, 40  # half the width of a pen's stroke in pixels; how much darker than paper it then is
_NOISE = 30  # grey levels by which bare paper may flicker
_MARGIN = 24  # white pixels around what Tesseract reads
_SIDE = 5  # pixels kept beside a character
_GAP = 36  # pixels without ink that no word space is wide (3 mm at 300 dpi)
_SPECK = 40  # ink pixels that the smallest lone character has


def share(cutting: Image.Image) -> float:
    """Return the share of pixels that are ink.

    :param cutting: mode L; at least a third of it is bare paper.
    """
    calm = _calm(cutting)
    return sum(calm.histogram()[: _threshold(calm)]) / (calm.width * calm.height)


def stroke_share(cutting: Image.Image, surroundings: Image.Image | None = None) -> float:
    """Return the share of pixels that a pen's strokes cover; dots of a black-and-white scan are evened out first.

    :param surroundings: a wider cutting that shows the paper, where the cutting itself may be filled in.
    """
    even = _even(cutting)
    paper = _paper(even if surroundings is None else _even(surroundings))
    return sum(even.histogram()[: max(0, paper - _FAINT)]) / (even.width * even.height)


def clean(cutting: Image.Image, margin: int = _MARGIN) -> Image.Image:
    """Return the cutting as Tesseract likes it: ink on pure white, with a white margin in pixels."""
    calm = _calm(cutting)
    white = _paper(calm) - _NOISE
    black = min(_darkest(calm), white - _CONTRAST)
    stretched = calm.point([max(0, min(255, (level - black) * 255 // (white - black))) for level in range(256)])
    return ImageOps.expand(stretched, margin, 255)


def narrowed(cutting: Image.Image) -> Image.Image:
    """Return the cutting without the bare paper, and without lone specks, left and right of its ink."""
    columns = _columns(cutting)
    runs = [run for run in _runs(columns) if not _is_speck(run, columns)]
    if not runs:
        return cutting
    left, right = max(0, runs[0][0] - _SIDE), min(cutting.width, runs[-1][1] + _SIDE)
    return cutting.crop((left, 0, right, cutting.height))


def is_flat(cutting: Image.Image) -> bool:
    """Say whether the ink is a dash: at least twice as wide as it is high."""
    extent = _dots(cutting).getbbox()
    return extent is not None and extent[2] - extent[0] >= 2 * (extent[3] - extent[1])


def _dots(cutting: Image.Image) -> Image.Image:
    """Return ink as 255 and paper as 0."""
    calm = _calm(cutting)
    threshold = _threshold(calm)
    return calm.point([255 if level < threshold else 0 for level in range(256)])


def _columns(cutting: Image.Image) -> list[int]:
    """Return how many pixels of each column are ink."""
    pixels = _dots(cutting).tobytes()
    return [pixels[column :: cutting.width].count(255) for column in range(cutting.width)]


def _runs(columns: list[int]) -> list[tuple[int, int]]:
    """Return where ink begins and ends, gaps between words bridged."""
    runs: list[tuple[int, int]] = []
    for place, count in enumerate(columns):
        if count == 0:
            continue
        if runs and place - runs[-1][1] < _GAP:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def _is_speck(run: tuple[int, int], columns: list[int]) -> bool:
    return sum(columns[run[0] : run[1]]) < _SPECK


def _even(cutting: Image.Image) -> Image.Image:
    return cutting.filter(ImageFilter.GaussianBlur(_STROKE))


def _calm(cutting: Image.Image) -> Image.Image:
    return cutting.filter(ImageFilter.MedianFilter(3))


def _threshold(calm: Image.Image) -> int:
    return max(0, _paper(calm) - _CONTRAST)


def _paper(calm: Image.Image) -> int:
    """Return the level of bare paper: the brightest third of any cutting is paper, its middle is typical."""
    return _level(calm.histogram()[::-1], 1 / 3, range(255, -1, -1))


def _darkest(calm: Image.Image) -> int:
    return _level(calm.histogram(), 0.005, range(256))


def _level(counts: list[int], part: float, levels: range) -> int:
    least, seen = sum(counts) * part, 0
    for level, count in zip(levels, counts, strict=True):
        seen += count
        if seen >= least:
            return level
    return levels[-1]
