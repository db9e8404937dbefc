"""What keeps rows and stored originals together: check, collection, scrub, backup, moves."""
