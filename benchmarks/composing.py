"""Composes views of exhibition halls out of pictures of works: a room in true perspective, and what is true of it.

A view is a photograph of a room's walls with works on them: oblique, some in a corner of the room, framed in several
ways, under glass, partly cut off or hidden by people, badly lit, blurred, turned. Chance comes only from the
`numpy.random.Generator` that is passed in, so one seed gives one view.

The room is measured in the works' mean side: x to the right along the wall, y down from the middle of the works, z into
the wall, on which z is 0; the camera stands before it, where z is below 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from benchmarks import furnishing
from benchmarks.furnishing import Camera, Plane
from utils import transforms

SIDES = (1100, 1600)  # pixels of the view's long side, at least and at most
FORMATS = (4 / 3, 4 / 3, 3 / 2, 16 / 9, 1.0)  # long side / short side
MOST = 10  # works on a view
LEAST = 2  # of them clear
CLEAR = (0.03, 0.5)  # a clear work fills this share of the view at least, and shows this share of itself
LARGEST = 0.2  # share of the view that one work fills at most
NOTHING = -1  # the label of a pixel that shows no work
NEAR = 0.7  # what is nearer to the camera than this is not seen whole, and not hung


@dataclass(frozen=True)
class Shown:
    """A work on a view."""

    number: int  # its place in the pictures that the view was composed of
    outline: np.ndarray  # (4, 2) float32 x, y, the work's corners, clockwise from its upper left; may lie outside
    share: float  # of the view's pixels that show it, 0..1
    visible: float  # share of the work that is neither cut off nor hidden, 0..1

    @property
    def is_clear(self) -> bool:
        """Whether it fills enough of the view, and shows enough of itself, to be told."""
        return self.share >= CLEAR[0] and self.visible >= CLEAR[1]


@dataclass(frozen=True)
class Hung:
    """Where a work hangs."""

    plane: Plane  # the wall
    middle: tuple[float, float]  # u, v on the wall
    size: tuple[float, float]  # width, height


@dataclass(frozen=True)
class Placed:
    """A framed work, and where it comes to lie in the photograph."""

    framed: np.ndarray  # (height, width, 4) uint8: BGR, and how much it covers
    work: np.ndarray  # (height, width) uint8: 255 where the work itself is seen
    corners: np.ndarray  # (4, 2) float32 of the work within the framed one
    outline: np.ndarray  # (4, 2) float32 of the work in the photograph


def compose(pictures: Sequence[np.ndarray], generator: np.random.Generator) -> tuple[np.ndarray, list[Shown]]:
    """A view of a hall with these works: (height, width, 3) uint8 BGR, and the works that it shows.

    pictures: (height, width, 3) uint8 BGR, 2 to MOST of them.
    """
    shown: list[Shown] = []
    while sum(work.is_clear for work in shown) < LEAST or max(work.share for work in shown) > LARGEST:
        clean, labels, outlines = hall(pictures, generator)
        shown = measured(labels, outlines)
    view = photographed(clean, generator)
    turns = int(generator.choice((0, 1, 2, 3), p=(0.82, 0.08, 0.02, 0.08)))
    height, width = view.shape[:2]
    turned = [replace(work, outline=_turned(work.outline, height, width, turns)) for work in shown]
    return np.ascontiguousarray(np.rot90(view, turns)), turned


def hall(
    pictures: Sequence[np.ndarray], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray | None]]:
    """The view before camera and light disturb it, which pixels show which work, and the works' outlines.

    Returns (height, width, 3) uint8 BGR; (height, width) int8: the place in `pictures`, or NOTHING; and for each of
    `pictures` (4, 2) float32, or None where it is not hung.
    """
    long = int(generator.integers(*SIDES, endpoint=True))
    size = long, round(long / FORMATS[generator.integers(len(FORMATS))])
    width, height = size if generator.random() < 0.7 else size[::-1]
    corner = bool(generator.random() < 0.3)
    while True:  # most places to stand are too far away, or too near
        hangings, bend = arrange([picture.shape[:2] for picture in pictures], corner, generator)
        camera = _camera(hangings, corner, (height, width), generator)
        shares = [_share(hung, camera) for hung in hangings]
        if sum(share >= 1.1 * CLEAR[0] for share in shares) >= LEAST and max(shares) <= LARGEST:
            break
    room = furnishing.Room.around(hangings_box(hangings), camera, bend, generator)
    scene = furnishing.walls(room, camera, generator)
    for hung in hangings:  # first, so that no label lies on a work
        furnishing.label(scene, hung.plane, hung.middle, hung.size, camera, generator)
    labels = np.full((height, width), NOTHING, np.int8)
    outlines: list[np.ndarray | None] = []
    style = generator.random()
    for number, (picture, hung) in enumerate(zip(pictures, hangings, strict=True)):
        placed = _placed(picture, hung, camera, style, generator)
        outlines.append(None if placed is None else placed.outline)
        if placed is not None:
            _hang(scene, labels, number, placed, generator)
    scene *= furnishing.light(height, width, generator)[:, :, None]
    labels[furnishing.before(scene, room, camera, generator)] = NOTHING
    return furnishing.to_bytes(scene), labels, outlines


def measured(labels: np.ndarray, outlines: Sequence[np.ndarray | None]) -> list[Shown]:
    """The works that a view shows. labels, outlines: of `hall`."""
    shown = []
    for number, outline in enumerate(outlines):
        pixels = int((labels == number).sum())
        if outline is not None and pixels:
            visible = min(1.0, pixels / cv2.contourArea(outline))
            shown.append(Shown(number, outline, pixels / labels.size, visible))
    return shown


# Hanging


def arrange(
    sizes: Sequence[tuple[int, int]], corner: bool, generator: np.random.Generator
) -> tuple[list[Hung], float | None]:
    """Works in one to three rows on a wall, or on both sides of a corner, and at which x the corner is.

    sizes: (height, width) in pixels. corner: the second wall stands on the right, at a right angle to the first.
    """
    count = len(sizes)
    rows = int(np.clip(round(np.sqrt(count / generator.uniform(1.2, 4.5))), 1, 3))
    spread = generator.uniform(0.05, 0.3)
    sides = np.exp(generator.normal(0, spread, count))
    extents = np.array([(w, h) for h, w in sizes]) / np.sqrt([[h * w] for h, w in sizes]) * sides[:, None]
    gap = generator.uniform(0.25, 0.9 if rows == 1 else 0.5)
    front, side = Plane.front(), Plane.right(0.0)
    hangings: dict[int, Hung] = {}
    top = 0.0
    for row in np.array_split(generator.permutation(count), rows):
        band = max(extents[row, 1])
        split = int(generator.integers(1, len(row) + 1)) if corner else len(row)
        starts = {front: -sum(extents[row[:split], 0] + gap) if corner else -sum(extents[row, 0] + gap) / 2, side: 0.0}
        for place, number in enumerate(row):
            plane = front if place < split else side
            across, down = extents[number]
            jitter = generator.normal(0, 0.04) + (generator.uniform(-0.5, 0.5) * (band - down) if rows > 1 else 0)
            middle = starts[plane] + gap / 2 + across / 2, top + band / 2 + jitter
            hangings[int(number)] = Hung(plane, middle, (across, down))
            starts[plane] += across + gap
        top += band + gap
    lowered = {
        number: replace(hung, middle=(hung.middle[0], hung.middle[1] - (top - gap) / 2))
        for number, hung in hangings.items()
    }
    return [lowered[number] for number in range(count)], 0.0 if corner else None


def hangings_box(hangings: Sequence[Hung]) -> np.ndarray:
    """The corners of all works in the room: (4 n, 3) float64."""
    return np.concatenate([hung.plane.points(_corners(hung)) for hung in hangings])


def _corners(hung: Hung) -> np.ndarray:
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return np.array(hung.middle) + signs * np.array(hung.size) / 2


def _share(hung: Hung, camera: Camera) -> float:
    """The share of the photograph that a work fills where nothing hides it."""
    corners = hung.plane.points(_corners(hung))
    if camera.depth(corners).min() < NEAR:
        return 0.0
    height, width = camera.size
    photograph = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inside, _ = cv2.intersectConvexConvex(camera.project(corners).astype(np.float32), photograph)
    return inside / (height * width)


def _camera(hangings: Sequence[Hung], corner: bool, size: tuple[int, int], generator: np.random.Generator) -> Camera:
    """A camera so far away that the works fill the photograph, or more than that."""
    box = hangings_box(hangings)
    target = (box.min(0) + box.max(0)) / 2 + generator.normal(0, 0.12, 3) * (np.ptp(box, 0) + 0.3)
    yaw = generator.uniform(20, 65) if corner else generator.normal(0, 28)
    yaw = np.radians(np.clip(yaw, -62, 65))
    pitch, roll = np.radians(generator.normal(0, 6)), np.radians(generator.normal(0, 2.5))
    focal = generator.uniform(0.7, 1.35) * max(size)
    filled = generator.uniform(0.85, 1.6)
    near, far = 0.1, 60.0
    for _ in range(24):
        distance = (near + far) / 2
        camera = Camera.at(target, distance, yaw, pitch, roll, focal, size)
        if camera.reach(box) > filled:
            near = distance
        else:
            far = distance
    return camera


# Framing

KINDS: tuple[tuple[str, float], ...] = (
    ("bare", 0.25),
    ("frame", 0.4),
    ("mat", 0.15),
    ("oval mat", 0.05),
    ("octagonal mat", 0.04),
    ("oval", 0.07),
    ("octagonal", 0.04),
)


def _placed(
    picture: np.ndarray, hung: Hung, camera: Camera, style: float, generator: np.random.Generator
) -> Placed | None:
    """The work framed, and its place in the photograph; None where a part of it is behind the camera or too near."""
    corners = hung.plane.points(_corners(hung))
    if camera.depth(corners).min() < NEAR:
        return None
    outline = camera.project(corners).astype(np.float32)
    if _beyond(outline, camera.size):
        return None
    # A little more finely than the photograph shows it, so that warping neither blurs nor aliases.
    length = cv2.arcLength(outline, True) / 4
    factor = min(2.0, 1.15 * length / np.sqrt(picture.shape[0] * picture.shape[1]))
    work = _aged(transforms.scale(picture, factor), generator)
    names, weights = zip(*KINDS, strict=True)
    kind = str(generator.choice(names, p=weights))
    framed, seen, inner = furnishing.framed(work, kind, style, generator)
    if kind != "bare" and generator.random() < 0.35:
        framed = furnishing.glazed(framed, seen, generator)
    return Placed(framed, seen, inner, outline)


def _beyond(outline: np.ndarray, size: tuple[int, int]) -> bool:
    low, high = outline.min(0), outline.max(0)
    return bool((high < 0).any() or low[0] > size[1] or low[1] > size[0])


def _aged(work: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The work as this light and this camera see it, which were not those of the collection's picture."""
    work = transforms.light(work, gamma=generator.uniform(0.8, 1.35), contrast=generator.uniform(0.75, 1.05))
    work = transforms.colour_cast(work, tuple(generator.normal(1, 0.04, 3)))
    height, width = work.shape[:2]
    field = generator.uniform(0.75, 1.1, (2, 2)).astype(np.float32)
    field = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    return furnishing.to_bytes(work * field[:, :, None])


def _hang(scene: np.ndarray, labels: np.ndarray, number: int, placed: Placed, generator: np.random.Generator) -> None:
    """Hang the work into the scene, with its shadow, and write its number into the labels where it is seen."""
    drop = max(1.5, generator.uniform(0.01, 0.035) * cv2.arcLength(placed.outline, True) / 4)
    matrix = cv2.getPerspectiveTransform(placed.corners, placed.outline)
    left, top, right, bottom = _around(placed.framed.shape[:2], matrix, 4 * drop, scene.shape[:2])
    part, size = scene[top:bottom, left:right], (right - left, bottom - top)
    matrix = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ matrix
    warped = cv2.warpPerspective(placed.framed, matrix, size, flags=cv2.INTER_LINEAR)
    cover = warped[:, :, 3].astype(np.float32) / 255
    aside = np.array([[1, 0, generator.uniform(-1, 1) * drop], [0, 1, drop]], np.float32)
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, aside, size), (0, 0), drop)
    part *= (1 - generator.uniform(0.2, 0.6) * shadow)[:, :, None]
    part += (warped[:, :, :3] - part) * cover[:, :, None]
    seen = cv2.warpPerspective(placed.work, matrix, size, flags=cv2.INTER_LINEAR)
    labels[top:bottom, left:right][cover > 0.5] = NOTHING
    labels[top:bottom, left:right][seen > 127] = number


def _around(
    framed: tuple[int, int], matrix: np.ndarray, margin: float, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of a photograph that a framed work with this margin reaches over."""
    height, width = framed
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    reached = cv2.perspectiveTransform(corners, matrix)[0]
    left, top = np.clip(reached.min(0) - margin, 0, (size[1] - 1, size[0] - 1)).astype(int)
    right, bottom = np.clip(reached.max(0) + margin, (left + 1, top + 1), (size[1], size[0])).astype(int)
    return int(left), int(top), int(right), int(bottom)


# Photographing


def photographed(view: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The view as a visitor's camera takes it: its light, its lens, its sensor and its file."""
    dark = generator.random() < 0.3
    gamma = generator.uniform(1.5, 2.4) if dark else generator.uniform(0.8, 1.4)
    view = transforms.light(view, gamma=gamma, contrast=generator.uniform(0.7, 1.05),
                            brightness=generator.uniform(-15, 15), vignette=generator.uniform(0, 0.45))  # fmt: skip
    warmth = generator.normal(0.03, 0.11)
    view = transforms.colour_cast(view, (1 - warmth, 1 + generator.normal(0, 0.03), 1 + warmth))
    chance = generator.random()
    if chance < 0.2:
        view = transforms.motion_blur(view, generator.uniform(3, 9), generator.uniform(0, 180))
    elif chance < 0.4:
        view = transforms.blur(view, generator.uniform(1.2, 2.4))
    else:
        view = transforms.blur(view, generator.uniform(0.3, 0.9))
    view = transforms.noise(view, generator.uniform(6, 14) if dark else generator.uniform(1, 7), generator)
    if dark:  # a telephone smooths the noise away, and fine details with it
        view = cv2.bilateralFilter(view, 5, 40, 3)
    return transforms.jpeg(view, generator.uniform(35, 92))


def _turned(corners: np.ndarray, height: int, width: int, turns: int) -> np.ndarray:
    """Where points of a picture come to lie when it is turned by np.rot90."""
    for _ in range(turns):
        corners = np.stack([corners[:, 1], width - 1 - corners[:, 0]], 1)
        height, width = width, height
    return corners.astype(np.float32)
