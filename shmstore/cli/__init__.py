"""The command-line tools: `shmstore-inspect` (inspect.py) and `shmstore-coordinator` (coordinator.py)."""
