//! `weir serve`

use std::path::PathBuf;
use std::process::ExitCode;

use super::Outcome;
use crate::config::{Config, Settings};
use crate::service::{self, Source};

const EXAMPLES: &str = "\
Examples:
  weir serve
  weir serve --cgroup /sys/fs/cgroup/system.slice/nginx.service --data /var/lib/weir
  weir serve --no-capture --data ./weir-data           answer queries about what is there
  weir serve --retain http_events=7d,50GB --retain '*=30d'
  AWS_REGION=eu-west-1 weir serve --store s3://flows/prod --local-cache 50GB
  weir serve --flight-listen 127.0.0.1:7071            answer ADBC and JDBC drivers too
  weir serve --config /etc/weir.toml

The configuration file is TOML with the names of the options:
  data = \"/var/lib/weir\"
  memory = \"512MiB\"
  retain = [\"http_events=7d,50GB\", \"*=30d\"]
  cgroup = [\"/sys/fs/cgroup/system.slice\"]
  flow-interval = \"10s\"

  [capture]
  pods = [\"/kubepods.slice/**/*pod*\"]
  ports = { except = [22] }
  protocols = [\"http\", \"dns\", \"flows\"]

SIGHUP reads the file again: [capture] holds at once, the rest from the next start on. SIGINT or SIGTERM ends it cleanly, with everything written out; a second one at once.";

/// Captures traffic, keeps it and answers queries about it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    /// Configuration file; options on the command line win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(super) fn run(self) -> Outcome {
        let Self { config, settings } = self;
        let source = Source {
            flags: settings,
            file: config,
        };
        let config = Config::resolve(source.flags.clone(), source.file.as_deref())?;
        service::run(config, &source)?;
        Ok(ExitCode::SUCCESS)
    }
}
