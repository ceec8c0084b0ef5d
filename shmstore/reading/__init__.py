"""Which records are taken and how: selections, snapshots, cursors, and the gaps among them."""
