"""What sees: the OTLP receiver, SDK exporters and readers of real logs."""
