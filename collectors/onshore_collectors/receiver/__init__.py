"""OTLP over HTTP and gRPC, made durable before it is acknowledged."""
