//! DNS lookups: a name as a program writes it becomes queries through the search list, for A and AAAA each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use weir_storage::table::column::DnsAnswer;
use weir_storage::{DnsEvent, Flow, Identity, Process, Row};

use super::cluster::Cluster;
use super::connections::{Connections, INTERVAL};
use super::draw::{Draw, Zipf, scramble};

/// Names outside of the cluster.
const EXTERNAL: usize = 400;
/// How long an answer is waited for.
const TIMEOUT: i64 = 5_000_000;
/// Address of the cluster's name service.
const NAME_SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10));
/// Address of the name server that runs on this machine.
const LOCAL_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 64, 0, 250));

/// A name outside of the cluster and what it stands for.
#[derive(Debug)]
struct External {
    name: String,
    /// The name it is an alias for, as large sites have it.
    alias: Option<String>,
    addresses: Vec<Ipv4Addr>,
    has_ipv6: bool,
    ttl: i64,
}

/// Makes lookups.
#[derive(Debug)]
pub(super) struct Lookups {
    node: Arc<str>,
    external: Vec<External>,
    popular_external: Zipf,
    popular_services: Zipf,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
enum Target<'a> {
    Nothing,
    /// A service of the cluster.
    Service(IpAddr),
    External(&'a External),
}

impl Lookups {
    pub(super) fn new(node: Arc<str>, cluster: &Cluster, draw: &mut Draw) -> Self {
        const OWNERS: [&str; 20] = [
            "stripe",
            "twilio",
            "sendgrid",
            "datadoghq",
            "sentry",
            "amazonaws",
            "googleapis",
            "windows",
            "github",
            "docker",
            "mapbox",
            "algolia",
            "segment",
            "mixpanel",
            "auth0",
            "okta",
            "cloudflare",
            "fastly",
            "paypal",
            "adyen",
        ];
        let external = |place: usize| {
            let owner = OWNERS[place % OWNERS.len()];
            let number = place / OWNERS.len();
            let addresses = (0..=draw.below(6))
                .map(|_| Ipv4Addr::from_bits(0x2000_0000 | draw.bits() as u32 >> 3));
            External {
                addresses: addresses.collect(),
                name: match number {
                    0 => format!("api.{owner}.com"),
                    _ => format!(
                        "{}-{number}.{owner}.com",
                        draw.one_of(&["cdn", "eu", "us", "queue"])
                    ),
                },
                alias: draw
                    .chance(0.5)
                    .then(|| format!("edge-{place}.{owner}-dns.net")),
                has_ipv6: draw.chance(0.3),
                ttl: *draw.one_of(&[30, 60, 60, 300, 300, 3_600]),
            }
        };
        Self {
            node,
            external: (0..EXTERNAL).map(external).collect(),
            popular_external: Zipf::new(EXTERNAL, 1.0),
            popular_services: Zipf::new(cluster.services.len(), 1.0),
        }
    }

    /// The rows of a lookup that begins at `now`, each with the time at which capture makes it.
    pub(super) fn lookup(
        &self,
        now: i64,
        cluster: &Cluster,
        connections: &mut Connections,
        draw: &mut Draw,
    ) -> Vec<(i64, Row)> {
        let is_served_here = draw.chance(0.3);
        let pod = if is_served_here {
            draw.below(cluster.pods.len())
        } else {
            cluster.local[cluster.popular_pods.rank(draw)]
        };
        let namespace = cluster.services[cluster.pods[pod].service].namespace;
        let place = self.popular_services.rank(draw);
        let service = &cluster.services[place];
        let external = &self.external[self.popular_external.rank(draw)];
        // The name as a program writes it, and what stands behind it.
        let (written, full, target) = match draw.unit() {
            ..0.60 => {
                let written = match draw.below(12) {
                    0 if service.namespace == namespace => service.name.clone(),
                    1..5 => service.host.clone(),
                    _ => format!("{}.{}", service.name, service.namespace),
                };
                let address = Ipv4Addr::from_bits(0x0a60_0100 + place as u32);
                (written, &service.host, Target::Service(address.into()))
            }
            _ => (
                external.name.clone(),
                &external.name,
                Target::External(external),
            ),
        };
        let mut asker = Asker {
            process: match &cluster.pods[pod].process {
                Some(process) if !is_served_here => Arc::clone(process),
                _ => Arc::clone(&cluster.name_server),
            },
            role: if is_served_here { "server" } else { "client" },
            client: cluster.pods[pod].address,
            server: if is_served_here {
                LOCAL_SERVER
            } else {
                NAME_SERVICE
            },
            node: &self.node,
            connections,
            draw,
            rows: Vec::new(),
        };
        let searched = [namespace, ""].map(|namespace| match namespace {
            "" => format!("{written}.svc.cluster.local"),
            _ => format!("{written}.{namespace}.svc.cluster.local"),
        });
        let in_cluster = format!("{written}.cluster.local");
        let mut time = now;
        for name in searched.into_iter().chain([in_cluster, written]) {
            let is_it = name == **full;
            time = asker.ask(time, &name, if is_it { target } else { Target::Nothing });
            if is_it {
                break;
            }
        }
        asker.rows
    }
}

/// Who asks, on the way through a search list.
struct Asker<'a> {
    process: Arc<Process>,
    role: &'static str,
    client: IpAddr,
    server: IpAddr,
    node: &'a Arc<str>,
    connections: &'a mut Connections,
    draw: &'a mut Draw,
    rows: Vec<(i64, Row)>,
}

impl Asker<'_> {
    fn identity(&self) -> Identity {
        Identity {
            node: Arc::clone(self.node),
            process: Some(Arc::clone(&self.process)),
        }
    }

    /// Asks for both kinds of address from one socket; returns when both answers are there.
    fn ask(&mut self, now: i64, name: &str, target: Target<'_>) -> i64 {
        let conn_id = self.connections.next_id();
        let port = self.draw.between(32_768, 61_000) as u16;
        let mut end = now;
        let mut bytes = [0, 0];
        for (place, qtype) in ["A", "AAAA"].into_iter().enumerate() {
            let time = now + 8 * place as i64;
            let mut event = self.query(time, name, qtype);
            event.conn_id = Some(conn_id);
            event.client_port = Some(port);
            let sent = 30 + name.len() as i64;
            bytes[0] += sent;
            let arrival = if self.draw.chance(0.001) {
                time + TIMEOUT
            } else {
                let latency = self.answer(&mut event, target);
                let answers = event.answers.as_deref().unwrap_or_default();
                let record_bytes = |answer: &DnsAnswer| 12 + answer.name.len() + answer.data.len();
                bytes[1] += sent + answers.iter().map(record_bytes).sum::<usize>() as i64;
                time + latency / 1_000
            };
            end = end.max(arrival);
            self.rows.push((arrival, event.into()));
        }
        let close = end + self.draw.between(5, 60);
        self.flows(now, close, (conn_id, port), bytes);
        end + self.draw.between(20, 90)
    }

    /// A query that nobody has answered.
    fn query(&mut self, time: i64, name: &str, qtype: &str) -> DnsEvent {
        DnsEvent {
            time,
            identity: self.identity(),
            latency_ns: None,
            role: Some(self.role),
            conn_id: None,
            client_ip: Some(self.client),
            client_port: None,
            server_ip: Some(self.server),
            server_port: Some(53),
            transport: Some("udp"),
            dns_id: Some(self.draw.between(0, 65_536)),
            opcode: Some("QUERY"),
            qname: Some(name.into()),
            qtype: Some(qtype.into()),
            qclass: Some("IN".into()),
            rcode: None,
            answers: None,
            answer_ips: None,
            flags: Some("rd".into()),
            edns_udp_size: None,
            client_subnet: None,
            updates: None,
            retransmits: Some(0),
            outcome: Some("timeout"),
        }
    }

    /// Fills in the answer; returns its latency in nanoseconds.
    fn answer(&mut self, event: &mut DnsEvent, target: Target<'_>) -> i64 {
        let is_ipv4 = event.qtype.as_deref() == Some("A");
        let name = event.qname.as_deref().unwrap_or_default();
        let mut answers = Vec::new();
        let mut add = |name: &str, kind: &'static str, ttl: i64, data: String| {
            answers.push(DnsAnswer {
                name: name.to_owned(),
                r#type: kind.into(),
                ttl,
                data,
            });
        };
        // Answers about the cluster come from memory, others from memory or from far away.
        let mut latency = self.draw.log_normal(160e3, 0.5);
        let mut is_server_failure = false;
        match target {
            Target::Nothing => {}
            Target::Service(address) => {
                if is_ipv4 {
                    add(
                        name,
                        "A",
                        30 - self.draw.between(0, 30),
                        address.to_string(),
                    );
                }
            }
            Target::External(external) => {
                if self.draw.chance(0.15) {
                    latency = self.draw.log_normal(9e6, 0.9);
                    is_server_failure = self.draw.chance(0.01);
                }
                let ttl = external.ttl - self.draw.between(0, external.ttl);
                let owner = external.alias.as_deref().unwrap_or(name);
                if let Some(alias) = external.alias.as_deref().filter(|_| !is_server_failure) {
                    add(name, "CNAME", ttl, alias.to_owned());
                }
                if is_ipv4 && !is_server_failure {
                    // Name servers turn the list at each answer.
                    let first = self.draw.below(external.addresses.len());
                    let (end, start) = external.addresses.split_at(first);
                    for address in start.iter().chain(end) {
                        add(owner, "A", ttl, address.to_string());
                    }
                } else if external.has_ipv6 && !is_server_failure {
                    let address = scramble(u64::from(external.addresses[0].to_bits()));
                    let address = 0x2600 << 112 | u128::from(address);
                    add(owner, "AAAA", ttl, Ipv6Addr::from_bits(address).to_string());
                }
            }
        }
        let rcode = match target {
            _ if is_server_failure => "SERVFAIL",
            Target::Nothing => "NXDOMAIN",
            _ => "NOERROR",
        };
        let is_address = |answer: &&DnsAnswer| answer.r#type != "CNAME";
        let addresses = answers.iter().filter(is_address).map(|it| it.data.clone());
        event.answer_ips = Some(addresses.collect());
        event.answers = Some(answers);
        event.rcode = Some(rcode.into());
        event.outcome = Some("ok");
        event.flags = Some(
            if matches!(target, Target::External(_)) {
                "rd ra"
            } else {
                "aa rd"
            }
            .into(),
        );
        event.latency_ns = Some(latency as i64);
        latency as i64
    }

    /// A client closes its socket; a server's goes on, so its flow ends by being silent.
    fn flows(&mut self, start: i64, close: i64, (conn_id, port): (i64, u16), bytes: [i64; 2]) {
        let is_client = self.role == "client";
        let rows: &[(i64, &str, i64)] = if is_client {
            &[(close, "closed", 1)]
        } else {
            &[
                (start + INTERVAL, "open", 1),
                (start + 3 * INTERVAL, "closed", 0),
            ]
        };
        for &(time, state, part) in rows {
            let flow = Flow {
                time,
                identity: self.identity(),
                start_time: Some(start),
                conn_id: Some(conn_id),
                role: Some(self.role),
                protocol: Some("udp"),
                src_ip: Some(self.client),
                src_port: Some(port),
                dst_ip: Some(self.server),
                dst_port: Some(53),
                bytes_sent: Some(bytes[0] * part),
                bytes_received: Some(bytes[1] * part),
                packets_sent: Some(2 * part),
                packets_received: Some(2 * part),
                retransmits: None,
                rtt_ns: None,
                rtt_min_ns: None,
                connect_ns: None,
                state: Some(state),
                tcp_flags: None,
                l7: Some("dns"),
                dst_name: None,
            };
            self.rows.push((time, flow.into()));
        }
    }
}
