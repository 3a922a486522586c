"""The vector index against an exact search in NumPy."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.collection import vector_index
from models.collection.faiss_index import FaissIndex
from models.collection.vector_index import build, load
from models.description.pooling import normalised
from tests.own.plain_index import PlainIndex
from utils.errors import WrongUse


@pytest.fixture(scope="module")
def collection():
    """Ids that are neither in order nor without gaps, and unit descriptors in half precision."""
    generator = np.random.default_rng(0)
    descriptors = normalised(generator.normal(size=(500, 64))).astype(np.float16)
    return generator.permutation(5000)[:500].astype(np.int64), descriptors


EXACT = ["SQfp16", "plain:"]  # an index of each kind, by the name that the setting takes


@pytest.fixture(autouse=True)
def own_kind(monkeypatch):
    monkeypatch.setitem(vector_index.KINDS, "plain", "tests.own.plain_index")


@pytest.fixture(params=EXACT)
def name(request):
    return request.param


@pytest.fixture
def index(collection, name):
    return build(*collection, name)


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
    graph = build(*collection, "HNSW32,Flat")
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
        build(*collection, factory)  # 500 descriptors are too few for 4096 cells


def test_many_queries_at_once_get_what_each_gets_alone(index):
    ids, similarities = index.search_many(queries(5), 7)
    assert ids.shape == similarities.shape == (5, 7)
    alone = [index.search(query, 7) for query in queries(5)]
    together = [list(zip(*rows, strict=True)) for rows in zip(ids.tolist(), similarities.tolist(), strict=True)]
    assert together == alone


def test_where_there_are_fewer_images_than_asked_for_many_queries_get_minus_one(collection, name):
    ids, descriptors = collection
    few = build(ids[:3], descriptors[:3], name)
    places, _ = few.search_many(queries(2), 5)
    assert (places[:, 3:] == -1).all() and (places[:, :3] >= 0).all()


def test_an_index_filled_in_blocks_is_that_filled_at_once(collection, index, name):
    ids, descriptors = collection
    blocks = build(ids[:200], descriptors[:200], name)
    blocks.add(ids[200:201], descriptors[200:201])
    blocks.add(ids[201:], descriptors[201:])
    for query in queries(5):
        assert blocks.search(query, 30, {int(ids[0])}) == index.search(query, 30, {int(ids[0])})


@pytest.mark.parametrize("name", [*EXACT, "HNSW32,Flat", "IVF4,SQfp16"])
def test_a_saved_index_answers_as_before_and_can_be_added_to(collection, tmp_path, name):
    ids, descriptors = collection
    saved = build(ids[:-1], descriptors[:-1], name)
    saved.save(tmp_path / "vectors.index")
    loaded = load(tmp_path / "vectors.index", name)
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.index"]
    for query in queries(5):
        assert loaded.search(query, 10) == saved.search(query, 10)
    loaded.add(ids[-1:], descriptors[-1:])
    assert loaded.search(descriptors[-1], 1)[0][0] == ids[-1]


def test_a_file_that_holds_no_index_is_refused(tmp_path, name):
    (tmp_path / "vectors.index").write_bytes(b"no index at all")
    with pytest.raises(WrongUse, match="is not a vector index"):
        load(tmp_path / "vectors.index", name)


def test_a_name_leads_to_its_kind_and_without_a_colon_to_faiss(collection):
    assert type(build(*collection, "plain:")) is type(build(*collection, "plain")) is PlainIndex
    assert type(build(*collection, "faiss:SQfp16")) is type(build(*collection, "SQfp16")) is FaissIndex


def test_a_kind_that_there_is_not_is_refused(collection, tmp_path):
    known = ", ".join(vector_index.KINDS)
    for ask in (lambda: build(*collection, "qdrant:here"), lambda: load(tmp_path / "vectors.index", "qdrant:here")):
        with pytest.raises(WrongUse, match=f"RETRIEVAL_INDEX=qdrant:here: .* only {known}"):
            ask()


def test_no_kind_is_imported_before_it_is_used():
    code = "import sys; from models.collection import vector_index; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
