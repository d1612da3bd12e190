"""Envoy, the first data plane."""
