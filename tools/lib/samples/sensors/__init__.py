"""A sample of the event store: processes write what sensors measure, others ask, and snapshots outlive the store."""
