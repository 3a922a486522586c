"""How the weights that ship were learned; neither the four steps nor the site run any of it."""
