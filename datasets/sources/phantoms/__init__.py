"""How the phantoms of each kind are drawn: a `draw(rng, size)` in each file."""
