"""A sample of a service of several processes: three gateways behind nginx take orders into one stream."""
