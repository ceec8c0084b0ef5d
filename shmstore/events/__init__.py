"""The event store: make, open or attach; append, look, ask, follow."""
