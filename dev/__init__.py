"""How the whole stack runs on one machine without containers; nothing here is part of the server."""
