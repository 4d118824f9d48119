//! From a file to a [`Script`], or to everything that is wrong in it, by line.
//!
//! Comments between statements are the header; what begins with `@` there is a directive, and the lines under it belong
//! to it. The file is cut by SQL's own tokens, so that a semicolon or `--` within a text cuts nothing.

mod declared;
mod place;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::check::Check;
use super::drawing::Drawing;
use super::kind::nanoseconds;
use super::script::{Fault, Origin, Parameter, Script, ScriptResult, Suggestion};
use super::words::first_word;
use crate::names::nearest;

use declared::{Declared, parameter};
use place::{in_place, paragraphs};

/// Longest file, in bytes; a statement may not be longer either.
pub(super) const MAX_BYTES: usize = 256 * 1024;

const DEFAULT_FROM: &str = "-15m";
const DIRECTIVES: [&str; 6] = ["param", "check", "suggest", "from", "result", "draw"];
/// Begins the names of macros, which are no parameters.
const MACRO: &str = "$__";

/// Reads a script.
pub(super) fn parse(name: &str, text: &str, origin: Origin) -> Result<Script, Vec<Fault>> {
    if text.len() > MAX_BYTES {
        let most = MAX_BYTES / 1024;
        return Err(vec![Fault::new(
            0,
            format!("the file is longer than {most} KiB"),
        )]);
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| {
            let message = crate::diagnose::in_lower_case(&error.message);
            vec![Fault::new(error.location.line, message)]
        })?;
    let mut reader = Reader::default();
    let mut rest = tokens.as_slice();
    while let Some((token, after)) = rest.split_first() {
        match &token.token {
            Token::EOF | Token::SemiColon | Token::Whitespace(Whitespace::MultiLineComment(_)) => {
                rest = after;
            }
            Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => {
                reader.comment(token.span.start.line, comment.trim_end());
                rest = after;
            }
            // An empty line ends a directive's text, as the end of a paragraph.
            Token::Whitespace(_) => rest = after,
            _ => {
                let end = rest
                    .iter()
                    .position(|token| matches!(token.token, Token::SemiColon | Token::EOF))
                    .unwrap_or(rest.len());
                let (statement, after) = rest.split_at(end);
                reader.statement(text, statement);
                rest = after;
            }
        }
    }
    reader.finish(name, text, origin)
}

/// What the lines that follow belong to.
#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    Script,
    Parameter,
    /// After a check or a drawing, whose text is one line.
    Done,
    /// After a statement, or a directive that was not understood: comments as any other.
    Elsewhere,
    Suggestion,
    Result,
}

/// What has been read of a file.
#[derive(Default)]
struct Reader {
    title: Option<String>,
    docs: Vec<String>,
    from: Option<String>,
    parameters: Vec<Parameter>,
    results: Vec<ScriptResult>,
    /// The result that was announced and has no statement yet.
    announced: Option<Announced>,
    /// `$name`s with the lines they stand in.
    used: Vec<(u64, String)>,
    place: Place,
    /// A parameter could not be read: which ones there are is not known.
    is_parameter_lost: bool,
    faults: Vec<Fault>,
}

#[derive(Default)]
struct Announced {
    line: u64,
    title: String,
    docs: Vec<String>,
    drawing: Option<Drawing>,
}

impl Reader {
    fn fault(&mut self, line: u64, message: impl Into<String>) {
        self.faults.push(Fault::new(line, message));
    }

    /// A line of the header.
    fn comment(&mut self, line: u64, comment: &str) {
        let text = comment.strip_prefix(' ').unwrap_or(comment);
        if let Some(directive) = text.trim_start().strip_prefix('@') {
            return self.directive(line, directive);
        }
        match self.place {
            Place::Script if self.title.is_none() => {
                if !text.trim().is_empty() {
                    self.title = Some(text.trim().to_owned());
                }
            }
            Place::Script => self.docs.push(text.to_owned()),
            Place::Parameter => {
                if let Some(parameter) = self.parameters.last_mut() {
                    add_line(&mut parameter.docs, text);
                }
            }
            Place::Suggestion => {
                let suggestion = self
                    .parameters
                    .last_mut()
                    .and_then(|parameter| parameter.suggestion.as_mut());
                if let Some(suggestion) = suggestion {
                    suggestion.sql.push('\n');
                    suggestion.sql.push_str(text);
                }
            }
            Place::Result => {
                if let Some(announced) = &mut self.announced {
                    announced.docs.push(text.to_owned());
                }
            }
            Place::Elsewhere => {}
            Place::Done => {
                if !text.trim().is_empty() {
                    self.fault(
                        line,
                        "this line belongs to nothing; docs stand right under `@param` or `@result`",
                    );
                }
            }
        }
    }

    fn directive(&mut self, line: u64, text: &str) {
        let (word, rest) = first_word(text);
        match word {
            "param" => {
                self.place = Place::Parameter;
                match parameter(line, rest) {
                    Ok(parameter) => {
                        if self.parameters.iter().any(|it| it.name == parameter.name) {
                            let message = format!("there are two parameters `{}`", parameter.name);
                            self.fault(line, message);
                        }
                        self.parameters.push(parameter);
                    }
                    Err(message) => {
                        self.is_parameter_lost = true;
                        self.place = Place::Elsewhere;
                        self.fault(line, message);
                    }
                }
            }
            "check" => {
                self.place = Place::Done;
                let check = match self.parameters.last_mut() {
                    Some(parameter) => {
                        Check::parse(rest, parameter.kind).map(|it| parameter.checks.push(it))
                    }
                    None => Err("`@check` belongs under a `@param`".to_owned()),
                };
                if let Err(message) = check {
                    self.fault(line, message);
                }
            }
            "suggest" => {
                self.place = Place::Suggestion;
                match self.parameters.last_mut() {
                    Some(Parameter {
                        suggestion: Some(_),
                        ..
                    }) => self.fault(line, "the parameter has a `@suggest` already"),
                    Some(parameter) => {
                        parameter.suggestion = Some(Suggestion {
                            sql: rest.to_owned(),
                            line,
                        });
                    }
                    None => self.fault(line, "`@suggest` belongs under a `@param`"),
                }
            }
            "from" => {
                self.place = Place::Done;
                let is_distance = rest
                    .strip_prefix('-')
                    .is_some_and(|span| nanoseconds(span).is_some_and(|span| span > 0));
                if !is_distance {
                    self.fault(
                        line,
                        format!("`{rest}` is no distance before the end of the range such as -1h"),
                    );
                }
                self.from = Some(rest.to_owned());
            }
            "result" => self.result(line, rest),
            "draw" => {
                self.place = Place::Done;
                match (&mut self.announced, Drawing::parse(rest)) {
                    (_, Err(message)) => self.fault(line, message),
                    (Some(announced), Ok(drawing)) => announced.drawing = Some(drawing),
                    (None, Ok(_)) => self.fault(line, "`@draw` belongs under a `@result`"),
                }
            }
            _ => {
                let hint = match nearest(word, DIRECTIVES) {
                    Some(near) => format!("did you mean `@{near}`?"),
                    None => format!("there are @{}", DIRECTIVES.join(", @")),
                };
                self.fault(line, format!("there is no `@{word}`; {hint}"));
                self.place = Place::Elsewhere;
            }
        }
    }

    fn result(&mut self, line: u64, title: &str) {
        self.place = Place::Result;
        if title.is_empty() {
            self.fault(line, "`@result` needs a title that says what its rows are");
        }
        let is_taken = self
            .results
            .iter()
            .any(|it| it.title.eq_ignore_ascii_case(title));
        if is_taken {
            self.fault(line, format!("there are two results `{title}`"));
        }
        if title.parse::<usize>().is_ok() {
            self.fault(
                line,
                "a result's title cannot be a number: numbers stand for its place",
            );
        }
        let announced = Announced {
            line,
            title: title.to_owned(),
            ..Announced::default()
        };
        if let Some(before) = self.announced.replace(announced) {
            self.without_statement(&before);
        }
    }

    fn without_statement(&mut self, announced: &Announced) {
        self.fault(
            announced.line,
            format!("the result `{}` has no statement under it", announced.title),
        );
    }

    fn statement(&mut self, text: &str, tokens: &[TokenWithSpan]) {
        let Some((first, last)) = tokens.first().zip(tokens.last()) else {
            return;
        };
        let line = first.span.start.line;
        for token in tokens {
            match &token.token {
                Token::Placeholder(name) if !name.starts_with(MACRO) => {
                    self.used.push((token.span.start.line, name.clone()));
                }
                Token::Whitespace(Whitespace::SingleLineComment { comment, .. })
                    if comment.trim_start().starts_with('@') =>
                {
                    self.fault(
                        token.span.start.line,
                        "a directive within a statement; end the statement before it with `;`",
                    );
                }
                _ => {}
            }
        }
        let announced = self.announced.take().unwrap_or_else(|| Announced {
            line,
            ..Announced::default()
        });
        self.results.push(ScriptResult {
            title: announced.title,
            docs: paragraphs(&announced.docs),
            drawing: announced.drawing.unwrap_or(Drawing::Table),
            sql: in_place(text, first.span.start, last.span.end),
            line,
        });
        self.place = Place::Elsewhere;
    }

    fn finish(mut self, name: &str, text: &str, origin: Origin) -> Result<Script, Vec<Fault>> {
        if let Some(announced) = self.announced.take() {
            self.without_statement(&announced);
        }
        if self.title.is_none() {
            self.fault(
                1,
                "the first line is to say what the script answers, as in `-- Requests by route`",
            );
        }
        if self.results.is_empty() && self.faults.is_empty() {
            self.fault(0, "there is no statement");
        }
        let title = self.title.take().unwrap_or_default();
        match self.results.as_mut_slice() {
            [only] if only.title.is_empty() => only.title.clone_from(&title),
            several => {
                let without: Vec<u64> = several
                    .iter()
                    .filter(|result| result.title.is_empty())
                    .map(|result| result.line)
                    .collect();
                for line in without {
                    self.fault(
                        line,
                        "with several statements each needs `-- @result TITLE` above it",
                    );
                }
            }
        }
        let declared = Declared {
            parameters: &mut self.parameters,
            is_complete: !self.is_parameter_lost,
        };
        self.faults.extend(declared.faults(&self.used));
        if !self.faults.is_empty() {
            self.faults.sort();
            return Err(self.faults);
        }
        Ok(Script {
            name: name.to_owned(),
            title,
            docs: paragraphs(&self.docs),
            from: self.from.unwrap_or_else(|| DEFAULT_FROM.to_owned()),
            parameters: self.parameters,
            results: self.results,
            origin,
            source: text.to_owned(),
        })
    }
}

fn add_line(docs: &mut String, line: &str) {
    if !docs.is_empty() {
        docs.push(' ');
    }
    docs.push_str(line.trim());
}

#[cfg(test)]
mod tests;
