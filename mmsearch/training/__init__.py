"""Contrastive training: adapters (need the ``clip`` extra) and the built-in model (the ``train`` extra)."""
