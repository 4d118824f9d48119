//! What a systemd unit calls its service.

/// The service that a unit stands for; `None` for those that stand for none: a login, the manager itself, and units whose
/// names are made up for one run.
///
/// A service is called as its unit, without `.service`; an instance keeps its name (`postgresql@15-main`), unless it is
/// one connection of a socket that starts a service for each (`sshd@7-10.0.0.1:22-10.0.0.2:51234.service`).
pub(crate) fn service_of(unit: &str) -> Option<&str> {
    if let Some(scope) = unit.strip_suffix(".scope") {
        let is_made_up = scope == "init" || scope.starts_with("session-") || is_transient(scope);
        return (!is_made_up).then(|| application(scope));
    }
    let service = unit.strip_suffix(".service")?;
    if service.is_empty() || is_transient(service) {
        return None;
    }
    Some(match service.split_once('@') {
        Some((template, instance)) if is_connection(instance) => template,
        _ => application(service),
    })
}

/// What `systemd-run` calls its units: `run-u12`, `run-p34-i56`, `run-r<hexadecimal>`.
fn is_transient(name: &str) -> bool {
    name.strip_prefix("run-").is_some_and(|rest| {
        rest.starts_with(['u', 'p', 'r'])
            && rest[1..]
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-' || byte == b'i')
    })
}

/// Instance of a service that was started for one connection: its number first, and its peers or its user.
fn is_connection(instance: &str) -> bool {
    let Some((number, peers)) = instance.split_once('-') else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_user = || {
        peers
            .split(['-', '_'])
            .all(|part| is_number(part) || part == "unknown")
    };
    is_number(number) && (peers.matches(':').count() >= 2 || is_user())
}

/// Of the units that desktops make for applications (`app-gnome-org.gnome.Maps-1234`), the application without the
/// number of the run.
fn application(name: &str) -> &str {
    let Some(application) = name.strip_prefix("app-") else {
        return name;
    };
    match application.rsplit_once(['-', '@']) {
        Some((application, run))
            if !application.is_empty()
                && !run.is_empty()
                && run.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            application
        }
        _ => application.strip_suffix('@').unwrap_or(application),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_names_its_service() {
        for (unit, service) in [
            ("nginx.service", Some("nginx")),
            ("postgresql@15-main.service", Some("postgresql@15-main")),
            ("foo@bar.service", Some("foo@bar")),
            ("user@1000.service", Some("user@1000")),
            ("sshd@7-10.0.0.1:22-10.0.0.2:51234.service", Some("sshd")),
            ("echo@12-3456-1000.service", Some("echo")),
            ("machine-web.scope", Some("machine-web")),
            (
                "app-gnome-org.gnome.Maps-1234.scope",
                Some("gnome-org.gnome.Maps"),
            ),
            ("app-firefox@0a1b2c.service", Some("firefox")),
            ("init.scope", None),
            ("session-2.scope", None),
            ("session-c1.scope", None),
            ("run-u12.service", None),
            ("run-p34-i56.scope", None),
            ("run-r0a1b2c3d4e5f.service", None),
            (".service", None),
            ("system.slice", None),
        ] {
            assert_eq!(service_of(unit), service, "{unit}");
        }
    }
}
