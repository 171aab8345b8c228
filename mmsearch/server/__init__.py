"""Skins that stay: a program asks, again and again, and is answered. Parse, call Library, hand to output."""
