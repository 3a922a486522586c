"""Paints the pictures of the demonstration gallery: a small sketch of a motif, then brush strokes on canvas.

A painter of a kind (`dataset/motifs.py`) sketches its motif at half the size of the work. `_brush` then paints it
as in Hertzmann, "Painterly Rendering with Curved Brush Strokes of Multiple Sizes" (1998): broad strokes first, then
finer ones only where the painting still differs from the sketch, all along the directions of the sketch. `_surface`
adds the relief of the paint and the weave of the canvas. Everything is decided by one seed.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from dataset.motifs import KINDS
from dataset.sketching import Palette, clouds


@dataclass(frozen=True)
class Brush:
    """How a painter paints."""

    layers: tuple[tuple[int, int, int], ...]  # of strokes: width and length in pixels, difference that calls for one
    jitter: float  # standard deviation of a stroke's colour, grey levels
    swirl: float  # how far strokes follow chance instead of the motif, 0..1
    relief: float  # depth of the paint


BRUSHES = (
    Brush(((22, 40, 0), (9, 20, 30), (4, 9, 42)), 9, 0.5, 0.30),  # broad and vivid
    Brush(((16, 18, 0), (7, 9, 26), (4, 5, 36)), 13, 1.0, 0.24),  # dabs
    Brush(((14, 60, 0), (6, 34, 30), (3, 12, 42)), 8, 0.6, 0.34),  # long swirling strokes
    Brush(((18, 30, 0), (7, 14, 22), (3, 7, 36)), 5, 0.3, 0.14),  # fine and quiet
)


def paint(genre: str, kind: str, seed: int, long_side: int = 0) -> np.ndarray:
    """A painting: (height, width, 3) uint8 BGR, the same for the same arguments.

    long_side: pixels; 0 lets the painter choose between 640 and 740.
    """
    generator = np.random.default_rng(seed)
    chosen = int(generator.integers(640, 741))
    short_side = generator.uniform(0.72, 0.84)
    upright = generator.random() < {"landscape": 0.2, "still_life": 0.4, "portrait": 0.92, "abstract": 0.5}[genre]
    # Sketches are half as large as works, whose sides are therefore even.
    large = (long_side or chosen) // 2
    small = round(large * short_side)
    sketch = np.zeros((large, small, 3) if upright else (small, large, 3), np.uint8)
    KINDS[genre][kind](sketch, Palette(generator), generator)
    brush = BRUSHES[generator.integers(len(BRUSHES))]
    return _brush(sketch, brush, generator)


# Brush and canvas


def _brush(sketch: np.ndarray, brush: Brush, generator: np.random.Generator) -> np.ndarray:
    """Paint the sketch at twice its size."""
    height, width = 2 * sketch.shape[0], 2 * sketch.shape[1]
    motif = cv2.resize(sketch, (width, height), interpolation=cv2.INTER_CUBIC)
    flow = _flow(sketch, brush.swirl, generator)
    # The fourth channel is the thickness of the paint, which each stroke lays down together with its colour.
    canvas = np.empty((height, width, 4), np.uint8)
    canvas[:] = *cv2.mean(sketch)[:3], 128
    for stroke_width, length, difference in brush.layers:
        _layer(canvas, motif, flow, (stroke_width, length, difference), brush.jitter, generator)
    return _surface(canvas, flow, brush.relief, generator)


def _layer(canvas, motif, flow, layer, jitter, generator) -> None:
    """Strokes of one size on a jittered grid, in random order, where the canvas differs enough from the motif."""
    stroke_width, length, difference = layer
    height, width = motif.shape[:2]
    step = max(4.0, 0.72 * stroke_width)
    rows, columns = np.mgrid[0:height:step, 0:width:step]
    y = np.clip(rows.ravel() + generator.uniform(-step, step, rows.size), 0, height - 1)
    x = np.clip(columns.ravel() + generator.uniform(-step, step, rows.size), 0, width - 1)
    order = generator.permutation(rows.size)
    x, y = x[order], y[order]
    row, column = y.astype(np.intp), x.astype(np.intp)
    if difference:
        blue, green, red = cv2.split(cv2.absdiff(cv2.cvtColor(canvas, cv2.COLOR_BGRA2BGR), motif))
        apart = cv2.max(cv2.max(blue, green), red)
        wanted = cv2.blur(apart, (stroke_width, stroke_width))[row, column] > difference
        # A few strokes fall anywhere, so that calm areas are alive as well.
        wanted |= generator.random(len(wanted)) < 0.04
        x, y, row, column = x[wanted], y[wanted], row[wanted], column[wanted]
    count = len(x)
    colours = motif[row, column].astype(np.float32) + generator.normal(0, jitter, (count, 1))
    colours = np.clip(colours + generator.normal(0, 0.5 * jitter, (count, 3)), 0, 255)
    thickness = generator.uniform(40, 255, (count, 1))
    paints = np.hstack([colours, thickness]).astype(np.int32).tolist()
    angle = flow[row // 2, column // 2] + generator.normal(0, 0.12, count)
    bend = generator.normal(0, 0.25, count)
    half = 0.5 * length * generator.uniform(0.6, 1.2, count)
    points = np.empty((count, 3, 2), np.int32)
    points[:, 0] = np.stack([x - half * np.cos(angle - bend), y - half * np.sin(angle - bend)], axis=1)
    points[:, 1] = np.stack([x, y], axis=1)
    points[:, 2] = np.stack([x + half * np.cos(angle + bend), y + half * np.sin(angle + bend)], axis=1)
    for stroke, colour in zip(points, paints, strict=True):
        cv2.polylines(canvas, [stroke], False, colour, stroke_width)


def _flow(sketch: np.ndarray, swirl: float, generator: np.random.Generator) -> np.ndarray:
    """The direction of the strokes: (height, width) float32 radians, along the edges of the sketch.

    The structure tensor's main direction, mixed with a smooth field of chance where the sketch is calm.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(sketch, cv2.COLOR_BGR2GRAY), (0, 0), 1.5).astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    # Doubled angles, because a stroke has no head and no tail.
    real = cv2.GaussianBlur(down * down - across * across, (0, 0), 5)
    imaginary = cv2.GaussianBlur(-2 * across * down, (0, 0), 5)
    chance = 2 * np.pi * swirl * (clouds(grey.shape, 90, generator, 2) - 0.5) * 2
    weight = 60 + 200 * swirl
    angle = cv2.phase(real + weight * np.cos(chance), imaginary + weight * np.sin(chance))
    return angle / 2


def _surface(canvas: np.ndarray, flow: np.ndarray, relief: float, generator: np.random.Generator) -> np.ndarray:
    """The canvas as it looks in light from the upper left: thick paint, bristles, weave."""
    height, width = canvas.shape[:2]
    bristles = cv2.resize(_bristles(flow, generator), (width, height), interpolation=cv2.INTER_LINEAR)
    thickness = cv2.GaussianBlur(canvas[:, :, 3], (0, 0), 1.0).astype(np.float32)
    surface = 0.5 * thickness + 0.9 * bristles
    slope = cv2.filter2D(surface, -1, np.float32([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]]))
    weave = np.float32([[2, 0, -2, 0], [0, -2, 0, 2], [-2, 0, 2, 0], [0, 2, 0, -2]])
    weave = np.tile(weave, (height // 4 + 1, width // 4 + 1))[:height, :width]
    lit = np.clip(slope * relief, -42, 42) + weave
    colours = cv2.GaussianBlur(cv2.cvtColor(canvas, cv2.COLOR_BGRA2BGR), (0, 0), 0.6)
    # Saturating arithmetic on bytes: what is darker is taken away, what is brighter is added.
    brighter = cv2.cvtColor(np.maximum(lit, 0).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    darker = cv2.cvtColor(np.maximum(-lit, 0).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    return cv2.subtract(cv2.add(colours, brighter), darker)


def _bristles(flow: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Noise smeared along the flow (line integral convolution in doubling steps): float32, about -60..60."""
    height, width = flow.shape
    smeared = generator.standard_normal((height, width), np.float32) * 128
    column, row = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    cosine, sine = np.cos(flow), np.sin(flow)
    for step in (1.0, 2.0, 4.0):
        ahead = cv2.remap(smeared, column + step * cosine, row + step * sine, cv2.INTER_LINEAR)
        behind = cv2.remap(smeared, column - step * cosine, row - step * sine, cv2.INTER_LINEAR)
        smeared = 0.5 * (ahead + behind)
    return smeared
