"""What the painters of the demonstration gallery share: colours, and shapes with light on them.

Sketches are (height, width, 3) uint8 BGR arrays that are drawn on in place; colours are BGR in 0..255.
"""

import cv2
import numpy as np

Colour = tuple[float, float, float]

# Ramps from dark to light, with three accents at the end, as RGB in hexadecimal.
PALETTES = (
    "1b2a41 324a5f 6c8ead b8c9d9 f3efe0 c8553d f2b134 588157",
    "2d1e2f 5b3758 a26769 d5b9b2 f6ead7 e07a5f 3d5a80 e9c46a",
    "14281d 355834 6e8f4e b8c480 f4f1c9 d1603d 2a6f97 f6bd60",
    "2b1d0e 5c3d1e a0703c d9ae6f f7e6c4 8d2b2b 3a5a78 5f7f4f",
    "0b132b 1c2f5c 3a6ea5 8ecae6 f1faee e63946 ffb703 2a9d8f",
    "3a0f1d 7a1f35 c04848 e8a87c fbe8d3 1d4e5f e9b44c 4f6d3a",
    "22223b 4a4e69 9a8c98 c9ada7 f2e9e4 b5651d 457b9d e5b25d",
    "10332f 1f6f6b 56a3a6 a9d6c9 f5f0e1 db504a e3b505 4f3f73",
    "2f2a1f 6b5b3a a8925a d8c793 f5eedb 7b2d26 2e5266 c98a2b",
    "2a1a3e 553c8b 8e7cc3 cfc1e8 faf3ff f26419 33a1a1 f6ae2d",
)


class Palette:
    """The colours of one work: a ramp from dark to light and three accents."""

    def __init__(self, generator: np.random.Generator):
        words = PALETTES[generator.integers(len(PALETTES))].split()
        colours = np.float32([[int(word[i : i + 2], 16) for i in (4, 2, 0)] for word in words])
        colours = np.clip(colours + generator.normal(0, 9, colours.shape), 0, 255).astype(np.float32)
        self.ramp, self.accents = colours[:5], colours[5:]

    def tone(self, value: float) -> Colour:
        """The ramp's colour at 0 (dark) .. 1 (light)."""
        return tuple(float(np.interp(value * 4, range(5), self.ramp[:, channel])) for channel in range(3))

    def accent(self, number: int) -> Colour:
        return tuple(self.accents[number % 3].tolist())


def clouds(shape: tuple[int, int], cell: float, generator: np.random.Generator, octaves: int = 4) -> np.ndarray:
    """Value noise: (height, width) float32 in 0..1, its largest lumps about `cell` pixels."""
    total = np.zeros(shape, np.float32)
    weight = 1.0
    for _ in range(octaves):
        size = int(shape[1] / cell) + 3, int(shape[0] / cell) + 3
        grid = generator.random((size[1], size[0]), np.float32)
        total += weight * cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
        weight, cell = weight * 0.5, max(cell * 0.5, 2)
    return cv2.normalize(total, None, 0, 1, cv2.NORM_MINMAX)


def ramp(values: np.ndarray, colours) -> np.ndarray:
    """Colour the values 0..1 with evenly spaced colours: (..., 3) uint8."""
    stops = np.linspace(0, 255, len(colours))
    table = np.stack([np.interp(np.arange(256), stops, [c[i] for c in colours]) for i in range(3)], axis=1)
    return table.astype(np.uint8)[(np.clip(values, 0, 1) * 255).astype(np.uint8)]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour at `share` (0..1) of the way from a to b; beyond 0..1 the line goes on."""
    return tuple(min(255.0, max(0.0, p + (q - p) * share)) for p, q in zip(a, b, strict=True))


def vary(colour: Colour, generator: np.random.Generator, spread: float = 14) -> Colour:
    light = generator.normal(0, spread)
    return tuple(min(255.0, max(0.0, value + light + generator.normal(0, spread / 3))) for value in colour)


def polygon(sketch: np.ndarray, points, colour: Colour) -> None:
    # Four more bits carry fractions of a pixel.
    fixed = np.round(np.asarray(points, np.float64) * 16).astype(np.int32)
    cv2.fillPoly(sketch, [fixed], colour, cv2.LINE_AA, shift=4)


def disc(sketch: np.ndarray, x: float, y: float, radii, colour: Colour, angle: float = 0.0) -> None:
    across, down = radii if np.ndim(radii) else (radii, radii)
    size = max(1, round(across)), max(1, round(down))
    cv2.ellipse(sketch, (round(x), round(y)), size, angle, 0, 360, colour, -1, cv2.LINE_AA)


def stroke(sketch: np.ndarray, start, end, colour: Colour, width: float = 1) -> None:
    ends = [(round(float(x)), round(float(y))) for x, y in (start, end)]
    cv2.line(sketch, *ends, colour, max(1, round(width)), cv2.LINE_AA)


def blend(sketch: np.ndarray, mask: np.ndarray, colours) -> None:
    """Lay colours (one, or one a pixel) over the sketch where the mask (0..1) says."""
    share = mask[:, :, None].astype(np.float32)
    sketch[:] = (sketch + (np.float32(colours) - sketch) * share).astype(np.uint8)


def region(sketch: np.ndarray, x0: float, y0: float, x1: float, y1: float):
    """The part of the sketch inside a box, as a view, with its pixels' columns and rows; None where it is outside."""
    height, width = sketch.shape[:2]
    left, top, right, bottom = max(0, int(x0)), max(0, int(y0)), min(width, int(x1) + 2), min(height, int(y1) + 2)
    if left >= right or top >= bottom:
        return None
    columns, rows = np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)
    return sketch[top:bottom, left:right], columns[None, :], rows[:, None]


def ball(sketch, x, y, radii, colour, generator, shine=0.5, grain=0.12) -> None:
    """A lit ellipsoid, light from the upper left."""
    across, down = radii if np.ndim(radii) else (radii, radii)
    found = region(sketch, x - across, y - down, x + across, y + down)
    if found is None:
        return
    part, columns, rows = found
    u, v = (columns - x) / across, (rows - y) / down
    square = u * u + v * v
    depth = np.sqrt(np.maximum(1 - square, 0))
    lit = np.maximum(-0.5 * u - 0.55 * v + 0.67 * depth, 0)
    lit = 0.15 + 0.75 * lit + grain * (clouds(square.shape, max(3, across / 3), generator, 2) - 0.5)
    glow = mix(colour, (255, 255, 255), shine)
    shades = ramp(lit, (mix(colour, (30, 10, 15), 0.75), mix(colour, (30, 20, 30), 0.3), colour, colour, glow))
    blend(part, np.clip((1 - square) * min(across, down) * 0.5, 0, 1), shades)


def lathe(sketch, x, top, bottom, profile, colour, generator, pattern=0) -> None:
    """A turned vessel: half-widths `profile` from top to bottom, lit from the left; pattern 0..3 decorates it."""
    reach = max(profile)
    found = region(sketch, x - reach, top, x + reach, bottom)
    if found is None:
        return
    part, columns, rows = found
    down = (rows - top) / (bottom - top)
    half = np.interp(down, np.linspace(0, 1, len(profile)), profile).astype(np.float32)
    half = cv2.GaussianBlur(half, (1, 9), 0)
    u = (columns - x) / half
    depth = np.sqrt(np.maximum(1 - u * u, 0))
    lit = 0.18 + 0.7 * np.maximum(0.75 * depth - 0.55 * u, 0) + 0.5 * np.exp(-((u + 0.45) ** 2) / 0.01)
    lit += 0.16 * (clouds(u.shape, 14, generator, 3) - 0.5)
    shades = ramp(
        lit,
        (mix(colour, (25, 15, 15), 0.8), mix(colour, (30, 20, 25), 0.3), colour, mix(colour, (255, 255, 250), 0.7)),
    )
    if pattern:
        turn = np.arcsin(np.clip(u, -1, 1))
        wave = {
            1: np.sin(down * 44 + 0 * turn),
            2: np.sin(turn * 11) * np.sin(down * 26),
            3: np.sin(turn * 7 + down * 24),
        }
        accent = mix(colour, (250, 245, 235), 0.75)
        band = ((wave[pattern] > 0.35) & (down > 0.25) & (down < 0.85)).astype(np.float32) * 0.75
        shades = (
            shades + (np.float32(accent) * (0.35 + 0.65 * np.clip(lit, 0, 1))[:, :, None] - shades) * band[:, :, None]
        )
    inside = np.clip((1 - np.abs(u)) * half * 0.6, 0, 1) * ((rows >= top) & (rows <= bottom))
    blend(part, inside, shades)
