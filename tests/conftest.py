"""What several test files share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundled_model():
    """The network with the weights that ship, loaded once. Tests read it and leave it as it is."""
    from models.description import weights  # here, because importing Keras takes seconds that most tests need not wait

    return weights.load("bundled")


@pytest.fixture(scope="session")
def bundled_network(bundled_model):
    """The same, ready to run, in float32."""
    from models.description.vgg16 import VGG16

    return VGG16(bundled_model, "float32")


@pytest.fixture(scope="session")
def collection(bundled_model, bundled_network, tmp_path_factory) -> Path:
    """A folder with images/ and a complete collection in output/. Tests read it; they change a copy."""
    from tests import small_collection

    folder = tmp_path_factory.mktemp("collection")
    small_collection.make(folder, bundled_model, bundled_network)
    return folder


@pytest.fixture(scope="session")
def engine(collection):
    """The engine over it, loaded once."""
    from models.engine import Engine
    from tests import small_collection

    return Engine.open(collection / "output", collection / "images", small_collection.SETTINGS)
