"""What a run is held against when it has ended: whether its tables are fresh, and its numbers like those before."""
