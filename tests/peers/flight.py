"""Asks weir over Flight SQL with other people's clients: the ADBC driver and pyarrow.

usage: flight.py URI QUESTION [ARGUMENT...]

Prints what came back as JSON. The questions are the functions below.
"""

import datetime
import json
import os
import sys
import threading
import time
import warnings

import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight

# 10^12 pairs: nobody waits for that.
ENDLESS = (
    "SELECT count(*) FROM generate_series(1, 1000000) a "
    "CROSS JOIN generate_series(1, 1000000) b WHERE a.value * b.value = 7"
)


def connect(uri):
    return flightsql.connect(uri, autocommit=True)


def values(table):
    """Rows as lists of what JSON can hold."""

    def plain(value):
        return value.isoformat() if isinstance(value, datetime.datetime) else value

    return [[plain(value) for value in row.values()] for row in table.to_pylist()]


def run(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


def failure(action):
    """What an action fails with."""
    try:
        action()
    except adbc_driver_manager.Error as error:
        text = lambda part: part.decode(errors="replace") if isinstance(part, bytes) else part
        details = {text(name): text(value) for name, value in (error.details or [])}
        return {"kind": type(error).__name__, "status": error.status_code.name, "message": str(error), "details": details}
    return None


def objects(uri):
    with connect(uri) as connection:
        listing = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        some = connection.adbc_get_objects(depth="tables", table_name_filter="%events").read_all().to_pylist()
        tables = lambda found: [
            [catalog["catalog_name"], schema["db_schema_name"], table["table_name"], table["table_type"]]
            for catalog in found
            for schema in catalog["catalog_db_schemas"]
            for table in schema["db_schema_tables"]
        ]
        columns = {
            table["table_name"]: [column["column_name"] for column in table["table_columns"]]
            for schema in listing[0]["catalog_db_schemas"]
            for table in schema["db_schema_tables"]
        }
        info = connection.adbc_get_info()
        schema = connection.adbc_get_table_schema("http_events")
        missing = failure(lambda: connection.adbc_get_table_schema("nowhere"))
        return {
            "tables": tables(listing),
            "some": tables(some),
            "columns": columns,
            "types": connection.adbc_get_table_types(),
            "info": {str(name): value for name, value in info.items()},
            "schema": {field.name: str(field.type) for field in schema},
            "missing": missing,
        }


def query(uri, sql):
    with connect(uri) as connection:
        table = run(connection, sql)
        return {"types": {field.name: str(field.type) for field in table.schema}, "rows": values(table)}


def prepared(uri):
    with connect(uri) as connection:
        answers = {}
        ask = lambda sql, parameters: values(run(connection, sql, parameters))
        answers["integer"] = ask("SELECT path FROM http_events WHERE status = ? ORDER BY time", [404])
        answers["text"] = ask("SELECT status FROM http_events WHERE path = ?", ["/items/3"])
        answers["two"] = ask("SELECT count(*) FROM http_events WHERE status = ? AND path LIKE ?", [200, "/items/%"])
        answers["null"] = ask("SELECT count(*) FROM http_events WHERE ? IS NULL AND coalesce(?, 200) = status", [None, None])
        first = run(connection, "SELECT min(time) FROM http_events")[0][0].as_py()
        answers["time"] = ask("SELECT count(*) FROM http_events WHERE time > ?", [first])
        answers["others"] = ask("SELECT ? + 1, ?, ?, ? || '?' -- ?", [1.5, True, "'; DROP TABLE flows", "x"])
        answers["number"] = ask("SELECT CAST($2 AS VARCHAR) || $1", ["a", "b"])
        row = pa.record_batch({"host": ["shop.example"], "status": [404]})
        answers["names"] = ask("SELECT count(*) FROM http_events WHERE host = $host AND status = $status", row)
        with connection.cursor() as cursor:
            schema = cursor.adbc_prepare("SELECT path FROM http_events WHERE status = ? AND path = ?")
            answers["schema"] = [str(field.type) for field in schema]
            columns = cursor.adbc_execute_schema("SELECT path, count(*) AS n FROM http_events GROUP BY path")
            answers["columns"] = {field.name: str(field.type) for field in columns}
            again = []
            for status in [404, 200, 404]:
                cursor.execute("SELECT count(*) FROM http_events WHERE status = ?", [status])
                again.append(cursor.fetchone()[0])
            answers["again"] = again
        answers["too few"] = failure(lambda: ask("SELECT ?, ?", [1]))
        answers["too many rows"] = failure(lambda: ask("SELECT ?", pa.record_batch({"0": [1, 2]})))
        return answers


def errors(uri):
    with connect(uri) as connection:
        return {sql: failure(lambda sql=sql: run(connection, sql)) for sql in sys.argv[3:]}


def writes(uri):
    with connect(uri) as connection:

        def update(sql):
            with connection.cursor() as cursor:
                cursor.adbc_statement.set_sql_query(sql)
                cursor.adbc_statement.execute_update()

        def ingest():
            with connection.cursor() as cursor:
                cursor.adbc_ingest("flows", pa.table({"a": [1]}))

        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            flightsql.connect(uri).close()
        return {
            "delete": failure(lambda: run(connection, "DELETE FROM flows")),
            "update": failure(lambda: update("UPDATE flows SET pid = 1")),
            "select": failure(lambda: update("SELECT 1")),
            "ingest": failure(ingest),
            "transactions": [str(warning.message) for warning in warned],
        }


def wait_for(file):
    """Waits until whoever started this has made the file."""
    while not os.path.exists(file):
        time.sleep(0.05)


def cancel(uri, go):
    """Cancels a query that runs, once told to, as a person does who has waited long enough."""
    with connect(uri) as connection, connection.cursor() as cursor:

        def stop():
            wait_for(go)
            cursor.adbc_cancel()

        def ask():
            cursor.execute(ENDLESS)
            cursor.fetchall()

        threading.Thread(target=stop).start()
        return failure(ask)


def leave(uri):
    """Asks and waits, until it is killed."""
    with connect(uri) as connection:
        run(connection, ENDLESS)


def deadline(uri):
    options = {"adbc.flight.sql.rpc.timeout_seconds.fetch": "1.0"}
    with flightsql.connect(uri, autocommit=True, conn_kwargs=options) as connection:
        return failure(lambda: run(connection, ENDLESS))


def message(number, value):
    """A field of a protobuf message: bytes with their length."""
    length, size = len(value), b""
    while True:
        low, length = length & 0x7F, length >> 7
        size += bytes([low | (0x80 if length else 0)])
        if not length:
            return bytes([number << 3 | 2]) + size + value


def info_of(client, sql):
    command = message(1, b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery")
    command += message(2, message(1, sql.encode()))
    return client.get_flight_info(flight.FlightDescriptor.for_command(command))


def facts(uri, sql):
    """What comes with the last message, and how many rows and messages there were."""
    client = flight.connect(uri)
    info = info_of(client, sql)
    reader = client.do_get(info.endpoints[0].ticket)
    rows, largest, told = 0, 0, []
    for chunk in reader:
        rows += chunk.data.num_rows
        largest = max(largest, chunk.data.nbytes)
        told.append(chunk.app_metadata.to_pybytes().decode() if chunk.app_metadata else None)
    return {
        "rows": rows,
        "messages": len(told),
        "largest": largest,
        "told": [json.loads(text) for text in told if text],
        "last": json.loads(told[-1]) if told and told[-1] else None,
        "same schema": info.schema == reader.schema,
    }


def cancel_info(uri, go):
    """Cancels by the flight info, once told to, from a second connection."""
    client = flight.connect(uri)
    info = info_of(client, ENDLESS)
    action = flight.Action("CancelFlightInfo", message(1, info.serialize()))
    early = None
    try:
        list(flight.connect(uri).do_action(action))
    except (flight.FlightError, pa.ArrowException) as error:
        early = str(error)
    results = []

    def stop():
        wait_for(go)
        results.extend(result.body.to_pybytes().hex() for result in flight.connect(uri).do_action(action))

    stopper = threading.Thread(target=stop)
    stopper.start()
    ended = None
    try:
        for _ in client.do_get(info.endpoints[0].ticket):
            pass
    except (flight.FlightError, pa.ArrowException) as error:
        ended = [type(error).__name__, str(error)]
    stopper.join()
    return {"early": early, "results": results, "ended": ended}


def nonsense(uri):
    """Tickets and commands that nobody made."""
    client = flight.connect(uri)
    kinds = []
    statement = b"type.googleapis.com/arrow.flight.protocol.sql.TicketStatementQuery"
    tickets = [b"", b"nonsense", message(1, statement) + message(2, message(1, b"nonsense"))]
    for ticket in tickets:
        try:
            client.do_get(flight.Ticket(ticket)).read_all()
            kinds.append(None)
        except (flight.FlightError, pa.ArrowException) as error:
            kinds.append(type(error).__name__)
    return kinds


if __name__ == "__main__":
    uri, question = sys.argv[1:3]
    function = globals()[question]
    arguments = [] if question == "errors" else sys.argv[3:]
    print(json.dumps(function(uri, *arguments), default=str))
