"""What a network in training sees: random crops of pictures, and the same crops disturbed.

Every crop follows from (seed, step), so a run that was interrupted goes on with the crops it would have seen.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.collection import lists
from models.description.backend import keras
from utils import images, script, transforms
from utils.errors import WrongUse
from utils.images import ImageProblem

MAX_PIXELS = 100_000_000
LONGEST = 3  # times the short side: the rest of a longer picture is cut off
NOISE = np.random.default_rng(0).normal(size=(512, 512, 3)).astype(np.float32)  # of which crops take random parts


def read(folders: Sequence[Path], short_side: int) -> tuple[list[np.ndarray], list[tuple[Path, str]]]:
    """All pictures of the folders and their sub-folders, in the order of their paths.

    Returns the pictures, (height, width, 3) uint8 BGR with `short_side` pixels on the shorter side, and (path, reason)
    of files that cannot be used. Raises WrongUse where there is no picture at all.
    """
    skipped, paths = [], []
    for folder in folders:
        if not folder.is_dir():
            raise WrongUse(f"There is no folder {folder}: give folders of pictures with --pictures.")
        names, problems = lists.walk(folder)
        paths += [folder / name for name in names]
        skipped += [(folder / name, reason) for name, reason in problems]

    def load(path: Path) -> np.ndarray | str:
        try:
            return _reduced(images.load(path, max_pixels=MAX_PIXELS, min_side=16, at_least=2 * short_side), short_side)
        except ImageProblem as problem:
            return str(problem)

    pictures = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loaded = script.progress(pool.map(load, paths), total=len(paths), what="Reading")
        for path, found in zip(paths, loaded, strict=True):
            if isinstance(found, str):
                skipped.append((path, found))
            else:
                pictures.append(found)
    if not pictures:
        raise WrongUse(f"There is no picture in {', '.join(map(str, folders))}: give other folders with --pictures.")
    return pictures, skipped


def _reduced(picture: np.ndarray, short_side: int) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = short_side / min(height, width)
    picture = images.stretch(picture, max(short_side, round(height * scale)), max(short_side, round(width * scale)))
    return np.ascontiguousarray(picture[: LONGEST * short_side, : LONGEST * short_side])


class Crops(keras.utils.PyDataset):
    """Batches of (disturbed crops, clean crops), each (batch, side, side, 3) uint8 BGR, for a range of steps."""

    def __init__(self, pictures: Sequence[np.ndarray], side: int, batch: int, seed: int, steps: range, **workers: Any):
        super().__init__(**workers)
        self.pictures, self.side, self.batch, self.seed, self.steps = pictures, side, batch, seed, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.seed, self.steps[index]))
        chosen = rng.integers(0, len(self.pictures), self.batch)
        clean = np.stack([crop(self.pictures[k], self.side, rng) for k in chosen])
        # The maps of teacher and student are compared position by position. So what moves or turns a picture is done
        # once for both, and the student's picture differs in its pixels' values only.
        return np.stack([disturb(one, rng) for one in clean]), clean


def crop(picture: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A random part of the picture, mirrored, turned and resized to (side, side, 3) uint8.

    It has 0.25 to 1 times the area of the largest square, and sides whose proportion is exp(-0.3) to exp(0.3).
    """
    height, width = picture.shape[:2]
    area = rng.uniform(0.25, 1) * min(height, width) ** 2
    proportion = np.exp(rng.uniform(-0.3, 0.3))
    high, wide = min(height, round((area * proportion) ** 0.5)), min(width, round((area / proportion) ** 0.5))
    top, left = rng.integers(0, height - high + 1), rng.integers(0, width - wide + 1)
    part = images.stretch(picture[top : top + high, left : left + wide], side, side)
    if rng.random() < 0.15:
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-15, 15), rng.uniform(1, 1.2))
        part = cv2.warpAffine(part, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    if rng.random() < 0.1:
        part = cv2.rotate(part, (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE)[rng.integers(2)])
    return cv2.flip(part, 1) if rng.random() < 0.5 else part


def centre(picture: np.ndarray, side: int) -> np.ndarray:
    """The largest square in the middle of the picture at (side, side, 3) uint8."""
    height, width = picture.shape[:2]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    return images.stretch(picture[top : top + square, left : left + square], side, side)


def disturb(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture as a worse camera would have taken it: light, colour, blur, noise, JPEG. Half stay as they are.

    (height, width, 3) uint8 in and out.
    """
    if rng.random() < 0.5:
        return picture
    contrast, brightness = rng.uniform(0.6, 1.4), rng.uniform(-30, 30)
    slope = contrast * rng.uniform(0.85, 1.15, 3)
    changed = picture.astype(np.float32)
    changed = (changed - 128) * slope.astype(np.float32) + np.float32(128 + brightness)
    if rng.random() < 0.2:  # less colour, or more
        grey = changed.mean(axis=2, keepdims=True)
        changed = grey + (changed - grey) * np.float32(rng.uniform(0, 1.5))
    if rng.random() < 0.25:
        changed = transforms.blur(changed, rng.uniform(0.5, 1.5))
    if rng.random() < 0.35:
        height, width = picture.shape[:2]
        top, left = rng.integers(0, len(NOISE) - height + 1), rng.integers(0, len(NOISE) - width + 1)
        changed = changed + NOISE[top : top + height, left : left + width] * np.float32(rng.uniform(3, 25))
    changed = np.clip(changed, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        changed = transforms.jpeg(changed, int(rng.integers(20, 80)))
    return changed
