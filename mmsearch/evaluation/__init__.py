"""Measuring how well a model finds photos: the data to measure on, and the measures."""
