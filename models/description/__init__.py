"""From a picture to its descriptor: network, pooling, whitening, and filling the store with descriptors."""
