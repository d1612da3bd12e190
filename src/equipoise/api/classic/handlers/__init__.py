"""The operations, one module a resource: from a request to a use case and from its result to an answer."""
