"""Everything on one machine: local log, embedded store, supervisor."""
