//! A disk without room: nothing is lost while memory has some, everybody is told, and it goes on by itself.

use weir_tests::{Lab, Nginx, SmallDisk, Weir, wait_until};

const COUNT: &str = "SELECT count(*) AS n FROM http_events";

fn wait_for_readyz(weir: &Weir, wanted: u16) -> String {
    wait_until(|| {
        let (status, body) = weir.get("/readyz");
        let body = String::from_utf8(body).expect("JSON is UTF-8");
        if status == wanted {
            Ok(body)
        } else {
            Err(format!("{status}, not {wanted}: {body}"))
        }
    })
}

#[test]
fn a_full_disk_loses_nothing_while_there_is_memory_and_is_told() {
    let Some(lab) = Lab::new("full-disk", &["nginx", "curl"]) else {
        return;
    };
    let disk = SmallDisk::new(&lab.data(), 8 << 20);
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let requests = |count: usize| nginx.serve_small(lab.inside(), count);
    let weir = lab.weir();
    requests(10);
    weir.exactly(20, "SELECT time FROM http_events");
    wait_for_readyz(&weir, 200);

    disk.fill();
    requests(500);
    weir.rows_when(COUNT, "all rows, from memory", |rows| {
        rows[0].int("n") == Some(1020)
    });
    let told = wait_for_readyz(&weir, 503);
    assert!(told.contains("No space left on device"), "{told}");

    disk.empty();
    wait_for_readyz(&weir, 200);
    requests(10);
    weir.exactly(1040, "SELECT time FROM http_events");
    weir.stop();
    assert_eq!(lab.offline(COUNT)[0].int("n"), Some(1040));
    let lost = lab.offline("SELECT count(*) AS n FROM capture_loss WHERE stage = 'store'");
    assert_eq!(lost[0].int("n"), Some(0));
}
