//! Scripts as JSON, for those who list and draw them.

use serde_json::{Map, Value, json};

use super::check::Check;
use super::drawing::Drawing;
use super::library::Listed;
use super::script::{Parameter, Script, ScriptResult};

impl Listed {
    /// One line of a list: the name and what it answers, or what is wrong with it.
    pub fn summary(&self) -> Value {
        match self {
            Self::Script(script) => json!({
                "name": script.name,
                "title": script.title,
                "origin": script.origin.word(),
            }),
            Self::Broken(broken) => {
                let faults: Vec<Value> = broken
                    .faults
                    .iter()
                    .map(|fault| {
                        let line = (fault.line > 0).then_some(fault.line);
                        json!({"line": line, "message": fault.message})
                    })
                    .collect();
                json!({"name": broken.name, "broken": faults})
            }
        }
    }
}

impl Script {
    /// All that a caller may want to know of it.
    pub fn describe(&self) -> Value {
        let parameters: Vec<Value> = self.parameters.iter().map(Parameter::describe).collect();
        let results: Vec<Value> = self
            .results
            .iter()
            .map(|result| Value::Object(result.describe()))
            .collect();
        json!({
            "name": self.name,
            "title": self.title,
            "doc": self.docs,
            "origin": self.origin.word(),
            "from": self.from,
            "to": "now",
            "params": parameters,
            "results": results,
            "source": self.source,
        })
    }
}

impl Parameter {
    fn describe(&self) -> Value {
        let checks: Vec<String> = self.checks.iter().map(Check::to_string).collect();
        json!({
            "name": self.name,
            "type": self.kind.word(),
            "required": self.default.is_none(),
            "default": self.default_as_written(),
            "checks": checks,
            "choices": self.checks.iter().find_map(|check| match check {
                Check::OneOf { texts, .. } => Some(texts),
                _ => None,
            }),
            "suggests": self.suggestion.is_some(),
            "doc": self.docs,
        })
    }

    /// The default as a caller would give it: `1s` rather than its nanoseconds.
    fn default_as_written(&self) -> Value {
        match (&self.default, &self.default_text) {
            (Some(Value::Number(_)), Some(text)) if text.parse::<f64>().is_err() => {
                Value::from(text.trim_matches('\''))
            }
            (default, _) => default.clone().unwrap_or_default(),
        }
    }
}

impl ScriptResult {
    /// Its title, docs and drawing, as members of an object.
    pub fn describe(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("title".to_owned(), self.title.clone().into());
        members.insert("doc".to_owned(), self.docs.clone().into());
        members.insert("draw".to_owned(), self.drawing.describe());
        members
    }
}

impl Drawing {
    /// `{"form": "bar", "x": "status", "y": "requests"}`
    pub fn describe(&self) -> Value {
        let form = self.word();
        match self {
            Self::Table => json!({"form": form}),
            Self::TimeSeries { x, y, by } => json!({"form": form, "x": x, "y": y, "by": by}),
            Self::Histogram { x, y } | Self::Bar { x, y } => json!({"form": form, "x": x, "y": y}),
            Self::Graph {
                from,
                to,
                weight,
                label,
            } => json!({"form": form, "from": from, "to": to, "weight": weight, "label": label}),
        }
    }
}
