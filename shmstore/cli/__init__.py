"""The command-line tools: `shmstore-inspect`, `shmstore-coordinator` and `shmstore-serve`, one file each."""
