"""A local feature, a network and a vector index of the tests' own: each is one file, as one that is added would be."""
