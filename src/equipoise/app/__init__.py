"""The composition root: puts all parts together. Nothing is decided here."""
