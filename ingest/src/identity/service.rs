//! The name of the service that a process is of.

use std::sync::Arc;

use super::group::Group;
use super::rules::{Attribute, ServiceRule, Subject, service_by_rule};
use super::unit;

/// Digits of a container id that people use.
const SHORT_ID: usize = 12;

/// A process, as far as its service depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program<'a> {
    /// Name as the kernel keeps it.
    pub(crate) name: &'a str,
    /// Path of the executable.
    pub(crate) exe: Option<&'a str>,
    /// Ports on which it serves, in ascending order. Those that it calls others from are none of them.
    pub(crate) ports: &'a [u16],
}

/// The service: by the first rule that matches, else what is closest to the process of
///
/// - its systemd unit,
/// - its container: the service of Docker Compose, the Kubernetes workload or pod, the container's name, its short id,
/// - its executable, with the lowest port on which it serves if it serves at all.
pub(crate) fn service_of(rules: &[ServiceRule], program: &Program<'_>, group: &Group) -> Arc<str> {
    if !rules.is_empty() {
        let subject = Subject::new(program.ports)
            .with(Attribute::Process, Some(program.name))
            .with(Attribute::Exe, program.exe)
            .with(Attribute::Cgroup, Some(&group.path))
            .with(Attribute::Unit, group.unit.as_deref())
            .with(Attribute::Container, group.container.as_deref())
            .with(Attribute::ContainerId, group.container_id.as_deref())
            .with(Attribute::Pod, group.pod.as_deref())
            .with(Attribute::Namespace, group.namespace.as_deref())
            .with(Attribute::Workload, group.workload.as_deref());
        if let Some(name) = service_by_rule(rules, &subject) {
            return name;
        }
    }
    let of_unit = group
        .unit
        .as_deref()
        .filter(|_| group.is_unit_closer)
        .and_then(unit::service_of);
    if let Some(name) = of_unit {
        return name.into();
    }
    of_container(group).unwrap_or_else(|| of_program(program))
}

fn of_container(group: &Group) -> Option<Arc<str>> {
    let names = [
        &group.compose_service,
        &group.workload,
        &group.pod,
        &group.container,
    ];
    if let Some(name) = names.into_iter().flatten().next() {
        return Some(Arc::clone(name));
    }
    let id = group.container_id.as_deref()?;
    Some(id.get(..SHORT_ID).unwrap_or(id).into())
}

fn of_program(program: &Program<'_>) -> Arc<str> {
    let executable = program
        .exe
        .and_then(|path| path.rsplit('/').next())
        .filter(|name| !name.is_empty())
        .unwrap_or(program.name);
    match program.ports.first() {
        Some(port) => format!("{executable}:{port}").into(),
        None => executable.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e";

    fn nginx() -> Program<'static> {
        Program {
            name: "nginx",
            exe: Some("/usr/sbin/nginx"),
            ports: &[80, 443],
        }
    }

    fn named(group: &Group) -> Arc<str> {
        service_of(&[], &nginx(), group)
    }

    fn text(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn a_program_of_no_unit_and_no_container_is_called_by_executable_and_port() {
        let group = Group::default();
        assert_eq!(&*named(&group), "nginx:80");
        let client = Program {
            ports: &[],
            ..nginx()
        };
        assert_eq!(&*service_of(&[], &client, &group), "nginx");
        let unknown = Program {
            exe: None,
            ..client
        };
        assert_eq!(&*service_of(&[], &unknown, &group), "nginx");
    }

    #[test]
    fn a_unit_names_its_processes_and_a_login_does_not() {
        let mut group = Group {
            unit: Some(text("web.service")),
            is_unit_closer: true,
            ..Group::default()
        };
        assert_eq!(&*named(&group), "web");
        group.unit = Some(text("session-2.scope"));
        assert_eq!(&*named(&group), "nginx:80");
    }

    #[test]
    fn a_container_goes_by_the_best_of_its_names() {
        let mut group = Group {
            container_id: Some(text(ID)),
            unit: Some(text("user@1000.service")),
            ..Group::default()
        };
        assert_eq!(&*named(&group), "3f4e0c5b1a2d");
        group.container = Some(text("app"));
        assert_eq!(&*named(&group), "app");
        group.pod = Some(text("web-0"));
        assert_eq!(&*named(&group), "web-0");
        group.workload = Some(text("web"));
        assert_eq!(&*named(&group), "web");
        group.compose_service = Some(text("shop"));
        assert_eq!(&*named(&group), "shop");
        group.unit = Some(text("nginx.service"));
        group.is_unit_closer = true;
        assert_eq!(&*named(&group), "nginx", "systemd inside the container");
    }

    #[test]
    fn a_rule_comes_before_everything() {
        let rule = ServiceRule::new(
            "checkout",
            vec![(Attribute::Unit, vec!["web@*.service".to_owned()])],
            vec![443],
        )
        .expect("a rule");
        let group = Group {
            unit: Some(text("web@1.service")),
            is_unit_closer: true,
            ..Group::default()
        };
        assert_eq!(&*service_of(&[rule], &nginx(), &group), "checkout");
    }
}
