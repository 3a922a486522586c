"""What a collection is: lists, the store, and how its pictures are read."""
