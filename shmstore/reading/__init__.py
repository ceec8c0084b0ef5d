"""Which records are taken and how: selections, cursors that follow a store, and the gaps among what they read."""
