"""A local feature and a network of the tests' own: each is one file, as one that is added to the project would be."""
