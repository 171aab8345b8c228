"""Folders that are watched: what changes in them is indexed within seconds, with no walk of the rest."""
