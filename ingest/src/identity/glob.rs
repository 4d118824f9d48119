//! Patterns with `*` for any characters, `/` among them, and `?` for one.

use weir_ebpf::matches_wildcards;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Vec<char>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.chars().collect())
    }

    /// Whether the whole text matches. Takes at most pattern times text steps, whatever the pattern is.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        matches_wildcards(
            &self.0,
            &text,
            |wanted| *wanted == '*',
            |wanted, is| *wanted == '?' || wanted == is,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_is_one() {
        for (pattern, text, matches) in [
            ("nginx", "nginx", true),
            ("nginx", "nginx2", false),
            ("nginx", "ngin", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("/opt/*/bin/*", "/opt/shop/v2/bin/serve", true),
            ("/opt/*/bin", "/opt/shop/bin/serve", false),
            ("python3.?", "python3.9", true),
            ("python3.?", "python3.11", false),
            ("*.service", "nginx.service", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXb", false),
            ("**a", "bca", true),
            ("?é", "äé", true),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(text),
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn many_stars_take_no_more_than_their_time() {
        let pattern = "*a".repeat(200);
        assert!(!Glob::new(&pattern).matches(&format!("{}b", "a".repeat(20_000))));
    }
}
