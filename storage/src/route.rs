//! Routes: a path with its variable parts replaced, so that requests for the same thing group together. The column
//! `route` is filled with them, and the SQL function of that name makes them of other paths.
//!
//! | placeholder | stands for |
//! |---|---|
//! | `{id}` | a number, a version or address in dotted numbers, a random or encoded id |
//! | `{uuid}` | a UUID |
//! | `{hex}` | a hash or another hexadecimal id |
//! | `{date}` | a date or a time (`2024-03-01`, `2024-03`, `2024-03-01T12:00:00Z`) |
//! | `{email}` | an email address |
//! | `{file}` | the name of a file that holds one of these (`app.3f9ac2.js` is `{file}.js`) |
//! | `{rest}` | what follows the twelfth segment |
//!
//! A part of a segment between `-`, `_`, `:` or `.` is replaced alone (`order-1234` is `order-{id}`). Nothing is learnt:
//! a path always gives the same route.

use std::borrow::Cow;

/// Segments of a route; the rest becomes `{rest}`.
const MAX_SEGMENTS: usize = 12;

/// Longest segment that is taken for a name.
const MAX_NAME: usize = 48;

/// Longest extension of a file.
const MAX_EXTENSION: usize = 5;

/// The route of a path.
pub fn route(path: &str) -> Cow<'_, str> {
    let mut segments = path.as_bytes().split(|byte| *byte == b'/');
    let are_plain = segments.by_ref().take(MAX_SEGMENTS + 1).all(is_plain_name);
    if are_plain && segments.next().is_none() {
        return Cow::Borrowed(path);
    }
    let mut route = String::with_capacity(path.len().min(128));
    let (mut index, mut rest) = (0, Some(path));
    while let Some(path) = rest {
        if index > 0 {
            route.push('/');
        }
        if index > MAX_SEGMENTS {
            route.push_str("{rest}");
            break;
        }
        // Segments are short: looking at each byte is sooner done than calling what searches for one.
        let end = path.bytes().position(|byte| byte == b'/');
        let (segment, after) = match end {
            Some(end) => (&path[..end], Some(&path[end + 1..])),
            None => (path, None),
        };
        push_segment(segment, after.is_none(), &mut route);
        (index, rest) = (index + 1, after);
    }
    Cow::Owned(route)
}

/// The quick way for most segments: short and of letters only.
fn is_plain_name(segment: &[u8]) -> bool {
    segment.len() <= 8
        && segment
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || *byte == b'*')
}

/// The quick way for most of the others: a number, or a version such as `v1`. What it becomes is what the rules below
/// say too.
fn number_or_version(segment: &str) -> Option<&str> {
    let is_number = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    match segment.as_bytes() {
        [b'v', version @ ..] if version.len() < 6 && is_number(version) => Some(segment),
        number if is_number(number) => Some("{id}"),
        _ => None,
    }
}

fn push_segment(segment: &str, is_last: bool, route: &mut String) {
    if is_plain_name(segment.as_bytes()) {
        return route.push_str(segment);
    }
    if let Some(replaced) = number_or_version(segment) {
        return route.push_str(replaced);
    }
    // Parameters of a segment (`;v=1`) are no part of its name.
    let segment = segment.split(';').next().unwrap_or_default();
    let decoded = if segment.contains('%') {
        percent_encoding::percent_decode_str(segment).decode_utf8_lossy()
    } else {
        Cow::Borrowed(segment)
    };
    if let Some(placeholder) = whole(&decoded) {
        route.push_str(placeholder);
        return;
    }
    if is_last
        && let Some((stem, extension)) = decoded.rsplit_once('.')
        && is_extension(extension)
        && !stem.is_empty()
    {
        let is_one_part = !stem.contains(is_separator);
        match whole(stem).or_else(|| placeholder_of_part(stem, true).filter(|_| is_one_part)) {
            Some(placeholder) => route.push_str(placeholder),
            None if is_variable_file(stem) => route.push_str("{file}"),
            None => route.push_str(stem),
        }
        route.push('.');
        route.push_str(extension);
        return;
    }
    push_parts(&decoded, route);
}

/// A segment that is variable as a whole.
fn whole(segment: &str) -> Option<&'static str> {
    let bytes = segment.as_bytes();
    if is_uuid(segment) {
        Some("{uuid}")
    } else if is_date(bytes) {
        Some("{date}")
    } else if is_email(segment) {
        Some("{email}")
    } else if is_dotted_number(bytes) || segment.len() > MAX_NAME {
        Some("{id}")
    } else {
        None
    }
}

fn is_variable_file(stem: &str) -> bool {
    is_random(stem) || parts(stem).any(|(part, _)| placeholder_of_part(part, true).is_some())
}

/// Splits a segment into its parts, each with the separator after it.
fn parts(segment: &str) -> impl Iterator<Item = (&str, &str)> {
    segment.split_inclusive(is_separator).map(|part| {
        let bare = part.trim_end_matches(is_separator);
        part.split_at(bare.len())
    })
}

const fn is_separator(c: char) -> bool {
    matches!(c, '-' | '_' | ':' | '.' | ',' | '~' | ' ' | '+')
}

fn push_parts(segment: &str, route: &mut String) {
    if is_version(segment) {
        route.push_str(segment);
        return;
    }
    // Random ids may hold separators themselves; many begin with a word for what they name (`cus_9s6XKz`).
    let (word, id) = match segment.split_once(is_separator) {
        Some((word, id)) if word.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            segment.split_at(segment.len() - id.len())
        }
        _ => ("", segment),
    };
    if let Some(placeholder) = placeholder_of_part(id, false) {
        route.push_str(word);
        route.push_str(placeholder);
        return;
    }
    for (part, separator) in parts(segment) {
        route.push_str(placeholder_of_part(part, false).unwrap_or(part));
        route.push_str(separator);
    }
}

/// `v2`, `v2.1`.
fn is_version(segment: &str) -> bool {
    segment.len() <= 6
        && segment.strip_prefix('v').is_some_and(|version| {
            version
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
        })
}

/// A part that is a number, a hash or random. Names of files hold shorter hashes.
fn placeholder_of_part(part: &str, in_file_name: bool) -> Option<&'static str> {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 && part.len() < 8 {
        // Neither a hash nor random.
        return None;
    }
    let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shortest_hex = if in_file_name { 6 } else { 8 };
    if part.is_empty() {
        None
    } else if digits == part.len() {
        Some("{id}")
    } else if is_hex && ((digits > 0 && part.len() >= shortest_hex) || part.len() >= 16) {
        Some("{hex}")
    } else if is_random(part) {
        Some("{id}")
    } else {
        None
    }
}

/// Whether a text looks drawn from an alphabet rather than written: letters and digits change often, or the case does.
fn is_random(text: &str) -> bool {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Lower,
        Upper,
        Digit,
    }
    let mut last = None;
    let (mut changes, mut digits, mut digit_changes, mut len) = (0, 0, 0, 0);
    for byte in text.bytes() {
        let kind = match byte {
            b'a'..=b'z' => Kind::Lower,
            b'A'..=b'Z' => Kind::Upper,
            b'0'..=b'9' => Kind::Digit,
            b'-' | b'_' | b'=' | b'+' | b'~' => continue,
            _ => return false,
        };
        len += 1;
        digits += usize::from(kind == Kind::Digit);
        if let Some(last) = last
            && last != kind
        {
            changes += 1;
            digit_changes += usize::from(last == Kind::Digit || kind == Kind::Digit);
        }
        last = Some(kind);
    }
    // A written name has few digits in one or two places, and capitals only where words begin.
    let is_mixed = len >= 8 && digits >= 2 && digit_changes >= 3;
    let is_mixed_case = len >= 20 && changes * 5 > len * 2;
    (is_mixed && text.len() <= 2 * len) && (changes * 5 >= len) || is_mixed_case
}

fn is_uuid(text: &str) -> bool {
    let text = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or(text);
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// `YYYY-MM` or `YYYY-MM-DD`, perhaps with a time after it.
fn is_date(bytes: &[u8]) -> bool {
    let fits = |pattern: &[u8], bytes: &[u8]| {
        pattern.iter().zip(bytes).all(|(kind, byte)| match kind {
            b'0' => byte.is_ascii_digit(),
            _ => byte == kind,
        })
    };
    let is_century = bytes.starts_with(b"19") || bytes.starts_with(b"20");
    is_century
        && ((bytes.len() == 7 && fits(b"0000-00", bytes))
            || (bytes.len() >= 10
                && fits(b"0000-00-00", bytes)
                && matches!(bytes.get(10), None | Some(b'T' | b't' | b' ' | b'_'))
                && bytes
                    .get(11..)
                    .is_none_or(|time| time.first().is_none_or(u8::is_ascii_digit))))
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && !domain.contains('@') && domain.trim_matches('.').contains('.')
    })
}

/// `1.2.3`, `10.0.0.1`.
fn is_dotted_number(bytes: &[u8]) -> bool {
    bytes.contains(&b'.')
        && bytes.first().is_some_and(u8::is_ascii_digit)
        && bytes.last().is_some_and(u8::is_ascii_digit)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

fn is_extension(extension: &str) -> bool {
    (1..=MAX_EXTENSION).contains(&extension.len())
        && extension.as_bytes()[0].is_ascii_alphabetic()
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn variable_segments_become_placeholders() {
        for (path, expected) in [
            ("/users/42", "/users/{id}"),
            ("/users/42/orders/7", "/users/{id}/orders/{id}"),
            ("/u/550e8400-e29b-41d4-a716-446655440000/x", "/u/{uuid}/x"),
            ("/commit/3f9ac2d1", "/commit/{hex}"),
            ("/blob/d41d8cd98f00b204e9800998ecf8427e", "/blob/{hex}"),
            ("/day/2024-03-01", "/day/{date}"),
            ("/day/2024-03-01T10:00:00Z", "/day/{date}"),
            ("/mail/a.b%40example.org", "/mail/{email}"),
            ("/watch/dQw4w9WgXcQ2x", "/watch/{id}"),
            ("/c/cus_9s6XKzkNRiz8i3", "/c/cus_{id}"),
            ("/order-12345/items", "/order-{id}/items"),
            ("/pkg/1.2.3", "/pkg/{id}"),
            ("/ulid/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/ulid/{id}"),
            ("/a;jsessionid=1A2B/b", "/a/b"),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn names_stay() {
        for path in [
            "/",
            "",
            "*",
            "/health",
            "/api/v1/users",
            "/oauth2/callback",
            "/getUserProfileForAccount",
            "/api/v2.1/list-all_things",
            "/favicon.ico",
            "/static/app.js",
            "/.well-known/security.txt",
            "/api/base64decode",
            "/k8s/utf8",
            "/trailing/",
            "/facade/decade",
        ] {
            assert_eq!(route(path), path);
        }
    }

    #[test]
    fn files_keep_their_extension() {
        for (path, expected) in [
            ("/assets/app.3f9ac2.js", "/assets/{file}.js"),
            ("/assets/main-BX8sd7Kd2.css", "/assets/{file}.css"),
            ("/img/1234.png", "/img/{id}.png"),
            ("/doc/report-2023.pdf", "/doc/{file}.pdf"),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn long_paths_are_cut() {
        let path = "/a".repeat(100);
        assert_eq!(
            route(&path),
            format!("{}/{{rest}}", "/a".repeat(MAX_SEGMENTS))
        );
        assert_eq!(route(&format!("/{}", "x".repeat(500))), "/{id}");
    }

    proptest! {
        #[test]
        fn a_route_is_bounded_and_stable(path in "[/a-zA-Z0-9._%;@\\-é]{0,300}") {
            let once = route(&path).into_owned();
            prop_assert!(once.len() <= 1024);
            prop_assert_eq!(&route(&path), &once);
        }
    }
}
