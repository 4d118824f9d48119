//! What two looks at a server's status show.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Serialize;
use serde_json::Value;

/// How a server is, and what happened between two looks at it.
#[derive(Debug, Serialize)]
pub(super) struct View {
    node: String,
    version: String,
    uptime_seconds: u64,
    /// running, failed, stopped or off.
    capture: String,
    /// Seconds between the two looks; all rates are over that.
    seconds: f64,
    tables: Vec<Table>,
    packets_per_second: f64,
    balance: Balance,
    losses: Vec<Loss>,
    rings: Vec<Ring>,
    programs: Vec<Program>,
    connections: u64,
    resident_bytes: Option<u64>,
    cpu_cores: Option<f64>,
    window_bytes: u64,
    window_budget_bytes: u64,
    queries: Value,
}

/// A table, and the rows that it got.
#[derive(Debug, Serialize)]
struct Table {
    #[serde(rename = "table")]
    name: String,
    rows: u64,
    rows_per_second: f64,
}

/// What the kernel side counted beside what became of it, since the start of the server.
#[derive(Debug, Default, Serialize)]
struct Balance {
    /// Payload records that the programs handed over.
    records: u64,
    /// Records that were read.
    records_read: u64,
    /// Records for which there was no room.
    records_lost: u64,
    /// Packets that began a request, lost ones included.
    requests_seen: u64,
    /// Of which the ring had no room for so many.
    requests_lost: u64,
    /// Rows with a request.
    request_rows: u64,
    /// Packets that began a response, lost ones included.
    responses_seen: u64,
    /// Of which the ring had no room for so many.
    responses_lost: u64,
    /// Rows with a response.
    response_rows: u64,
}

#[derive(Debug, Serialize)]
struct Loss {
    stage: String,
    reason: String,
    hook: Option<String>,
    message: Option<String>,
    events: u64,
    events_per_second: f64,
}

#[derive(Debug, Serialize)]
struct Ring {
    #[serde(rename = "ring")]
    name: String,
    peak_bytes: u64,
    capacity_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Program {
    name: String,
    hook: String,
    outcome: String,
    reason: Option<String>,
    /// `None` where the kernel does not count.
    runs_per_second: Option<f64>,
    ns_per_run: Option<f64>,
    missed_runs: Option<u64>,
    verified_instructions: Option<u64>,
}

impl View {
    pub(super) fn between(before: &Value, now: &Value, passed: Duration) -> Self {
        let seconds = passed.as_secs_f64().max(0.001);
        let capture = &now["capture"];
        let packets = |status: &Value| {
            sum(&status["capture"]["passed"], |entry| {
                text(entry, "kind").starts_with("packets_")
            })
        };
        Self {
            node: text(now, "node").to_owned(),
            version: text(now, "version").to_owned(),
            uptime_seconds: number(now, "uptime_seconds"),
            capture: text(capture, "state").to_owned(),
            seconds,
            tables: tables(before, now, seconds),
            packets_per_second: rate(packets(before), packets(now), seconds),
            balance: Balance::of(now),
            losses: losses(before, now, seconds),
            rings: list(&capture["rings"])
                .map(|ring| Ring {
                    name: text(ring, "ring").to_owned(),
                    peak_bytes: number(ring, "peak_bytes"),
                    capacity_bytes: number(ring, "capacity_bytes"),
                })
                .collect(),
            programs: programs(before, now, seconds),
            connections: number(capture, "connections"),
            resident_bytes: now["process"]["resident_bytes"].as_u64(),
            cpu_cores: cpu(before, now, seconds),
            window_bytes: number(&now["store"], "window_bytes"),
            window_budget_bytes: number(&now["store"], "budget_bytes"),
            queries: now["queries"].clone(),
        }
    }

    /// Whether the server captures.
    pub(super) fn is_capturing(&self) -> bool {
        self.capture == "running"
    }
}

impl Balance {
    fn of(status: &Value) -> Self {
        let passed = &status["capture"]["passed"];
        let kind = |kind: &'static str| sum(passed, |entry| text(entry, "kind") == kind);
        let lost = |message: Option<&'static str>| {
            sum(&status["losses"], |entry| {
                text(entry, "reason") == "payload_ring_full"
                    && message.is_none_or(|message| text(entry, "message") == message)
            })
        };
        Self {
            records: sum(passed, |entry| {
                text(entry, "kind") == "records" && text(entry, "hook").starts_with("cgroup_skb")
            }),
            records_read: kind("payload_records"),
            records_lost: lost(None),
            requests_seen: kind("packets_request"),
            requests_lost: lost(Some("request")),
            request_rows: kind("http_requests"),
            responses_seen: kind("packets_response"),
            responses_lost: lost(Some("response")),
            response_rows: kind("http_responses"),
        }
    }
}

fn tables(before: &Value, now: &Value, seconds: f64) -> Vec<Table> {
    let old = list(&before["store"]["tables"]);
    let new = list(&now["store"]["tables"]);
    new.zip(old)
        .map(|(new, old)| {
            let rows = number(new, "rows_appended");
            Table {
                name: text(new, "table").to_owned(),
                rows,
                rows_per_second: rate(number(old, "rows_appended"), rows, seconds),
            }
        })
        .collect()
}

fn losses(before: &Value, now: &Value, seconds: f64) -> Vec<Loss> {
    let is_same = |one: &Value, other: &Value| {
        ["stage", "reason", "hook", "message"]
            .into_iter()
            .all(|key| one[key] == other[key])
    };
    list(&now["losses"])
        .map(|loss| {
            let old = list(&before["losses"]).find(|old| is_same(old, loss));
            let events = number(loss, "events");
            Loss {
                stage: text(loss, "stage").to_owned(),
                reason: text(loss, "reason").to_owned(),
                hook: loss["hook"].as_str().map(str::to_owned),
                message: loss["message"].as_str().map(str::to_owned),
                events,
                events_per_second: rate(
                    old.map_or(0, |old| number(old, "events")),
                    events,
                    seconds,
                ),
            }
        })
        .collect()
}

fn programs(before: &Value, now: &Value, seconds: f64) -> Vec<Program> {
    list(&now["capture"]["programs"])
        .map(|program| {
            let name = text(program, "name");
            let old = list(&before["capture"]["programs"]).find(|old| text(old, "name") == name);
            let since = |key: &str| {
                let new = program[key].as_u64()?;
                let old = old.and_then(|old| old[key].as_u64()).unwrap_or(0);
                Some(new.saturating_sub(old))
            };
            let runs = since("runs");
            let nanos = since("run_time_ns");
            Program {
                name: name.to_owned(),
                hook: text(program, "hook").to_owned(),
                outcome: text(program, "outcome").to_owned(),
                reason: program["reason"].as_str().map(str::to_owned),
                runs_per_second: runs.map(|runs| float(runs) / seconds),
                ns_per_run: runs
                    .zip(nanos)
                    .filter(|(runs, _)| *runs > 0)
                    .map(|(runs, nanos)| float(nanos) / float(runs)),
                missed_runs: program["missed_runs"].as_u64(),
                verified_instructions: program["verified_instructions"].as_u64(),
            }
        })
        .collect()
}

fn cpu(before: &Value, now: &Value, seconds: f64) -> Option<f64> {
    let spent = |status: &Value| status["process"]["cpu_seconds"].as_f64();
    Some((spent(now)? - spent(before)?).max(0.0) / seconds)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}

/// The events of the entries that are wanted.
fn sum(entries: &Value, is_wanted: impl Fn(&Value) -> bool) -> u64 {
    list(entries)
        .filter(|entry| is_wanted(entry))
        .map(|entry| number(entry, "events"))
        .sum()
}

fn rate(before: u64, now: u64, seconds: f64) -> f64 {
    float(now.saturating_sub(before)) / seconds
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown with a few digits; 2^53 events take years"
)]
fn float(count: u64) -> f64 {
    count as f64
}

impl fmt::Display for View {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "weir {} on {}, up {}, capture {}",
            self.version,
            self.node,
            humantime::format_duration(Duration::from_secs(self.uptime_seconds)),
            self.capture,
        )?;
        let size = |bytes: u64| ByteSize::b(bytes).display().iec().to_string();
        writeln!(
            out,
            "memory {}, window {} of {}, processors {}, connections {}, queries {} running, {} queued",
            self.resident_bytes.map_or_else(|| "?".to_owned(), size),
            size(self.window_bytes),
            size(self.window_budget_bytes),
            self.cpu_cores
                .map_or_else(|| "?".to_owned(), |cores| format!("{cores:.2}")),
            self.connections,
            number(&self.queries, "running") + number(&self.queries, "following"),
            number(&self.queries, "queued"),
        )?;
        let rings = self.rings.iter().map(|ring| {
            let (peak, capacity) = (size(ring.peak_bytes), size(ring.capacity_bytes));
            format!("{} {peak} of {capacity}", ring.name)
        });
        writeln!(out, "rings  {}", rings.collect::<Vec<_>>().join(", "))?;
        writeln!(out, "\n{:<18} {:>12} {:>10}", "table", "rows", "rows/s")?;
        for table in &self.tables {
            let (name, rows, rate) = (&table.name, table.rows, table.rows_per_second);
            writeln!(out, "{name:<18} {rows:>12} {rate:>10.0}")?;
        }
        writeln!(
            out,
            "\n{:<16} {:<28} {:<9} {:>10} {:>8} {:>7} {:>10}",
            "program", "hook", "outcome", "runs/s", "ns/run", "missed", "verified"
        )?;
        let known =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |it| format!("{it:.0}"));
        let count = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |it| it.to_string());
        for program in &self.programs {
            writeln!(
                out,
                "{:<16} {:<28} {:<9} {:>10} {:>8} {:>7} {:>10}{}",
                program.name,
                program.hook,
                program.outcome,
                known(program.runs_per_second),
                known(program.ns_per_run),
                count(program.missed_runs),
                count(program.verified_instructions),
                program
                    .reason
                    .as_deref()
                    .map_or_else(String::new, |why| format!("  {why}")),
            )?;
        }
        writeln!(
            out,
            "\n{:>10.0} packets/s seen by the programs",
            self.packets_per_second
        )?;
        let Balance {
            records,
            records_read,
            records_lost,
            requests_seen,
            requests_lost,
            request_rows,
            responses_seen,
            responses_lost,
            response_rows,
        } = self.balance;
        writeln!(
            out,
            "records    {records} handed over, {records_read} read, {records_lost} for which there was no room"
        )?;
        writeln!(
            out,
            "requests   {requests_seen} seen, {requests_lost} lost in the kernel, {request_rows} rows"
        )?;
        writeln!(
            out,
            "responses  {responses_seen} seen, {responses_lost} lost in the kernel, {response_rows} rows"
        )?;
        if self.losses.is_empty() {
            return writeln!(out, "\nnothing was lost");
        }
        writeln!(
            out,
            "\n{:<11} {:<22} {:<28} {:<9} {:>12} {:>10}",
            "lost at", "why", "hook", "message", "events", "events/s"
        )?;
        for loss in &self.losses {
            writeln!(
                out,
                "{:<11} {:<22} {:<28} {:<9} {:>12} {:>10.0}",
                loss.stage,
                loss.reason,
                loss.hook.as_deref().unwrap_or("-"),
                loss.message.as_deref().unwrap_or("-"),
                loss.events,
                loss.events_per_second,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(packets: u64, runs: u64) -> Value {
        json!({
            "node": "n", "version": "1", "uptime_seconds": 5,
            "capture": {
                "state": "running",
                "passed": [
                    { "stage": "kernel", "hook": "cgroup_skb/ingress", "kind": "packets_request", "events": packets, "bytes": 1 },
                    { "stage": "kernel", "hook": "cgroup_skb/ingress", "kind": "records", "events": packets - 1, "bytes": 1 },
                    { "stage": "kernel", "hook": "cgroup/sock_release", "kind": "records", "events": 7, "bytes": 1 },
                    { "stage": "rows", "hook": null, "kind": "http_requests", "events": packets - 1, "bytes": 0 },
                ],
                "programs": [{
                    "name": "packet_sent", "hook": "cgroup_skb/egress", "outcome": "attached",
                    "runs": runs, "run_time_ns": runs * 200, "missed_runs": 0, "verified_instructions": 1000,
                }],
                "rings": [{ "ring": "payload", "capacity_bytes": 65536, "peak_bytes": 100 }],
            },
            "losses": [{
                "stage": "kernel", "reason": "payload_ring_full", "hook": "cgroup_skb/ingress",
                "message": "request", "events": 1, "bytes": 90,
            }],
            "store": { "tables": [{ "table": "flows", "rows_appended": packets }] },
        })
    }

    #[test]
    fn rates_are_over_the_time_between_two_looks_and_the_balance_since_the_start() {
        let view = View::between(&status(10, 100), &status(30, 300), Duration::from_secs(2));
        assert!(view.is_capturing());
        assert_eq!(view.balance.requests_seen, 30);
        assert_eq!(view.balance.requests_lost + view.balance.request_rows, 30);
        assert_eq!((view.balance.records, view.balance.records_lost), (29, 1));
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["packets_per_second"], 10.0);
        assert_eq!(json["tables"][0]["rows_per_second"], 10.0);
        assert_eq!(json["programs"][0]["ns_per_run"], 200.0);
        assert_eq!(json["programs"][0]["runs_per_second"], 100.0);
        let text = view.to_string();
        assert!(
            text.contains("requests   30 seen, 1 lost in the kernel, 29 rows"),
            "{text}"
        );
        assert!(text.contains("payload_ring_full"), "{text}");
    }

    #[test]
    fn a_server_that_says_little_is_shown_all_the_same() {
        let view = View::between(&Value::Null, &Value::Null, Duration::ZERO);
        assert!(!view.is_capturing());
        assert!(view.to_string().contains("nothing was lost"));
    }
}
