//! Names that scripts give, and those that are taken.

/// What a request to run a script says beside the script's own parameters. A parameter of such a name could not be set
/// in a query string.
pub(super) const RESERVED: [&str; 9] = [
    "from",
    "to",
    "interval_ms",
    "timeout_ms",
    "limit",
    "format",
    "codecs",
    "result",
    "params",
];

/// Whether the text can name a parameter: lower case letters, digits and `_`, a letter first.
pub(super) fn is_parameter_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// Whether the text can name a script or a group of them: as for parameters, with `-` too.
pub(super) fn is_script_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.chars().all(|letter| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '_' | '-')
        })
}

/// The first word and what follows it.
pub(super) fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim()))
}
