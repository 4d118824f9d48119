//! Which bucket, and what went wrong with it in words that say what to do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use crate::error::StoreError;

/// How long a request may take, and how long one is repeated at once. Whoever needs the bucket for longer than that
/// tries again by and by.
const REQUEST: Duration = Duration::from_mins(1);
const CONNECT: Duration = Duration::from_secs(5);
const RETRIES: usize = 2;
const RETRYING: Duration = Duration::from_secs(10);

/// A bucket, or a part of one below a prefix.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    url: Arc<str>,
}

/// A text that names no bucket, or settings with which it cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error(
    "{reason}; give a bucket as s3://BUCKET/PREFIX, and how to reach it in the usual variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL)"
)]
pub struct BucketUrlError {
    reason: String,
}

impl Bucket {
    /// The bucket that `s3://BUCKET` or `s3://BUCKET/PREFIX` names, reached as the usual `AWS_…` variables say.
    ///
    /// # Errors
    ///
    /// [`BucketUrlError`] where the text is no such URL, or a variable makes no sense. Nobody is asked yet.
    pub fn from_url(url: &str) -> Result<Self, BucketUrlError> {
        let refuse = |reason: String| BucketUrlError { reason };
        let rest = url
            .strip_prefix("s3://")
            .ok_or_else(|| refuse(format!("{url:?} does not begin with s3://")))?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
        };
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(refuse(format!("{name:?} is no name of a bucket")));
        }
        let prefix = Path::parse(prefix.trim_end_matches('/'))
            .map_err(|_| refuse(format!("{prefix:?} is no prefix")))?;
        let is_plain = check_environment().map_err(refuse)?;
        let client = ClientOptions::new()
            .with_timeout(REQUEST)
            .with_connect_timeout(CONNECT)
            // Whoever writes http:// means it.
            .with_allow_http(is_plain);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: RETRYING,
        };
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(name)
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map_err(|error| refuse(deepest(&error)))?;
        let url = match prefix.as_ref() {
            "" => format!("s3://{name}"),
            prefix => format!("s3://{name}/{prefix}"),
        };
        Ok(Self::new(Arc::new(PrefixStore::new(store, prefix)), &url))
    }

    /// Any object store, under a name for messages: for tests, and for stores other than S3.
    pub fn new(store: Arc<dyn ObjectStore>, name: &str) -> Self {
        Self {
            store,
            url: name.into(),
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What went wrong when something was tried, such as "list" or "read a file of".
    pub(super) fn error(&self, action: &'static str, source: &object_store::Error) -> StoreError {
        let mut reason = reason(source);
        if self.url.starts_with("s3://") && std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            reason += " (AWS_ACCESS_KEY_ID is not set, so this machine's role was asked for)";
        }
        StoreError::Bucket {
            action,
            url: self.url.to_string(),
            reason,
        }
    }

    /// That it did not answer within this time.
    pub(super) fn silent(&self, action: &'static str, after: Duration) -> StoreError {
        StoreError::Bucket {
            action,
            url: self.url.to_string(),
            reason: format!("no answer within {} s", after.as_secs()),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Refuses variables that no request could be made with; returns whether the endpoint is asked without TLS.
fn check_environment() -> Result<bool, String> {
    let mut is_plain = false;
    for (name, value) in std::env::vars_os() {
        let (Some(name), value) = (name.to_str(), value.to_string_lossy()) else {
            continue;
        };
        if !name.starts_with("AWS_") {
            continue;
        }
        if name.starts_with("AWS_ENDPOINT") {
            let url = Url::parse(&value).ok();
            let scheme = url.as_ref().filter(|url| url.has_host()).map(Url::scheme);
            is_plain |= scheme == Some("http");
            if !matches!(scheme, Some("http" | "https")) {
                return Err(format!(
                    "{name} is {value:?}, which is no http or https URL"
                ));
            }
        } else if !value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        {
            // Not shown: it may be a secret.
            return Err(format!("{name} has characters that no request can carry"));
        }
    }
    Ok(is_plain)
}

/// What an error comes down to, in a line.
fn reason(error: &object_store::Error) -> String {
    use object_store::Error;

    let detail = deepest(error);
    if detail.contains("<Code>NoSuchBucket<") {
        return "there is no such bucket; make it first".to_owned();
    }
    let told = message(&detail).unwrap_or(&detail);
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => format!(
            "access was refused; see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights of that key ({told})"
        ),
        _ => told.to_owned(),
    }
}

/// The message in what an S3 server answers.
fn message(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once("<Message>")?;
    rest.split_once("</Message>").map(|(message, _)| message)
}

/// The innermost cause, which is the only one that tells anything, on one line.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_down_to_its_message() {
        let error = |text: &str| object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        };
        let no_bucket = error("404: <Error><Code>NoSuchBucket</Code><Message>x</Message></Error>");
        assert_eq!(reason(&no_bucket), "there is no such bucket; make it first");
        let other = error("503: <Error>\n<Code>SlowDown</Code><Message>Please slow down</Message>");
        assert!(reason(&other).starts_with("Please slow down"));
        assert!(reason(&error("connection\n refused")).starts_with("connection refused"));
    }

    #[test]
    fn only_urls_of_buckets_are_taken() {
        for url in [
            "",
            "bucket",
            "gs://bucket",
            "s3://",
            "s3:///prefix",
            "s3://Bucket",
            "s3://b b/p",
            "s3://bucket/a//b",
        ] {
            let error = Bucket::from_url(url).unwrap_err().to_string();
            assert!(error.contains("s3://BUCKET/PREFIX"), "{url}: {error}");
        }
        for (url, shown) in [
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ] {
            assert_eq!(Bucket::from_url(url).unwrap().url(), shown);
        }
    }
}
