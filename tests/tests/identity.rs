//! Who rows are about: processes, executables, cgroups, containers, pods, services.

use std::fs;
use std::path::Path;

use weir_tests::{Cgroup, Lab, Peer, Place, Row, assert_column, free_port};

const ID: &str = "3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e";
const UID: &str = "0d1c1b5e-1111-2222-3333-444455556666";
const REQUESTS: &str =
    "SELECT role, path, pid, process, exe, cgroup, container_id, pod, namespace, workload, service
                        FROM http_events ORDER BY time, role";

/// `tests/peers/workers.py` on a free port.
fn start_workers(place: Place<'_>, how: &str) -> (Peer, u16) {
    let port = free_port();
    (
        place.python_server("workers.py", &[how, &port.to_string()]),
        port,
    )
}

fn of_role<'a>(rows: &'a [Row], role: &str) -> Vec<&'a Row> {
    rows.iter()
        .filter(|row| row.text("role") == Some(role))
        .collect()
}

#[test]
fn the_process_that_serves_a_connection_owns_its_rows() {
    const EACH: usize = 6;
    let Some(lab) = Lab::new("identity-workers", &["curl"]) else {
        return;
    };
    let weir = lab.weir();
    let mut expected = 0;
    for how in ["prefork", "fork", "pass", "threads", "exec"] {
        let (server, port) = start_workers(lab.inside(), how);
        let url = format!("http://127.0.0.1:{port}/{how}");
        let answers: Vec<String> = (0..EACH)
            .map(|_| lab.inside().run("curl", &["-sS", &url]))
            .collect();
        expected += 2 * EACH;
        weir.exactly(expected, "SELECT time FROM http_events");
        let sql = format!(
            "SELECT pid, process, exe, service FROM http_events
             WHERE role = 'server' AND path = '/{how}' ORDER BY time"
        );
        let rows = weir.rows(&sql);
        let pids: Vec<String> = rows
            .iter()
            .map(|row| row.value("pid").to_string())
            .collect();
        assert_eq!(pids, answers, "{how}: who answered");
        let own = server.pid().to_string();
        assert_eq!(
            pids.contains(&own),
            how == "threads",
            "{how}: the listener is {own}"
        );
        for row in &rows {
            let exe = row.text("exe").expect("the executable is known");
            let (process, base) = if how == "exec" {
                ("sh", Path::new("/bin/sh"))
            } else {
                ("python3", Path::new("/usr/bin/python3"))
            };
            assert_eq!(row.text("process"), Some(process), "{how}");
            let real = fs::canonicalize(base).expect("it was run");
            assert_eq!(Path::new(exe), real, "{how}");
            let name = real.file_name().expect("a file").to_string_lossy();
            assert_eq!(
                row.text("service"),
                Some(format!("{name}:{port}").as_str()),
                "{how}"
            );
        }
    }
    let flows = weir.rows_when(
        "SELECT DISTINCT pid FROM flows WHERE role = 'server' AND state = 'closed'",
        "the flows of the servers",
        |rows| rows.len() > 2 * EACH,
    );
    assert!(flows.iter().all(|row| row.int("pid") > Some(0)));
    let clients = weir.rows("SELECT DISTINCT service FROM http_events WHERE role = 'client'");
    assert_column(&clients, "service", "curl");
    assert_eq!(weir.losses(), 0);
}

#[test]
fn every_one_of_many_short_lived_clients_has_its_process_and_executable() {
    const FORKED: usize = 1_000;
    const EXECUTED: usize = 100;
    let Some(lab) = Lab::new("identity-short", &["curl"]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = start_workers(lab.inside(), "threads");
    let python = fs::canonicalize("/usr/bin/python3").expect("it is installed");
    let port = port.to_string();
    lab.inside()
        .run_python("workers.py", &["clients", &port, &FORKED.to_string()]);
    // By a path that says nothing without the directory.
    let script = format!(
        "cd /usr/bin; for i in $(seq {EXECUTED}); do ./curl -sS -o /dev/null http://127.0.0.1:{port}/curl; done"
    );
    lab.inside().run("sh", &["-c", &script]);
    weir.exactly(2 * (FORKED + EXECUTED), "SELECT time FROM http_events");
    let clients = weir.rows(
        "SELECT process, exe, service, count(*) AS requests, count(DISTINCT pid) AS pids
         FROM http_events WHERE role = 'client' GROUP BY process, exe, service ORDER BY requests",
    );
    let [curl, forked] = clients.as_slice() else {
        panic!("two programs: {clients:?}");
    };
    assert_eq!(curl.text("process"), Some("curl"));
    assert_eq!(curl.text("exe"), Some("/usr/bin/curl"));
    assert_eq!(curl.text("service"), Some("curl"));
    assert_eq!(curl.int("requests"), Some(EXECUTED as i64));
    assert_eq!(forked.text("process"), Some("python3"));
    assert_eq!(forked.text("exe").map(Path::new), Some(python.as_path()));
    assert_eq!(forked.int("requests"), Some(FORKED as i64));
    assert!(forked.int("pids") > Some(FORKED as i64 / 2), "{forked:?}");
    let unknown =
        "SELECT count(*) AS n FROM flows WHERE pid IS NULL OR process IS NULL OR exe IS NULL";
    assert_eq!(weir.number(unknown), 0);
    assert_eq!(weir.losses(), 0);
}

/// Name, cgroups below each other, and the columns `container_id`, `pod`, `namespace`, `workload`, `service`.
type Case<'a> = (&'a str, Vec<&'a str>, [Option<&'a str>; 5]);

/// Cgroups below each other, the innermost first, so that they are removed in that order.
fn nested(outermost: &Cgroup, names: &[&str]) -> Vec<Cgroup> {
    let mut cgroups: Vec<Cgroup> = Vec::new();
    for name in names {
        let next = cgroups.first().unwrap_or(outermost).child(name);
        cgroups.insert(0, next);
    }
    cgroups
}

#[test]
fn containers_pods_and_units_are_told_by_cgroups_and_files_of_the_node() {
    let Some(lab) = Lab::new("identity-names", &["curl"]) else {
        return;
    };
    let host = lab.directory().join("host");
    let write = |path: String, content: &str| {
        let path = host.join(path);
        fs::create_dir_all(path.parent().expect("it is below the root")).expect("it can be made");
        fs::write(path, content).expect("it can be written");
    };
    let other_id = ID.replace('3', "b");
    let third_id = ID.replace('3', "c");
    write(
        format!("var/lib/docker/containers/{ID}/config.v2.json"),
        r#"{"Name": "/shop-db-1", "Config": {"Labels": {}}}"#,
    );
    write(
        format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{other_id}/config.json"),
        r#"{"annotations": {"io.kubernetes.cri.container-name": "app",
            "io.kubernetes.cri.sandbox-name": "checkout-5d4f8c7b9-xk2lp",
            "io.kubernetes.cri.sandbox-namespace": "shop"}}"#,
    );
    write(format!("var/log/pods/tools_shell_{UID}/app/0.log"), "");

    let host_root = host.to_str().expect("temporary directories are UTF-8");
    let weir = lab.weir_with(&["--host-root", host_root]);
    let (_server, port) = start_workers(lab.inside(), "threads");
    let slice = format!("kubepods-burstable-pod{}.slice", UID.replace('-', "_"));
    let (docker, crio, containerd) = (
        format!("docker-{ID}.scope"),
        format!("crio-{third_id}.scope"),
        format!("cri-containerd-{other_id}.scope"),
    );
    let cases: [Case<'_>; 6] = [
        (
            "docker",
            vec!["system.slice", &docker],
            [Some(ID), None, None, None, Some("shop-db-1")],
        ),
        (
            "containerd",
            vec![
                "kubepods.slice",
                "kubepods-burstable.slice",
                &slice,
                &containerd,
            ],
            [
                Some(&other_id),
                Some("checkout-5d4f8c7b9-xk2lp"),
                Some("shop"),
                Some("checkout"),
                Some("checkout"),
            ],
        ),
        (
            "crio",
            vec!["kubepods.slice", "kubepods-burstable.slice", &slice, &crio],
            [
                Some(&third_id),
                Some("shell"),
                Some("tools"),
                None,
                Some("shell"),
            ],
        ),
        (
            "unit",
            vec![
                "system.slice",
                "system-postgresql.slice",
                "postgresql@15-main.service",
            ],
            [None, None, None, None, Some("postgresql@15-main")],
        ),
        (
            "user",
            vec![
                "user.slice",
                "user-1000.slice",
                "user@1000.service",
                "app.slice",
                "sync.service",
            ],
            [None, None, None, None, Some("sync")],
        ),
        (
            "login",
            vec!["user.slice", "user-1000.slice", "session-2.scope"],
            [None, None, None, None, Some("curl")],
        ),
    ];
    for (name, path, _) in &cases {
        // The cgroup is gone before anybody could look at it.
        let cgroups = nested(lab.cgroup(), path);
        let url = format!("http://127.0.0.1:{port}/{name}");
        Place::OUTSIDE
            .in_cgroup(&cgroups[0])
            .run("curl", &["-sS", "-o", "/dev/null", &url]);
    }
    weir.exactly(2 * cases.len(), "SELECT time FROM http_events");
    let rows = weir.rows(REQUESTS);
    let clients = of_role(&rows, "client");
    for (name, path, [container_id, pod, namespace, workload, service]) in &cases {
        let wanted = format!("/{name}");
        let row = clients
            .iter()
            .find(|row| row.text("path") == Some(&wanted))
            .expect("each has a row");
        let cgroup = format!("{}/{}", lab.cgroup().name(), path.join("/"));
        assert_eq!(row.text("cgroup"), Some(cgroup.as_str()), "{name}");
        assert_eq!(row.text("container_id"), *container_id, "{name}");
        assert_eq!(row.text("pod"), *pod, "{name}");
        assert_eq!(row.text("namespace"), *namespace, "{name}");
        assert_eq!(row.text("workload"), *workload, "{name}");
        assert_eq!(row.text("service"), *service, "{name}");
    }
}

#[test]
fn rules_of_the_configuration_name_services_and_the_first_that_matches_counts() {
    let Some(lab) = Lab::new("identity-rules", &["curl"]) else {
        return;
    };
    let (_server, port) = start_workers(lab.inside(), "prefork");
    let config = lab.directory().join("weir.toml");
    let text = format!(
        "[[service]]\nname = 'nobody'\nprocess = 'curl'\nexe = '/opt/*'\n\
         [[service]]\nname = 'shop'\nprocess = 'python*'\nport = [1, {port}]\n\
         [[service]]\nname = 'callers'\ncgroup = '{}*'\n\
         [[service]]\nname = 'too-late'\nprocess = 'curl'\n",
        lab.cgroup().name()
    );
    fs::write(&config, text).expect("it can be written");
    let config = config.to_str().expect("temporary directories are UTF-8");
    let weir = lab.weir_with(&["--config", config]);
    let url = format!("http://127.0.0.1:{port}/");
    lab.inside().run("curl", &["-sS", "-o", "/dev/null", &url]);
    weir.exactly(2, "SELECT time FROM http_events");
    let rows = weir.rows(REQUESTS);
    for (role, service) in [("client", "callers"), ("server", "shop")] {
        for row in of_role(&rows, role) {
            assert_eq!(row.text("service"), Some(service), "{role}");
        }
    }
}
