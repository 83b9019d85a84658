"""The tables in DuckDB's SQL, as Parquet in FOLDER: `duckdb_builder.py FOLDER land|build [LINES]`, or both."""

import os
import sys
from pathlib import Path

import duckdb

SQL = Path(__file__).resolve().parent
folder, steps, *lines = sys.argv[1:]
database = duckdb.connect()
database.execute(f"SET threads = {os.cpu_count()}")
if "land" in steps:
    database.execute("SET VARIABLE lines = ?", lines)
os.chdir(folder)  # where the statements read and write
for step, statements in (("land", "land.sql"), ("build", "tables.sql")):
    if step in steps:
        database.execute((SQL / statements).read_text())
