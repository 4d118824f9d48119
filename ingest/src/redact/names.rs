//! What the names of headers and parameters tell of their values.

/// Headers that hold secrets, beside those whose name holds one of [`SECRET_WORDS`].
const SECRET_HEADERS: &[&str] = &[
    "authentication-info",
    "authorization",
    "cookie",
    "cookie2",
    "dpop",
    "proxy-authentication-info",
    "proxy-authorization",
    "set-cookie",
    "set-cookie2",
];

/// Parts of names that tell of a secret. All in lower case; `_` stands for `-` and `_`.
const SECRET_PARTS: &[&[u8]] = &[
    b"token",
    b"secret",
    b"passwd",
    b"password",
    b"passphrase",
    b"passcode",
    b"api_key",
    b"apikey",
    b"access_key",
    b"accesskey",
    b"private_key",
    b"privatekey",
    b"subscription_key",
    b"functions_key",
    b"account_key",
    b"accountkey",
    b"encryption_key",
    b"client_key",
    b"credential",
    b"session",
    b"signature",
    b"jwt",
    b"assertion",
    b"authorization",
    b"cookie",
    b"one_time_code",
];

/// Words that tell of a secret where they stand alone in a name: between other signs than letters and digits.
const SECRET_WORDS: &[&[u8]] = &[
    b"auth", b"pass", b"pwd", b"pin", b"otp", b"sid", b"sess", b"ssn", b"cvv", b"cvc", b"cvv2",
    b"sig", b"creds",
];

/// Headers whose whole value is an address.
const ADDRESS_HEADERS: &[&str] = &[
    "content-location",
    "destination",
    "location",
    "origin",
    "referer",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// Whether the values of a header are secrets, by its name in lower case.
pub(super) fn is_secret_header(name: &str) -> bool {
    !is_usual_header(name) && (SECRET_HEADERS.contains(&name) || is_secret_name(name.as_bytes()))
}

/// Whether the name of a field tells that its value is a secret, in any case.
pub(super) fn is_secret_name(name: &[u8]) -> bool {
    // Most names lack a letter of each word, which takes one look at the name to tell.
    let missing = !letters(name);
    let may_hold = |needed: u32| needed & missing == 0;
    SECRET_PARTS
        .iter()
        .zip(SECRET_PART_LETTERS)
        .any(|(part, needed)| may_hold(needed) && holds(name, part))
        || SECRET_WORDS
            .iter()
            .zip(SECRET_WORD_LETTERS)
            .any(|(word, needed)| may_hold(needed) && holds_word(name, word))
}

fn holds(name: &[u8], part: &[u8]) -> bool {
    let is_same = |(part, byte): (&u8, &u8)| {
        byte.to_ascii_lowercase() == *part || (*part == b'_' && *byte == b'-')
    };
    name.windows(part.len())
        .any(|window| part.iter().zip(window).all(is_same))
}

fn holds_word(name: &[u8], word: &[u8]) -> bool {
    name.split(|byte| !byte.is_ascii_alphanumeric())
        .any(|part| part.eq_ignore_ascii_case(word))
}

/// The letters of each of [`SECRET_PARTS`].
const SECRET_PART_LETTERS: [u32; SECRET_PARTS.len()] = letters_of_each(SECRET_PARTS);
/// The letters of each of [`SECRET_WORDS`].
const SECRET_WORD_LETTERS: [u32; SECRET_WORDS.len()] = letters_of_each(SECRET_WORDS);

const fn letters_of_each<const N: usize>(words: &[&[u8]]) -> [u32; N] {
    let mut masks = [0; N];
    let mut index = 0;
    while index < N {
        masks[index] = letters(words[index]);
        index += 1;
    }
    masks
}

/// Which letters a text has, a bit for each.
const fn letters(text: &[u8]) -> u32 {
    let mut mask = 0;
    let mut index = 0;
    while index < text.len() {
        let byte = text[index].to_ascii_lowercase();
        if byte.is_ascii_lowercase() {
            mask |= 1 << (byte - b'a');
        }
        index += 1;
    }
    mask
}

/// Whether the whole value of a header is an address, by its name in lower case.
pub(super) fn is_address_header(name: &str) -> bool {
    ADDRESS_HEADERS.contains(&name)
}

/// The headers of most messages, none of which is a secret: the quick way.
fn is_usual_header(name: &str) -> bool {
    matches!(
        name,
        "accept"
            | "accept-encoding"
            | "accept-language"
            | "accept-ranges"
            | "age"
            | "cache-control"
            | "connection"
            | "content-encoding"
            | "content-language"
            | "content-length"
            | "content-type"
            | "date"
            | "etag"
            | "expires"
            | "host"
            | "keep-alive"
            | "last-modified"
            | "location"
            | "origin"
            | "pragma"
            | "range"
            | "referer"
            | "server"
            | "traceparent"
            | "transfer-encoding"
            | "user-agent"
            | "vary"
            | "via"
            | "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-request-id"
    )
}
