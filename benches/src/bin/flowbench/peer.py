"""Answers questions over the files of a data directory, one a line, with DuckDB or with chdb.

Usage: peer.py duckdb|chdb DATA THREADS MEMORY_MIB SECONDS
A question is {"sql": ..., "rows": true|false}; an answer is {"wall": s, "processor": s} with {"columns", "rows"} where they
are asked for, or {"error": ...}. Times are numbers, microseconds since 1970.
"""

import decimal
import json
import os
import re
import sys
import threading
import time

import pyarrow

TABLES = ("http_events", "dns_events", "flows")


class DuckDb:
    def __init__(self, data, threads, memory, seconds):
        import duckdb

        self.seconds = seconds
        self.connection = duckdb.connect()
        for setting in (
            f"threads = {threads}",
            f"memory_limit = '{memory}MiB'",
            "TimeZone = 'UTC'",
            "parquet_metadata_cache = true",
            "enable_progress_bar = false",
        ):
            self.connection.execute(f"SET {setting}")
        for table in TABLES:
            self.connection.execute(
                f"CREATE VIEW {table} AS SELECT * FROM "
                f"read_parquet('{data}/{table}/**/*.parquet', hive_partitioning = false)"
            )

    def answer(self, sql):
        timer = threading.Timer(self.seconds, self.connection.interrupt)
        timer.start()
        try:
            return self.connection.sql(sql).to_arrow_table()
        finally:
            timer.cancel()

    def table(self, answer):
        return answer


class Chdb:
    def __init__(self, data, threads, memory, seconds):
        from chdb import session

        self.session = session.Session()
        # A view would do too, but what is pushed into one differs between versions.
        self.files = {
            table: f"file('{data}/{table}/**/*.parquet', Parquet)" for table in TABLES
        }
        self.settings = (
            f" SETTINGS max_threads = {threads}, max_memory_usage = {memory * 1024 * 1024}, "
            f"max_execution_time = {seconds}, join_use_nulls = 1, use_hive_partitioning = 0"
        )
        self.session.query("SELECT 1")

    def answer(self, sql):
        for table, files in self.files.items():
            sql = re.sub(rf"\b(FROM|JOIN) {table}\b", rf"\1 {files}", sql)
        return self.session.query(sql + self.settings, "Arrow")

    def table(self, answer):
        return pyarrow.ipc.open_file(answer.bytes()).read_all()


def plain(value):
    """A value as JSON has it."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode()
    return value


def column_values(column):
    if pyarrow.types.is_timestamp(column.type):
        column = column.cast(pyarrow.timestamp("us", column.type.tz), safe=False).cast(pyarrow.int64())
    return [plain(value) for value in column.to_pylist()]


def main():
    name, data, threads, memory, seconds = sys.argv[1:]
    # The threads of weir's queries have this priority: they let capture go first.
    os.setpriority(os.PRIO_PROCESS, 0, 5)
    peer = {"duckdb": DuckDb, "chdb": Chdb}[name](data, int(threads), int(memory), int(seconds))
    print("{}", flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            wall, processor = time.perf_counter(), time.process_time()
            answer = peer.answer(question["sql"])
            reply = {
                "wall": time.perf_counter() - wall,
                "processor": time.process_time() - processor,
            }
            if question["rows"]:
                table = peer.table(answer)
                columns = [column_values(column) for column in table.columns]
                reply["columns"] = table.column_names
                reply["rows"] = list(zip(*columns))
        except Exception as error:
            reply = {"error": str(error).splitlines()[0][:300]}
        print(json.dumps(reply), flush=True)


main()
