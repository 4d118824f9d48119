//! Who answers: a server, a data directory or a bucket.

use std::path::{Path, PathBuf};

use super::offline::Files;
use crate::config::{DEFAULT_LISTEN, parse_store};

/// Where the rows are that are asked about.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Source {
    /// Read this data directory itself, without a server
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<PathBuf>,

    /// Read this bucket itself, as `s3://BUCKET/PREFIX`, with --data if that is given too
    #[arg(long, value_name = "URL", value_parser = parse_store, conflicts_with = "server")]
    store: Option<String>,

    /// Ask this server
    #[arg(
        long,
        value_name = "URL",
        help = "Ask this server [default: $WEIR_SERVER, or http://127.0.0.1:7070]"
    )]
    server: Option<String>,
}

impl Source {
    /// The server to ask. The environment is looked at here, since what it says must not clash with `--data`.
    pub(in crate::cli) fn server(&self) -> String {
        self.server
            .clone()
            .or_else(|| std::env::var("WEIR_SERVER").ok())
            .unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}"))
    }

    /// What to read without a server.
    pub(in crate::cli) fn files(&self) -> Option<Files<'_>> {
        match (&self.data, &self.store) {
            (None, None) => None,
            (data, Some(url)) => Some(Files::Bucket {
                url,
                directory: data.as_deref(),
            }),
            (Some(directory), None) => Some(Files::Directory(directory)),
        }
    }

    /// The data directory that was named.
    pub(in crate::cli) fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }
}
