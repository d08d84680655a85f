"""Where each party is, whose it is, and how we know."""
