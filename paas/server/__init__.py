"""The process that owns the platform, and its HTTP interface: one route per request. Decides nothing."""
