"""Benchmarks of a running service: `make bench`. Each module measures one thing; nothing is asserted in tests.

A figure is a median of many, what is compared is measured in turns, and targets are ratios within one run, so that
a busy or slow machine changes the figures more than the verdicts.
"""
