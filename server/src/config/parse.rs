//! Values of settings, on the command line and in TOML.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, de};
use weir_storage::{Bucket, BucketUrlError, Fsync};

pub(super) fn parse_fsync(text: &str) -> Result<Fsync, String> {
    match text {
        "always" => Ok(Fsync::Always),
        "never" => Ok(Fsync::Never),
        _ => match humantime::parse_duration(text) {
            Ok(Duration::ZERO) | Err(_) => Err(format!(
                "{text:?} is none of `always`, `never` and an interval such as 200ms"
            )),
            Ok(interval) => Ok(Fsync::Every(interval)),
        },
    }
}

pub(super) fn fsync<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Fsync>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_fsync(&text).map(Some).map_err(de::Error::custom)
}

/// Refuses what is no bucket before anything else is done.
pub(crate) fn parse_store(url: &str) -> Result<String, BucketUrlError> {
    Bucket::from_url(url).map(|bucket| bucket.url().to_owned())
}

pub(super) fn store<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_store(&text).map(Some).map_err(de::Error::custom)
}

pub(super) fn parse_size(text: &str) -> Result<ByteSize, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no size such as 256MiB"))
}

/// A size as TOML has it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a size such as \"256MiB\"")]
enum Size {
    Bytes(u64),
    Text(String),
}

pub(super) fn size<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ByteSize>, D::Error> {
    match Size::deserialize(deserializer)? {
        Size::Bytes(bytes) => Ok(Some(ByteSize::b(bytes))),
        Size::Text(text) => parse_size(&text).map(Some).map_err(de::Error::custom),
    }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map(Some)
        .map_err(|error| de::Error::custom(format!("{text:?} is no duration such as 10s: {error}")))
}
