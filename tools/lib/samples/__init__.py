"""Samples of what shmstore is for: each is started by its name in tools/samples."""
