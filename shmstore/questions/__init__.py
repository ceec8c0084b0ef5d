"""What is asked about records: how many, how much, by group, over time; and snapshots and queries, which list them."""
