//! The traffic side alone, without weir: what the other tests take for granted about their peers.

use std::fs;

use weir_tests::{Cgroup, Dnsmasq, NetNs, Nginx, Place, V4, V6, free_port};

/// Each test of this file needs what every capture test needs anyway; where that is missing, those say so.
fn cgroup(label: &str) -> Option<Cgroup> {
    let owner = fs::metadata("/proc/self")
        .ok()
        .map(|own| std::os::unix::fs::MetadataExt::uid(&own));
    if owner != Some(0) || Cgroup::mount().is_none() {
        weir_tests::skip(label, "making a cgroup needs root and cgroup v2");
        return None;
    }
    Some(Cgroup::new(label))
}

#[test]
fn a_program_is_in_its_cgroup_and_nothing_is_left_of_both() {
    let Some(cgroup) = cgroup("left-behind") else {
        return;
    };
    let path = cgroup.path().to_owned();
    let port = free_port();
    let server = Place::OUTSIDE
        .in_cgroup(&cgroup)
        .python_server("app.py", &[&port.to_string()]);
    let pid = server.pid();
    assert_eq!(cgroup.processes(), [pid.cast_signed()]);
    drop(cgroup);
    assert!(!path.exists());
    drop(server);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn nginx_answers_as_its_table_says() {
    let Some(cgroup) = cgroup("nginx") else {
        return;
    };
    let place = Place::OUTSIDE.in_cgroup(&cgroup);
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let app_port = free_port();
    let _app = place.python_server("app.py", &[&app_port.to_string()]);
    let nginx = Nginx::start_on(
        place,
        directory.path(),
        &["127.0.0.1", "[::1]"],
        Some(app_port),
    );
    let told = |options: &[&str], path: &str| {
        let url = nginx.url(path);
        let mut arguments = vec![
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{size_download}",
        ];
        arguments.extend(options);
        arguments.push(&url);
        place.run("curl", &arguments)
    };
    assert_eq!(told(&[], "/small"), format!("200 {}", Nginx::SMALL_BYTES));
    assert_eq!(told(&[], "/big"), format!("200 {}", Nginx::BIG_BYTES));
    assert_eq!(told(&["--head"], "/big"), "200 0");
    assert_eq!(
        told(
            &["-H", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"],
            "/small"
        ),
        "304 0"
    );
    assert_eq!(told(&[], "/app/chunked?chunks=4&size=25"), "200 100");
    assert!(told(&[], "/nowhere").starts_with("404 "));
    assert!(told(&[], "/fail").starts_with("500 "));
    let headers = place.run(
        "curl",
        &[
            "-s",
            "-D-",
            "-o",
            "/dev/null",
            "-H",
            "Accept-Encoding: gzip",
            &nginx.url("/text"),
        ],
    );
    assert!(headers.contains("Transfer-Encoding: chunked"), "{headers}");
    let six = format!("http://[::1]:{}/small", nginx.port());
    assert_eq!(place.run("curl", &["-s", &six]).len(), Nginx::SMALL_BYTES);
}

#[test]
fn dnsmasq_answers_as_its_table_says() {
    let Some(cgroup) = cgroup("dnsmasq") else {
        return;
    };
    let place = Place::OUTSIDE.in_cgroup(&cgroup);
    let dns = Dnsmasq::start(place);
    let answer = |name: &str, kind: &str| dns.dig(place, name, kind);
    let addresses = answer("www.weir.test", "A");
    assert!(
        addresses.contains("192.0.2.10") && addresses.contains("192.0.2.11"),
        "{addresses}"
    );
    assert!(answer("www.weir.test", "AAAA").contains("2001:db8::10"));
    assert!(answer("text.weir.test", "TXT").contains("flow=measured"));
    assert!(answer("weir.test", "MX").contains("10 mail.weir.test."));
    assert!(answer("nobody.weir.test", "A").contains("NXDOMAIN"));
    assert!(answer("www.silent.test", "A").contains("no servers could be reached"));
}

#[test]
fn two_namespaces_reach_each_other_until_the_cable_loses_packets() {
    let Some(cgroup) = cgroup("cable") else {
        return;
    };
    let [left, right] = NetNs::pair();
    let place = Place::OUTSIDE.in_cgroup(&cgroup);
    let port = free_port().to_string();
    let _server = place
        .in_netns(&right)
        .python_server("tcp.py", &["serve", &port, "::"]);
    let send = |address: &str| {
        place
            .in_netns(&left)
            .run_python("tcp.py", &["send", address, &port, "1000"])
    };
    assert_eq!(send(V4[1]), "sent 1000 received 3\n");
    assert_eq!(send(V6[1]), "sent 1000 received 3\n");

    let dripping = place
        .in_netns(&left)
        .python("tcp.py", &["drip", V4[1], &port, "1000", "10", "100"]);
    std::thread::sleep(std::time::Duration::from_millis(400));
    left.lose_packets_to(V4[1]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    left.deliver_packets_to(V4[1]);
    assert_eq!(dripping.finish(), "sent 10000 received 3\n");
}
