"""What several test files share."""

import pytest


@pytest.fixture(scope="session")
def bundled_model():
    """The network with the weights that ship, loaded once. Tests read it and leave it as it is."""
    from models import weights  # here, because importing Keras takes seconds that most tests need not wait

    return weights.load("bundled")


@pytest.fixture(scope="session")
def bundled_network(bundled_model):
    """The same, ready to run, in float32."""
    from models.network import Network

    return Network(bundled_model, "float32")
