"""From the proxy model to Envoy's resources. Pure: neither clock, store nor log."""
