"""What computes: network, descriptors, local features, verification and the engine."""
