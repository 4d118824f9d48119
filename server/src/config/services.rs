//! `[[service]]`: rules that name services, in the configuration file alone.

use serde::Deserialize;
use weir_ingest::identity::{Attribute, ServiceRule};

/// A rule as written: the name, and conditions that must all hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServiceSettings {
    name: String,
    process: Option<Patterns>,
    exe: Option<Patterns>,
    cgroup: Option<Patterns>,
    unit: Option<Patterns>,
    container: Option<Patterns>,
    container_id: Option<Patterns>,
    pod: Option<Patterns>,
    namespace: Option<Patterns>,
    workload: Option<Patterns>,
    port: Option<Ports>,
}

/// One pattern, or several of which one must match.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a pattern such as \"nginx*\", or a list of patterns"
)]
enum Patterns {
    One(String),
    Several(Vec<String>),
}

/// One port, or several of which the process listens on one.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a port such as 8080, or a list of ports")]
enum Ports {
    One(u16),
    Several(Vec<u16>),
}

/// The rules in their order; the message names the one that cannot be used.
pub(super) fn resolve(settings: Vec<ServiceSettings>) -> Result<Vec<ServiceRule>, String> {
    let rules = settings.into_iter().enumerate();
    rules
        .map(|(index, settings)| {
            let name = settings.name.clone();
            rule(settings)
                .map_err(|error| format!("[[service]] number {} ({name:?}): {error}", index + 1))
        })
        .collect()
}

fn rule(settings: ServiceSettings) -> Result<ServiceRule, String> {
    let ServiceSettings {
        name,
        process,
        exe,
        cgroup,
        unit,
        container,
        container_id,
        pod,
        namespace,
        workload,
        port,
    } = settings;
    let conditions = [
        (Attribute::Process, process),
        (Attribute::Exe, exe),
        (Attribute::Cgroup, cgroup),
        (Attribute::Unit, unit),
        (Attribute::Container, container),
        (Attribute::ContainerId, container_id),
        (Attribute::Pod, pod),
        (Attribute::Namespace, namespace),
        (Attribute::Workload, workload),
    ];
    let conditions = conditions
        .into_iter()
        .filter_map(|(attribute, patterns)| {
            let patterns = match patterns? {
                Patterns::One(pattern) => vec![pattern],
                Patterns::Several(patterns) => patterns,
            };
            Some((attribute, patterns))
        })
        .collect();
    let ports = match port {
        None => Vec::new(),
        Some(Ports::One(port)) => vec![port],
        Some(Ports::Several(ports)) if ports.is_empty() => {
            return Err("its list of ports is empty, which matches nothing".to_owned());
        }
        Some(Ports::Several(ports)) => ports,
    };
    ServiceRule::new(&name, conditions, ports).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        service: Vec<ServiceSettings>,
    }

    fn rules(text: &str) -> Result<Vec<ServiceRule>, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        resolve(file.service)
    }

    #[test]
    fn a_rule_takes_patterns_and_ports_one_or_several() {
        let text = "[[service]]\nname = 'shop'\nexe = '/opt/shop/*'\nport = [8080, 8081]\n\
                    [[service]]\nname = 'proxy'\nunit = ['nginx.service', 'haproxy.service']\nport = 80\n";
        let several = |patterns: &[&str]| patterns.iter().map(|&text| text.to_owned()).collect();
        let expected = [
            (
                "shop",
                (Attribute::Exe, several(&["/opt/shop/*"])),
                vec![8080, 8081],
            ),
            (
                "proxy",
                (
                    Attribute::Unit,
                    several(&["nginx.service", "haproxy.service"]),
                ),
                vec![80],
            ),
        ];
        let expected: Vec<ServiceRule> = expected
            .into_iter()
            .map(|(name, condition, ports)| {
                ServiceRule::new(name, vec![condition], ports).expect("a rule")
            })
            .collect();
        assert_eq!(rules(text), Ok(expected));
    }

    #[test]
    fn a_rule_that_cannot_be_used_is_named_with_the_reason() {
        for (rule, reason) in [
            ("exe = '/opt/*'", "name is empty"),
            ("name = 'shop'", "no condition"),
            ("name = 'shop'\nexe = ''", "pattern"),
            ("name = 'shop'\nexe = []", "pattern"),
            ("name = 'shop'\nport = []", "ports is empty"),
            ("name = 'shop'\nport = 0", "port 0"),
            ("name = 'shop'\nport = 70000", "a port such as 8080"),
            ("name = 'shop'\nexe = 7", "a pattern such as"),
            ("name = 'shop'\nexec = '/opt/*'", "`exec`"),
        ] {
            let text = format!("[[service]]\nname = 'first'\nport = 80\n[[service]]\n{rule}\n");
            let error = rules(&text).expect_err(rule);
            assert!(error.contains(reason), "{rule}: {error}");
        }
        let error = rules("[[service]]\nname = 'shop'\n").expect_err("no condition");
        assert!(
            error.contains("number 1") && error.contains("\"shop\""),
            "{error}"
        );
    }
}
