"""Photographs made out of pictures: what a visitor, a camera and a file format do to a work of art.

Every function takes and returns a picture as a (height, width, 3) uint8 array in BGR order and leaves its
input as it is. Chance comes only from the `numpy.random.Generator` that is passed in, so one seed gives one result.

`disturb` applies several transforms at once, as a test of its own; `photograph` hangs the picture on a wall and
photographs it there.
"""

from collections.abc import Callable

import cv2
import numpy as np

# What `disturb` may do: the value that changes nothing, and the mildest and the strongest value at strength 1.
# Values are drawn evenly between the two; of a rotation and of a light either direction is drawn as well.
RANGES = {
    "crop": (1.0, 0.9, 0.65),  # share of each side that is kept
    "scale": (1.0, 0.8, 0.4),  # factor on both sides
    "rotate": (0.0, 3.0, 30.0),  # degrees, either direction
    "perspective": (0.0, 0.04, 0.16),  # share of a side by which a corner moves inwards, at most
    "blur": (0.0, 0.6, 1.8),  # standard deviation of the Gaussian, pixels
    "motion blur": (1.0, 3.0, 9.0),  # length of the trace, pixels
    "brightness": (0.0, 10.0, 55.0),  # grey levels, either direction
    "gamma": (1.0, 1.1, 1.7),  # exponent; its reciprocal brightens, drawn as often
    "contrast": (1.0, 0.9, 0.6),  # factor on the distance from middle grey
    "vignette": (0.0, 0.1, 0.5),  # share of the light that is missing in the corners
    "colour cast": (0.0, 0.05, 0.2),  # warm light: share by which blue falls and red rises; cold: the reverse
    "noise": (0.0, 3.0, 14.0),  # standard deviation, grey levels
    "jpeg": (100.0, 80.0, 30.0),  # quality of the file, 1..100
}

GREY = (128, 128, 128)  # what `disturb` shows around a turned picture, BGR


def rotate(image: np.ndarray, degrees: float, fill: tuple[int, int, int] | None = (0, 0, 0)) -> np.ndarray:
    """Turn counter-clockwise by any angle on a canvas grown so that nothing is lost.

    fill: the BGR colour of the new corners; None continues the picture's border into them.
    """
    quarters, rest = divmod(degrees, 90)
    turned = np.rot90(image, int(quarters) % 4)
    if rest == 0:
        return turned.copy()
    height, width = turned.shape[:2]
    cosine, sine = np.cos(np.radians(rest)), np.sin(np.radians(rest))
    new_width = int(np.ceil(width * cosine + height * sine))
    new_height = int(np.ceil(width * sine + height * cosine))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rest, 1.0)
    matrix[:, 2] += (new_width - width) / 2, (new_height - height) / 2
    return cv2.warpAffine(np.ascontiguousarray(turned), matrix, (new_width, new_height), **_outside(fill))


def scale(image: np.ndarray, factor: float) -> np.ndarray:
    """Make both sides `factor` (above 0) times as long, rounded, at least one pixel."""
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if size == (width, height):
        return image.copy()
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


def crop(image: np.ndarray, keep: float, at: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """Keep the share `keep` (0..1) of each side, at least one pixel.

    at: where the part lies, down and across: (0, 0) is the upper left corner, (1, 1) the lower right one.
    """
    height, width = image.shape[:2]
    new_height, new_width = max(1, round(height * keep)), max(1, round(width * keep))
    top, left = round((height - new_height) * at[0]), round((width - new_width) * at[1])
    return image[top : top + new_height, left : left + new_width].copy()


def perspective(
    image: np.ndarray, strength: float, generator: np.random.Generator, fill: tuple[int, int, int] | None = (0, 0, 0)
) -> np.ndarray:
    """Move each corner inwards by up to `strength` (0..0.45) of the sides, so that the whole picture stays in view.

    fill: the BGR colour around it; None continues the picture's border.
    """
    height, width = image.shape[:2]
    moved = moved_corners(height, width, strength, generator)
    if strength == 0:
        return image.copy()
    matrix = cv2.getPerspectiveTransform(_corners(height, width), moved)
    return cv2.warpPerspective(image, matrix, (width, height), **_outside(fill))


def moved_corners(height: int, width: int, strength: float, generator: np.random.Generator) -> np.ndarray:
    """Where `perspective` puts the corners: (4, 2) float32 x, y; upper left, upper right, lower right, lower left."""
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
    shares = generator.uniform(0, strength, (4, 2)).astype(np.float32)
    return _corners(height, width) + inwards * shares * np.array([width - 1, height - 1], np.float32)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur with a Gaussian of `sigma` pixels, as a lens out of focus does; 0 changes nothing."""
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0 else image.copy()


def motion_blur(image: np.ndarray, length: float, degrees: float = 0.0) -> np.ndarray:
    """Blur along a line of `length` pixels, `degrees` counter-clockwise from across; 1 or less changes nothing."""
    if length <= 1:
        return image.copy()
    reach = int(np.ceil(length / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    # A line of many small dots, each shared out between its four nearest pixels, has the same weight at every angle.
    for step in np.linspace(-(length - 1) / 2, (length - 1) / 2, 8 * reach + 1):
        x, y = reach + step * np.cos(np.radians(degrees)), reach - step * np.sin(np.radians(degrees))
        column, row = min(int(x), 2 * reach - 1), min(int(y), 2 * reach - 1)
        across, down = x - column, y - row
        kernel[row : row + 2, column : column + 2] += np.outer([1 - down, down], [1 - across, across])
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def noise(image: np.ndarray, sigma: float, generator: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of `sigma` grey levels to every pixel and channel on its own."""
    grain = generator.standard_normal(image.shape, np.float32)
    return _to_bytes(image + np.float32(sigma) * grain)


def light(
    image: np.ndarray, brightness: float = 0.0, contrast: float = 1.0, gamma: float = 1.0, vignette: float = 0.0
) -> np.ndarray:
    """Change the light; the defaults change nothing.

    gamma (above 0): exponent on values in 0..1, above 1 darkens; then contrast: factor on the distance from 127.5;
    then brightness: grey levels added; then vignette (0..1): share of the light missing in the corners, growing with
    the square of the distance from the middle.
    """
    levels = 255 * (np.arange(256) / 255) ** gamma
    table = _to_bytes((levels - 127.5) * contrast + 127.5 + brightness)
    lit = cv2.LUT(image, table)
    if vignette == 0:
        return lit
    height, width = image.shape[:2]
    down, across = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    shade = 1 - vignette * (down[:, None] ** 2 + across[None, :] ** 2) / 2
    return _to_bytes(lit * _three(shade))


def colour_cast(image: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    """Multiply blue, green and red by their gains, as coloured light does; (1, 1, 1) changes nothing."""
    table = np.arange(256)[:, None] * np.array(gains)
    return cv2.LUT(image, _to_bytes(table).reshape(1, 256, 3))


def jpeg(image: np.ndarray, quality: float) -> np.ndarray:
    """What is left of the picture after a JPEG file of this quality, 1..100."""
    written = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])[1]
    read = cv2.imdecode(written, cv2.IMREAD_COLOR)
    assert read is not None  # it was written a moment ago
    return read


def disturb(image: np.ndarray, generator: np.random.Generator, strength: float = 1.0) -> tuple[np.ndarray, list[str]]:
    """Two to five of the transforms in RANGES at once, each at a random strength; the work stays recognisable.

    strength: 0 changes nothing, 1 applies RANGES as they stand, values between lie between. Returns the new
    picture and what was done in the order in which it was done, such as ["rotate -12.3", "jpeg 61"].
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength {strength} is not in 0..1")
    if strength == 0:
        return image.copy(), []
    chosen = generator.permutation(len(RANGES))[: generator.integers(2, 6)]
    done = []
    # The order of RANGES is that of nature: the view first, then the lens, the light, the sensor and the file.
    for name in [name for place, name in enumerate(RANGES) if place in chosen]:
        neutral, mildest, strongest = RANGES[name]
        value = neutral + strength * (mildest + (strongest - mildest) * generator.random() - neutral)
        image, value = _APPLY[name](image, value, generator)
        done.append(f"{name} {value:.3g}")
    return image, done


def _either_sign(value: float, generator: np.random.Generator) -> float:
    return value * generator.choice((-1, 1))


def _apply_rotate(image: np.ndarray, value: float, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    value = _either_sign(value, generator)
    return rotate(image, value, fill=GREY), value


def _apply_brightness(image: np.ndarray, value: float, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    value = _either_sign(value, generator)
    return light(image, brightness=value), value


def _apply_gamma(image: np.ndarray, value: float, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    value = value ** generator.choice((-1, 1))
    return light(image, gamma=value), value


def _apply_cast(image: np.ndarray, value: float, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    value = _either_sign(value, generator)
    return colour_cast(image, (1 - value, 1.0, 1 + value)), value


# Each takes the picture, the value drawn and the generator, and returns the picture and the value as it was used.
_APPLY: dict[str, Callable[[np.ndarray, float, np.random.Generator], tuple[np.ndarray, float]]] = {
    "crop": lambda image, value, generator: (crop(image, value, tuple(generator.uniform(0, 1, 2))), value),
    "scale": lambda image, value, _: (scale(image, value), value),
    "rotate": _apply_rotate,
    "perspective": lambda image, value, generator: (perspective(image, value, generator, fill=GREY), value),
    "blur": lambda image, value, _: (blur(image, value), value),
    "motion blur": lambda image, value, generator: (motion_blur(image, value, generator.uniform(0, 180)), value),
    "brightness": _apply_brightness,
    "gamma": _apply_gamma,
    "contrast": lambda image, value, _: (light(image, contrast=value), value),
    "vignette": lambda image, value, _: (light(image, vignette=value), value),
    "colour cast": _apply_cast,
    "noise": lambda image, value, generator: (noise(image, value, generator), value),
    "jpeg": lambda image, value, _: (jpeg(image, value), value),
}


# Frames of `photograph`: the profile from the outer edge to the work, as (share of the frame's width, BGR colour).
FRAMES = (
    ((0.2, (40, 85, 120)), (0.45, (80, 160, 205)), (0.2, (45, 95, 135)), (0.15, (110, 190, 230))),  # gilded
    ((0.75, (28, 30, 34)), (0.1, (70, 130, 165)), (0.15, (45, 45, 50))),  # black with a gold line
    ((0.5, (38, 62, 98)), (0.3, (52, 84, 126)), (0.2, (30, 48, 76))),  # walnut
    ((0.35, (225, 228, 230)), (0.65, (238, 240, 242))),  # painted white
    ((0.3, (110, 105, 100)), (0.4, (175, 172, 168)), (0.3, (130, 126, 120))),  # silver leaf
)

# Walls of `photograph`, BGR.
WALLS = ((214, 222, 226), (52, 48, 112), (84, 98, 62), (128, 104, 78), (190, 196, 186), (120, 140, 158), (66, 62, 60))


def photograph(
    image: np.ndarray, generator: np.random.Generator, long_side: tuple[int, int] = (800, 1000)
) -> np.ndarray:
    """A visitor's photograph: the work in a frame on a wall, at an angle, in the light of a room.

    long_side: the least and the greatest long side of the photograph, pixels. The work itself fills at least a
    fifth of the photograph, of which it may leave an edge; at most a sixth of the work is cut off on one side.
    """
    side = int(generator.integers(long_side[0], long_side[1], endpoint=True))
    height, width = (side, round(side * 0.75)) if generator.random() < 0.5 else (round(side * 0.75), side)
    corners = view(image.shape[:2], (height, width), generator)
    scene = _hang(image, (height, width), corners, generator)
    scene = light(scene, gamma=generator.uniform(0.85, 1.5), contrast=generator.uniform(0.75, 1.05))
    scene = _shine(scene, generator)
    warmth = generator.normal(0, 0.09)
    scene = colour_cast(scene, (1 - warmth, 1 + generator.normal(0, 0.02), 1 + warmth))
    if generator.random() < 0.3:
        scene = motion_blur(scene, generator.uniform(2, 5), generator.uniform(0, 180))
    else:
        scene = blur(scene, generator.uniform(0.3, 1.2))
    return noise(scene, generator.uniform(2, 8), generator)


def view(work: tuple[int, int], photo: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Where the corners of a work come to lie in its photograph: (4, 2) float32 x, y; upper left first, clockwise.

    work, photo: (height, width) in pixels.
    """
    height, width = photo
    # The work's size: within the photograph, with an area between a third of it and the largest that fits.
    largest = min(0.86 * width / work[1], 0.86 * height / work[0])
    smallest = np.sqrt(0.34 * height * width / (work[0] * work[1]))
    factor = generator.uniform(min(smallest, largest), largest)
    size = np.array([work[1], work[0]], np.float32) * np.float32(factor)
    moved = moved_corners(2, 2, generator.uniform(0.02, 0.12), generator) - 0.5
    angle = np.radians(generator.normal(0, 3.5))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    corners = (moved * size) @ turn
    # Somewhere in the photograph, now and then beyond its edge.
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = np.maximum(np.array([width, height], np.float32) - (high - low), 0)
    corners += generator.uniform(0.15, 0.85, 2).astype(np.float32) * room - low
    if generator.random() < 0.25:
        axis, direction = generator.integers(2), generator.choice((-1, 1))
        gap = (room[axis] - (corners.min(axis=0)[axis])) if direction > 0 else corners.min(axis=0)[axis]
        corners[:, axis] += direction * (max(gap, 0) + generator.uniform(0, 1 / 7) * (high - low)[axis])
    return corners.astype(np.float32)


def _hang(image: np.ndarray, photo: tuple[int, int], corners: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The wall with the framed work whose corners lie as `view` says."""
    height, width = photo
    scene = _wall(height, width, generator)
    length = cv2.arcLength(corners, True) / 4
    factor = min(1.0, 1.2 * length / np.sqrt(image.shape[0] * image.shape[1]))
    framed, band = _frame(scale(image, factor), generator)
    inner_height, inner_width = framed.shape[0] - 2 * band, framed.shape[1] - 2 * band
    matrix = cv2.getPerspectiveTransform(_corners(inner_height, inner_width) + band, corners)
    mask = np.full(framed.shape[:2], 255, np.uint8)
    covered = cv2.warpPerspective(mask, matrix, (width, height), flags=cv2.INTER_LINEAR) / np.float32(255)
    # The frame stands off the wall and throws a soft shadow down and to one side.
    drop = max(3.0, 0.3 * band)
    aside = np.array([[1, 0, generator.uniform(-1, 1) * drop], [0, 1, drop]], np.float32)
    shadow = cv2.GaussianBlur(cv2.warpAffine(covered, aside, (width, height)), (0, 0), drop)
    scene *= _three(1 - 0.5 * shadow)
    work = cv2.warpPerspective(framed, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _to_bytes(scene + (work - scene) * _three(covered))


def _wall(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """A plastered wall: (height, width, 3) float32."""
    colour = np.array(WALLS[generator.integers(len(WALLS))], np.float32)
    colour += generator.uniform(-12, 12, 3).astype(np.float32)
    patches = cv2.resize(generator.standard_normal((9, 9), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(generator.standard_normal((height, width), np.float32), (0, 0), generator.uniform(1, 2.5))
    plaster = 2.5 * patches + generator.uniform(4, 12) * grain
    return cv2.merge([plaster + shade for shade in colour])


def _frame(image: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, int]:
    """The picture in a frame, and the frame's width in pixels."""
    height, width = image.shape[:2]
    band = max(4, round(min(height, width) * generator.uniform(0.05, 0.12)))
    profile = FRAMES[generator.integers(len(FRAMES))]
    framed = cv2.copyMakeBorder(image, band, band, band, band, cv2.BORDER_CONSTANT).astype(np.float32)
    tint = generator.uniform(0.9, 1.1)
    outer = 0.0
    for share, colour in profile:
        start, stop = round(outer * band), band
        # Light from above: the upper and left bars of each moulding are brighter than the lower and right ones.
        for bar, lit in zip(_bars(framed, start, stop), (1.1, 0.8, 1.02, 0.9), strict=True):
            bar[:] = np.array(colour, np.float32) * tint * lit
        outer += share
    grain = cv2.GaussianBlur(generator.standard_normal(framed.shape[:2], np.float32), (0, 0), 1.0)
    grain[band : band + height, band : band + width] = 0
    return _to_bytes(framed + _three(14 * grain)), band


def _bars(framed: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, ...]:
    """The top, bottom, left and right bars between two distances from the edge, as views."""
    height, width = framed.shape[:2]
    return (
        framed[start:stop, start : width - start],
        framed[height - stop : height - start, start : width - start],
        framed[stop : height - stop, start:stop],
        framed[stop : height - stop, width - stop : width - start],
    )


def _shine(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A lamp's uneven light: bright on one side, dim on the other, and sometimes a faint reflection on the varnish."""
    height, width = image.shape[:2]
    down, across = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    angle, depth = generator.uniform(0, 2 * np.pi), generator.uniform(0.05, 0.3)
    field = 1 - depth * (0.5 + 0.35 * (np.sin(angle) * down[:, None] + np.cos(angle) * across[None, :]))
    lit = image * _three(field)
    if generator.random() < 0.3:
        y, x, reach = generator.uniform(-0.6, 0.6), generator.uniform(-0.6, 0.6), generator.uniform(0.15, 0.3)
        glare = np.exp(-((down[:, None] - y) ** 2 + (across[None, :] - x) ** 2) / (2 * reach**2))
        lit += _three(60 * glare)
    return _to_bytes(lit)


def _corners(height: int, width: int) -> np.ndarray:
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)


def _outside(fill: tuple[int, int, int] | None) -> dict:
    """OpenCV's arguments for what lies beyond the picture."""
    if fill is None:
        return {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    return {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_CONSTANT, "borderValue": fill}


def _three(field: np.ndarray) -> np.ndarray:
    """A (height, width) field for each of the three channels: much faster in NumPy than `field[:, :, None]`."""
    return cv2.merge([field, field, field])


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Round to the nearest grey level, 0..255."""
    return cv2.convertScaleAbs(np.maximum(values, 0)).reshape(values.shape)
