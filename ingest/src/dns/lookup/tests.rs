use super::*;

#[test]
fn a_lookup_becomes_a_row() {
    let answer = |name: &str, word: &'static str, data: &str| DnsAnswer {
        name: name.into(),
        r#type: word.into(),
        ttl: 60,
        data: data.into(),
    };
    let answers = vec![
        answer("a.example", "CNAME", "b.example"),
        answer("b.example", "A", "192.0.2.1"),
        answer("b.example", "AAAA", "2001:db8::1"),
        answer("b.example", "A", r"\# 1 00"),
        answer("b.example", "TXT", "192.0.2.9"),
    ];
    let lookup = Lookup {
        key: (),
        time: 1_500,
        latency_ns: Some(20),
        client: SocketAddr::from(([10, 0, 0, 1], 4_000)),
        server: SocketAddr::from(([10, 0, 0, 2], 53)),
        transport: Transport::Tcp,
        id: 0xFFFF,
        opcode: 0,
        question: Some(Question {
            name: "a.example".into(),
            qtype: 65,
            class: 1,
        }),
        rcode: Some(3),
        answers: Some(answers.clone()),
        updates: Vec::new(),
        flags: Flags(0x8180),
        edns: Some(Edns {
            udp_size: 1232,
            dnssec_ok: true,
            client_subnet: Some("192.0.2.0/24/0".into()),
        }),
        retransmits: Some(2),
        outcome: Outcome::Ok,
    };
    let identity = Identity {
        node: "node".into(),
        process: None,
    };
    let expected = DnsEvent {
        time: 1,
        identity: identity.clone(),
        latency_ns: Some(20),
        role: Some("client"),
        conn_id: Some(9),
        client_ip: Some(IpAddr::from([10, 0, 0, 1])),
        client_port: Some(4_000),
        server_ip: Some(IpAddr::from([10, 0, 0, 2])),
        server_port: Some(53),
        transport: Some("tcp"),
        dns_id: Some(65_535),
        opcode: Some("QUERY"),
        qname: Some("a.example".into()),
        qtype: Some("HTTPS".into()),
        qclass: Some("IN".into()),
        rcode: Some("NXDOMAIN".into()),
        answers: Some(answers),
        answer_ips: Some(vec!["192.0.2.1".into(), "2001:db8::1".into()]),
        flags: Some("rd ra do".into()),
        edns_udp_size: Some(1232),
        client_subnet: Some("192.0.2.0/24/0".into()),
        updates: None,
        retransmits: Some(2),
        outcome: Some("ok"),
    };
    assert_eq!(
        lookup
            .clone()
            .into_row(identity.clone(), Some(9), Some("client")),
        expected
    );

    let asked_all = Lookup {
        server: SocketAddr::from(([224, 0, 0, 251], 5353)),
        question: Some(Question {
            name: "a.local".into(),
            qtype: 255,
            class: 0x8001,
        }),
        ..lookup.clone()
    };
    let row = asked_all.into_row(identity.clone(), None, None);
    assert_eq!(row.qclass.as_deref(), Some("IN"), "the highest bit is none");

    let link_local = Lookup {
        server: SocketAddr::from(([224, 0, 0, 252], 5355)),
        flags: Flags(0x8500),
        edns: None,
        ..lookup.clone()
    };
    let row = link_local.into_row(identity.clone(), None, None);
    assert_eq!(row.flags.as_deref(), Some("c t"), "conflict and tentative");

    let unanswered = Lookup {
        latency_ns: None,
        question: None,
        rcode: None,
        answers: None,
        outcome: Outcome::Timeout,
        ..lookup
    };
    let row = unanswered.into_row(identity, None, None);
    assert_eq!((row.qname, row.qtype, row.rcode), (None, None, None));
    assert_eq!((row.answers, row.answer_ips), (None, None));
    assert_eq!(row.outcome, Some("timeout"));
}
