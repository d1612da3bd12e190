"""The standby: the process that looks after Envoy while there is no service."""
