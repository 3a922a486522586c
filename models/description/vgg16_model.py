"""The layers of VGG16-CAM (Zhou et al. 2016) as a Keras model: for loading weights into, and for training."""

import numpy as np

from models.description.backend import keras

layers = keras.layers

MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # of ImageNet, BGR, 0..255
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16_cam(channels: int = 1024, classes: int = 1000, dtype: str = "float32") -> keras.Model:
    """VGG16-CAM with its classification head; the output is the score of each class before the softmax."""
    pixels = layers.Input((None, None, 3), dtype=dtype)
    activations = cam_convolution(convolutions(pixels, dtype), channels, dtype)
    pooled = layers.GlobalAveragePooling2D(name="pool", dtype=dtype)(activations)
    return keras.Model(pixels, layers.Dense(classes, name="classifier", dtype=dtype)(pooled))


def convolutions(x: keras.KerasTensor, dtype: str) -> keras.KerasTensor:
    """VGG16's thirteen convolutions, without the last pooling."""
    for block, widths in enumerate(BLOCKS, start=1):
        if block > 1:
            x = layers.MaxPooling2D(2, name=f"block{block - 1}_pool", dtype=dtype)(x)
        for number, width in enumerate(widths, start=1):
            name = f"block{block}_conv{number}"
            x = layers.Conv2D(width, 3, padding="same", activation="relu", name=name, dtype=dtype)(x)
    return x


def cam_convolution(x: keras.KerasTensor, channels: int, dtype: str) -> keras.KerasTensor:
    """The convolution from whose maps VGG16-CAM tells the classes."""
    return layers.Conv2D(channels, 3, padding="same", activation="relu", name="cam_conv", dtype=dtype)(x)
