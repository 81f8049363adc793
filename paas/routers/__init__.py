"""Routers: lead requests to replicas. They carry out what is decided elsewhere."""
