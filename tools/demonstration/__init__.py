"""The demonstration: many processes write measurements of this machine into one store, one is killed, all is accounted for."""
