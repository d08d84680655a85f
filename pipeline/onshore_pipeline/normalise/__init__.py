"""Many source shapes to the one event shape."""
