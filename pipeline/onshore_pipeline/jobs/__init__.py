"""What runs beside the worker: aggregate, sweep, check."""
