"""What the painters of the demonstration gallery paint: one function a kind, listed in `KINDS`.

Each draws its motif on a sketch, a (height, width, 3) uint8 BGR array, with the colours of a palette; chance
comes only from the generator that it is given.
"""

from itertools import pairwise

import cv2
import numpy as np

from dataset.sketching import Colour, ball, blend, clouds, disc, lathe, mix, polygon, ramp, region, stroke, vary

# Landscapes


def _sky(sketch, palette, generator) -> float:
    """Sky over the whole sketch with clouds and perhaps a sun; returns the row of the horizon."""
    height, width = sketch.shape[:2]
    horizon = height * generator.uniform(0.36, 0.6)
    hour = generator.integers(5)
    blue, pale, white = (205, 150, 95), (230, 205, 170), (240, 243, 246)
    skies = (
        (blue, pale, white),  # day
        ((150, 95, 105), (140, 150, 225), (130, 205, 250)),  # evening
        ((70, 40, 25), (120, 80, 50), (170, 140, 105)),  # night
        ((190, 180, 170), (205, 205, 200), (225, 228, 228)),  # grey
        (palette.tone(0.45), palette.tone(0.75), palette.tone(1.0)),
    )[hour]
    skies = [vary(colour, generator, 8) for colour in skies]
    down = np.linspace(0, height / horizon, height, dtype=np.float32)[:, None]
    streaks = clouds((height, width), width * 0.3, generator)
    sketch[:] = ramp(down + 0.25 * (streaks - 0.5), skies)
    glow = white if hour in (0, 3) else palette.accent(1)
    if generator.random() < 0.6:
        x, y, radius = width * generator.uniform(0.1, 0.9), horizon * generator.uniform(0.2, 0.8), width * 0.035
        column, row = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
        away = np.sqrt((column - x) ** 2 + (row - y) ** 2)
        blend(sketch, 0.6 * np.exp(-away / (3 * radius)), mix(glow, white, 0.5))
        disc(sketch, x, y, radius, mix(glow, white, 0.7))
    if generator.random() < 0.75:
        tall = cv2.resize(clouds((height, width // 2), width * 0.16, generator, 5), (width, height))
        cover = generator.uniform(0.45, 0.62)
        share = np.clip((tall - cover) * 4, 0, 0.9) * np.clip(1.15 - down * 0.8, 0, 1)
        blend(sketch, share, ramp(tall * 1.4 - 0.35, (mix(skies[1], skies[0], 0.5), skies[2], white)))
    return horizon


def _ridge(width: int, base: float, swing: float, generator, rough: float = 0.55) -> np.ndarray:
    """The rows of a skyline, one a column."""
    rows = np.full(width, float(base))
    knots = 4
    for _ in range(6):
        rows += swing * np.interp(np.linspace(0, 1, width), np.linspace(0, 1, knots), generator.uniform(-1, 1, knots))
        swing, knots = swing * rough, knots * 2
    return rows


def _ground(sketch, ridge, colours, generator, cell=24.0, stretch=1.0) -> None:
    """Land below a skyline, mottled in the colours."""
    height, width = sketch.shape[:2]
    top = max(0, int(ridge.min()))
    if top >= height:
        return
    part = sketch[top:]
    lumps = cv2.resize(clouds((part.shape[0], max(8, int(width / stretch))), cell, generator), (width, part.shape[0]))
    blend(part, np.clip(np.arange(top, height)[:, None] - ridge[None, :], 0, 1), ramp(lumps, colours))


def _greens(palette, generator):
    """Three colours of vegetation in one of several seasons."""
    seasons = (
        ((30, 62, 34), (52, 108, 78), (92, 168, 148)),  # summer
        ((32, 52, 88), (40, 98, 172), (88, 172, 222)),  # autumn
        ((86, 66, 58), (172, 156, 140), (236, 232, 228)),  # winter
        ((40, 66, 58), (92, 148, 110), (160, 212, 190)),  # spring
        (palette.tone(0.15), palette.tone(0.45), palette.tone(0.75)),
    )
    return [vary(colour, generator, 9) for colour in seasons[generator.integers(len(seasons))]]


def _tree(sketch, x, foot, size, greens, generator, form=None) -> None:
    """A tree of random blobs of leaves; form 0: round, 1: cypress or fir, 2: birch, 3: bare."""
    form = generator.integers(4) if form is None else form
    bark = (190, 200, 205) if form == 2 else mix(greens[0], (30, 40, 60), 0.6)
    lean = generator.normal(0, 0.06) * size
    stroke(sketch, (x, foot), (x + lean, foot - 0.55 * size), bark, size * (0.035 if form == 2 else 0.06))
    if form in (2, 3):
        for _ in range(14 if form == 3 else 7):
            share = generator.uniform(0.25, 0.6)
            reach = generator.uniform(0.15, 0.38) * size
            tilt = generator.uniform(-1.1, 1.1)
            start = x + lean * share / 0.55, foot - share * size
            end = start[0] + np.sin(tilt) * reach, start[1] - np.cos(tilt) * reach
            stroke(sketch, start, end, bark, size * 0.02)
    if form == 3:
        return
    for number in range(int(26 + size * 0.4)):
        share = number / (26 + size * 0.4)
        if form == 1:
            y = foot - size * (0.08 + 0.92 * share)
            spread = 0.17 * size * (1.05 - share)
            centre = x + generator.uniform(-1, 1) * spread
        else:
            angle, away = generator.uniform(0, 2 * np.pi), np.sqrt(generator.random())
            centre, y = (
                x + lean + np.cos(angle) * away * 0.32 * size,
                foot - 0.68 * size + np.sin(angle) * away * 0.28 * size,
            )
        light = np.clip(0.5 + (x - centre) / size + (foot - 0.62 * size - y) / size + generator.normal(0, 0.2), 0, 1)
        colour = mix(greens[0], greens[2], light)
        disc(sketch, centre, y, size * generator.uniform(0.04, 0.09), vary(colour, generator, 6))


def _house(sketch, x, foot, size, palette, generator) -> None:
    """A house with a roof, windows and perhaps a chimney."""
    wall = vary(
        mix(palette.tone(0.9), palette.accent(int(generator.integers(3))), generator.uniform(0, 0.35)), generator
    )
    roof = vary(mix(palette.accent(int(generator.integers(2))), (40, 50, 110), 0.4), generator)
    wide, tall, peak = size, size * generator.uniform(0.55, 1.1), size * generator.uniform(0.3, 0.6)
    depth = size * generator.uniform(0.3, 0.6)
    polygon(
        sketch,
        [(x, foot), (x, foot - tall), (x + wide / 2, foot - tall - peak), (x + wide, foot - tall), (x + wide, foot)],
        wall,
    )
    side = [(x + wide, foot), (x + wide, foot - tall), (x + wide + depth, foot - tall), (x + wide + depth, foot)]
    polygon(sketch, side, mix(wall, (60, 40, 40), 0.45))
    slope = [(x + wide / 2, foot - tall - peak), (x + wide, foot - tall), (x + wide + depth, foot - tall)]
    polygon(sketch, [*slope, (x + wide / 2 + depth, foot - tall - peak)], roof)
    stroke(sketch, (x - size * 0.05, foot - tall + 1), (x + wide / 2, foot - tall - peak), mix(roof, (0, 0, 0), 0.3), 2)
    pane = mix((60, 45, 40), (120, 210, 250), float(generator.random() < 0.3) * 0.9)
    for row in np.arange(foot - tall + size * 0.15, foot - size * 0.2, size * 0.32):
        for column in np.arange(x + size * 0.14, x + wide - size * 0.2, size * 0.3):
            box = [
                (column, row),
                (column + size * 0.15, row),
                (column + size * 0.15, row + size * 0.2),
                (column, row + size * 0.2),
            ]
            polygon(sketch, box, pane)


def mountains(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    horizon = _sky(sketch, palette, generator)
    haze = sketch[int(horizon) - 1].mean(axis=0).tolist()
    rock = vary(mix(palette.tone(generator.uniform(0.0, 0.4)), (110, 75, 60), 0.5), generator)
    snow = generator.choice([0.0, 0.25, 0.5])
    for near in (0.3, 0.6, 0.95):
        for x in generator.uniform(-0.1, 1.1, generator.integers(3, 6)) * width:
            foot = horizon * (0.95 + 0.2 * near)
            tall = foot * generator.uniform(0.5, 0.95) * (1.1 - 0.6 * near)
            _peak(sketch, x, foot, tall, mix(haze, rock, near), snow, generator)
    greens = _greens(palette, generator)
    for depth in range(3):
        land = [mix(colour, haze, 0.35 - 0.15 * depth) for colour in greens]
        row = horizon * 1.06 + depth * height * 0.13
        _ground(sketch, _ridge(width, row, height * 0.05, generator), land, generator, 26, 2)
    if generator.random() < 0.6:
        _water(sketch, height * generator.uniform(0.72, 0.82), palette, generator)
    for foot in np.sort(generator.uniform(horizon * 1.15, height, generator.integers(6, 18))):
        size = height * (0.1 + 0.4 * (foot - horizon) / height)
        dark = [mix(colour, (25, 20, 15), 0.45) for colour in greens]
        _tree(sketch, generator.uniform(0, width), foot, size, dark, generator, 1)


def _peak(sketch, x, foot, tall, colour, snow, generator) -> None:
    """A mountain, its left face in light and its right one in shade; snow: the share of its height that is white."""
    down = np.linspace(0, 1, 12)
    left = x - tall * (0.9 * down + np.abs(generator.normal(0, 0.04, 12)) * (down > 0))
    right = x + tall * (0.9 * down + np.abs(generator.normal(0, 0.04, 12)) * (down > 0))
    middle = x + tall * (0.12 * down + generator.normal(0, 0.06, 12) * (down > 0))
    rows = foot - tall * (1 - down)
    for edge, light in ((left, 0.3), (right, -0.35)):
        face = mix(colour, (250, 248, 245) if light > 0 else (45, 25, 25), abs(light))
        outline = np.concatenate([np.stack([edge, rows], 1), np.stack([middle, rows], 1)[::-1]])
        polygon(sketch, outline, face)
        for _ in range(12):
            start = generator.uniform(0.1, 1)
            place = np.interp(start, down, edge * 0.6 + middle * 0.4), foot - tall * (1 - start)
            reach = generator.uniform(0.05, 0.2) * tall
            end = place[0] + np.sign(edge[-1] - x) * reach * 0.8, place[1] + reach
            stroke(sketch, place, end, mix(face, (40, 25, 25), generator.uniform(0.1, 0.5)), 2)
        if snow:
            count = int(12 * snow * generator.uniform(0.8, 1.2))
            fringe = np.stack(
                [np.linspace(edge[count], middle[count], 7), rows[count] + tall * generator.uniform(-0.08, 0.1, 7)], 1
            )
            cap = np.concatenate(
                [np.stack([edge, rows], 1)[: count + 1], fringe, np.stack([middle, rows], 1)[: count + 1][::-1]]
            )
            polygon(sketch, cap, (245, 243, 240) if light > 0 else (205, 180, 165))


def _water(sketch, level: float, palette, generator) -> None:
    """Water from a row downwards: the mirrored scene, darkened and broken by waves."""
    height, width = sketch.shape[:2]
    level = int(level)
    rows = np.arange(level, height)
    source = np.clip(level - (rows - level) * 1.1, 0, level - 1).astype(np.float32)
    shake = (
        generator.standard_normal((len(rows), 1), np.float32) * np.linspace(1, 7, len(rows), dtype=np.float32)[:, None]
    )
    columns = np.arange(width, dtype=np.float32)[None, :] + shake
    mirrored = cv2.remap(
        sketch[:level].copy(),
        columns,
        np.repeat(source[:, None], width, 1),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    tint = np.float32(mix(palette.tone(0.3), (120, 90, 50), 0.6))
    sketch[level:] = (mirrored * 0.66 + tint * 0.3).astype(np.uint8)
    for _ in range(90):
        y = level + (height - level) * generator.random() ** 1.3
        x, reach = generator.uniform(0, width), (4 + 30 * (y - level) / height) * generator.uniform(0.5, 1.6)
        colour = mix(tuple(tint.tolist()), (245, 240, 235), generator.uniform(0.1, 0.9))
        stroke(sketch, (x - reach, y), (x + reach, y), colour, 1)


def sea(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    horizon = _sky(sketch, palette, generator)
    _water(sketch, horizon, palette, generator)
    deep = mix((95, 70, 25), palette.tone(0.3), 0.4)
    for row in np.arange(horizon + 5, height, 9):
        ridge = _ridge(width, row, 1 + 5 * (row - horizon) / height, generator, 0.8)
        crest = np.stack([np.arange(width), ridge], axis=1)[::2]
        colour = mix(vary(deep, generator, 14), (235, 225, 205), generator.uniform(0, 0.55))
        cv2.polylines(
            sketch,
            [np.round(crest).astype(np.int32)],
            False,
            colour,
            int(1 + 4 * (row - horizon) / height),
            cv2.LINE_AA,
        )
    if generator.random() < 0.5:
        cliff = np.linspace(horizon - height * 0.25, horizon + height * generator.uniform(0.1, 0.4), width)
        cliff = cliff if generator.random() < 0.5 else cliff[::-1]
        cliff = np.where(np.abs(cliff - cliff.min()) < height * 0.22, _ridge(width, 0, 12, generator) + cliff, height)
        _ground(
            sketch,
            cliff,
            (mix(palette.tone(0.1), (40, 40, 50), 0.5), palette.tone(0.4), palette.tone(0.8)),
            generator,
            18,
        )
    for foot in np.sort(generator.uniform(horizon + height * 0.03, height * 0.9, generator.integers(1, 6))):
        _boat(
            sketch,
            generator.uniform(0.1, 0.9) * width,
            foot,
            height * (0.06 + 0.35 * (foot - horizon) / height),
            palette,
            generator,
        )


def _boat(sketch, x, foot, size, palette, generator) -> None:
    hull = vary(palette.accent(int(generator.integers(3))), generator)
    deck = foot - 0.22 * size
    polygon(
        sketch,
        [(x - size * 0.6, deck), (x + size * 0.65, deck - 0.05 * size), (x + size * 0.4, foot), (x - size * 0.4, foot)],
        mix(hull, (20, 20, 20), 0.4),
    )
    stroke(sketch, (x - size * 0.6, deck), (x + size * 0.65, deck - 0.05 * size), mix(hull, (255, 255, 255), 0.5), 2)
    stroke(sketch, (x, deck), (x, foot - 1.6 * size), (40, 50, 60), size * 0.03)
    sail = vary(
        mix(palette.tone(1.0), palette.accent(int(generator.integers(3))), generator.choice([0.0, 0.2, 0.75])),
        generator,
    )
    polygon(
        sketch,
        [
            (x + 0.04 * size, foot - 1.55 * size),
            (x + 0.04 * size, deck - 0.1 * size),
            (x + 0.6 * size, deck - 0.15 * size),
        ],
        sail,
    )
    polygon(
        sketch,
        [
            (x - 0.04 * size, foot - 1.4 * size),
            (x - 0.04 * size, deck - 0.1 * size),
            (x - 0.45 * size, deck - 0.12 * size),
        ],
        mix(sail, (60, 50, 60), 0.25),
    )
    for step in range(5):
        y = foot + (step + 1) * size * 0.09
        stroke(
            sketch,
            (x - size * generator.uniform(0.1, 0.5), y),
            (x + size * generator.uniform(0.1, 0.5), y),
            mix(sail, hull, generator.random()),
            1,
        )


def village(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    horizon = _sky(sketch, palette, generator)
    greens = _greens(palette, generator)
    for depth in range(2):
        far = [mix(colour, palette.tone(0.7), 0.6 - 0.3 * depth) for colour in greens]
        _ground(sketch, _ridge(width, horizon * (0.9 + 0.1 * depth), height * 0.05, generator), far, generator, 30, 2)
    foot = horizon * 1.08
    tower = generator.uniform(0.2, 0.8) * width
    _house(sketch, tower, foot, width * 0.07, palette, generator)
    polygon(
        sketch,
        [
            (tower, foot),
            (tower, foot - 0.3 * height),
            (tower + 0.03 * width, foot - 0.4 * height),
            (tower + 0.06 * width, foot - 0.3 * height),
            (tower + 0.06 * width, foot),
        ],
        vary(palette.tone(0.8), generator),
    )
    for row in range(3):
        foot = horizon * 1.1 + row * height * 0.11
        _ground(sketch, _ridge(width, foot - height * 0.05, height * 0.03, generator), greens, generator, 22, 2)
        for x in np.arange(0, width, width * generator.uniform(0.13, 0.24)):
            size = width * (0.075 + 0.03 * row) * generator.uniform(0.8, 1.2)
            place = x + generator.uniform(-0.05, 0.05) * width, foot + generator.uniform(0, 0.06) * height
            if generator.random() < 0.62:
                _house(sketch, *place, size, palette, generator)
            else:
                _tree(sketch, *place, size * 1.5, greens, generator)
    _path(sketch, height * 0.82, palette, generator)


def _path(sketch, top: float, palette, generator) -> None:
    """A road that winds from the lower edge to a row."""
    height, width = sketch.shape[:2]
    share = np.linspace(0, 1, 24)
    middle = width * (0.5 + 0.25 * np.sin(generator.uniform(0, 6) + share * generator.uniform(1, 4)))
    half = width * (0.13 * (1 - share) ** 1.5 + 0.008)
    row = height - (height - top) * share
    outline = np.concatenate([np.stack([middle - half, row], 1), np.stack([middle + half, row], 1)[::-1]])
    polygon(sketch, outline, vary(mix(palette.tone(0.8), (150, 190, 215), 0.5), generator))
    for number in range(120):
        place = number % 24
        x = middle[place] + half[place] * generator.uniform(-1, 1)
        disc(sketch, x, row[place], (2.5, 1.5), vary(palette.tone(generator.uniform(0.3, 0.9)), generator))


def forest(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    horizon = _sky(sketch, palette, generator)
    greens = _greens(palette, generator)
    form = int(generator.integers(3))
    for depth in range(4):
        foot = horizon + (height - horizon) * (0.08 + 0.26 * depth)
        away = [mix(colour, palette.tone(0.8), 0.5 - 0.16 * depth) for colour in greens]
        _ground(sketch, _ridge(width, foot - height * 0.04, height * 0.025, generator), away, generator, 20, 3)
        for _ in range(11 - 2 * depth):
            size = height * (0.3 + 0.17 * depth) * generator.uniform(0.8, 1.2)
            _tree(
                sketch,
                generator.uniform(0, width),
                foot + generator.uniform(0, 0.05) * height,
                size,
                away,
                generator,
                form if generator.random() < 0.75 else None,
            )
        if depth == 2 and generator.random() < 0.6:
            _path(sketch, height * 0.75, palette, generator)


def fields(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    horizon = _sky(sketch, palette, generator)
    greens = _greens(palette, generator)
    vanishing = width * generator.uniform(0.1, 0.9)
    _ground(
        sketch,
        _ridge(width, horizon * 0.95, height * 0.05, generator),
        [mix(c, palette.tone(0.8), 0.5) for c in greens],
        generator,
        26,
        2,
    )
    _ground(sketch, np.full(width, horizon), greens, generator, 26, 3)
    count = int(generator.integers(14, 30))
    crops = [vary(c, generator, 12) for c in (*greens, palette.accent(1), palette.accent(0), palette.tone(0.85))]
    chosen = generator.permutation(len(crops))[: generator.integers(2, 4)]
    edges = np.linspace(-1.6 * width, 2.6 * width, count)
    for number in range(count - 1):
        colour = vary(crops[chosen[number % len(chosen)]], generator, 8)
        polygon(sketch, [(vanishing, horizon), (edges[number], height), (edges[number + 1], height)], colour)
    for _ in range(700):
        y = horizon + (height - horizon) * generator.random() ** 0.7
        near = (y - horizon) / (height - horizon)
        colour = (
            palette.accent(int(generator.integers(3)))
            if generator.random() < 0.35
            else crops[generator.integers(len(crops))]
        )
        disc(sketch, generator.uniform(0, width), y, 0.8 + 2.6 * near, vary(colour, generator))
    for foot in np.sort(generator.uniform(horizon, height * 0.9, generator.integers(4, 12))):
        size = height * (0.1 + 0.45 * (foot - horizon) / height)
        painter = _house if generator.random() < 0.3 else _tree
        if painter is _tree:
            _tree(sketch, generator.uniform(0, width), foot, size, greens, generator)
        else:
            _house(sketch, generator.uniform(0, width), foot, size * 0.6, palette, generator)


# Still lifes


def _table(sketch, palette, generator) -> float:
    """A wall and a table with a cloth; returns the row of the table's far edge."""
    height, width = sketch.shape[:2]
    dark = generator.random() < 0.5
    shades = (palette.tone(0.02), palette.tone(0.28)) if dark else (palette.tone(0.55), palette.tone(0.95))
    sketch[:] = ramp(clouds((height, width), width * 0.5, generator, 5), shades)
    if generator.random() < 0.35:
        colour = mix(shades[1], palette.accent(int(generator.integers(3))), 0.5)
        step = width / generator.integers(7, 14)
        for row in range(int(height / step) + 1):
            for column in range(int(width / step) + 1):
                x, y = (column + 0.5 * (row % 2)) * step, row * step
                disc(sketch, x, y, (step * 0.2, step * 0.28), vary(colour, generator, 7))
                disc(sketch, x, y, step * 0.09, vary(shades[0], generator, 7))
    edge = height * generator.uniform(0.55, 0.7)
    cloth = palette.tone(0.95 if dark else 0.4) if generator.random() < 0.6 else palette.accent(2)
    folds = clouds((height - int(edge), width), width * 0.14, generator, 4)
    sketch[int(edge) :] = ramp(folds, (mix(cloth, (40, 25, 30), 0.45), cloth, mix(cloth, (255, 255, 255), 0.3)))
    pattern = generator.integers(4)
    accent = mix(palette.accent(int(generator.integers(3))), cloth, 0.25)
    middle = width * generator.uniform(0.3, 0.7)
    if pattern in (1, 2):
        for x in np.linspace(-1.2 * width, 2.2 * width, int(generator.integers(14, 26))):
            stroke(
                sketch,
                (middle + (x - middle) * 0.55, edge),
                (x, height),
                vary(accent, generator, 6),
                generator.choice((2, 3)),
            )
    if pattern == 2:
        for share in np.linspace(0.08, 0.95, 7) ** 1.4:
            stroke(
                sketch,
                (0, edge + (height - edge) * share),
                (width, edge + (height - edge) * share),
                vary(accent, generator, 6),
                1 + 2 * share,
            )
    if pattern == 3:
        for _ in range(120):
            y = edge + (height - edge) * generator.random()
            disc(sketch, generator.uniform(0, width), y, (3, 2), vary(accent, generator))
    return edge


def _shadow(sketch, x, y, radii) -> None:
    found = region(sketch, x - radii[0], y - radii[1], x + radii[0], y + radii[1])
    if found is not None:
        part, columns, rows = found
        square = ((columns - x) / radii[0]) ** 2 + ((rows - y) / radii[1]) ** 2
        blend(part, 0.6 * np.clip(1 - square, 0, 1), (30, 18, 22))


FRUITS = ((45, 60, 190), (50, 120, 225), (60, 190, 215), (70, 150, 110), (90, 40, 80), (105, 165, 225), (40, 40, 120))


def _fruit(sketch, x, foot, size, generator) -> None:
    """An apple, a pear, a lemon or a bunch of grapes."""
    colour = vary(FRUITS[generator.integers(len(FRUITS))], generator, 12)
    form = generator.integers(4)
    _shadow(sketch, x + size * 0.5, foot - size * 0.05, (size * 1.5, size * 0.4))
    if form == 3:
        for _ in range(26):
            across = generator.normal(0, 0.55)
            ball(
                sketch,
                x + across * size,
                foot - size * generator.uniform(0.2, max(0.3, 1.4 - abs(across) * 0.7)),
                size * 0.27,
                vary(colour, generator, 9),
                generator,
                0.7,
            )
        return
    if form == 1:
        ball(sketch, x + size * 0.12, foot - size * 1.6, (size * 0.5, size * 0.75), colour, generator)
    radii = (size * 1.25, size * 0.85) if form == 2 else (size, size * 0.95)
    ball(sketch, x, foot - radii[1], radii, colour, generator)
    stalk = foot - (2.3 * size if form == 1 else 1.8 * size)
    stroke(sketch, (x, stalk), (x + size * 0.2, stalk - size * 0.4), (35, 50, 60), size * 0.1)
    if generator.random() < 0.5:
        disc(
            sketch,
            x + size * 0.55,
            stalk - size * 0.25,
            (size * 0.4, size * 0.16),
            (60, 120, 80),
            generator.uniform(-40, 20),
        )


def _vessel(sketch, x, foot, size, palette, generator) -> None:
    """A vase, a jug, a bottle or a bowl of the given height."""
    colour = vary(
        palette.accent(int(generator.integers(3)))
        if generator.random() < 0.6
        else palette.tone(generator.uniform(0.3, 0.95)),
        generator,
    )
    forms = (
        (0.16, 0.13, 0.2, 0.3, 0.33, 0.28, 0.18, 0.2),  # vase
        (0.2, 0.17, 0.17, 0.28, 0.34, 0.34, 0.3, 0.22),  # jug
        (0.06, 0.055, 0.055, 0.07, 0.17, 0.18, 0.18, 0.18),  # bottle
        (0.3, 0.22, 0.17, 0.21, 0.28, 0.3, 0.25, 0.16),  # urn
    )
    form = int(generator.integers(4))
    profile = [value * size * generator.uniform(0.93, 1.07) for value in forms[form]]
    _shadow(sketch, x + 0.25 * size, foot - 0.02 * size, (0.65 * size, 0.12 * size))
    if form == 1:
        cv2.ellipse(
            sketch,
            (round(x + 0.32 * size), round(foot - 0.6 * size)),
            (round(0.16 * size), round(0.22 * size)),
            0,
            -120,
            120,
            mix(colour, (20, 20, 20), 0.35),
            max(2, round(0.05 * size)),
            cv2.LINE_AA,
        )
    lathe(sketch, x, foot - size, foot, profile, colour, generator, int(generator.integers(4)) if form != 2 else 0)
    disc(sketch, x, foot - size, (profile[0], profile[0] * 0.28), mix(colour, (15, 15, 15), 0.6))


def _flower(sketch, x, y, size, colour, generator) -> None:
    """One blossom of two rings of petals."""
    petals, turn = int(generator.integers(5, 11)), generator.uniform(0, 360)
    for ring, reach in ((0, 0.62), (1, 0.36)):
        for number in range(petals):
            angle = turn + 360 * (number + 0.5 * ring) / petals
            place = x + size * reach * np.cos(np.radians(angle)), y + size * reach * np.sin(np.radians(angle))
            light = mix(colour, (255, 255, 255), 0.1 + 0.25 * ring + 0.15 * np.cos(np.radians(angle + 135)))
            disc(sketch, *place, (size * 0.42, size * 0.24), vary(light, generator, 10), angle)
    disc(sketch, x, y, size * 0.24, vary((60, 150, 200), generator))


def flowers(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    edge = _table(sketch, palette, generator)
    size = 0.42 * height
    x, foot = width * generator.uniform(0.35, 0.65), edge + (height - edge) * generator.uniform(0.35, 0.6)
    greens = [vary(c, generator) for c in ((40, 70, 40), (60, 110, 70), (95, 150, 110))]
    heart = foot - size * 1.15
    reach = min(0.36 * width, 0.3 * height)
    heads = []
    for _ in range(int(generator.integers(14, 28))):
        angle, away = generator.uniform(-np.pi, np.pi), reach * np.sqrt(generator.random())
        heads.append((x + away * np.cos(angle), heart - 0.25 * reach + 0.85 * away * np.sin(angle)))
    for head in heads:
        stroke(sketch, (x, foot - 0.85 * size), head, greens[generator.integers(3)], 2)
        for _ in range(4):
            leaf = head[0] + generator.normal(0, 0.1) * width, head[1] + generator.normal(0.02, 0.06) * height
            disc(
                sketch,
                *leaf,
                (generator.uniform(7, 15), 4),
                vary(greens[generator.integers(3)], generator),
                generator.uniform(0, 180),
            )
    _vessel(sketch, x, foot, size, palette, generator)
    colours = [palette.accent(0), palette.accent(1), palette.tone(1.0), palette.accent(2), (120, 90, 220)]
    chosen = generator.permutation(5)[: generator.integers(2, 5)]
    for head in heads:
        _flower(
            sketch,
            *head,
            reach * generator.uniform(0.13, 0.27),
            colours[chosen[generator.integers(len(chosen))]],
            generator,
        )
    for _ in range(int(generator.integers(1, 5))):
        _fruit(
            sketch,
            generator.uniform(0.05, 0.95) * width,
            foot + generator.uniform(-0.02, 0.1) * height,
            0.045 * height,
            generator,
        )


def fruit(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    edge = _table(sketch, palette, generator)
    for x in generator.permutation(np.linspace(0.16, 0.84, 3))[: generator.integers(1, 3)]:
        _vessel(sketch, x * width, edge + 0.08 * height, height * generator.uniform(0.32, 0.52), palette, generator)
    x, foot, reach = width * generator.uniform(0.35, 0.65), edge + 0.2 * height, 0.24 * width
    bowl = vary(palette.tone(generator.uniform(0.4, 1)), generator)
    _shadow(sketch, x + 0.15 * reach, foot, (1.3 * reach, 0.25 * reach))
    for _ in range(9):
        _fruit(
            sketch,
            x + generator.uniform(-0.75, 0.75) * reach,
            foot - reach * generator.uniform(0.15, 0.4),
            0.055 * height,
            generator,
        )
    lathe(
        sketch,
        x,
        foot - 0.36 * reach,
        foot,
        [reach, 0.95 * reach, 0.8 * reach, 0.5 * reach, 0.35 * reach],
        bowl,
        generator,
        int(generator.integers(4)),
    )
    for place in np.sort(generator.uniform(edge + 0.15 * height, 0.97 * height, generator.integers(4, 10))):
        _fruit(sketch, generator.uniform(0.03, 0.97) * width, place, height * generator.uniform(0.045, 0.07), generator)


def books(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    edge = _table(sketch, palette, generator)
    _vessel(
        sketch,
        width * generator.uniform(0.65, 0.85),
        edge + 0.1 * height,
        height * generator.uniform(0.3, 0.48),
        palette,
        generator,
    )
    foot = edge + (height - edge) * 0.45
    left = width * generator.uniform(0.08, 0.25)
    for _ in range(int(generator.integers(3, 7))):
        thick, long = height * generator.uniform(0.035, 0.07), width * generator.uniform(0.3, 0.42)
        x = left + generator.uniform(-0.05, 0.05) * width
        colour = vary(
            palette.accent(int(generator.integers(3))) if generator.random() < 0.7 else palette.tone(0.3), generator, 20
        )
        polygon(sketch, [(x, foot), (x + long, foot), (x + long, foot - thick), (x, foot - thick)], colour)
        cut = [
            (x + long * 0.86, foot - 2),
            (x + long, foot - 2),
            (x + long, foot - thick + 2),
            (x + long * 0.86, foot - thick + 2),
        ]
        polygon(sketch, cut, vary((190, 220, 232), generator))
        for line in np.linspace(0.05, 0.75, 6):
            stroke(
                sketch,
                (x + long * line, foot - 1),
                (x + long * line, foot - thick + 1),
                mix(colour, (120, 200, 230), 0.6),
                1,
            )
        foot -= thick
    if generator.random() < 0.7:
        x = left + width * 0.15
        lathe(sketch, x, foot - 0.24 * height, foot, [0.018 * width] * 5, (205, 225, 232), generator)
        disc(sketch, x, foot - 0.28 * height, (0.013 * width, 0.035 * height), (120, 210, 255))
        disc(sketch, x, foot - 0.27 * height, (0.007 * width, 0.018 * height), (220, 245, 255))
    for place in np.sort(generator.uniform(edge + 0.15 * height, 0.97 * height, generator.integers(2, 7))):
        _fruit(sketch, generator.uniform(0.05, 0.95) * width, place, height * generator.uniform(0.04, 0.06), generator)


def kitchen(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    edge = _table(sketch, palette, generator)
    count = int(generator.integers(3, 6))
    for x in generator.permutation(np.linspace(0.1, 0.9, count)):
        size = height * generator.uniform(0.25, 0.55)
        _vessel(
            sketch,
            (x + generator.normal(0, 0.02)) * width,
            edge + height * generator.uniform(0.03, 0.14),
            size,
            palette,
            generator,
        )
    for place in np.sort(generator.uniform(edge + 0.16 * height, 0.97 * height, generator.integers(6, 13))):
        _fruit(sketch, generator.uniform(0.03, 0.97) * width, place, height * generator.uniform(0.04, 0.065), generator)


# Portraits


def portrait(sketch, palette, generator) -> None:
    """A half-length figure; hair, hat, beard, dress and background by chance."""
    height, width = sketch.shape[:2]
    _backdrop(sketch, palette, generator)
    x = width * generator.uniform(0.42, 0.58)
    size = height * generator.uniform(0.15, 0.19)  # half the head's height
    y = height * generator.uniform(0.34, 0.4)
    skin = vary(
        ((170, 195, 232), (150, 180, 222), (105, 145, 195), (75, 108, 160), (60, 82, 122))[generator.integers(5)],
        generator,
        8,
    )
    hair = vary(
        ((30, 32, 42), (40, 62, 98), (70, 130, 190), (150, 155, 160), (35, 60, 130), (60, 85, 115))[
            generator.integers(6)
        ],
        generator,
        8,
    )
    wide = size * generator.uniform(0.7, 0.82)
    style = int(generator.integers(6))
    _hair_behind(sketch, x, y, wide, size, hair, style, generator)
    _dress(sketch, x, y, wide, size, skin, palette, generator)
    ball(sketch, x, y, (wide, size), skin, generator, 0.25, 0.1)
    _face(sketch, x, y, wide, size, skin, hair, generator)
    _hair_above(sketch, x, y, wide, size, hair, style, palette, generator)


def _backdrop(sketch, palette, generator) -> None:
    """A plain wall, a landscape, a curtain, a papered wall or shelves."""
    height, width = sketch.shape[:2]
    form = int(generator.integers(5))
    shades = [palette.tone(v) for v in ((0.0, 0.2, 0.4), (0.5, 0.65, 0.9), (0.25, 0.4, 0.6))[generator.integers(3)]]
    sketch[:] = ramp(clouds((height, width), width * 0.45, generator, 5), shades)
    if form == 1:
        (mountains, fields, village, sea)[generator.integers(4)](sketch, palette, generator)
    elif form == 2:
        folds = np.sin(np.linspace(0, generator.uniform(20, 50), width) + generator.uniform(0, 6)) * 0.5 + 0.5
        colour = palette.accent(int(generator.integers(3)))
        veil = ramp(
            np.repeat(folds[None, :], height, 0),
            (mix(colour, (20, 10, 20), 0.6), colour, mix(colour, (255, 255, 255), 0.25)),
        )
        edge = np.linspace(width * generator.uniform(0.25, 0.9), width * generator.uniform(0.1, 0.4), height)
        mask = np.clip(edge[:, None] - np.arange(width)[None, :], 0, 1)
        blend(sketch, mask if generator.random() < 0.5 else mask[:, ::-1], veil)
    elif form == 3:
        step, colour = (
            width / generator.integers(6, 11),
            mix(shades[2], palette.accent(int(generator.integers(3))), 0.55),
        )
        for row in range(int(height / step) + 2):
            for column in range(int(width / step) + 2):
                _flower(
                    sketch,
                    (column + 0.5 * (row % 2)) * step,
                    row * step,
                    step * 0.27,
                    vary(colour, generator, 7),
                    generator,
                )
    elif form == 4:
        for row in np.arange(height * 0.16, height, height * 0.2):
            left = 0.0
            while left < width:
                thick, tall = generator.uniform(4, 12), height * generator.uniform(0.1, 0.17)
                colour = (
                    palette.accent(int(generator.integers(3)))
                    if generator.random() < 0.5
                    else palette.tone(generator.random())
                )
                polygon(
                    sketch,
                    [(left, row), (left, row - tall), (left + thick, row - tall), (left + thick, row)],
                    vary(mix(colour, (40, 30, 30), 0.3), generator),
                )
                left += thick
            stroke(sketch, (0, row + 3), (width, row + 3), (35, 55, 85), 6)


def _hair_behind(sketch, x, y, wide, size, hair, style, generator) -> None:
    dark = mix(hair, (10, 10, 15), 0.4)
    if style in (1, 4):  # long
        for _ in range(70):
            side = generator.choice((-1, 1))
            top = x + side * wide * generator.uniform(0.6, 1.1), y - size * generator.uniform(0, 0.8)
            end = x + side * wide * generator.uniform(0.9, 1.4), y + size * generator.uniform(0.8, 1.7)
            stroke(sketch, top, end, vary(mix(dark, hair, generator.random()), generator, 8), 5)
    if style in (2, 5):  # curls
        for _ in range(80):
            angle = generator.uniform(-np.pi * 1.25, np.pi * 0.25)
            place = (
                x + np.cos(angle) * wide * generator.uniform(0.9, 1.35),
                y + np.sin(angle) * size * generator.uniform(0.85, 1.25),
            )
            ball(sketch, *place, size * generator.uniform(0.1, 0.2), vary(hair, generator, 9), generator, 0.3)
    if style == 3:  # a bun
        ball(sketch, x, y - size * 1.2, size * 0.42, hair, generator, 0.3, 0.6)


def _dress(sketch, x, y, wide, size, skin, palette, generator) -> None:
    """Neck, shoulders and clothes, with a pattern, a collar and perhaps a necklace."""
    height = sketch.shape[0]
    cloth = vary(
        palette.accent(int(generator.integers(3)))
        if generator.random() < 0.65
        else palette.tone(generator.choice([0.05, 0.5, 0.9])),
        generator,
    )
    shoulder = y + size * 1.55
    spread = size * generator.uniform(1.55, 2.0)
    ball(sketch, x, y + size * 3.6, (spread * 1.12, size * 2.25), cloth, generator, 0.3, 0.5)
    light = mix(cloth, (255, 255, 255), 0.45)
    pattern = int(generator.integers(5))
    for number in range(90 if pattern else 0):
        down = generator.uniform(0.1, 1) * (height - shoulder)
        across = generator.uniform(-0.8, 0.8) * spread * min(1, 0.5 + down / (1.5 * size))
        place = x + across, shoulder + down
        if pattern == 1:
            disc(sketch, *place, 3, light)
        elif pattern == 2 and number % 3 == 0:
            _flower(sketch, *place, 7, vary(palette.accent(number), generator), generator)
        elif pattern == 3:
            stroke(
                sketch,
                (place[0], place[1]),
                (place[0] + across * 0.08, place[1] + 16),
                mix(cloth, (20, 10, 15), generator.uniform(0.2, 0.6)),
                2,
            )
        elif pattern == 4:
            stroke(sketch, (place[0] - 5, place[1]), (place[0] + 5, place[1] + generator.choice((-3, 3))), light, 1)
    lathe(
        sketch,
        x,
        y + size * 0.6,
        shoulder + size * 0.25,
        [wide * 0.55, wide * 0.48, wide * 0.5, wide * 0.75],
        mix(skin, (60, 70, 110), 0.2),
        generator,
    )
    collar = int(generator.integers(5))
    if collar == 0:  # ruff
        for turn in np.linspace(0, 2 * np.pi, 44):
            ball(
                sketch,
                x + np.cos(turn) * wide * 1.05,
                shoulder - size * 0.2 + np.sin(turn) * size * 0.24,
                size * 0.13,
                (228, 235, 238),
                generator,
                0.4,
            )
    elif collar == 1:  # open shirt
        for side in (-1, 1):
            polygon(
                sketch,
                [
                    (x + side * wide * 0.6, shoulder - size * 0.35),
                    (x, shoulder + size * 0.55),
                    (x + side * wide * 1.05, shoulder + size * 0.35),
                ],
                vary((225, 232, 235), generator),
            )
    elif collar == 2:  # shawl
        other = palette.accent(int(generator.integers(3)))
        for side in (-1, 1):
            for step in np.linspace(0, 1, 12):
                stroke(
                    sketch,
                    (x + side * wide * (0.5 + 0.6 * step), shoulder - size * (0.2 - 0.1 * step)),
                    (x + side * size * 0.12, shoulder + size * (0.7 + step)),
                    vary(other, generator, 13),
                    6,
                )
    elif collar == 3:  # beads
        bead = vary(palette.accent(int(generator.integers(3))), generator)
        for turn in np.linspace(0.1, np.pi - 0.1, 17):
            ball(
                sketch,
                x + np.cos(turn) * wide * 0.7,
                shoulder - size * 0.1 + np.sin(turn) * size * 0.5,
                size * 0.075,
                mix(bead, (255, 255, 255), 0.4),
                generator,
                0.9,
            )
    else:  # buttons and lapels
        for side in (-1, 1):
            polygon(
                sketch,
                [
                    (x + side * wide * 0.55, shoulder - size * 0.25),
                    (x, shoulder + size * 1.1),
                    (x + side * wide * 1.2, shoulder + size * 0.3),
                ],
                mix(cloth, (20, 12, 18), 0.4),
            )
        for step in range(4):
            ball(sketch, x, shoulder + size * (1.1 + 0.35 * step), size * 0.07, (120, 190, 215), generator, 0.9)


def _face(sketch, x, y, wide, size, skin, hair, generator) -> None:
    """Eyes, brows, nose, mouth, cheeks, ears and perhaps a beard; the head turns a little to one side."""
    turn = generator.uniform(-0.18, 0.18) * wide
    shade, light = mix(skin, (40, 45, 95), 0.4), mix(skin, (255, 255, 255), 0.35)
    for side in (-1, 1):
        ball(sketch, x + side * wide * 0.99, y + size * 0.05, (wide * 0.12, size * 0.18), skin, generator, 0.2)
    for side in (-1, 1):
        found = region(
            sketch,
            x + turn + side * wide * 0.5 - wide * 0.3,
            y + size * 0.1,
            x + turn + side * wide * 0.5 + wide * 0.3,
            y + size * 0.5,
        )
        part, columns, rows = found
        square = ((columns - x - turn - side * wide * 0.5) / (wide * 0.28)) ** 2 + (
            (rows - y - size * 0.3) / (size * 0.18)
        ) ** 2
        blend(part, 0.35 * np.clip(1 - square, 0, 1), mix(skin, (110, 100, 230), 0.7))
    gap, level = wide * generator.uniform(0.38, 0.45), y - size * generator.uniform(0.02, 0.12)
    open_, long = size * generator.uniform(0.07, 0.12), wide * generator.uniform(0.19, 0.25)
    iris = ((80, 60, 40), (130, 110, 60), (60, 100, 70), (40, 60, 90))[generator.integers(4)]
    raised = generator.uniform(0.2, 0.32) * size
    for side in (-1, 1):
        eye = x + turn + side * gap
        disc(sketch, eye, level - open_ * 0.5, (long * 1.25, open_ * 1.9), shade)
        disc(sketch, eye, level, (long, open_), (225, 230, 232))
        disc(sketch, eye + turn * 0.3, level, open_ * 1.02, iris)
        disc(sketch, eye + turn * 0.3, level, open_ * 0.5, (15, 15, 15))
        disc(sketch, eye + turn * 0.3 - open_ * 0.4, level - open_ * 0.4, 1, (250, 250, 250))
        cv2.ellipse(
            sketch,
            (round(eye), round(level)),
            (round(long), round(open_ * 1.1)),
            0,
            185,
            355,
            mix(shade, (15, 15, 30), 0.7),
            2,
            cv2.LINE_AA,
        )
        cv2.ellipse(
            sketch,
            (round(eye), round(level - raised * 0.5)),
            (round(long * 1.25), round(raised * 0.55)),
            side * 6,
            200,
            340,
            mix(hair, (20, 20, 30), 0.3),
            max(2, round(size * 0.045)),
            cv2.LINE_AA,
        )
    tip = (x + turn * 1.7, y + size * generator.uniform(0.3, 0.4))
    side = 1 if turn >= 0 else -1
    polygon(
        sketch,
        [(x + turn * 1.2, level), tip, (tip[0] + side * wide * 0.16, tip[1]), (x + turn + side * wide * 0.1, level)],
        shade,
    )
    stroke(sketch, (x + turn * 1.2, level), tip, light, size * 0.05)
    disc(sketch, tip[0] + side * wide * 0.04, tip[1], (wide * 0.12, size * 0.06), mix(skin, (70, 75, 140), 0.35))
    if generator.random() < 0.3:
        for _ in range(110):
            place = x + turn * 0.8 + generator.normal(0, 0.36) * wide, y + size * generator.uniform(0.55, 1.15)
            stroke(
                sketch,
                place,
                (place[0] + generator.normal(0, 2), place[1] + size * 0.16),
                vary(hair, generator, 13),
                3,
            )
    mouth, lips = (x + turn * 1.3, y + size * 0.58), mix(skin, (60, 45, 175), generator.uniform(0.4, 0.75))
    long, smile = wide * generator.uniform(0.22, 0.34), generator.uniform(-0.02, 0.06) * size
    disc(sketch, mouth[0], mouth[1] + size * 0.035, (long * 0.85, size * 0.055), lips)
    disc(sketch, mouth[0], mouth[1] - size * 0.025, (long * 0.75, size * 0.035), mix(lips, (40, 30, 90), 0.3))
    corners = [(mouth[0] - long, mouth[1] - smile), mouth, (mouth[0] + long, mouth[1] - smile)]
    cv2.polylines(sketch, [np.round(corners).astype(np.int32)], False, mix(lips, (20, 15, 50), 0.6), 2, cv2.LINE_AA)


def _hair_above(sketch, x, y, wide, size, hair, style, palette, generator) -> None:
    """The hair over the brow, and perhaps a hat, a scarf or a wreath."""
    if style:
        for _ in range(90):
            angle = generator.uniform(-np.pi * 1.02, np.pi * 0.02)
            start = x + generator.normal(0, 0.1) * wide, y - size * 0.98
            end = (
                x + np.cos(angle) * wide * 1.06,
                y - size * 0.32 + np.sin(angle) * size * generator.uniform(0.45, 0.75),
            )
            stroke(sketch, start, end, vary(hair, generator, 13), 4)
    cover = int(generator.integers(6))
    colour = vary(palette.accent(int(generator.integers(3))), generator)
    if cover == 0:  # hat with a brim
        tall = size * generator.uniform(0.4, 0.8)
        lathe(
            sketch,
            x,
            y - size * 0.75 - tall,
            y - size * 0.6,
            [wide * 0.7, wide * 0.78, wide * 0.85, wide * 0.95],
            colour,
            generator,
        )
        ball(sketch, x, y - size * 0.62, (wide * generator.uniform(1.3, 1.8), size * 0.15), colour, generator, 0.3)
        stroke(
            sketch, (x - wide * 0.9, y - size * 0.75), (x + wide * 0.9, y - size * 0.75), palette.tone(0.95), size * 0.1
        )
    elif cover == 1:  # beret
        ball(
            sketch,
            x + wide * generator.uniform(-0.3, 0.3),
            y - size * 0.88,
            (wide * 1.25, size * 0.4),
            colour,
            generator,
            0.3,
            0.4,
        )
    elif cover == 2:  # turban
        for step in range(9):
            tilt = generator.uniform(-14, 14)
            disc(
                sketch,
                x,
                y - size * (0.62 + 0.07 * step),
                (wide * (1.12 - 0.05 * step), size * 0.13),
                vary(colour, generator, 17),
                tilt,
            )
    elif cover == 3:  # wreath
        for turn in np.linspace(-np.pi * 0.95, -np.pi * 0.05, 11):
            _flower(
                sketch,
                x + np.cos(turn) * wide * 0.98,
                y - size * 0.3 + np.sin(turn) * size * 0.6,
                size * 0.14,
                palette.accent(int(generator.integers(3))),
                generator,
            )


# Abstract works


def _wash(sketch, palette, generator, light=None) -> None:
    """A mottled ground."""
    base = generator.choice([0.1, 0.5, 0.95]) if light is None else light
    lumps = clouds(sketch.shape[:2], sketch.shape[1] * 0.3, generator, 5)
    sketch[:] = ramp(lumps, (palette.tone(max(0, base - 0.15)), palette.tone(base), palette.tone(min(1, base + 0.1))))


def _any_colour(palette, generator) -> Colour:
    return vary(
        palette.accent(int(generator.integers(3))) if generator.random() < 0.55 else palette.tone(generator.random()),
        generator,
    )


def circles(sketch, palette, generator) -> None:
    height, width = sketch.shape[:2]
    _wash(sketch, palette, generator)
    for _ in range(int(generator.integers(7, 22))):
        x, y = generator.uniform(0, width), generator.uniform(0, height)
        radius = width * generator.uniform(0.05, 0.26)
        for share in np.linspace(1, 0.15, int(generator.integers(2, 7))):
            disc(sketch, x, y, radius * share, _any_colour(palette, generator))
    for _ in range(int(generator.integers(4, 16))):
        ends = generator.uniform(0, 1, (2, 2)) * (width, height)
        stroke(sketch, *ends, _any_colour(palette, generator), generator.integers(1, 5))


def grid(sketch, palette, generator) -> None:
    """Rectangles split again and again, with dark lines or none."""
    height, width = sketch.shape[:2]
    boxes = [(0.0, 0.0, float(width), float(height))]
    for _ in range(int(generator.integers(12, 50))):
        x, y, wide, tall = boxes.pop(
            max(range(len(boxes)), key=lambda i: boxes[i][2] * boxes[i][3] * generator.uniform(0.3, 1))
        )
        share = generator.uniform(0.25, 0.75)
        if wide > tall:
            boxes += [(x, y, wide * share, tall), (x + wide * share, y, wide * (1 - share), tall)]
        else:
            boxes += [(x, y, wide, tall * share), (x, y + tall * share, wide, tall * (1 - share))]
    line = generator.choice([0, 2, 5])
    quiet = generator.uniform(0.1, 0.7)
    for x, y, wide, tall in boxes:
        colour = (
            vary(palette.tone(0.97), generator, 8) if generator.random() < quiet else _any_colour(palette, generator)
        )
        corners = [(x, y), (x + wide, y), (x + wide, y + tall), (x, y + tall)]
        polygon(sketch, corners, colour)
        if line:
            cv2.polylines(sketch, [np.round(corners).astype(np.int32)], True, palette.tone(0.0), int(line), cv2.LINE_AA)
    if generator.random() < 0.4:
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), generator.uniform(-40, 40), 1.5)
        sketch[:] = cv2.warpAffine(sketch, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def drips(sketch, palette, generator) -> None:
    """Flung lines and spatters."""
    height, width = sketch.shape[:2]
    _wash(sketch, palette, generator)
    colours = [_any_colour(palette, generator) for _ in range(4)]
    for number in range(int(generator.integers(30, 70))):
        steps = np.cumsum(np.cumsum(generator.normal(0, 1.6, (28, 2)), axis=0) * 0.6, axis=0)
        line = np.round(steps + generator.uniform(0, 1, 2) * (width, height)).astype(np.int32)
        cv2.polylines(
            sketch, [line], False, vary(colours[number % 4], generator), int(generator.integers(1, 5)), cv2.LINE_AA
        )
    for _ in range(260):
        disc(
            sketch,
            generator.uniform(0, width),
            generator.uniform(0, height),
            generator.exponential(2),
            vary(colours[generator.integers(4)], generator),
        )


def facets(sketch, palette, generator) -> None:
    """Splinters: a Delaunay triangulation of random points, lit from one side."""
    height, width = sketch.shape[:2]
    _wash(sketch, palette, generator)
    division = cv2.Subdiv2D((-width, -height, 3 * width, 3 * height))
    focus = generator.uniform(0.25, 0.75, 2) * (width, height)
    count = int(generator.integers(30, 130))
    points = np.concatenate(
        [
            generator.uniform(-0.15, 1.15, (count, 2)) * (width, height),
            focus + generator.normal(0, 0.14, (count // 2, 2)) * width,
        ]
    )
    for x, y in points:
        division.insert((float(x), float(y)))
    base = generator.uniform(0, 1)
    for triangle in division.getTriangleList():
        corners = triangle.reshape(3, 2)
        middle = corners.mean(axis=0)
        share = (base + 0.6 * np.sin(middle[0] / width * 3 + middle[1] / height * 2 + generator.normal(0, 0.5))) % 1
        colour = _any_colour(palette, generator) if generator.random() < 0.3 else vary(palette.tone(share), generator)
        polygon(sketch, corners, colour)
        if generator.random() < 0.4:
            stroke(sketch, corners[0], corners[1], mix(colour, (15, 10, 15), 0.6), 1)


def waves(sketch, palette, generator) -> None:
    """Bands of colour that a warped field of distances lays out."""
    height, width = sketch.shape[:2]
    column, row = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    centre = generator.uniform(-0.2, 1.2, 2) * (width, height)
    warp = (
        clouds((height, width), width * generator.uniform(0.2, 0.6), generator, 3) * generator.uniform(0.3, 1.6) * width
    )
    away = np.sqrt((column - centre[0]) ** 2 + (row - centre[1]) ** 2)
    field = (away if generator.random() < 0.5 else np.cos(centre[0]) * column + np.sin(centre[0]) * row) + warp
    colours = [_any_colour(palette, generator) for _ in range(int(generator.integers(4, 9)))]
    bands = (field / (width * generator.uniform(0.05, 0.1))).astype(np.int32)
    sketch[:] = np.uint8(colours)[
        generator.integers(0, len(colours), int(bands.max() - bands.min()) + 1)[bands - bands.min()]
    ]
    edge = cv2.morphologyEx(bands.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    if generator.random() < 0.5:
        blend(sketch, edge * 0.7, palette.tone(0.0))


def signs(sketch, palette, generator) -> None:
    """Floating bars, arcs, triangles and dots on a light ground."""
    height, width = sketch.shape[:2]
    _wash(sketch, palette, generator, 0.9)
    for _ in range(int(generator.integers(22, 50))):
        middle = generator.uniform(0, 1, 2) * (width, height)
        angle, size = generator.uniform(0, np.pi), width * generator.uniform(0.03, 0.22)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        colour, form = _any_colour(palette, generator), generator.integers(5)
        if form == 0:
            polygon(sketch, np.array([(-1, -0.15), (1, -0.15), (1, 0.15), (-1, 0.15)]) * size @ turn + middle, colour)
        elif form == 1:
            polygon(sketch, np.array([(-0.6, -0.5), (0.7, 0), (-0.6, 0.5)]) * size @ turn + middle, colour)
        elif form == 2:
            place = tuple(np.round(middle).astype(int).tolist())
            cv2.ellipse(
                sketch,
                place,
                (max(2, round(size)), max(2, round(size * 0.7))),
                np.degrees(angle),
                0,
                int(generator.integers(90, 300)),
                colour,
                int(generator.integers(1, 7)),
                cv2.LINE_AA,
            )
        elif form == 3:
            for step in range(6):
                disc(sketch, *(np.array([step * 0.28 - 0.7, 0]) * size @ turn + middle), size * 0.08 + 1, colour)
        else:
            for step in np.linspace(-0.5, 0.5, 6):
                stroke(
                    sketch,
                    np.array([-0.7, step]) * size @ turn + middle,
                    np.array([0.7, step]) * size @ turn + middle,
                    colour,
                    1,
                )


def colour_fields(sketch, palette, generator) -> None:
    """Two to five soft-edged fields above one another, with scratches and glazes."""
    height, width = sketch.shape[:2]
    _wash(sketch, palette, generator)
    edges = np.sort(generator.uniform(0.12, 0.88, generator.integers(1, 5)))
    edges = np.concatenate([[0.04], edges, [0.96]]) * height
    inset = width * generator.uniform(0.04, 0.12)
    column, row = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    for top, bottom in pairwise(edges):
        shake = 34 * (clouds((height, width), 40, generator, 4) - 0.5)
        inside = (
            np.minimum(np.minimum(row - top, bottom - row), np.minimum(column - inset, width - inset - column)) + shake
        )
        colour = _any_colour(palette, generator)
        mottled = ramp(
            clouds((height, width), 60, generator, 5),
            (mix(colour, (0, 0, 0), 0.45), colour, mix(colour, (255, 255, 255), 0.45)),
        )
        blend(sketch, np.clip(inside / 10, 0, 0.95), mottled)
    for _ in range(int(generator.integers(40, 130))):
        start = generator.uniform(0, 1, 2) * (width, height)
        end = start + generator.normal(0, 0.07, 2) * width
        stroke(sketch, start, end, _any_colour(palette, generator), generator.integers(1, 3))


def mosaic(sketch, palette, generator) -> None:
    """Small tiles whose colours drift over the picture, with a few signs drawn in."""
    height, width = sketch.shape[:2]
    step = width / generator.integers(11, 24)
    drift = clouds((height, width), width * 0.4, generator, 3)
    lean = generator.uniform(-0.15, 0.15)
    for row in range(-3, int(height / step) + 4):
        for column in range(-3, int(width / step) + 4):
            x, y = column * step + lean * row * step, row * step - lean * column * step
            value = float(drift[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))])
            colour = (
                palette.accent(int(value * 9))
                if generator.random() < 0.4
                else palette.tone(np.clip(value + generator.normal(0, 0.14), 0, 1))
            )
            wobble = generator.uniform(-0.08, 0.08, (4, 2)) * step
            polygon(
                sketch,
                np.array([(x, y), (x + step, y), (x + step, y + step), (x, y + step)]) + wobble,
                vary(colour, generator, 11),
            )
            if generator.random() < 0.12:
                disc(
                    sketch,
                    x + step / 2,
                    y + step / 2,
                    step * generator.uniform(0.15, 0.4),
                    _any_colour(palette, generator),
                )


# What can be painted: genre -> kind -> painter.
KINDS = {
    "landscape": {"mountains": mountains, "sea": sea, "village": village, "forest": forest, "fields": fields},
    "still_life": {"flowers": flowers, "fruit": fruit, "books": books, "kitchen": kitchen},
    "portrait": {"portrait": portrait},
    "abstract": {
        "circles": circles,
        "grid": grid,
        "drips": drips,
        "facets": facets,
        "waves": waves,
        "signs": signs,
        "colour_fields": colour_fields,
        "mosaic": mosaic,
    },
}
