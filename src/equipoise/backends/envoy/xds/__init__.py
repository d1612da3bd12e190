"""The control stream to Envoy: what is sent to whom, and what the answers mean."""
