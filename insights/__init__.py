"""Figures and pictures of how support is doing. Empty in this version."""
