"""The demo: many processes measure this machine into one store, one is killed, all is accounted for."""
