"""The tables that people query."""
