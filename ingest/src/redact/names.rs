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
    !is_usual_header(name)
        && (SECRET_HEADERS.contains(&name) || SECRET_WORDS.iter().any(|word| name.contains(word)))
}

/// Whether the whole value of a header is an address, by its name in lower case.
pub(super) fn is_address_header(name: &str) -> bool {
    ADDRESS_HEADERS.contains(&name)
}

/// Whether a path parameter holds a secret, by its name in any case.
pub(super) fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "sid" || name.contains("sess") || SECRET_WORDS.iter().any(|word| name.contains(word))
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
