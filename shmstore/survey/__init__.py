"""The survey: what is to be known of a machine and the segments on it, for the command line and for the dashboard."""
