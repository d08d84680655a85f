"""Controls as data: load, validate, judge."""
