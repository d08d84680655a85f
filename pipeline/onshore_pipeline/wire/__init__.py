"""OTLP protobuf and JSON to frames."""
