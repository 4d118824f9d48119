//! The settings of `weir serve`: the same names on the command line and in the configuration file.

mod capture;
mod parse;
mod queries;
mod retain;
mod services;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use weir_ingest::identity::ServiceRule;
use weir_storage::{Fsync, Retention, TableId};

pub(crate) use capture::{CaptureSettings, CaptureSettingsError};
pub(crate) use parse::parse_store;
use parse::{duration, fsync, parse_fsync, parse_size, size, store};
pub(crate) use queries::QueryConfig;
use retain::RetainRule;
use services::ServiceSettings;

/// Where data lies unless told otherwise.
pub(crate) const DEFAULT_DATA: &str = "./weir-data";
/// Where the server listens unless told otherwise: loopback only, since the API asks nobody who they are.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:7070";

const DEFAULT_MEMORY: ByteSize = ByteSize::mib(256);
/// With less, every few rows would be a file.
const MIN_MEMORY: ByteSize = ByteSize::mib(1);
const MAX_MEMORY: ByteSize = ByteSize::tib(1);
const DEFAULT_PAYLOAD_RING: ByteSize = ByteSize::mib(16);
const DEFAULT_CONTROL_RING: ByteSize = ByteSize::mib(4);
/// The largest page of any machine.
const MIN_RING: ByteSize = ByteSize::kib(64);
const MAX_RING: ByteSize = ByteSize::gib(1);
const DEFAULT_LOCAL_CACHE: ByteSize = ByteSize::gib(10);
const DEFAULT_SPILL_AGE: Duration = Duration::from_mins(1);
const DEFAULT_FLOW_INTERVAL: Duration = Duration::from_secs(10);
const DEFAULT_DNS_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings as written, on the command line or in the file; what is not written has its default.
#[derive(Debug, Default, Clone, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// Directory of the data [default: ./weir-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Directory of your own scripts, read again when it changes [default: scripts in the data directory, if it is there]
    #[arg(long, value_name = "DIR")]
    pub scripts: Option<PathBuf>,

    /// Address of the HTTP API; port 0 takes a free one [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,

    /// Address where Flight SQL is answered too, such as 127.0.0.1:7071; port 0 takes a free one [default: not at all]
    #[arg(long, value_name = "ADDR")]
    pub flight_listen: Option<String>,

    /// Memory for the newest rows of all tables together [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[serde(deserialize_with = "size")]
    pub memory: Option<ByteSize>,

    /// How long rows stay in memory before they go to a file [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    #[serde(deserialize_with = "duration")]
    pub spill_age: Option<Duration>,

    /// How long files of a table are kept, by age, size or both: `http_events=7d,50GB`; `*=30d` is for all without a rule
    /// of their own; may be repeated [default: for ever]
    #[arg(long, value_name = "TABLE=AGE,SIZE")]
    pub retain: Vec<RetainRule>,

    /// Bucket to which the files go too, as `s3://BUCKET/PREFIX`; reached as the usual `AWS_...` variables say
    #[arg(long, value_name = "URL", value_parser = parse_store)]
    #[serde(deserialize_with = "store")]
    pub store: Option<String>,

    /// With --store: files that may stay on the disk; beyond that the oldest that are in the bucket go [default: 10GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[serde(deserialize_with = "size")]
    pub local_cache: Option<ByteSize>,

    /// Directory of a cgroup v2 to watch, with all below it; may be repeated [default: the whole machine]
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<PathBuf>,

    /// In the file, `[capture]`: what to capture and to keep. The cgroups of the command line win over those in it.
    #[arg(skip)]
    pub capture: CaptureSettings,

    /// Answer queries only: load no eBPF program
    #[arg(long)]
    pub no_capture: bool,

    /// Name of this machine in every row and file [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,

    /// Where the root of this machine's file system is seen, whose files name containers and pods [default: /]
    #[arg(long, value_name = "DIR")]
    pub host_root: Option<PathBuf>,

    /// Rules that name services; in the file alone.
    #[arg(skip)]
    pub service: Vec<ServiceSettings>,

    /// How often an open connection gets a row in flows [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    #[serde(deserialize_with = "duration")]
    pub flow_interval: Option<Duration>,

    /// How long a DNS query waits for its answer (since it was sent last) before its row says timeout [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    #[serde(deserialize_with = "duration")]
    pub dns_timeout: Option<Duration>,

    /// Kernel memory for packets that were not read yet, a power of two; what does not fit is counted as lost [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[serde(deserialize_with = "size")]
    pub payload_ring: Option<ByteSize>,

    /// The same for what tells of connections and processes [default: 4MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[serde(deserialize_with = "size")]
    pub control_ring: Option<ByteSize>,

    /// When new rows reach the disk: always (at once), never (when the system likes), or every so often [default: 200ms]
    #[arg(long, value_name = "always|DURATION|never", value_parser = parse_fsync)]
    #[serde(deserialize_with = "fsync")]
    pub fsync: Option<Fsync>,

    /// Memory for sorts, joins and groups of all queries together [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[serde(deserialize_with = "size")]
    pub query_memory: Option<ByteSize>,

    /// Disk, within the data directory, for what outgrows that memory [default: 10GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[serde(deserialize_with = "size")]
    pub query_disk: Option<ByteSize>,

    /// Queries that run at a time; others wait [default: two for each processor, at least 4]
    #[arg(long, value_name = "N")]
    pub max_queries: Option<usize>,

    /// How long a query may wait for others before it is refused [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    #[serde(deserialize_with = "duration")]
    pub queue_timeout: Option<Duration>,

    /// How long a query may take that does not say so itself [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    #[serde(deserialize_with = "duration")]
    pub query_timeout: Option<Duration>,

    /// The longest time a query may ask for [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    #[serde(deserialize_with = "duration")]
    pub max_query_timeout: Option<Duration>,

    /// Most rows of any answer [default: 10000000]
    #[arg(long, value_name = "N")]
    pub max_rows: Option<usize>,

    /// Most bytes of the values of any answer [default: 4GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[serde(deserialize_with = "size")]
    pub max_bytes: Option<ByteSize>,

    /// Queries that follow new rows at a time [default: 64]
    #[arg(long, value_name = "N")]
    pub max_followers: Option<usize>,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Directory of the data.
    pub data: PathBuf,
    /// Directory of the user's own scripts, which must be there; without, one that may be in the data directory.
    pub scripts: Option<PathBuf>,
    /// Address of the HTTP API.
    pub listen: String,
    /// Address of Flight SQL, where it is wanted.
    pub flight_listen: Option<String>,
    /// Bytes for the newest rows of all tables together.
    pub memory: usize,
    /// How long rows stay in memory before they go to a file.
    pub spill_age: Duration,
    /// How long the files of tables are kept; those of other tables, for ever.
    pub retention: Vec<(TableId, Retention)>,
    /// The bucket to which the files go too.
    pub store: Option<String>,
    /// Bytes of files that may stay on the disk beside it.
    pub local_cache: u64,
    /// What to capture and to keep, every member written.
    pub choice: CaptureSettings,
    /// Whether to capture.
    pub capture: bool,
    /// Name of this machine in every row and file.
    pub node: Arc<str>,
    /// Where the root of this machine's file system is seen.
    pub host_root: PathBuf,
    /// Names of services; the first rule that matches counts.
    pub services: Vec<ServiceRule>,
    /// How often an open connection gets a row in `flows`.
    pub flow_interval: Duration,
    /// How long a DNS query waits for its answer.
    pub dns_timeout: Duration,
    /// Bytes of the ring for packets.
    pub payload_ring: u32,
    /// Bytes of the ring for connections and processes.
    pub control_ring: u32,
    /// When new rows reach the disk.
    pub fsync: Fsync,
    /// What queries may use.
    pub queries: QueryConfig,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key or value that is not known.
    #[error("in the configuration file {}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// What to capture makes no sense.
    #[error("in what to capture, {0}")]
    Capture(#[from] CaptureSettingsError),
    /// The cgroups to capture are in two places.
    #[error(
        "the configuration file names cgroups twice, as `cgroup` and in `[capture]` as `cgroups`; write one of them"
    )]
    TwoCgroups,
    /// A node without a name.
    #[error("the node's name is empty; name it with --node")]
    NoNode,
    /// Memory that holds no rows to speak of, or that no machine has.
    #[error("memory is {0}; give it between {least} and {most}, for example 256MiB", least = MIN_MEMORY, most = MAX_MEMORY)]
    Memory(ByteSize),
    /// A ring that the kernel does not make.
    #[error("{0} is {1}; give a power of two between {least} and {most}, for example 16MiB", least = MIN_RING, most = MAX_RING)]
    Ring(&'static str, ByteSize),
    /// Two rules for the same table.
    #[error("--retain names {0} twice; write one rule with both limits, for example {0}=7d,50GB")]
    Retain(String),
    /// A rule for a service's name that cannot be used.
    #[error("{0}")]
    Service(String),
    /// A number of things that must be there.
    #[error("{0} must be more than 0")]
    None(&'static str),
    /// An interval of no length.
    #[error("{0} must be longer than nothing; write for example 10s")]
    Zero(&'static str),
}

impl Config {
    /// The settings of the command line over those of the file, over the defaults.
    pub(crate) fn resolve(flags: Settings, file: Option<&Path>) -> Result<Self, ConfigError> {
        let file = file.map(read).transpose()?.unwrap_or_default();
        let queries = QueryConfig::resolve(&flags, &file)?;
        let Settings {
            data,
            scripts,
            listen,
            flight_listen,
            memory,
            spill_age,
            retain,
            store,
            local_cache,
            cgroup,
            capture: _,
            no_capture,
            node,
            host_root,
            flow_interval,
            dns_timeout,
            payload_ring,
            control_ring,
            fsync,
            ..
        } = flags;
        let mut choice = file.capture;
        if !file.cgroup.is_empty() && choice.cgroups.is_some() {
            return Err(ConfigError::TwoCgroups);
        }
        for cgroups in [file.cgroup, cgroup] {
            if !cgroups.is_empty() {
                choice.cgroups = Some(cgroups);
            }
        }
        let choice = choice.over(&CaptureSettings::usual());
        choice.choice()?;
        let retain = if retain.is_empty() {
            file.retain
        } else {
            retain
        };
        let memory = memory.or(file.memory).unwrap_or(DEFAULT_MEMORY);
        Ok(Self {
            data: data.or(file.data).unwrap_or_else(|| DEFAULT_DATA.into()),
            scripts: scripts.or(file.scripts),
            listen: listen
                .or(file.listen)
                .unwrap_or_else(|| DEFAULT_LISTEN.to_owned()),
            flight_listen: flight_listen.or(file.flight_listen),
            memory: memory_bytes(memory)?,
            spill_age: positive("spill-age", spill_age.or(file.spill_age), DEFAULT_SPILL_AGE)?,
            retention: retain::resolve(&retain).map_err(ConfigError::Retain)?,
            store: store.or(file.store),
            local_cache: local_cache
                .or(file.local_cache)
                .unwrap_or(DEFAULT_LOCAL_CACHE)
                .as_u64(),
            choice,
            capture: !(no_capture || file.no_capture),
            node: node_name(node.or(file.node))?,
            host_root: host_root.or(file.host_root).unwrap_or_else(|| "/".into()),
            services: services::resolve(file.service).map_err(ConfigError::Service)?,
            flow_interval: positive(
                "flow-interval",
                flow_interval.or(file.flow_interval),
                DEFAULT_FLOW_INTERVAL,
            )?,
            dns_timeout: positive(
                "dns-timeout",
                dns_timeout.or(file.dns_timeout),
                DEFAULT_DNS_TIMEOUT,
            )?,
            payload_ring: ring_bytes(
                "payload-ring",
                payload_ring.or(file.payload_ring),
                DEFAULT_PAYLOAD_RING,
            )?,
            control_ring: ring_bytes(
                "control-ring",
                control_ring.or(file.control_ring),
                DEFAULT_CONTROL_RING,
            )?,
            fsync: fsync.or(file.fsync).unwrap_or_default(),
            queries,
        })
    }
}

/// The kernel takes powers of two, of pages at least.
fn ring_bytes(
    name: &'static str,
    asked: Option<ByteSize>,
    default: ByteSize,
) -> Result<u32, ConfigError> {
    let size = asked.unwrap_or(default);
    let is_possible = size.as_u64().is_power_of_two() && (MIN_RING..=MAX_RING).contains(&size);
    match u32::try_from(size.as_u64()) {
        Ok(bytes) if is_possible => Ok(bytes),
        _ => Err(ConfigError::Ring(name, size)),
    }
}

fn memory_bytes(memory: ByteSize) -> Result<usize, ConfigError> {
    if !(MIN_MEMORY..=MAX_MEMORY).contains(&memory) {
        return Err(ConfigError::Memory(memory));
    }
    usize::try_from(memory.as_u64()).map_err(|_| ConfigError::Memory(memory))
}

/// What of HTTP the file says to keep; this alone matters to an import.
pub(crate) fn http_of(file: &Path) -> Result<weir_ingest::http::Config, ConfigError> {
    Ok(read(file)?.capture.http()?)
}

fn read(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| ConfigError::Parse {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

fn positive(
    name: &'static str,
    value: Option<Duration>,
    default: Duration,
) -> Result<Duration, ConfigError> {
    match value {
        Some(Duration::ZERO) => Err(ConfigError::Zero(name)),
        value => Ok(value.unwrap_or(default)),
    }
}

/// The name given, or else the host name.
pub(crate) fn node_name(given: Option<String>) -> Result<Arc<str>, ConfigError> {
    let name = given.unwrap_or_else(|| {
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
    });
    if name.is_empty() {
        return Err(ConfigError::NoNode);
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("it can be written");
        file
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = file_with(
            "data = '/srv/weir'
scripts = '/srv/scripts'
listen = '127.0.0.1:1'
flight-listen = '[::1]:2'
memory = '1MiB'
\
             no-capture = true
\
             cgroup = ['/a', '/b']\nflow-interval = '2s'\nfsync = 'never'\nnode = 'file'\n\
             spill-age = '5s'\nstore = 's3://bucket/a/'\nlocal-cache = '1GB'\nretain = ['flows=1h', '*=1GB']\n\
             max-queries = 3\nmax-rows = 7\nhost-root = '/host'\npayload-ring = '64KiB'\n[capture]\nbody-bytes = 512\n",
        );
        let flags = Settings {
            node: Some("flag".to_owned()),
            max_rows: Some(5),
            cgroup: vec!["/c".into()],
            retain: vec!["flows=1d".parse().expect("a rule")],
            ..Settings::default()
        };
        let config = Config::resolve(flags, Some(file.path())).expect("valid settings");
        assert_eq!(
            config,
            Config {
                data: "/srv/weir".into(),
                scripts: Some("/srv/scripts".into()),
                listen: "127.0.0.1:1".to_owned(),
                flight_listen: Some("[::1]:2".to_owned()),
                memory: 1024 * 1024,
                spill_age: Duration::from_secs(5),
                retention: vec![(
                    TableId::Flow,
                    Retention {
                        age: Some(Duration::from_hours(24)),
                        bytes: None,
                    }
                )],
                store: Some("s3://bucket/a".to_owned()),
                local_cache: 1_000_000_000,
                choice: CaptureSettings {
                    cgroups: Some(vec!["/c".into()]),
                    body_bytes: Some(512),
                    ..CaptureSettings::usual()
                },
                capture: false,
                node: "flag".into(),
                host_root: "/host".into(),
                services: Vec::new(),
                flow_interval: Duration::from_secs(2),
                dns_timeout: DEFAULT_DNS_TIMEOUT,
                payload_ring: 64 * 1024,
                control_ring: 4 * 1024 * 1024,
                fsync: Fsync::Never,
                queries: QueryConfig {
                    max_queries: Some(3),
                    max_rows: 5,
                    ..QueryConfig::default()
                },
            }
        );
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let file = file_with("datta = '/srv/weir'\n");
        let error = Config::resolve(Settings::default(), Some(file.path())).expect_err("unknown");
        assert!(error.to_string().contains("`datta`"), "{error}");
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for text in [
            "flow-interval = '0s'",
            "dns-timeout = 'soon'",
            "memory = 'much'",
            "memory = '0'",
            "memory = '1023KiB'",
            "memory = '2TiB'",
            "node = ''",
            "payload-ring = '100KiB'",
            "payload-ring = '32KiB'",
            "control-ring = '2GiB'",
            "fsync = 'sometimes'",
            "fsync = '0s'",
            "spill-age = '0s'",
            "query-timeout = '0s'",
            "max-queries = 0",
            "max-queries = -1",
            "max-rows = 0",
            "query-memory = '1KiB'",
            "store = 'bucket'",
            "local-cache = 'big'",
            "[[service]]\nname = 'shop'",
            "service = 'shop'",
            "retain = ['flows']",
            "retain = ['flows=1d', 'flows=1GB']",
            "cgroup = ['/a']\n[capture]\ncgroups = ['/b']",
            "[capture]\nprotocols = ['tls']",
            "[capture]\nbodies = true",
        ] {
            let file = file_with(text);
            assert!(
                Config::resolve(Settings::default(), Some(file.path())).is_err(),
                "{text}"
            );
        }
    }
}
