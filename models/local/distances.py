"""Nearest neighbours among descriptors of local features."""

import faiss
import numpy as np


def hamming(descriptors: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two nearest neighbours of each binary descriptor by Hamming distance.

    descriptors: (n, bytes) uint8; among: (m, bytes) uint8, m at least 2.
    Returns (n, 2) distances in bits, float32, nearest first, and (n, 2) positions in `among`.
    """
    distances, positions = faiss.knn_hamming(descriptors, among, 2)
    return distances.astype(np.float32), positions


def euclidean(descriptors: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two nearest neighbours of each descriptor by Euclidean distance.

    descriptors: (n, numbers) of any type; among: (m, numbers), m at least 2.
    Returns (n, 2) distances, float32, nearest first, and (n, 2) positions in `among`.
    """
    squares, positions = faiss.knn(descriptors.astype(np.float32), among.astype(np.float32), 2)
    return np.sqrt(np.maximum(squares, 0)), positions
