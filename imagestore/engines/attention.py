"""Where a picture is most interesting, on a small copy of it, in plain Python.

This is the published recipe of libvips' `smartcrop` (`attention`; after smartcrop.js): edges,
colours of skin and saturation are added up and blurred, and the largest sum wins. libvips has its
own; here it serves ImageMagick, so that both engines cut the same part.
"""

import math
from collections.abc import Sequence

SIDE = 32
"""Width and height of the small copy; it settles how exactly the point is found."""

_SKIN = (0.78, 0.57, 0.44)
_DARK = 5.0
_WHITE = (95.047, 100.0, 108.8827)

Grid = list[list[float]]


def find_attention(rgb: Sequence[int], window: tuple[float, float]) -> tuple[float, float]:
    """The most interesting point as parts (0 to 1) of width and height.

    `rgb` holds SIDE x SIDE pixels of three values 0 to 255, row by row; `window` is the size of the
    part that will be cut out, as parts of the whole.
    """
    pixels = [_xyz(*rgb[at : at + 3]) for at in range(0, 3 * SIDE * SIDE, 3)]
    light = [[pixels[y * SIDE + x][1] for x in range(SIDE)] for y in range(SIDE)]
    score = [
        [_edge(light, x, y) + _colour_score(pixels[y * SIDE + x]) for x in range(SIDE)] for y in range(SIDE)
    ]
    sigma = max(1.0, math.hypot(window[0] * SIDE, window[1] * SIDE) / 10)
    blurred = _blur(score, sigma)
    _, y, x = max((value, -y, -x) for y, row in enumerate(blurred) for x, value in enumerate(row))
    return -x / SIDE, -y / SIDE


def _xyz(red: int, green: int, blue: int) -> tuple[float, float, float]:
    r, g, b = _LINEAR[red], _LINEAR[green], _LINEAR[blue]
    return (
        41.24 * r + 35.76 * g + 18.05 * b,
        21.26 * r + 71.52 * g + 7.22 * b,
        1.93 * r + 11.92 * g + 95.05 * b,
    )


def _edge(light: Grid, x: int, y: int) -> float:
    """A Laplacian of the luminance; the rim of the picture is repeated outwards."""
    left, right, up, down = max(x - 1, 0), min(x + 1, SIDE - 1), max(y - 1, 0), min(y + 1, SIDE - 1)
    return 5 * abs(4 * light[y][x] - light[y][left] - light[y][right] - light[up][x] - light[down][x])


def _colour_score(xyz: tuple[float, float, float]) -> float:
    """How near to skin, and how far towards red; both count only where it is not dark."""
    if xyz[1] <= _DARK:
        return 0.0
    length = math.hypot(*xyz)
    skin = 100 - 100 * math.dist([part / length for part in xyz], _SKIN)
    above, beside = _lab_root(xyz[0] / _WHITE[0]), _lab_root(xyz[1] / _WHITE[1])
    return skin + 500 * (above - beside)


def _lab_root(value: float) -> float:
    return value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116


def _blur(grid: Grid, sigma: float) -> Grid:
    """A Gaussian, cut off where it falls below a fifth of its middle, as libvips does by default."""
    reach = int(sigma * math.sqrt(-2 * math.log(0.2)))
    weights = [math.exp(-(at**2) / (2 * sigma**2)) for at in range(-reach, reach + 1)]

    def along(row: Sequence[float]) -> list[float]:
        return [
            sum(weight * row[min(max(x + at - reach, 0), SIDE - 1)] for at, weight in enumerate(weights))
            for x in range(SIDE)
        ]

    across = [along(row) for row in grid]
    return [list(row) for row in zip(*(along(column) for column in zip(*across, strict=True)), strict=True)]


def _to_linear(value: int) -> float:
    part = value / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


_LINEAR = [_to_linear(value) for value in range(256)]
