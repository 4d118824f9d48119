//! An hour of a small machine, told in rows.
//!
//! ```text
//!   203.0.113.9, 10.0.0.99 --http--> nginx :80 --http--> python3 (service shop) :8000 --http--> pay.example 198.51.100.7
//!                                                            |--> 10.0.0.20:5432, which refuses
//!   bash --> 203.0.113.66:4444        curl --http--> 169.254.169.254        all of them --dns--> systemd-resolve :53
//! ```
//!
//! The machine is 10.0.0.10, the hour begins at 10 o'clock. What lies before it or at its end must not be counted:
//! every table has such a row with values that would stand out.

mod rows;

use std::sync::Arc;

use tempfile::TempDir;
use weir_query::{Engine, EngineOptions};
use weir_storage::{
    CaptureLoss, CaptureProgram, DnsEvent, Flow, HttpEvent, NodeIdentity, Pairs, Store,
    StoreOptions,
};

use rows::{
    MACHINE, asked, bash, bytes, curl, flow, ip, lookup, nginx, of, opened, request, resolver,
    sent, served, shop, taken,
};

/// 2026-11-20T10:00:00Z in microseconds.
pub(crate) const TEN_OCLOCK: i64 = 1_795_168_800_000_000;
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A store with an engine over it.
pub(crate) struct Machine {
    pub(crate) store: Arc<Store>,
    pub(crate) engine: Arc<Engine>,
    _directory: TempDir,
}

impl Machine {
    /// Without rows.
    pub(crate) async fn idle() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(directory.path(), "node-a"))
            .await
            .unwrap();
        let options = EngineOptions {
            threads: 2,
            ..EngineOptions::default()
        };
        Self {
            engine: Engine::new(Arc::clone(&store), options).unwrap(),
            store,
            _directory: directory,
        }
    }

    /// With the hour.
    pub(crate) async fn busy() -> Self {
        let machine = Self::idle().await;
        machine.append_requests();
        machine.append_lookups();
        machine.append_flows();
        machine.append_capture();
        machine
    }

    fn append_requests(&self) {
        let at = |minute: i64, second: i64| TEN_OCLOCK + minute * MINUTE + second * SECOND;
        let append = |event: HttpEvent| self.store.append(event.into());

        // Five items: nginx serves them to the outside and has the shop make them. The fifth fails, half an hour later.
        for item in 1..=5_i64 {
            let (time, status) = if item == 5 {
                (at(30, 0), 500)
            } else {
                (at(1, item), 200)
            };
            let trace = (item == 1).then(|| Arc::from(TRACE));
            let call = |time, path: &str, latency_ms: i64| HttpEvent {
                trace_id: trace.clone(),
                ..request(time, "GET", path, status, latency_ms)
            };
            let asked = call(time, &format!("/items/{item}"), 10);
            append(served(asked, &nginx(), "203.0.113.9", 50_001, 80));
            let made = |time, latency_ms| call(time, &format!("/api/items/{item}"), latency_ms);
            append(sent(
                made(time + 1, 11),
                &nginx(),
                MACHINE,
                41_000,
                MACHINE,
                8_000,
            ));
            append(served(made(time + 2, 10), &shop(), MACHINE, 41_000, 8_000));
        }
        // A wrong password, in plain text.
        append(HttpEvent {
            req_headers: Some(Arc::new(Pairs::from([(
                "authorization",
                "Basic [redacted]",
            )]))),
            user_agent: Some("curl/8.5".into()),
            req_body_bytes: Some(50),
            ..served(
                request(at(2, 0), "POST", "/login", 401, 10),
                &nginx(),
                "10.0.0.99",
                50_002,
                80,
            )
        });
        // The shop takes money elsewhere: two answers, and one that never came.
        for number in 0..3_i64 {
            let call = HttpEvent {
                host: Some("pay.example".into()),
                req_headers: Some(Arc::new(Pairs::from([("x-api-key", "[redacted]")]))),
                req_body_bytes: Some(200),
                resp_body_bytes: Some(20),
                ..request(at(3, number), "POST", "/pay", 200, 20)
            };
            let call = if number == 2 {
                HttpEvent {
                    status: None,
                    latency_ns: None,
                    resp_body_bytes: None,
                    outcome: Some("no_response"),
                    ..call
                }
            } else {
                call
            };
            append(sent(call, &shop(), MACHINE, 42_000, "198.51.100.7", 80));
        }
        append(HttpEvent {
            host: Some("169.254.169.254".into()),
            route: Some("/latest/meta-data".into()),
            ..sent(
                request(at(4, 0), "GET", "/latest/meta-data", 200, 5),
                &curl(),
                MACHINE,
                43_000,
                "169.254.169.254",
                80,
            )
        });
        // Imported traffic of other machines.
        append(HttpEvent {
            host: Some("old.example".into()),
            route: Some("/old".into()),
            resp_body_bytes: Some(5_000_000),
            client_ip: Some(ip("192.168.1.5")),
            server_ip: Some(ip("192.168.1.6")),
            server_port: Some(8_080),
            conn_id: Some(90),
            ..request(at(50, 0), "GET", "/old", 200, 100)
        });
        for time in [TEN_OCLOCK - 1, TEN_OCLOCK + HOUR] {
            let decoy = request(time, "DELETE", "/decoy", 503, 60_000);
            append(served(decoy, &nginx(), "203.0.113.200", 50_200, 80));
        }
    }

    fn append_lookups(&self) {
        let at = |second: i64| TEN_OCLOCK + 3 * MINUTE + second * SECOND;
        let append = |event: DnsEvent| self.store.append(event.into());
        let pay = |time| DnsEvent {
            answer_ips: Some(vec!["198.51.100.7".to_owned()]),
            ..lookup(time, "pay.example", "A", Some("NOERROR"), 2)
        };
        for second in 0..2 {
            append(asked(pay(at(second)), &shop(), 44_000));
            append(DnsEvent {
                role: Some("server"),
                identity: of(&resolver()),
                latency_ns: Some(1_000_000),
                ..asked(pay(at(second)), &shop(), 44_000)
            });
        }
        append(asked(
            lookup(at(10), "metadata.google.internal", "A", Some("NXDOMAIN"), 1),
            &curl(),
            44_001,
        ));
        append(asked(
            lookup(at(20), "old.example", "A", Some("SERVFAIL"), 4),
            &curl(),
            44_001,
        ));
        for data in ["x9f8e7d6c5b4a3f2e1d0c9b8", "bcdfghjklmnpqrstvwxz"] {
            let qname = format!("{data}.evil.example");
            append(asked(
                lookup(at(30), &qname, "TXT", Some("NOERROR"), 30),
                &bash(),
                44_002,
            ));
        }
        append(DnsEvent {
            latency_ns: None,
            outcome: Some("timeout"),
            ..asked(
                lookup(at(40), "db.store.svc.cluster.local", "A", None, 0),
                &shop(),
                44_000,
            )
        });
        for time in [TEN_OCLOCK - 1, TEN_OCLOCK + HOUR] {
            append(asked(
                lookup(time, "decoy.example", "A", Some("REFUSED"), 60_000),
                &bash(),
                44_002,
            ));
        }
    }

    fn append_flows(&self) {
        let at = |minute: i64| TEN_OCLOCK + minute * MINUTE;
        let append = |flow: Flow| self.store.append(flow.into());

        // A visitor from outside, in two intervals.
        let visitor = |minute, state| Flow {
            state: Some(state),
            ..taken(
                flow(at(minute), 1, "203.0.113.9", 50_001, MACHINE, 80),
                &nginx(),
            )
        };
        append(Flow {
            rtt_min_ns: Some(18_000_000),
            retransmits: Some(1),
            ..bytes(visitor(2, "open"), 300, 4_000)
        });
        append(Flow {
            rtt_ns: Some(20_000_000),
            rtt_min_ns: Some(18_000_000),
            start_time: Some(at(2) - SECOND),
            ..bytes(visitor(31, "closed"), 200, 1_000)
        });
        // A neighbour: one connection that ends well, one that it resets.
        let neighbour = |conn_id, port, state| Flow {
            state: Some(state),
            ..taken(
                flow(at(3), conn_id, "10.0.0.99", port, MACHINE, 80),
                &nginx(),
            )
        };
        append(bytes(neighbour(2, 50_002, "closed"), 150, 250));
        append(bytes(neighbour(3, 50_003, "reset"), 0, 0));
        // nginx to the shop, from both sides.
        let inside = || flow(at(31), 4, MACHINE, 41_000, MACHINE, 8_000);
        append(Flow {
            connect_ns: Some(100_000),
            ..bytes(opened(inside(), &nginx()), 500, 5_000)
        });
        append(Flow {
            conn_id: Some(5),
            ..bytes(taken(inside(), &shop()), 500, 5_000)
        });
        // The shop to where it is paid, over a lossy way.
        append(Flow {
            connect_ns: Some(15_000_000),
            rtt_ns: Some(14_000_000),
            rtt_min_ns: Some(13_000_000),
            retransmits: Some(2),
            state: Some("open"),
            dst_name: Some("pay.example".into()),
            ..bytes(
                opened(flow(at(4), 6, MACHINE, 42_000, "198.51.100.7", 80), &shop()),
                900,
                300,
            )
        });
        // It lives on without traffic: what its opening took is in each of its rows.
        append(Flow {
            start_time: Some(at(4) - SECOND),
            connect_ns: Some(15_000_000),
            packets_sent: Some(0),
            packets_received: Some(0),
            state: Some("active"),
            dst_name: Some("pay.example".into()),
            ..bytes(
                opened(
                    flow(at(14), 6, MACHINE, 42_000, "198.51.100.7", 80),
                    &shop(),
                ),
                0,
                0,
            )
        });
        append(Flow {
            state: Some("refused"),
            l7: None,
            ..bytes(
                opened(flow(at(5), 7, MACHINE, 42_001, "10.0.0.20", 5_432), &shop()),
                0,
                0,
            )
        });
        append(Flow {
            connect_ns: Some(50_000_000),
            state: Some("open"),
            l7: None,
            ..bytes(
                opened(
                    flow(at(45), 8, MACHINE, 45_000, "203.0.113.66", 4_444),
                    &bash(),
                ),
                100,
                2_000,
            )
        });
        append(Flow {
            ..bytes(
                opened(
                    flow(at(4), 9, MACHINE, 43_000, "169.254.169.254", 80),
                    &curl(),
                ),
                80,
                120,
            )
        });
        // Lookups of the shop, from both sides.
        let lookups = || Flow {
            protocol: Some("udp"),
            l7: Some("dns"),
            retransmits: None,
            tcp_flags: None,
            ..bytes(
                flow(at(4), 10, "127.0.0.1", 44_000, "127.0.0.53", 53),
                120,
                160,
            )
        };
        append(opened(lookups(), &shop()));
        append(Flow {
            conn_id: Some(11),
            ..taken(lookups(), &resolver())
        });
        // The day before: where the shop is paid is known already, and so is the neighbour.
        let yesterday = TEN_OCLOCK - 24 * HOUR;
        append(bytes(
            opened(
                flow(yesterday, 20, MACHINE, 42_000, "198.51.100.7", 80),
                &shop(),
            ),
            7_000_000,
            0,
        ));
        append(bytes(
            taken(
                flow(yesterday, 21, "10.0.0.99", 50_000, MACHINE, 80),
                &nginx(),
            ),
            7_000_000,
            0,
        ));
        append(bytes(
            opened(
                flow(
                    TEN_OCLOCK + HOUR,
                    22,
                    MACHINE,
                    46_000,
                    "203.0.113.222",
                    6_666,
                ),
                &bash(),
            ),
            7_000_000,
            0,
        ));
    }

    fn append_capture(&self) {
        let identity = || NodeIdentity {
            node: "node-a".into(),
        };
        for (time, stage, reason, events, bytes) in [
            (TEN_OCLOCK - 1, "ring", "full", 99_000, Some(99_000)),
            (TEN_OCLOCK + 10 * MINUTE, "ring", "full", 5, Some(500)),
            (TEN_OCLOCK + 50 * MINUTE, "ring", "full", 1, Some(100)),
            (TEN_OCLOCK + 10 * MINUTE, "http", "head_cut", 2, None),
        ] {
            self.store.append(
                CaptureLoss {
                    time,
                    identity: identity(),
                    stage: Some(stage.into()),
                    reason: Some(reason.into()),
                    events: Some(events),
                    bytes,
                    hook: None,
                    message: None,
                }
                .into(),
            );
        }
        for (time, program, outcome, reason) in [
            (
                TEN_OCLOCK,
                "watch_ingress",
                "refused",
                Some("no permission"),
            ),
            (TEN_OCLOCK + MINUTE, "watch_ingress", "attached", None),
            (
                TEN_OCLOCK + MINUTE,
                "watch_state",
                "refused",
                Some("no BTF"),
            ),
        ] {
            self.store.append(
                CaptureProgram {
                    time,
                    identity: identity(),
                    program: Some(program.into()),
                    program_type: Some("cgroup_skb".into()),
                    hook: Some("ingress".into()),
                    outcome: Some(outcome),
                    reason: reason.map(Into::into),
                    costs: Some("payload".into()),
                    runs: None,
                    run_time_ns: None,
                    missed_runs: None,
                    verified_instructions: None,
                }
                .into(),
            );
        }
    }
}
