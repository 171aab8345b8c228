"""Training of the built-in model; needs the ``train`` extra and is never imported by a search."""
