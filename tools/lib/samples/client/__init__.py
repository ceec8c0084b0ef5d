"""A sample of the client: measurements sent in parallel to a service, and every question about them."""
