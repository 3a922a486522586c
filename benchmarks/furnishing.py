"""What is in a hall besides the works: walls and floors, frames and glass, labels, furniture and people.

Scenes are (height, width, 3) float32 BGR, 0..255, and changed in place. The room's axes are those of
`benchmarks.composing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from utils import transforms

# Walls, BGR: mostly white and grey, as halls are today, and the colours of old galleries.
WALLS = (*transforms.WALLS, (235, 238, 240), (225, 230, 232), (205, 205, 205), (60, 70, 130), (95, 75, 45),
         (40, 40, 42), (150, 175, 160), (105, 150, 190), (60, 90, 60))  # fmt: skip
FLOORS = ((60, 95, 140), (90, 130, 175), (40, 60, 90), (120, 125, 128), (175, 178, 180), (50, 50, 55), (60, 45, 110))
CLOTHES = ((40, 35, 30), (60, 60, 65), (120, 80, 40), (50, 50, 140), (210, 215, 220), (90, 120, 130), (70, 110, 60),
           (160, 140, 190), (30, 120, 190))  # fmt: skip
SKIN = ((140, 170, 215), (120, 150, 200), (80, 110, 160), (55, 75, 110))
HAIR = ((25, 25, 30), (40, 60, 90), (90, 150, 190), (160, 165, 170), (30, 45, 70))


@dataclass(frozen=True)
class Plane:
    """A plane in the room: a point of it, and the directions (x, y, z) in which its u and v grow, of length 1."""

    origin: tuple[float, float, float]
    u: tuple[float, float, float]
    v: tuple[float, float, float]

    @classmethod
    def front(cls) -> "Plane":
        return cls((0, 0, 0), (1, 0, 0), (0, 1, 0))

    @classmethod
    def right(cls, x: float) -> "Plane":
        return cls((x, 0, 0), (0, 0, -1), (0, 1, 0))

    @classmethod
    def left(cls, x: float) -> "Plane":
        return cls((x, 0, 0), (0, 0, 1), (0, 1, 0))

    @classmethod
    def level(cls, y: float) -> "Plane":
        """Floor or ceiling."""
        return cls((0, y, 0), (1, 0, 0), (0, 0, 1))

    def points(self, uv: np.ndarray) -> np.ndarray:
        """Points of the plane in the room: (n, 2) -> (n, 3)."""
        return np.array(self.origin) + uv @ np.array([self.u, self.v])


@dataclass(frozen=True)
class Camera:
    """A pinhole camera."""

    place: np.ndarray  # (3,) in the room
    axes: np.ndarray  # (3, 3) its right, down and forward in the room, a row each
    focal: float  # pixels
    size: tuple[int, int]  # (height, width) of its photograph

    @classmethod
    def at(cls, target: np.ndarray, distance: float, yaw: float, pitch: float, roll: float, focal: float,
           size: tuple[int, int]) -> "Camera":  # fmt: skip
        """A camera that looks at a point from this distance; angles in radians."""
        forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        across = np.array([np.cos(yaw), 0, -np.sin(yaw)])
        down = np.cross(forward, across)
        right = np.cos(roll) * across + np.sin(roll) * down
        return cls(target - distance * forward, np.stack([right, np.cross(forward, right), forward]), focal, size)

    @property
    def matrix(self) -> np.ndarray:
        height, width = self.size
        return np.array([[self.focal, 0, width / 2], [0, self.focal, height / 2], [0, 0, 1]])

    def depth(self, points: np.ndarray) -> np.ndarray:
        """How far points (n, 3) lie before the camera; negative behind it."""
        return (points - self.place) @ self.axes[2]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3) before the camera in pixels of the photograph: (n, 2) x, y."""
        seen = (points - self.place) @ self.axes.T @ self.matrix.T
        return seen[:, :2] / seen[:, 2:]

    def reach(self, points: np.ndarray) -> float:
        """The larger share of the photograph's width or height that points extend over; infinite for points behind."""
        if self.depth(points).min() < 0.05:
            return np.inf
        height, width = self.size
        return float((np.ptp(self.project(points), 0) / (width, height)).max())

    def onto(self, plane: Plane) -> np.ndarray:
        """The homography from a plane's u, v to pixels: (3, 3), scaled so that the third number is the depth."""
        columns = [plane.u, plane.v, np.array(plane.origin) - self.place]
        return self.matrix @ self.axes @ np.stack(columns, 1)


@dataclass(frozen=True)
class Room:
    """A box with a front wall at z = 0; the camera is in it."""

    left: float  # x
    right: float
    floor: float  # y
    ceiling: float

    @classmethod
    def around(cls, works: np.ndarray, camera: Camera, bend: float | None, generator: np.random.Generator) -> "Room":
        """A room for works whose corners are (n, 3). bend: the x of its right wall, if works hang on it."""
        low, high = works.min(0), works.max(0)
        left = min(low[0], camera.place[0]) - generator.uniform(0.3, 6)
        right = max(high[0], camera.place[0]) + generator.uniform(0.3, 6) if bend is None else bend
        floor = max(high[1] + generator.uniform(0.5, 1.5), camera.place[1] + 0.7)
        ceiling = min(low[1] - generator.uniform(0.4, 3), camera.place[1] - 0.5)
        return cls(left, right, floor, ceiling)


def to_bytes(scene: np.ndarray) -> np.ndarray:
    """Rounded to whole grey levels, 0..255."""
    return np.clip(scene + 0.5, 0, 255).astype(np.uint8)


# Walls, floor and ceiling


def walls(room: Room, camera: Camera, generator: np.random.Generator) -> np.ndarray:
    """The empty room."""
    wall = _wall(generator)
    other = wall if generator.random() < 0.7 else _wall(generator)
    planes = [
        (Plane.front(), wall, 1.0),
        (Plane.left(room.left), other, generator.uniform(0.6, 1.05)),
        (Plane.right(room.right), other, generator.uniform(0.6, 1.05)),
        (Plane.level(room.floor), _floor(generator), generator.uniform(0.6, 1.0)),
        (Plane.level(room.ceiling), _plain((225, 228, 230), 4, generator), generator.uniform(0.5, 1.0)),
    ]
    height, width = camera.size
    down, across = np.ogrid[0 : np.float32(height), 0 : np.float32(width)]
    back = [np.linalg.inv(camera.onto(plane)).astype(np.float32) for plane, _, _ in planes]
    # In a box, what is nearest is what is seen.
    nearest = np.argmax([row[2][0] * across + row[2][1] * down + row[2][2] for row in back], 0)
    scene = np.zeros((height, width, 3), np.float32)
    for number, (_, (texture, scale), lit) in enumerate(planes):
        seen = nearest == number
        if seen.any():
            part = _bounds(seen)
            u, v, closeness = (row[0] * across[:, part[1]] + row[1] * down[part[0]] + row[2] for row in back[number])
            closeness = np.maximum(closeness, 1e-4)
            u, v = np.abs(u / closeness * scale) % texture.shape[1], v / closeness * scale % texture.shape[0]
            painted = cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            # A fine texture far away is its mean.
            fine = np.clip(closeness * np.float32(camera.focal / scale * 1.5), 0, 1)[:, :, None]
            mean = texture.mean((0, 1))
            np.copyto(scene[part], np.float32(lit) * (mean + fine * (painted - mean)), where=seen[part][:, :, None])
    if generator.random() < 0.5:
        _skirting(scene, room, camera, generator)
    return np.maximum(scene, 0)


def _bounds(seen: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that a mask reaches over."""
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _plain(colour: Sequence[float], grain: float, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """A texture of 512 x 512 pixels, and how many of these there are to a unit."""
    rough = generator.standard_normal((512, 512), np.float32)
    rough = cv2.GaussianBlur(rough, (0, 0), generator.uniform(0.6, 2))
    cloudy = cv2.resize(generator.standard_normal((8, 8), np.float32), (512, 512), interpolation=cv2.INTER_CUBIC)
    field = grain * rough / rough.std() + 2.5 * cloudy
    return field[:, :, None] + np.array(colour, np.float32), float(generator.uniform(150, 400))


def _wall(generator: np.random.Generator) -> tuple[np.ndarray, float]:
    colour = np.array(WALLS[generator.integers(len(WALLS))]) + generator.uniform(-15, 15, 3)
    texture, scale = _plain(colour, generator.uniform(0.5, 4), generator)
    pattern = generator.choice(("plain", "stripes", "damask", "bricks", "boards"), p=(0.78, 0.05, 0.07, 0.04, 0.06))
    down, across = np.mgrid[0:512, 0:512].astype(np.float32) * (2 * np.pi / 512)
    if pattern == "stripes":
        texture += 9 * np.sign(np.sin(16 * across))[:, :, None]
    elif pattern == "damask":
        texture += (
            12
            * np.sign(np.sin(8 * across) * np.sin(8 * down) + 0.6 * np.cos(24 * across + 3 * np.sin(8 * down)))[
                :, :, None
            ]
        )
    elif pattern == "bricks":
        shift = np.pi * (np.sin(8 * down) > 0)
        joints = (np.abs(np.sin(8 * down)) < 0.12) | (np.abs(np.sin(4 * across + shift / 2)) < 0.06)
        texture -= 25 * cv2.GaussianBlur(joints.astype(np.float32), (0, 0), 1.5)[:, :, None]
    elif pattern == "boards":
        texture -= 22 * (np.abs(np.sin(4 * across)) < 0.03).astype(np.float32)[:, :, None]
    return texture, scale


def _floor(generator: np.random.Generator) -> tuple[np.ndarray, float]:
    colour = np.array(FLOORS[generator.integers(len(FLOORS))]) + generator.uniform(-15, 15, 3)
    texture, scale = _plain(colour, generator.uniform(2, 10), generator)
    kind = generator.choice(("plain", "planks", "tiles"))
    if kind == "planks":
        shades = generator.normal(0, 14, (4, 16)).astype(np.float32)
        texture += cv2.resize(shades, (512, 512), interpolation=cv2.INTER_NEAREST)[:, :, None]
        texture[:, ::32] -= 25
    elif kind == "tiles":
        shades = generator.uniform(5, 60) * (np.indices((4, 4)).sum(0) % 2).astype(np.float32)
        texture -= cv2.resize(shades, (512, 512), interpolation=cv2.INTER_NEAREST)[:, :, None]
    return texture, scale


def _skirting(scene: np.ndarray, room: Room, camera: Camera, generator: np.random.Generator) -> None:
    """A board along the foot of the walls, or a rail along their top."""
    top, bottom = room.floor - generator.uniform(0.1, 0.25), room.floor
    if generator.random() < 0.3:
        top, bottom = room.ceiling + 0.1, room.ceiling + 0.17
    colour = generator.choice((0.35, 0.6, 1.3)) * np.median(scene, (0, 1))
    for plane, low, high in ((Plane.front(), room.left, room.right), (Plane.right(room.right), 0, 40)):
        for start in np.linspace(low, high, 41)[:-1]:  # in pieces: what is behind the camera is left out
            piece = [
                [start, top],
                [start + (high - low) / 40, top],
                [start + (high - low) / 40, bottom],
                [start, bottom],
            ]
            _fill(scene, plane.points(np.array(piece)), colour, camera)


def _fill(scene: np.ndarray, points: np.ndarray, colour: Sequence[float], camera: Camera) -> None:
    """A plain flat shape in the room, if all of it is before the camera. points: (n, 3)."""
    if camera.depth(points).min() > 0.05:
        corners = np.round(camera.project(points) * 16).astype(np.int64)
        if np.abs(corners).max() < 1 << 20:
            cv2.fillConvexPoly(scene, corners.astype(np.int32), tuple(map(float, colour)), cv2.LINE_AA, 4)


def light(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """The uneven light of lamps: (height, width) float32 factors."""
    rows, columns = generator.integers(2, 5), generator.integers(2, 7)
    depth = generator.uniform(0.03, 0.3)
    lamps = np.clip(generator.normal(1, depth, (rows, columns)), 0.35, 1.5).astype(np.float32)
    field = cv2.resize(lamps, (24 * columns, 24 * rows), interpolation=cv2.INTER_LINEAR)
    field = cv2.resize(cv2.GaussianBlur(field, (0, 0), 14), (width, height), interpolation=cv2.INTER_LINEAR)
    return field / field.mean()


# Frames


def framed(
    work: np.ndarray, kind: str, style: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A work in a frame.

    kind: of benchmarks.composing.KINDS. style: 0..1, of the hall, from modern to old. Returns (height, width, 4) uint8,
    BGR and how much it covers; (height, width) uint8, 255 where the work is seen; and (4, 2) float32, its corners.
    """
    height, width = work.shape[:2]
    side = np.sqrt(height * width)
    shape = kind.split()[0] if kind.split()[0] in ("oval", "octagonal") else ""
    mat = round(side * generator.uniform(0.05, 0.22)) if kind.endswith("mat") else 0
    band = 0 if kind == "bare" else max(2, round(side * generator.uniform(0.02, 0.06 + 0.12 * style)))
    edge = mat + band
    sheet = cv2.copyMakeBorder(work, edge, edge, edge, edge, cv2.BORDER_CONSTANT).astype(np.float32)
    opening = _shape(height, width, shape)
    outside = np.zeros(sheet.shape[:2], np.uint8)
    outside[edge : edge + height, edge : edge + width] = opening
    seen = outside.copy()
    if mat:
        paper = np.array((222, 232, 236)) + generator.uniform(-25, 12) + generator.normal(0, 4, 3)
        bevel = cv2.dilate(seen, np.ones((5, 5), np.uint8)) > seen
        around = np.broadcast_to(paper.astype(np.float32), sheet.shape).copy()
        around[bevel] *= 0.8
        sheet = np.where(seen[:, :, None] > 127, sheet, around)
    cover = np.full(sheet.shape[:2], 255, np.uint8)
    if shape and not mat:
        cover = _shape(*sheet.shape[:2], shape)
    if band:
        _moulding(sheet, cover, band, style, generator)
        if shape and not mat:  # the moulding reaches inwards to the opening
            seen[(_depth(cover) < band)] = 0
    seen = np.minimum(seen, cover)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) + edge
    return np.dstack([to_bytes(sheet), cover]), seen, corners


def _shape(height: int, width: int, shape: str) -> np.ndarray:
    """A mask, (height, width) uint8: 255 within an oval or an octagon that fills it, or everywhere."""
    mask = np.zeros((height, width), np.uint8)
    if shape == "oval":
        cv2.ellipse(mask, ((width / 2, height / 2), (width - 1, height - 1), 0), 255, -1, cv2.LINE_AA)
    elif shape == "octagonal":
        cut = 0.29 * min(height, width)
        points = [[cut, 0], [width - cut, 0], [width, cut], [width, height - cut], [width - cut, height], [cut, height],
                  [0, height - cut], [0, cut]]  # fmt: skip
        cv2.fillConvexPoly(mask, np.round(points).astype(np.int32), 255, cv2.LINE_AA)
    else:
        mask[:] = 255
    return mask


def _depth(cover: np.ndarray) -> np.ndarray:
    """How far within a mask each pixel lies."""
    inside = cv2.copyMakeBorder((cover > 127).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]


def _moulding(sheet: np.ndarray, cover: np.ndarray, band: int, style: float, generator: np.random.Generator) -> None:
    """Paint a frame of `band` pixels along the edge of a mask into the sheet."""
    depth = _depth(cover)
    profile = transforms.FRAMES[generator.choice(len(transforms.FRAMES), p=_profiles(style))]
    stops = np.cumsum([share for share, _ in profile]) * band
    colours = np.array([colour for _, colour in profile], np.float32) * generator.uniform(0.75, 1.2)
    place = np.minimum(np.searchsorted(stops, depth), len(profile) - 1)
    wave = np.sin(np.clip(depth / band, 0, 1) * np.pi * generator.integers(1, 5))  # the moulding's rises and hollows
    down, across = cv2.Sobel(depth, -1, 0, 1, ksize=3) / 8, cv2.Sobel(depth, -1, 1, 0, ksize=3) / 8
    lit = 1 + (0.22 * down + 0.1 * across) * (0.5 + wave)  # light from above
    grain = generator.uniform(0.03, 0.1 + 0.2 * style)
    rough = cv2.GaussianBlur(generator.standard_normal(depth.shape, np.float32), (0, 0), max(0.8, band / 14))
    lit += grain * rough / rough.std()
    frame = (depth < band) & (cover > 0)
    sheet[frame] = (colours[place] * lit[:, :, None])[frame]


def _profiles(style: float) -> np.ndarray:
    """How probable each of transforms.FRAMES is: old halls are gilded."""
    weights = np.array([0.15 + 2.5 * style, 0.7, 0.6, 0.8 - 0.6 * style, 0.4])
    return weights / weights.sum()


def glazed(framed: np.ndarray, seen: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The framed work with reflections of windows and lamps in its glass."""
    height, width = seen.shape
    glass = np.zeros((height, width), np.float32)
    for _ in range(generator.integers(1, 4)):
        middle = generator.uniform(0, 1, 2) * (width, height)
        reach = generator.uniform(0.08, 0.45, 2) * (width, height)
        corners = middle + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * reach / 2 + generator.normal(0, 6, (4, 2))
        pane = np.zeros((height, width), np.float32)
        if generator.random() < 0.6:
            cv2.fillConvexPoly(pane, np.round(corners).astype(np.int32), 1.0)
        else:
            cv2.ellipse(pane, (tuple(middle), tuple(reach), generator.uniform(0, 180)), 1.0, -1)
        soft = generator.uniform(0.005, 0.08) * np.sqrt(height * width)
        glass += generator.uniform(20, 130) * cv2.GaussianBlur(pane, (0, 0), soft)
    veil = generator.uniform(0, 30)
    lit = framed[:, :, :3] + ((glass + veil) * (seen > 127))[:, :, None]
    return np.dstack([to_bytes(lit), framed[:, :, 3]])


def label(scene: np.ndarray, plane: Plane, middle: tuple[float, float], size: tuple[float, float], camera: Camera,
          generator: np.random.Generator) -> None:  # fmt: skip
    """A label beside a work, now and then."""
    if generator.random() < 0.45:
        return
    width, height = generator.uniform(0.1, 0.2), generator.uniform(0.06, 0.14)
    left = middle[0] + size[0] / 2 + generator.uniform(0.1, 0.16)
    top = middle[1] + size[1] * generator.uniform(0, 0.5) - height
    card = np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])
    _fill(scene, plane.points(card), (235, 238, 240), camera)
    for line in range(1, 5):
        y = top + height * line / 5.5
        end = left + width * generator.uniform(0.4, 0.9)
        row = [[left + 0.01, y], [end, y], [end, y + height / 20], [left + 0.01, y + height / 20]]
        _fill(scene, plane.points(np.array(row)), (90, 90, 90), camera)


# What stands before the works


def before(scene: np.ndarray, room: Room, camera: Camera, generator: np.random.Generator) -> np.ndarray:
    """Paint benches, ropes and people before the works; returns where they are, (height, width) bool."""
    untouched = scene.copy()
    if generator.random() < 0.25:
        _bench(scene, room, camera, generator)
    if generator.random() < 0.15:
        _rope(scene, room, camera, generator)
    hidden = (scene != untouched).any(2)
    people = int(generator.choice((0, 1, 2, 3, 4), p=(0.5, 0.22, 0.14, 0.08, 0.06)))
    for _ in range(people):
        hidden |= _person(scene, room, camera, generator)
    return hidden


def _stand(camera: Camera, share: float, aside: float) -> np.ndarray:
    """x and z of a place between the camera and the front wall. share: of the way; aside: of the photograph's width."""
    forward, right = camera.axes[2], camera.axes[0]
    way = forward + right * aside * camera.size[1] / camera.focal
    reach = -camera.place[2] / max(way[2], 0.35)
    spot = camera.place + share * reach * way
    return np.array([spot[0], min(spot[2], -0.15)])


def _bench(scene: np.ndarray, room: Room, camera: Camera, generator: np.random.Generator) -> None:
    """A block to sit on, or a pedestal."""
    x, z = _stand(camera, generator.uniform(0.4, 0.85), generator.uniform(-0.4, 0.4))
    wide, high, deep = generator.uniform(0.8, 2.2), generator.uniform(0.35, 0.5), generator.uniform(0.3, 0.6)
    if generator.random() < 0.3:
        wide, high, deep = 0.4, generator.uniform(0.8, 1.2), 0.4
    top, colour = room.floor - high, np.array(generator.choice(FLOORS)) * generator.uniform(0.4, 1.3)
    block = np.array([[x + dx * wide / 2, y, z + dz * deep / 2] for y in (top, room.floor) for dx, dz in
                      ((-1, -1), (1, -1), (1, 1), (-1, 1))])  # fmt: skip
    faces = (((1, 2, 6, 5), 0.7), ((0, 3, 7, 4), 0.7), ((0, 1, 5, 4), 0.85), ((0, 1, 2, 3), 1.15))
    for corners, lit in faces:
        _fill(scene, block[list(corners)], np.minimum(colour * lit, 255), camera)


def _rope(scene: np.ndarray, room: Room, camera: Camera, generator: np.random.Generator) -> None:
    """A rope between posts."""
    z = -generator.uniform(0.3, 0.6)
    colour = (60, 140, 180) if generator.random() < 0.5 else (60, 60, 62)
    posts = np.arange(room.left + 0.4, room.right, generator.uniform(1.2, 2))
    for x in posts:
        foot = np.array([[x - 0.02, room.floor - 0.7, z], [x + 0.02, room.floor - 0.7, z], [x + 0.02, room.floor, z],
                         [x - 0.02, room.floor, z]])  # fmt: skip
        _fill(scene, foot, colour, camera)
    across = np.linspace(0, 1, 24)
    for start, end in pairwise(posts):
        sag = room.floor - 0.68 + 0.8 * across * (1 - across)
        line = np.stack([start + (end - start) * across, sag, np.full(24, z)], 1)
        if camera.depth(line).min() > 0.2:
            thick = max(1, round(0.025 * camera.focal / camera.depth(line).mean()))
            points = np.round(camera.project(line)).astype(np.int32)
            cv2.polylines(scene, [points], False, (45, 30, 120), thick, cv2.LINE_AA)


def _person(scene: np.ndarray, room: Room, camera: Camera, generator: np.random.Generator) -> np.ndarray:
    """A visitor, seen from behind or aside; returns where, (height, width) bool."""
    x, z = _stand(camera, generator.uniform(0.35, 0.9), generator.uniform(-0.5, 0.5))
    tall = generator.uniform(1.25, 1.75)
    ends = np.array([[x, room.floor, z], [x, room.floor - tall, z]])
    if camera.depth(ends).min() < 0.4:
        return np.zeros(scene.shape[:2], bool)
    (left, bottom), (_, top) = camera.project(ends)
    long = min(bottom - top, 2.5 * scene.shape[0])
    sprite, cover = visitor(max(16, round(long)), generator)
    height, width = scene.shape[:2]
    matrix = np.array([[1, 0, left - sprite.shape[1] / 2], [0, 1, top]], np.float32)
    body = cv2.warpAffine(sprite, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(cover, matrix, (width, height), flags=cv2.INTER_LINEAR)
    mask = cv2.GaussianBlur(mask, (0, 0), generator.uniform(0.6, 3.0))
    scene += (body - scene) * mask[:, :, None]
    return mask > 0.5


def visitor(height: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A standing person of so many pixels: (height, width, 3) float32 BGR, and how much it covers, 0..1."""
    drawn, middle = 480, 150  # drawn at this size, then brought to the other
    person = np.zeros((drawn, 2 * middle, 3), np.float32)
    cover = np.zeros(person.shape[:2], np.float32)
    aside = generator.random() < 0.3  # seen from the side
    chest = generator.uniform(36, 46) if aside else generator.uniform(50, 66)
    lean = generator.uniform(-8, 8)

    def part(points: Sequence[Sequence[float]], colour: np.ndarray) -> None:
        shape = np.round(np.array(points) * 16).astype(np.int32)
        cv2.fillPoly(person, [shape], tuple(map(float, colour)), cv2.LINE_8, 4)
        cv2.fillPoly(cover, [shape], 1.0, cv2.LINE_8, 4)

    def limb(ends: Sequence[Sequence[float]], thick: float, colour: np.ndarray) -> None:
        line = np.round(ends).astype(np.int32)
        cv2.polylines(person, [line], False, tuple(map(float, colour)), round(thick), cv2.LINE_8)
        cv2.polylines(cover, [line], False, 1.0, round(thick), cv2.LINE_8)

    coat, trousers, skin, hair = (
        np.array(colours[generator.integers(len(colours))]) * generator.uniform(0.7, 1.1)
        for colours in (CLOTHES, CLOTHES, SKIN, HAIR)
    )
    hip = 0.75 * chest
    stride = generator.uniform(0.1, 0.5) * hip
    skirt = generator.random() < 0.2
    for side in (-1, 1):
        limb([[middle + side * hip * 0.45, 250], [middle + side * (hip * 0.4 + stride), 468]], 0.75 * hip, trousers)
    length = generator.uniform(225, 300) if not skirt else 370
    part([[middle - chest + lean, 92], [middle + chest + lean, 92], [middle + chest * 1.02 + lean / 2, 150],
          [middle + hip, 215], [middle + hip * 1.15, length], [middle - hip * 1.15, length], [middle - hip, 215],
          [middle - chest * 1.02 + lean / 2, 150]], coat)  # fmt: skip
    part(
        [[middle - 24 + lean, 76], [middle + 24 + lean, 76], [middle + chest + lean, 96], [middle - chest + lean, 96]],
        coat,
    )
    for side in (-1, 1):
        raised = generator.random() < 0.15
        elbow = [middle + side * (chest + 12), 175]
        hand = [middle + side * 20, 110] if raised else [middle + side * (chest + generator.uniform(-10, 16)), 250]
        limb([[middle + side * (chest - 10) + lean, 106], elbow, hand], 25, coat * 0.92)
        limb([hand, [hand[0], hand[1] + 10]], 15, skin)
    limb([[middle + lean, 60], [middle + lean, 90]], 28, skin)
    head = (middle + lean, 40)
    for colour, shift, axes in ((skin, 0, (52, 70)), (hair, -6 if aside else -3, (56, 66) if not aside else (50, 52))):
        place = ((head[0] + (9 * (colour is hair)) * aside, head[1] + shift), axes, 0)
        cv2.ellipse(person, place, tuple(map(float, colour)), -1)
        cv2.ellipse(cover, place, 1.0, -1)
    if generator.random() < 0.3:  # long hair
        part([[head[0] - 27, 40], [head[0] + 27, 40], [head[0] + 30, 105], [head[0] - 30, 105]], hair)
    if generator.random() < 0.25:  # a bag on the back
        part([[middle - 36, 110], [middle + 36, 110], [middle + 40, 215], [middle - 40, 215]], coat[::-1] * 0.7 + 15)
    cover = cv2.GaussianBlur(cover, (0, 0), 3)
    cover = np.clip((cover - 0.5) * 4 + 0.5, 0, 1)
    person = cv2.GaussianBlur(person, (0, 0), 2)
    folds = cv2.GaussianBlur(generator.standard_normal(cover.shape, np.float32), (0, 0), 9)
    weave = cv2.GaussianBlur(generator.standard_normal(cover.shape, np.float32), (0, 0), 1)
    across = np.linspace(-1, 1, 2 * middle, dtype=np.float32)
    shade = 1.05 - 0.35 * across**2 + generator.uniform(-0.25, 0.25) * across
    shade = shade * (1 + 0.16 * folds / folds.std() + generator.uniform(0, 0.12) * weave / weave.std())
    if generator.random() < 0.25:  # stripes
        shade[92:280] *= 1 + 0.25 * np.sign(np.sin(np.arange(92, 280) / generator.uniform(2, 6)))[:, None]
    person *= shade[:, :, None]
    size = max(1, round(2 * middle * height / drawn)), height
    how = cv2.INTER_AREA if height < drawn else cv2.INTER_LINEAR
    return cv2.resize(person, size, interpolation=how), cv2.resize(cover, size, interpolation=how)
