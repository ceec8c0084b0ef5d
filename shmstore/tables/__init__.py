"""What every answer can become: columns, tables, lines of text, and Arrow's structs."""
