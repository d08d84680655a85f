"""What decides: from a batch on a topic to judged, sealed, queryable events."""
