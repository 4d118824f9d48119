//! `--retain`: how long the files of which table are kept.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use weir_storage::{Retention, TableId};

/// Every table that has no rule of its own.
const OTHERS: &str = "*";

/// A rule as written: `http_events=7d,50GB`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RetainRule {
    /// `None` for all tables that have no rule of their own.
    table: Option<TableId>,
    retention: Retention,
}

impl TryFrom<String> for RetainRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for RetainRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unfit = |reason: String| {
            format!("{text:?} is no rule such as http_events=7d,50GB or *=30d: {reason}")
        };
        let Some((table, limits)) = text.split_once('=') else {
            return Err(unfit("there is no `=` after the table".to_owned()));
        };
        Ok(Self {
            table: parse_table(table.trim()).map_err(unfit)?,
            retention: parse_limits(limits).map_err(unfit)?,
        })
    }
}

fn parse_table(name: &str) -> Result<Option<TableId>, String> {
    if name == OTHERS {
        return Ok(None);
    }
    TableId::by_name(name).map(Some).ok_or_else(|| {
        let names: Vec<&str> = TableId::ALL.iter().map(|table| table.name()).collect();
        format!("there is no table {name:?}; there are {}", names.join(", "))
    })
}

/// An age, a size, or both in either order.
fn parse_limits(text: &str) -> Result<Retention, String> {
    let mut retention = Retention::default();
    for limit in text.split(',').map(str::trim) {
        let is_first = if limit.ends_with(['b', 'B']) {
            retention.bytes.replace(parse_size(limit)?).is_none()
        } else {
            retention.age.replace(parse_age(limit)?).is_none()
        };
        if !is_first {
            return Err(format!("{limit:?} is the second of its kind"));
        }
    }
    Ok(retention)
}

fn parse_size(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>() {
        Ok(ByteSize(0)) => Err(nothing_left(text)),
        Ok(size) => Ok(size.as_u64()),
        Err(_) => Err(format!("{text:?} is no size such as 50GB or 500MiB")),
    }
}

fn parse_age(text: &str) -> Result<Duration, String> {
    if text.ends_with('M') {
        // Months to one parser, and megabytes to most people.
        return Err(format!(
            "{text:?} may be months or megabytes; write 30d or 50MB"
        ));
    }
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(nothing_left(text)),
        Ok(age) => Ok(age),
        Err(_) => Err(format!(
            "{text:?} is neither an age such as 7d nor a size such as 50GB"
        )),
    }
}

fn nothing_left(text: &str) -> String {
    format!("{text:?} would keep nothing")
}

/// What holds for each table: its own rule, or else that of `*`. A table of which no rule speaks is kept for ever.
pub(super) fn resolve(rules: &[RetainRule]) -> Result<Vec<(TableId, Retention)>, String> {
    let rule_of = |table: Option<TableId>| {
        let mut rules = rules.iter().filter(|rule| rule.table == table);
        match (rules.next(), rules.next()) {
            (_, Some(_)) => Err(table.map_or(OTHERS, TableId::name).to_owned()),
            (rule, None) => Ok(rule.map(|rule| rule.retention)),
        }
    };
    let others = rule_of(None)?;
    let mut resolved = Vec::new();
    for &table in TableId::ALL {
        if let Some(retention) = rule_of(Some(table))?.or(others) {
            resolved.push((table, retention));
        }
    }
    Ok(resolved)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<RetainRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn retention(days: Option<u64>, bytes: Option<u64>) -> Retention {
        Retention {
            age: days.map(|days| Duration::from_hours(24 * days)),
            bytes,
        }
    }

    #[test]
    fn an_age_a_size_or_both_can_be_given() {
        for (text, expected) in [
            ("http_events=7d", retention(Some(7), None)),
            ("http_events=50GB", retention(None, Some(50_000_000_000))),
            ("http_events=7d,50GiB", retention(Some(7), Some(50 << 30))),
            (
                " http_events = 1.5GB , 1week ",
                retention(Some(7), Some(1_500_000_000)),
            ),
        ] {
            let rule: RetainRule = text.parse().unwrap();
            assert_eq!(rule.retention, expected, "{text}");
            assert_eq!(rule.table, Some(TableId::HttpEvent));
        }
    }

    #[test]
    fn what_is_no_rule_is_told_how_one_looks() {
        for (text, reason) in [
            ("7d", "there is no `=`"),
            ("http=7d", "there are http_events, dns_events"),
            ("http_events=", "neither an age such as 7d"),
            ("http_events=7", "neither an age such as 7d"),
            ("http_events=50G", "nor a size such as 50GB"),
            ("http_events=50M", "may be months or megabytes"),
            ("http_events=soonB", "no size such as 50GB"),
            ("http_events=0d", "would keep nothing"),
            ("http_events=0B", "would keep nothing"),
            ("http_events=7d,8d", "second of its kind"),
            ("http_events=-7d", "neither an age"),
        ] {
            let error = text.parse::<RetainRule>().unwrap_err();
            assert!(error.contains("http_events=7d,50GB"), "{error}");
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_table_has_its_own_rule_or_that_of_all_others() {
        let resolved = resolve(&rules(&["*=30d,1GB", "flows=7d"])).unwrap();
        assert_eq!(resolved.len(), TableId::ALL.len());
        for (table, found) in resolved {
            let expected = if table == TableId::Flow {
                retention(Some(7), None)
            } else {
                retention(Some(30), Some(1_000_000_000))
            };
            assert_eq!(found, expected, "{}", table.name());
        }
        assert_eq!(resolve(&rules(&["flows=7d"])).unwrap().len(), 1);
        assert_eq!(resolve(&[]).unwrap(), []);
    }

    #[test]
    fn two_rules_for_one_table_contradict_each_other() {
        assert_eq!(
            resolve(&rules(&["flows=7d", "flows=1GB"])).unwrap_err(),
            "flows"
        );
        assert_eq!(
            resolve(&rules(&["*=7d", "flows=1GB", "*=8d"])).unwrap_err(),
            "*"
        );
    }
}
