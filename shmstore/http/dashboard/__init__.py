"""The dashboard: a page that shows the stores of this machine at work, and the data that it asks for."""
