"""Draws docs/sample.jpg, the picture of the first `curl`: hills at dusk, by arithmetic alone.

usage: python -m dev.draw_sample FILE       (needs the environment of `make test`, for numpy)
"""

import sys

import numpy as np
import pyvips

WIDTH, HEIGHT = 1200, 800
SKY = [(0.0, (24, 32, 84)), (0.35, (122, 62, 120)), (0.62, (240, 128, 96)), (0.78, (255, 206, 140))]
SUN, SUN_RADIUS = (0.68, 0.56), 0.075
FAR_HILL, NEAR_HILL = np.array([150, 84, 122]), np.array([18, 22, 46])
HILLS = 6


def draw() -> np.ndarray:
    """The pixels, RGB with 8 bits a channel."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    y, x = y / HEIGHT, x / WIDTH
    heights = [height for height, _ in SKY]
    picture = np.stack(
        [np.interp(y, heights, channel) for channel in zip(*(c for _, c in SKY), strict=True)], -1
    )

    distance = np.hypot((x - SUN[0]) * WIDTH / HEIGHT, y - SUN[1])
    glow = np.exp(-((distance / 0.22) ** 2))[..., None]
    picture += (np.array([255, 214, 150]) - picture) * 0.7 * glow
    disc = np.clip((SUN_RADIUS - distance) * HEIGHT, 0, 1)[..., None]
    picture += (np.array([255, 244, 214]) - picture) * disc

    for hill in range(HILLS):
        depth = hill / (HILLS - 1)
        phase = 1.7 * hill
        ridge = 0.60 + 0.32 * depth**1.1
        for waves, size in ((1.1, 0.060), (2.7, 0.028), (6.3, 0.011)):
            ridge = ridge + size * np.sin(2 * np.pi * waves * x[0] + phase * (waves + 1)) * (1 - 0.3 * depth)
        # One pixel of slope at the ridge, so that its edge is smooth.
        inside = np.clip((y - ridge) * HEIGHT, 0, 1)[..., None]
        mist = np.clip((y - ridge) * 2.2, 0, 0.35)[..., None] * (1 - depth)
        colour = FAR_HILL + (NEAR_HILL - FAR_HILL) * depth
        colour = colour + (np.array([236, 150, 128]) - colour) * mist
        picture += (colour - picture) * inside
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    pyvips.Image.new_from_array(draw()).copy(interpretation="srgb").write_to_file(
        f"{sys.argv[1]}[Q=86,optimize_coding,interlace,strip]"
    )
