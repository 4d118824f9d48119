//! Rules that name services.

use std::sync::Arc;

use super::glob::Glob;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// Name of the process.
    Process,
    /// Path of its executable.
    Exe,
    /// Path of its cgroup.
    Cgroup,
    /// systemd unit, with its suffix.
    Unit,
    /// Name of the container.
    Container,
    /// Id of the container.
    ContainerId,
    /// Kubernetes pod.
    Pod,
    /// Kubernetes namespace.
    Namespace,
    /// Kubernetes workload.
    Workload,
}

impl Attribute {
    const COUNT: usize = Self::Workload as usize + 1;
}

/// A rule: processes that fulfil all of its conditions are of this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRule {
    name: Arc<str>,
    /// Each holds where one of its patterns matches.
    conditions: Vec<(Attribute, Vec<Glob>)>,
    /// Of which the process listens on one; empty for a rule that does not ask.
    ports: Vec<u16>,
}

/// A rule that would name nothing, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The service has no name.
    #[error("its name is empty")]
    NoName,
    /// A condition without patterns, or with an empty one, can never hold.
    #[error("a condition has no pattern, or an empty one, which matches nothing")]
    EmptyPattern,
    /// Nobody listens on port 0.
    #[error("port 0 is none that a process listens on")]
    NoPort,
    /// It would give every process the same name.
    #[error("it has no condition, so every process would be of this service")]
    NoCondition,
}

impl ServiceRule {
    /// A rule; patterns have `*` for any characters and `?` for one.
    ///
    /// # Errors
    ///
    /// Where the rule could name nothing, or would name every process.
    pub fn new(
        name: &str,
        conditions: Vec<(Attribute, Vec<String>)>,
        ports: Vec<u16>,
    ) -> Result<Self, RuleError> {
        if name.trim().is_empty() {
            return Err(RuleError::NoName);
        }
        if conditions.is_empty() && ports.is_empty() {
            return Err(RuleError::NoCondition);
        }
        if ports.contains(&0) {
            return Err(RuleError::NoPort);
        }
        let is_empty =
            |patterns: &[String]| patterns.is_empty() || patterns.iter().any(String::is_empty);
        if conditions.iter().any(|(_, patterns)| is_empty(patterns)) {
            return Err(RuleError::EmptyPattern);
        }
        let conditions = conditions
            .into_iter()
            .map(|(attribute, patterns)| {
                (
                    attribute,
                    patterns.iter().map(|text| Glob::new(text)).collect(),
                )
            })
            .collect();
        Ok(Self {
            name: name.trim().into(),
            conditions,
            ports,
        })
    }

    fn matches(&self, subject: &Subject<'_>) -> bool {
        let holds = |(attribute, globs): &(Attribute, Vec<Glob>)| {
            subject.attributes[*attribute as usize]
                .is_some_and(|value| globs.iter().any(|glob| glob.matches(value)))
        };
        self.conditions.iter().all(holds)
            && (self.ports.is_empty() || self.ports.iter().any(|port| subject.ports.contains(port)))
    }
}

/// What rules look at, of one process. What is unknown fulfils no condition.
#[derive(Debug, Default)]
pub(crate) struct Subject<'a> {
    attributes: [Option<&'a str>; Attribute::COUNT],
    /// On which it listens.
    ports: &'a [u16],
}

impl<'a> Subject<'a> {
    pub(crate) fn new(ports: &'a [u16]) -> Self {
        Self {
            attributes: [None; Attribute::COUNT],
            ports,
        }
    }

    #[must_use]
    pub(crate) fn with(mut self, attribute: Attribute, value: Option<&'a str>) -> Self {
        self.attributes[attribute as usize] = value;
        self
    }
}

/// The name that the first rule that matches gives.
pub(crate) fn service_by_rule(rules: &[ServiceRule], subject: &Subject<'_>) -> Option<Arc<str>> {
    let rule = rules.iter().find(|rule| rule.matches(subject))?;
    Some(Arc::clone(&rule.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, conditions: &[(Attribute, &[&str])], ports: &[u16]) -> ServiceRule {
        let conditions = conditions
            .iter()
            .map(|(attribute, patterns)| {
                (
                    *attribute,
                    patterns.iter().map(|&text| text.to_owned()).collect(),
                )
            })
            .collect();
        ServiceRule::new(name, conditions, ports.to_vec()).expect("a rule")
    }

    #[test]
    fn the_first_rule_whose_conditions_all_hold_names_the_service() {
        let rules = [
            rule(
                "admin",
                &[(Attribute::Process, &["python*"])],
                &[9000, 9001],
            ),
            rule(
                "shop",
                &[(Attribute::Exe, &["/opt/shop/*", "/srv/shop"])],
                &[],
            ),
            rule("python", &[(Attribute::Process, &["python3"])], &[]),
            rule("eighty", &[], &[80]),
        ];
        let name = |process, exe, ports: &[u16]| {
            let subject = Subject::new(ports)
                .with(Attribute::Process, Some(process))
                .with(Attribute::Exe, exe);
            service_by_rule(&rules, &subject)
        };
        assert_eq!(
            name("python3", None, &[8000, 9001]).as_deref(),
            Some("admin")
        );
        assert_eq!(
            name("python3", Some("/opt/shop/bin/x"), &[8000]).as_deref(),
            Some("shop")
        );
        assert_eq!(name("python3", None, &[]).as_deref(), Some("python"));
        assert_eq!(
            name("nginx", Some("/usr/sbin/nginx"), &[80]).as_deref(),
            Some("eighty")
        );
        assert_eq!(name("nginx", Some("/usr/sbin/nginx"), &[8080]), None);
    }

    #[test]
    fn a_rule_that_names_nothing_or_everything_is_none() {
        let conditions = |patterns: &[&str]| {
            let patterns = patterns.iter().map(|&text| text.to_owned()).collect();
            vec![(Attribute::Unit, patterns)]
        };
        for (name, conditions, ports, error) in [
            (" ", conditions(&["a"]), vec![], RuleError::NoName),
            ("a", vec![], vec![], RuleError::NoCondition),
            ("a", conditions(&[""]), vec![], RuleError::EmptyPattern),
            ("a", conditions(&[]), vec![80], RuleError::EmptyPattern),
            ("a", vec![], vec![80, 0], RuleError::NoPort),
        ] {
            assert_eq!(ServiceRule::new(name, conditions, ports), Err(error));
        }
    }
}
