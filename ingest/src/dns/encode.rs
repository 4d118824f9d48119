//! Bytes as text: hexadecimal, base64, base32hex, quoted strings.

use super::wire::decimal_escape;

/// Upper-case hexadecimal, as the RFCs and dig print digests.
pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Base64 with padding (RFC 4648, section 4).
pub(super) fn push_base64(text: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let octets = [0, 1, 2].map(|index| u32::from(chunk.get(index).copied().unwrap_or(0)));
        let bits = octets[0] << 16 | octets[1] << 8 | octets[2];
        for digit in 0..4 {
            if digit <= chunk.len() {
                text.push(char::from(
                    ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize],
                ));
            } else {
                text.push('=');
            }
        }
    }
}

/// Base 32 with the extended hex alphabet, without padding (RFC 4648, section 7; RFC 5155 for NSEC3).
pub(super) fn push_base32_hex(text: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
    for chunk in bytes.chunks(5) {
        let bits = (0..5).fold(0u64, |bits, index| {
            bits << 8 | u64::from(chunk.get(index).copied().unwrap_or(0))
        });
        let digits = (chunk.len() * 8).div_ceil(5);
        for digit in 0..digits {
            text.push(char::from(
                ALPHABET[(bits >> (35 - 5 * digit) & 31) as usize],
            ));
        }
    }
}

/// A character string in quotes, as dig prints it: `\"` and `\\`, `\DDD` for bytes that are not printable ASCII.
pub(super) fn push_quoted(text: &mut String, bytes: &[u8]) {
    text.push('"');
    push_escaped(text, bytes);
    text.push('"');
}

fn push_escaped(text: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.extend(decimal_escape(byte).map(char::from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(push: fn(&mut String, &[u8]), bytes: &[u8]) -> String {
        let mut text = String::new();
        push(&mut text, bytes);
        text
    }

    #[test]
    fn base64_and_base32_hex_give_the_vectors_of_rfc_4648() {
        let vectors: [(&[u8], &str, &str); 7] = [
            (b"", "", ""),
            (b"f", "Zg==", "CO"),
            (b"fo", "Zm8=", "CPNG"),
            (b"foo", "Zm9v", "CPNMU"),
            (b"foob", "Zm9vYg==", "CPNMUOG"),
            (b"fooba", "Zm9vYmE=", "CPNMUOJ1"),
            (b"foobar", "Zm9vYmFy", "CPNMUOJ1E8"),
        ];
        for (bytes, base64, base32_hex) in vectors {
            assert_eq!(text_of(push_base64, bytes), base64);
            assert_eq!(text_of(push_base32_hex, bytes), base32_hex);
        }
    }

    #[test]
    fn a_quoted_string_escapes_quotes_backslashes_and_unprintable_bytes() {
        assert_eq!(
            text_of(push_quoted, b"a \"b\" \\ \x07\xFF"),
            r#""a \"b\" \\ \007\255""#
        );
    }
}
