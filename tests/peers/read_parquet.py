"""Reads one table of a weir data directory with somebody else's Parquet reader.

usage: read_parquet.py duckdb|pyarrow|polars DATA_DIR TABLE [SUM_COLUMN...]

Prints a JSON object: "rows", "sums" of the named columns, "types" of all columns as the reader names them, and
"first_time", the smallest time in microseconds since 1970.
"""

import json
import sys
from pathlib import Path


def with_duckdb(files, sums):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE VIEW t AS SELECT * FROM read_parquet(?)".replace("?", json.dumps(files).replace('"', "'")))
    types = {name: kind for name, kind, *_ in connection.execute("DESCRIBE t").fetchall()}
    totals = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in sums)
    row = connection.execute(f"SELECT count(*), epoch_us(min(time)){', ' + totals if sums else ''} FROM t").fetchone()
    return row[0], row[1], dict(zip(sums, row[2:])), types


def with_pyarrow(files, sums):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    types = {field.name: str(field.type) for field in table.schema}
    first = pc.min(table["time"]).cast(pa.int64()).as_py()
    return table.num_rows, first, {name: pc.sum(table[name]).as_py() for name in sums}, types


def with_polars(files, sums):
    import polars as pl

    table = pl.read_parquet(files, hive_partitioning=False)
    types = {name: str(kind) for name, kind in table.schema.items()}
    first = table.select(pl.col("time").min().dt.timestamp("us")).item()
    return table.height, first, {name: table[name].sum() for name in sums}, types


def main():
    reader, directory, table, *sums = sys.argv[1:]
    files = sorted(str(file) for file in Path(directory, table).glob("**/*.parquet"))
    if not files:
        sys.exit(f"no Parquet files of {table} under {directory}")
    read = {"duckdb": with_duckdb, "pyarrow": with_pyarrow, "polars": with_polars}[reader]
    rows, first_time, totals, types = read(files, sums)
    print(json.dumps({"rows": rows, "first_time": first_time, "sums": totals, "types": types}))


if __name__ == "__main__":
    main()
