"""mmsearch: find photos and text files on your own disk by meaning, offline."""

__version__ = "0.1.0"
