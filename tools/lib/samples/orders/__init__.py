"""A sample of streams: gateways book orders into one ledger at once, one is killed, and all is accounted for."""
