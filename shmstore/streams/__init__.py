"""Streams: named, ordered events, appended under a condition and once for each id."""
