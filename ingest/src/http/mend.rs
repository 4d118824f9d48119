//! Header sections that break the rules.

use super::detect::{is_token, trim_cr};

/// Writes a header section so that it parses: folded lines in one line (RFC 9112, section 5.2), no space before the
/// colon, no control characters in values, no lines that are no fields, an empty line at the end. Tells whether a field
/// that delimits the body was among the odd ones.
pub(super) fn mend(section: &[u8]) -> (Vec<u8>, bool) {
    let mut mended = Vec::with_capacity(section.len() + 2);
    let mut is_ambiguous = false;
    let mut is_field = false;
    // Whether the field that folded lines go on with delimits the body.
    let mut is_framing = false;
    for line in section.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else {
            // A line that was cut.
            break;
        };
        let line = trim_cr(line);
        if line.is_empty() {
            break;
        }
        let printable = |byte: &u8| {
            if byte.is_ascii_control() && *byte != b'\t' {
                b' '
            } else {
                *byte
            }
        };
        // Some take a lone carriage return for a line end, and a folded line for a field.
        let begins_framing = |bytes: &[u8]| delimits(bytes.trim_ascii_start());
        is_ambiguous |= line
            .split(|byte| *byte == b'\r')
            .skip(1)
            .any(begins_framing);
        if matches!(line[0], b' ' | b'\t') {
            is_ambiguous |= is_framing || begins_framing(line);
            if is_field {
                mended.truncate(mended.len() - 2);
                mended.push(b' ');
                mended.extend(line.trim_ascii().iter().map(printable));
                mended.extend_from_slice(b"\r\n");
            }
            continue;
        }
        let name_end = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let name = line[..name_end].trim_ascii();
        is_field = name_end < line.len() && !name.is_empty() && name.iter().all(|b| is_token(*b));
        is_framing = delimits(name);
        let is_odd = !is_field
            || name.len() != name_end
            || line
                .iter()
                .any(|byte| byte.is_ascii_control() && *byte != b'\t');
        is_ambiguous |= is_odd && is_framing;
        if is_field {
            mended.extend_from_slice(name);
            mended.push(b':');
            mended.extend(line[name_end + 1..].iter().map(printable));
            mended.extend_from_slice(b"\r\n");
        }
    }
    mended.extend_from_slice(b"\r\n");
    (mended, is_ambiguous)
}

/// Whether the name of a field that delimits the body stands at the start.
fn delimits(bytes: &[u8]) -> bool {
    let begins_with = |name: &[u8]| {
        bytes
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    begins_with(b"transfer-encoding") || begins_with(b"content-length")
}
