"""Statements about jobs: how they move, how they fail, and reads of them."""
