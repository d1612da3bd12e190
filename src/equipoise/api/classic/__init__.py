"""The classic API v1.0: routes, rules (from its JSON to commands), wire (from records to its JSON), error codes."""
