"""The identity API in the way of Keystone v3."""
