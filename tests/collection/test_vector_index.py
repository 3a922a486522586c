"""The vector index against an exact search in NumPy."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.collection.vector_index import Index
from models.description.pooling import normalised
from utils.errors import WrongUse


@pytest.fixture(scope="module")
def collection():
    """Ids that are neither in order nor without gaps, and unit descriptors in half precision."""
    generator = np.random.default_rng(0)
    descriptors = normalised(generator.normal(size=(500, 64))).astype(np.float16)
    return generator.permutation(5000)[:500].astype(np.int64), descriptors


@pytest.fixture(scope="module")
def index(collection):
    return Index(*collection, "SQfp16")


def queries(count=20):
    return normalised(np.random.default_rng(1).normal(size=(count, 64))).astype(np.float32)


def exact(collection, query):
    """(id, similarity) of all images, best first."""
    ids, descriptors = collection
    similarities = descriptors.astype(np.float64) @ query
    return [(int(ids[place]), float(similarities[place])) for place in np.argsort(-similarities)]


def test_the_same_images_in_the_same_order_as_an_exact_search(collection, index):
    for query in queries():
        found, wanted = index.search(query, 30), exact(collection, query)[:30]
        assert [image for image, _ in found] == [image for image, _ in wanted]
        assert [value for _, value in found] == pytest.approx([value for _, value in wanted], abs=1e-5)
        assert all(type(image) is int and type(value) is float for image, value in found)


def test_every_image_finds_itself(collection, index):
    for image, descriptor in zip(*collection, strict=True):
        (first, similarity), *_ = index.search(descriptor, 1)
        assert first == image
        assert similarity == pytest.approx(1, abs=2e-3)  # half precision


def test_excluded_images_are_missing_and_the_next_move_up(collection, index):
    query = queries(1)[0]
    wanted = exact(collection, query)
    hidden = {image for image, _ in wanted[:15:2]}
    found = index.search(query, 10, hidden)
    assert [image for image, _ in found] == [image for image, _ in wanted if image not in hidden][:10]


def test_excluding_what_is_not_there_changes_nothing(index):
    query = queries(1)[0]
    assert index.search(query, 10, {-7, 123_456}) == index.search(query, 10)


def test_more_asked_for_than_there_are(collection, index):
    ids, _ = collection
    query = queries(1)[0]
    assert sorted(image for image, _ in index.search(query, 9999)) == sorted(ids)
    hidden = set(ids[:499].tolist())
    assert [image for image, _ in index.search(query, 100, hidden)] == [int(ids[499])]
    assert index.search(query, 100, set(ids.tolist())) == []


def test_an_approximate_index_finds_nearly_the_same(collection):
    graph = Index(*collection, "HNSW32,Flat")
    kept = [
        len({image for image, _ in graph.search(query, 10)} & {image for image, _ in exact(collection, query)[:10]})
        for query in queries()
    ]
    assert sum(kept) > 0.9 * 10 * len(kept)


def test_threads_share_an_index(index):
    asked = list(queries(40))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda query: index.search(query, 20), asked))
    assert together == [index.search(query, 20) for query in asked]


@pytest.mark.parametrize("factory", ["Nonsense", "", "IVF4096,Flat"])
def test_a_factory_that_does_not_fit_is_refused(collection, factory):
    with pytest.raises(WrongUse, match="RETRIEVAL_INDEX"):
        Index(*collection, factory)  # 500 descriptors are too few for 4096 cells
