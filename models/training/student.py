"""VGG16-CAM while it learns: batch normalisation after each convolution, and adapters to the teacher's maps.

Normalisation makes fourteen layers trainable from scratch (Ioffe & Szegedy 2015); at inference it is a linear map per
channel, so it is folded into the convolutions afterwards and the network that ships is a plain VGG16-CAM.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from models.description.backend import keras
from models.description.vgg16_model import BLOCKS, vgg16_cam
from models.training.teacher import Tensor

layers = keras.layers

# The layers whose outputs are compared with the teacher's maps of the same stride through an adapter.
GUIDED = ("block1_pool", "block2_pool", "block3_pool", "block4_pool", "block5_conv1_relu")
CONVOLUTIONS = (
    *(f"block{b}_conv{n}" for b, widths in enumerate(BLOCKS, start=1) for n in range(1, len(widths) + 1)),
    "cam_conv",
)
RIDGE = 1e-3  # of a channel's mean square, added to each when adapters are fitted


def student(adapters: Sequence[int], channels: int, precision: str = "float32") -> keras.Model:
    """The network that is trained, with random weights.

    adapters: channels of the teacher's maps at GUIDED. channels: of the class activation maps.
    precision: float32, or bfloat16 for computing while the weights stay float32.
    From (batch, height, width, 3) float32 pixels (BGR minus network.MEAN; sides are multiples of 32) to a list of
    float32: the adapted maps, and the maps of cam_conv averaged over 2 x 2 (stride 32).
    """
    policy = keras.DTypePolicy("mixed_bfloat16" if precision == "bfloat16" else "float32")

    def convolve(x: Tensor, width: int, name: str) -> Tensor:
        options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal", "dtype": policy}
        x = layers.Conv2D(width, 3, name=name, **options)(x)
        # Crops grow in the last fifth: a few hundred steps have to be enough for the statistics to follow.
        x = layers.BatchNormalization(momentum=0.97, name=f"{name}_norm", dtype=policy)(x)
        return layers.ReLU(name=f"{name}_relu", dtype=policy)(x)

    def exact(x: Tensor) -> Tensor:
        return layers.Activation("linear", dtype="float32")(x)

    pixels = x = layers.Input((None, None, 3), dtype="float32")
    guided = []
    for block, widths in enumerate(BLOCKS, start=1):
        for number, width in enumerate(widths, start=1):
            x = convolve(x, width, f"block{block}_conv{number}")
            if f"block{block}_conv{number}_relu" in GUIDED:
                guided.append(x)
        if block < len(BLOCKS):
            x = layers.MaxPooling2D(2, name=f"block{block}_pool", dtype=policy)(x)
            guided.append(x)
    adapted = [
        exact(layers.Conv2D(width, 1, name=f"adapter{k}", dtype=policy)(x))
        for k, (x, width) in enumerate(zip(guided, adapters, strict=True), start=1)
    ]
    activations = exact(convolve(x, channels, "cam_conv"))
    return keras.Model(pixels, [*adapted, layers.AveragePooling2D(2, dtype="float32")(activations)])


def fold(model: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> keras.Model:
    """The plain VGG16-CAM whose class activation maps are the student's at inference.

    kernel, bias: (channels, classes) and (classes,) of its classifier.

    gamma (w x - mean) / sqrt(variance + epsilon) + beta is a convolution with kernel w gamma / sqrt(variance + epsilon)
    and bias beta - mean gamma / sqrt(variance + epsilon) (Ioffe & Szegedy 2015, section 3.1).
    """
    plain = vgg16_cam(*kernel.shape)
    plain.get_layer("classifier").set_weights([kernel, bias])
    for name in CONVOLUTIONS:
        (weights,) = model.get_layer(name).get_weights()
        norm = model.get_layer(f"{name}_norm")
        gamma, beta, mean, variance = norm.get_weights()
        slope = gamma / np.sqrt(variance + norm.epsilon)
        plain.get_layer(name).set_weights([weights * slope, beta - mean * slope])
    return plain


def unfold(plain: keras.Model, model: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Give the student the weights of a plain VGG16-CAM, so that it goes on learning where that one stopped.

    batches: pixels as the student wants them, from which the statistics of each normalisation are measured.
    At inference the student then computes exactly what the plain network does: with any mean and variance,
    gamma = sqrt(variance + epsilon) and beta = bias + mean make the normalisation add the bias and nothing else.
    """
    measured = dict.fromkeys(CONVOLUTIONS, (0.0, 1.0))
    _set(plain, model, measured)
    inside = keras.Model(model.input, [model.get_layer(name).output for name in CONVOLUTIONS])
    moments = [_moments(inside.predict_on_batch(pixels)) for pixels in batches]
    for name, of_batches in zip(CONVOLUTIONS, zip(*moments, strict=True), strict=True):
        mean, square = np.mean(of_batches, axis=0)
        measured[name] = mean, np.maximum(square - mean**2, 0)
    _set(plain, model, measured)


def _moments(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """(2, channels) of each layer: the mean and the mean square over pictures and space."""
    wide = (np.asarray(one, np.float32) for one in maps)
    return [np.stack([one.mean((0, 1, 2)), np.square(one).mean((0, 1, 2))]) for one in wide]


def _set(plain: keras.Model, model: keras.Model, measured: dict) -> None:
    """The weights of `plain`, with these (mean, variance) in the normalisation of each convolution."""
    for name in CONVOLUTIONS:
        kernel, bias = plain.get_layer(name).get_weights()
        # The normalisation undoes any scale of the kernel. The optimiser's steps all have the same size, so a kernel
        # learns as fast as a new one only if it has the same scale (He et al. 2015).
        scale = np.sqrt(2 / np.prod(kernel.shape[:3])) / max(kernel.std(), 1e-12)
        model.get_layer(name).set_weights([kernel * scale])
        norm = model.get_layer(f"{name}_norm")
        mean, variance = (np.broadcast_to(np.float32(each), bias.shape) for each in measured[name])
        norm.set_weights([np.sqrt(variance + norm.epsilon) / scale, bias + mean / scale, mean, variance])


def fit_adapters(model: keras.Model, batches: Iterable[tuple[np.ndarray, Sequence[np.ndarray]]]) -> None:
    """Set the adapters to the ridge regression of the teacher's maps on the student's.

    batches: (inputs of the student, the teacher's maps at GUIDED, which the adapters are to reproduce).
    """
    adapters = [model.get_layer(f"adapter{k}") for k in range(1, len(GUIDED) + 1)]
    inside = keras.Model(model.input, [adapter.input for adapter in adapters])
    products: list[list] = [[0.0, 0.0] for _ in adapters]  # they grow to matrices with the first batch
    for pixels, targets in batches:
        for sums, one, target in zip(products, inside.predict_on_batch(pixels), targets, strict=True):
            flat = np.asarray(one, np.float32).reshape(-1, one.shape[-1])
            flat = np.pad(flat, ((0, 0), (0, 1)), constant_values=1)  # the last column is for the bias
            sums[0] += flat.T @ flat
            sums[1] += flat.T @ target.reshape(len(flat), -1)
    for adapter, (square, mixed) in zip(adapters, products, strict=True):
        ridge = RIDGE * np.trace(square) / len(square) * np.eye(len(square))
        solved = np.linalg.solve(square + ridge, mixed)
        adapter.set_weights([solved[None, None, :-1], solved[-1]])
