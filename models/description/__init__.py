"""From a picture to a descriptor: network, pooling, whitening, and filling the store with descriptors."""
