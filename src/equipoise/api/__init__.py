"""The faces of the service: each API is an adapter, which parses, calls the service and renders."""
