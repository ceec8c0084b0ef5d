"""The stress test: writers, readers and coordinators of one store are killed and frozen for as long as one likes."""
