"""The user's pictures and lists, and the scripts that fill them."""
