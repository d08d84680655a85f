"""What people look at: operations and compliance."""
