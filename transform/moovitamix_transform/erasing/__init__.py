"""`forget`: one person out of every table, every version, every byte."""
