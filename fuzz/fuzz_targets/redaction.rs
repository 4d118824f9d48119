//! Redaction: whatever stands around it, a secret is not in what is stored.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_ingest::redact::Redaction;

const SECRET: &str = "s3cr3tVALUE";

fuzz_target!(|data: &[u8]| {
    let Some((place, bytes)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    // What stands there by itself may be the name of a parameter, which is kept.
    if text.contains(SECRET) {
        return;
    }
    let redaction = Redaction::default();
    let _ = (redaction.query(&text), redaction.path(&text), redaction.address(&text));
    for name in ["authorization", "cookie", "set-cookie", "referer", "location", "host", "x-custom", "link"] {
        let _ = redaction.header(name, &text);
    }
    // A parameter's value, wherever it stands in a query.
    let mut cut = usize::from(*place).min(text.len());
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let (before, after) = text.split_at(cut);
    let query = format!("{before}&name={SECRET}&{after}");
    assert!(!redaction.query(&query).contains(SECRET), "{query}");
    for name in ["authorization", "proxy-authorization", "cookie", "set-cookie"] {
        let value = format!("Bearer {SECRET}");
        assert!(!redaction.header(name, &value).contains(SECRET));
    }
});
