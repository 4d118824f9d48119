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

/// Parts of names that tell of a secret.
const SECRET_WORDS: &[&str] = &[
    "token",
    "secret",
    "passwd",
    "password",
    "passphrase",
    "api-key",
    "apikey",
    "api_key",
    "access-key",
    "accesskey",
    "access_key",
    "private-key",
    "credential",
    "session",
    "signature",
    "jwt",
    "assertion",
    "authorization",
    "cookie",
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
    !is_usual_header(name) && (SECRET_HEADERS.contains(&name) || holds_secret_word(name))
}

/// Whether the whole value of a header is an address, by its name in lower case.
pub(super) fn is_address_header(name: &str) -> bool {
    ADDRESS_HEADERS.contains(&name)
}

/// Whether a path parameter holds a secret, by its name in any case.
pub(super) fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "sid" || name.contains("sess") || holds_secret_word(&name)
}

/// Whether a name in lower case holds one of [`SECRET_WORDS`].
fn holds_secret_word(name: &str) -> bool {
    // Most names lack a letter of each word, which takes one look at the name to tell.
    let letters = letters(name.as_bytes());
    SECRET_WORDS
        .iter()
        .zip(SECRET_WORD_LETTERS)
        .any(|(word, needed)| needed & !letters == 0 && name.contains(word))
}

/// The letters of each of [`SECRET_WORDS`].
const SECRET_WORD_LETTERS: [u32; SECRET_WORDS.len()] = {
    let mut masks = [0; SECRET_WORDS.len()];
    let mut index = 0;
    while index < masks.len() {
        masks[index] = letters(SECRET_WORDS[index].as_bytes());
        index += 1;
    }
    masks
};

/// Which letters a text in lower case has, a bit for each.
const fn letters(text: &[u8]) -> u32 {
    let mut mask = 0;
    let mut index = 0;
    while index < text.len() {
        if text[index].is_ascii_lowercase() {
            mask |= 1 << (text[index] - b'a');
        }
        index += 1;
    }
    mask
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
