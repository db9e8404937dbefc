"""HTTP only: each handler parses, makes one call of the service, and sends."""
