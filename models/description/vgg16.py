"""VGG16 with class activation maps, on any Keras back end.

Two heads are supported: VGG16-CAM (Zhou et al. 2016) ends in a 1024-channel convolution, average pooling and one dense
layer; the stock ImageNet VGG16 (Simonyan & Zisserman 2015) in three fully connected layers. Both answer the same two
questions: which classes does an image show, and what is the weight of each channel of the last convolution for each?
"""

from collections.abc import Callable, Sequence

import numpy as np

from models.description import weights as sources
from models.description.backend import best_precision, keras
from models.description.network import NETWORKS, PRECISIONS, Head
from models.description.vgg16_model import MEAN, cam_convolution, convolutions
from utils.errors import WrongUse

layers = keras.layers

HEAD_GRID = 7  # positions per side that the fully connected head needs


class PoolingHead:
    """Average pooling and one dense layer: the class activation maps are exact (Zhou et al. 2016)."""

    def __init__(self, kernel: np.ndarray, bias: np.ndarray):
        """kernel, bias: (channels, classes) and (classes,) of the dense layer."""
        self.kernel, self.bias = np.asarray(kernel, np.float32), np.asarray(bias, np.float32)

    def classes(self, activations: np.ndarray, choice: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As models.description.network.Head.classes; w_kc are the weights of the dense layer."""
        if isinstance(choice, int):
            choice = _most_probable(activations.mean((0, 1)) @ self.kernel + self.bias, choice)
        return choice, self.kernel[:, choice].T


class FullyConnectedHead:
    """The three dense layers of the stock VGG16: maps weighted by gradients (Grad-CAM, Selvaraju et al. 2017).

    The head's 7x7 input comes from adaptive average pooling of block5_pool, so that any picture size fits.
    """

    def __init__(self, model: keras.Model):
        dense = [model.get_layer(name) for name in ("fc1", "fc2", "predictions")]
        (self.w1, self.b1), (self.w2, self.b2), (self.w3, self.b3) = (
            [np.asarray(w, np.float32) for w in layer.get_weights()] for layer in dense
        )
        # d score / d channel is summed over the grid, so the first layer can be summed in advance.
        self.w1_of_channel = self.w1.reshape(HEAD_GRID**2, -1, self.w1.shape[1]).sum(0)

    def classes(self, activations: np.ndarray, choice: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As models.description.network.Head.classes; w_kc is the spatial mean of d score_c / d A_k."""
        grid = adaptive_average(max_pool(activations), HEAD_GRID)
        hidden1 = np.maximum(grid.reshape(-1) @ self.w1 + self.b1, 0)
        hidden2 = np.maximum(hidden1 @ self.w2 + self.b2, 0)
        if isinstance(choice, int):
            choice = _most_probable(hidden2 @ self.w3 + self.b3, choice)
        gradient2 = self.w3[:, choice].T * (hidden2 > 0)
        gradient1 = gradient2 @ self.w2.T * (hidden1 > 0)
        # Max pooling and averaging preserve a gradient's sum over space.
        return choice, gradient1 @ self.w1_of_channel.T / np.prod(activations.shape[:2])


def _most_probable(scores: np.ndarray, count: int) -> np.ndarray:
    return np.argsort(-scores, kind="stable")[:count]


def max_pool(maps: np.ndarray) -> np.ndarray:
    """(height, width, channels) -> (height // 2, width // 2, channels): the maximum of each 2x2 cell."""
    height, width, channels = maps.shape
    cells = maps[: height // 2 * 2, : width // 2 * 2].reshape(height // 2, 2, width // 2, 2, channels)
    return cells.max((1, 3))


def adaptive_average(maps: np.ndarray, cells: int) -> np.ndarray:
    """(height, width, channels) -> (cells, cells, channels): means over cells that divide the sides evenly.

    Cell i of n spans floor(i * side / n) to ceil((i + 1) * side / n), as in PyTorch's adaptive pooling.
    """

    def average(array: np.ndarray, side: int) -> np.ndarray:
        spans = [array[i * side // cells : -((i + 1) * side // -cells)] for i in range(cells)]
        return np.stack([span.mean(0) for span in spans])

    rows = average(maps, maps.shape[0])
    return average(rows.swapaxes(0, 1), maps.shape[1]).swapaxes(0, 1)


class VGG16:
    """The convolutions, ready to run, and the head that interprets them: a models.description.network.Network."""

    def __init__(self, model: keras.Model, precision: str = "auto", levels: Sequence[str] = ("coarse",)):
        """model: a VGG16-CAM of `vgg16_cam()` or keras.applications.VGG16 with its top; it is copied.

        levels: those whose features are needed. Raises WrongUse for an unknown precision.
        """
        if precision not in PRECISIONS:
            raise WrongUse(f"The precision {precision!r} is unknown: choose one of {', '.join(PRECISIONS)}.")
        self.precision = best_precision() if precision == "auto" else precision
        names = {layer.name for layer in model.layers}
        pooling_head = "classifier" in names
        self.head: Head
        if pooling_head:
            self.head = PoolingHead(*model.get_layer("classifier").get_weights())
        else:
            self.head = FullyConnectedHead(model)
        pixels = layers.Input((None, None, 3), dtype="float32")
        last = convolutions(pixels, self.precision)
        if pooling_head:
            last = cam_convolution(last, model.get_layer("cam_conv").filters, self.precision)
        trunk = keras.Model(pixels, last)
        for layer in trunk.layers:
            if layer.weights:
                layer.set_weights(model.get_layer(layer.name).get_weights())
        pooled = [trunk.get_layer(NETWORKS["vgg16"].levels[level].layer).output for level in levels]
        outputs = [layers.Activation("linear", dtype="float32")(x) for x in (*pooled, last)]
        self.model = keras.Model(pixels, outputs)
        self.forward = compiled(self.model)

    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, ...]:
        """As models.description.network.Network: (batch, height / 8, width / 8, 512) float32 of the fine level,
        (batch, height / 16, width / 16, 512) of the coarse one, then (batch, height / 16, width / 16, channels).
        """
        return self.forward(pictures.astype(np.float32) - MEAN)


def compiled(model: keras.Model) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """The model as a function of arrays; with TensorFlow, as a graph whose weights are folded into constants.

    With constants, oneDNN prepares the weights' memory layout once instead of at every call.
    """
    if keras.backend.backend() != "tensorflow":
        return lambda pixels: tuple(keras.ops.convert_to_numpy(y) for y in model.predict_on_batch(pixels))
    import tensorflow
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    traced = tensorflow.function(lambda pixels: model(pixels, training=False), autograph=False)
    signature = tensorflow.TensorSpec((None, None, None, 3), tensorflow.float32)
    frozen = convert_variables_to_constants_v2(traced.get_concrete_function(signature))
    return lambda pixels: tuple(y.numpy() for y in frozen(tensorflow.constant(pixels)))


def load(weights: str, precision: str, levels: Sequence[str]) -> tuple[VGG16, str]:
    """VGG16 with these weights, and their digest: see models.description.network.Loader."""
    model = sources.load(weights)
    return VGG16(model, precision, levels), sources.digest(model)
