"""What stands beside every API: versions and health, metrics, and the OpenAPI document."""
