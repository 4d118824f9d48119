//! Patterns over the paths of cgroups.

use std::fmt;
use std::str::FromStr;

/// A pattern over the path of a cgroup from the root of the hierarchy, as the column `cgroup` tells it. `*` stands for any
/// characters within a name, `?` for one of them, `**` for any number of names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    text: String,
}

/// Text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pattern of cgroup paths; it begins with `/` at the root of the hierarchy, for example /kubepods.slice/**/*pod*"
)]
pub struct PatternError(String);

impl PathPattern {
    /// Whether a path (`/a/b`) is as it says.
    pub fn matches(&self, path: &str) -> bool {
        let pattern: Vec<&[u8]> = names(&self.text);
        matches_names(&pattern, &names(path))
    }
}

fn names(path: &str) -> Vec<&[u8]> {
    path.split('/')
        .filter(|name| !name.is_empty())
        .map(str::as_bytes)
        .collect()
}

fn matches_names(pattern: &[&[u8]], path: &[&[u8]]) -> bool {
    matches_wildcards(
        pattern,
        path,
        |part| *part == b"**",
        |part, name| {
            matches_wildcards(
                part,
                name,
                |it| *it == b'*',
                |it, byte| *it == b'?' || it == byte,
            )
        },
    )
}

/// Whether a whole text is as a pattern says, of which each part that `is_any` stands for any number of the text's parts.
///
/// Goes back to the newest such part only, so the time is bounded by the product of both lengths.
pub fn matches_wildcards<T>(
    pattern: &[T],
    text: &[T],
    is_any: impl Fn(&T) -> bool,
    is_same: impl Fn(&T, &T) -> bool,
) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the newest wildcard stands, and up to where it has taken the text.
    let mut newest: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(part) if is_any(part) => {
                newest = Some((at, read));
                at += 1;
            }
            Some(part) if is_same(part, &text[read]) => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((any, taken)) = newest else {
                    return false;
                };
                newest = Some((any, taken + 1));
                at = any + 1;
                read = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(is_any)
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let names = names(text);
        let is_bare = names.iter().all(|name| *name == b"**");
        let is_relative = names.iter().any(|name| matches!(*name, b"." | b".."));
        if !text.starts_with('/') || is_bare || is_relative {
            return Err(PatternError(text.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_name_and_two_do_not() {
        for (pattern, path, expected) in [
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c", false),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a", true),
            ("/**/*pod1*", "/kubepods/burstable/pod12", true),
            ("/**/pod1", "/kubepods/burstable/pod12", false),
            (
                "/kubepods.slice/**/cri-*.scope",
                "/kubepods.slice/x/y/cri-1.scope",
                true,
            ),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("/a*b*c", "/axxbyyc", true),
            ("/a*b*c", "/axxbyy", false),
            ("/**/b/**/d", "/a/b/c/b/d", true),
            ("/a", "/a", true),
            ("/a", "/b", false),
        ] {
            let parsed: PathPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_path_or_means_the_whole_machine_is_refused() {
        for text in ["", "a", "kubepods/*", "/", "/**", "/a/../b"] {
            assert!(text.parse::<PathPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_long_time() {
        let pattern: PathPattern = format!("/{}b", "*a".repeat(200)).parse().unwrap();
        assert!(!pattern.matches(&format!("/{}", "a".repeat(4000))));
    }
}
