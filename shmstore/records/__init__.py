"""What a record is: its fields, its class, and the schema that is stored in the segment."""
