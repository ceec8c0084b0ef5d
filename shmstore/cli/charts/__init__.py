"""Charts: what is plotted, laid out, and drawn on a terminal or into a file."""
