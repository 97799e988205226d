"""Blocks that more than one model shares."""
