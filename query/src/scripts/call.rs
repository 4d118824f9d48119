//! A script with the values and the range it is to run with.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use serde_json::{Map, Value};

use super::error::{ScriptError, ScriptErrorKind};
use super::kind::{Kind, nanoseconds};
use super::script::{Parameter, Script, ScriptResult};
use crate::names::nearest;
use crate::request::QueryRequest;

/// A call of a script that can be run: every parameter has a value that fulfils its checks.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is called.
    pub script: Arc<Script>,
    /// The value of each parameter, as it is bound.
    pub values: Map<String, Value>,
    /// Start of the time range, inclusive, in microseconds since 1970-01-01 UTC.
    pub from: i64,
    /// End of the time range, exclusive, in microseconds since 1970-01-01 UTC.
    pub to: i64,
    /// Width of a step of a time series; a round one without.
    pub interval: Option<Duration>,
}

impl Call {
    /// A call with the values that were given, as text or in their JSON types, and the range.
    ///
    /// Without a start the range has the length that the script asks for. Refuses values that are unknown, missing, of
    /// another type or against a check, and ranges that hold no time.
    pub fn new(
        script: Arc<Script>,
        given: &Map<String, Value>,
        from: Option<i64>,
        to: i64,
        interval: Option<Duration>,
    ) -> Result<Self, ScriptError> {
        let values = script.bind(given)?;
        Self::within(script, values, from, to, interval)
    }

    /// A call that asks only for suggestions, for which no value need be given: a parameter without one has its default,
    /// or else some value of its type.
    pub fn suggesting(
        script: Arc<Script>,
        given: &Map<String, Value>,
        from: Option<i64>,
        to: i64,
    ) -> Result<Self, ScriptError> {
        let mut values = script.sample();
        for (name, value) in given {
            let bound = script.parameter(name)?.bind(&script.name, Some(value))?;
            values.insert(name.clone(), bound);
        }
        Self::within(script, values, from, to, None)
    }

    fn within(
        script: Arc<Script>,
        values: Map<String, Value>,
        from: Option<i64>,
        to: i64,
        interval: Option<Duration>,
    ) -> Result<Self, ScriptError> {
        let from = from.unwrap_or_else(|| to.saturating_sub(script.default_span()));
        if from >= to {
            return Err(refuse(format!(
                "the range from {} to {} holds no time",
                shown(from),
                shown(to)
            ))
            .with_hint("`from` is to be before `to`".to_owned()));
        }
        Ok(Self {
            script,
            values,
            from,
            to,
            interval,
        })
    }

    /// The result of that number, from 1, or of that title; all of them without.
    pub fn results(&self, chosen: Option<&str>) -> Result<Vec<&ScriptResult>, ScriptError> {
        let results = &self.script.results;
        let Some(chosen) = chosen else {
            return Ok(results.iter().collect());
        };
        let by_number = chosen
            .parse::<usize>()
            .ok()
            .and_then(|number| results.get(number.checked_sub(1)?));
        let by_title = || {
            results
                .iter()
                .find(|result| result.title.eq_ignore_ascii_case(chosen))
        };
        by_number
            .or_else(by_title)
            .map(|it| vec![it])
            .ok_or_else(|| {
                let all: Vec<String> = (1..)
                    .zip(results)
                    .map(|(number, result)| format!("{number} ({})", result.title))
                    .collect();
                ScriptError::new(
                    ScriptErrorKind::NotFound,
                    format!("{} has no result {chosen:?}", self.script.name),
                )
                .with_hint(format!("there are {}", all.join(", ")))
            })
    }

    /// The query that answers a result.
    pub fn request(&self, result: &ScriptResult) -> QueryRequest {
        self.query(result.sql.clone())
    }

    /// The query for values of a parameter worth offering; their column is the first.
    pub fn suggestion(&self, parameter: &str) -> Result<QueryRequest, ScriptError> {
        let parameter = self.script.parameter(parameter)?;
        let suggestion = parameter.suggestion.as_ref().ok_or_else(|| {
            ScriptError::new(
                ScriptErrorKind::NotFound,
                format!(
                    "{} suggests no values for `{}`",
                    self.script.name, parameter.name
                ),
            )
        })?;
        Ok(self.query(suggestion.sql.clone()))
    }

    fn query(&self, sql: String) -> QueryRequest {
        QueryRequest {
            params: self.values.clone(),
            from: Some(self.from),
            to: Some(self.to),
            interval: self.interval,
            ..QueryRequest::new(sql)
        }
    }
}

impl Script {
    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Result<&Parameter, ScriptError> {
        self.parameters
            .iter()
            .find(|parameter| parameter.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self.parameters.iter().map(|it| it.name.as_str()).collect();
                let hint = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => "it takes none".to_owned(),
                    None => format!("there are {}", names.join(", ")),
                };
                refuse(format!("{} has no parameter `{name}`", self.name)).with_hint(hint)
            })
    }

    /// Values that every query of the script plans with, whatever is required of a caller.
    pub(super) fn sample(&self) -> Map<String, Value> {
        self.parameters
            .iter()
            .map(|it| {
                let value = it.default.clone().unwrap_or_else(|| it.kind.sample());
                (it.name.clone(), value)
            })
            .collect()
    }

    fn bind(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, ScriptError> {
        for name in given.keys() {
            self.parameter(name)?;
        }
        self.parameters
            .iter()
            .map(|parameter| {
                let value = parameter.bind(&self.name, given.get(&parameter.name))?;
                Ok((parameter.name.clone(), value))
            })
            .collect()
    }

    /// Length of the range unless the caller says, in microseconds.
    fn default_span(&self) -> i64 {
        let span = self.from.strip_prefix('-').and_then(nanoseconds);
        span.unwrap_or_default() / 1_000
    }
}

impl Parameter {
    fn bind(&self, script: &str, given: Option<&Value>) -> Result<Value, ScriptError> {
        let Some(given) = given else {
            return self.default.clone().ok_or_else(|| {
                refuse(format!("{script} needs a value for `{}`", self.name)).with_hint(
                    (!self.docs.is_empty()).then(|| format!("{}: {}", self.name, self.docs)),
                )
            });
        };
        if self.is_left_open(given) {
            return Ok(Value::Null);
        }
        let value = self.kind.take(given).map_err(|why| {
            refuse(format!(
                "`{}` is of type {}: {why}",
                self.name,
                self.kind.word()
            ))
        })?;
        match self.checks.iter().find(|check| !check.allows(&value)) {
            None => Ok(value),
            Some(check) => Err(refuse(format!(
                "`{}` must be {check}, not {}",
                self.name,
                given
                    .as_str()
                    .map_or_else(|| given.to_string(), |text| format!("{text:?}"))
            ))),
        }
    }

    /// Nothing at all, for a parameter that need not have a value.
    fn is_left_open(&self, given: &Value) -> bool {
        let is_nothing = given.is_null() || (self.kind != Kind::Text && *given == "");
        is_nothing && self.default == Some(Value::Null)
    }
}

fn refuse(message: String) -> ScriptError {
    ScriptError::new(ScriptErrorKind::Parameter, message)
}

fn shown(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.to_rfc3339())
}
