"""Random values, operations and questions against plain Python, for as long as one likes; `tools/fuzz --python`."""
