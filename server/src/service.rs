//! `weir serve`: joins capture, store, engine and API, and takes them down again in order.
//!
//! ```text
//!   start: listen -> open the store -> capture -> serve
//!   stop:  capture (its last rows) -> ledger -> API, Flight SQL -> everything in memory to files -> those to the bucket
//! ```

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_query::scripts::DirectoryError;
use weir_query::{Engine, QueryError};
use weir_storage::{
    Bucket, BucketUrlError, MaintenanceHandle, RemoteOptions, SpillerHandle, Store, StoreError,
    StoreOptions,
};

use crate::capture::{CannotCapture, CaptureState};
use crate::config::{Config, Settings};
use crate::flight::FlightServer;
use crate::http::{App, Metrics, router};
use crate::scripts;
use crate::sink::{LossTotals, StoreSink};

/// How often what the store lost is written into the ledger.
const LEDGER_INTERVAL: Duration = Duration::from_secs(10);
/// How long clients may take to read their answers once the server stops.
const DRAIN: Duration = Duration::from_secs(3);
/// How long the bucket may take for the last files; what is not there by then goes there at the next start.
const LAST_DELIVERY: Duration = Duration::from_secs(10);
/// Directory for what sorts and groups spill, within the data directory; emptied at each start.
const SPILL_DIRECTORY: &str = ".spill";

/// Why the service could not start, or not end as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose another with {option}")]
    Listen {
        /// The option that names it.
        option: &'static str,
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The threads cannot be started or the signals not be heard.
    #[error("cannot {action}")]
    Start {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket's name makes no sense.
    #[error(transparent)]
    Bucket(#[from] BucketUrlError),
    /// The query engine cannot be set up.
    #[error(transparent)]
    Engine(#[from] QueryError),
    /// The directory of scripts that was named cannot be read.
    #[error(transparent)]
    Scripts(#[from] DirectoryError),
    /// The capture cannot start.
    #[error(transparent)]
    Capture(#[from] CannotCapture),
    /// Rows could not be written out at the end.
    #[error("the newest rows could not be written to {directory} and are lost")]
    Flush {
        /// The data directory.
        directory: String,
        /// Why.
        source: Box<StoreError>,
    },
}

/// Runs until a signal ends it. `source` is where the settings come from; SIGHUP reads it again.
pub(crate) fn run(config: Config, source: &Source) -> Result<(), ServiceError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("weir-server")
        .enable_all()
        .build()
        .map_err(start_error("start the server's threads"))?
        .block_on(serve(config, source))
}

fn start_error(action: &'static str) -> impl FnOnce(io::Error) -> ServiceError {
    move |source| ServiceError::Start { action, source }
}

/// Where the settings come from.
#[derive(Debug)]
pub(crate) struct Source {
    /// Those of the command line.
    pub flags: Settings,
    /// The configuration file.
    pub file: Option<PathBuf>,
}

async fn serve(config: Config, source: &Source) -> Result<(), ServiceError> {
    let mut signals = Signals::listen()?;
    let listener = listen("--listen", &config.listen).await?;
    let flight = match &config.flight_listen {
        Some(address) => Some(listen("--flight-listen", address).await?),
        None => None,
    };
    let service = Service::start(&config, listener, flight).await?;
    service.announce(&config);
    while signals.next().await == Asked::Reload {
        service.reload(&config, source).await;
    }
    tracing::info!("stopping; a second signal ends at once");
    tokio::spawn(async move {
        while signals.next().await == Asked::Reload {}
        std::process::exit(130);
    });
    service.stop(&config).await
}

async fn listen(option: &'static str, address: &str) -> Result<TcpListener, ServiceError> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| ServiceError::Listen {
        option,
        address: address.to_owned(),
        source,
    })?;
    let address = listener
        .local_addr()
        .map_err(start_error("read the address of a listening socket"))?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "anyone who reaches this address can read everything captured");
    }
    Ok(listener)
}

/// Everything that runs.
struct Service {
    url: String,
    store: Arc<Store>,
    spiller: SpillerHandle,
    maintenance: MaintenanceHandle,
    losses: Arc<LossTotals>,
    capture: CaptureState,
    ledger: JoinHandle<()>,
    scripts: JoinHandle<()>,
    api: JoinHandle<io::Result<()>>,
    stop_api: oneshot::Sender<()>,
    flight: Option<FlightServer>,
}

impl Service {
    async fn start(
        config: &Config,
        listener: TcpListener,
        flight: Option<TcpListener>,
    ) -> Result<Self, ServiceError> {
        let address = listener
            .local_addr()
            .map_err(start_error("read the address of the listening socket"))?;
        if config.capture {
            CaptureState::check(config)?;
        }
        let mut options = StoreOptions::new(&config.data, Arc::clone(&config.node));
        options.memory_bytes = config.memory;
        options.spill_age = config.spill_age;
        options.retention = config.retention.clone();
        options.fsync = config.fsync;
        options.remote = match &config.store {
            Some(url) => Some(RemoteOptions {
                local_bytes: config.local_cache,
                ..RemoteOptions::new(Bucket::from_url(url)?)
            }),
            None => None,
        };
        let store = Store::open(options).await?;
        let options = config.queries.engine_options(spill_directory(&config.data));
        let engine = Engine::new(Arc::clone(&store), options)?;
        let library = Arc::new(scripts::library(
            config.scripts.as_deref(),
            Some(&config.data),
        ));
        scripts::refresh(&library, &engine).await?;
        let losses = Arc::new(LossTotals::default());
        let capture = if config.capture {
            CaptureState::start(config, StoreSink::new(&store, &losses))?
        } else {
            CaptureState::Off
        };
        let app = Arc::new(App {
            node: Arc::clone(&config.node),
            metrics: Metrics::new(&engine, &store, &losses, &capture),
            engine: Arc::clone(&engine),
            scripts: Arc::clone(&library),
            store: Arc::clone(&store),
            capture: capture.clone(),
            losses: Arc::clone(&losses),
            started: Instant::now(),
            started_at: Utc::now(),
        });
        let flight = flight
            .map(|listener| FlightServer::start(listener, Arc::clone(&app)))
            .transpose()
            .map_err(start_error("read the address of a listening socket"))?;
        let (stop_api, stopped) = oneshot::channel();
        let routes = router(app).into_make_service_with_connect_info::<SocketAddr>();
        let api = axum::serve(listener, routes).with_graceful_shutdown(async {
            // An error means that the sender is gone, which is a stop too.
            let _ = stopped.await;
        });
        let ledger = StoreSink::new(&store, &losses);
        Ok(Self {
            url: format!("http://{address}"),
            spiller: store.start_spiller()?,
            maintenance: store.start_maintenance(),
            store,
            losses,
            capture,
            ledger: tokio::spawn(keep_ledger(ledger, Arc::clone(&config.node))),
            scripts: tokio::spawn(scripts::watch(library, engine)),
            api: tokio::spawn(api.into_future()),
            stop_api,
            flight,
        })
    }

    /// Says on standard output that the service is ready, and where.
    fn announce(&self, config: &Config) {
        let watching = match &self.capture {
            CaptureState::On(_) => config.choice.describe(),
            CaptureState::Off => "answering queries only".to_owned(),
        };
        let flight = self.flight.as_ref().map_or_else(String::new, |flight| {
            format!("Flight SQL at grpc://{}, ", flight.address)
        });
        // Standard output may be closed, and the service is of use all the same.
        let _ = writeln!(
            io::stdout(),
            "weir is ready: {}, {flight}{watching}, data in {}",
            self.url,
            config.data.display()
        );
    }

    /// Reads the configuration again and captures what it says. Where it cannot be used, everything is as before.
    async fn reload(&self, started_with: &Config, source: &Source) {
        let config = match Config::resolve(source.flags.clone(), source.file.as_deref()) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "the configuration cannot be used; what is captured stays as it is");
                return;
            }
        };
        let capture = self.capture.clone();
        let choice = config.choice.clone();
        let changed = tokio::task::spawn_blocking(move || capture.start_over(&choice)).await;
        match changed {
            Ok(Ok(())) => tracing::info!("the configuration was read again"),
            Ok(Err(error)) => {
                tracing::error!(%error, "what is captured stays as it is");
            }
            Err(error) => tracing::error!(%error, "what is captured may not have changed"),
        }
        let others = Config {
            choice: started_with.choice.clone(),
            ..config
        };
        if others != *started_with {
            tracing::warn!(
                "settings beside [capture] have changed; they hold from the next start on"
            );
        }
    }

    async fn stop(self, config: &Config) -> Result<(), ServiceError> {
        let Self {
            url: _,
            store,
            spiller,
            maintenance,
            losses,
            capture,
            ledger,
            scripts,
            mut api,
            stop_api,
            flight,
        } = self;
        // Its last rows come while it stops, so this is first; it waits for its thread.
        match tokio::task::spawn_blocking(move || capture.stop()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the capture did not end cleanly"),
            Err(error) => tracing::error!(%error, "the capture did not end cleanly"),
        }
        ledger.abort();
        scripts.abort();
        StoreSink::new(&store, &losses)
            .record_store_losses(&config.node, Utc::now().timestamp_micros());
        // The API may have ended by itself; there is nobody to tell then.
        let _ = stop_api.send(());
        let stop_flight = async {
            if let Some(flight) = flight {
                flight.stop(DRAIN).await;
            }
        };
        let (stopped, ()) = tokio::join!(tokio::time::timeout(DRAIN, &mut api), stop_flight);
        if stopped.is_err() {
            api.abort();
        }
        spiller.stop().await;
        let flushed = store.flush().await;
        // After the last files, so that the next start need not open them.
        maintenance.stop().await;
        match tokio::time::timeout(LAST_DELIVERY, store.deliver()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the newest files stay on the disk until the next start");
            }
            Err(_) => tracing::warn!(
                "not all files are in the bucket yet; they go there at the next start"
            ),
        }
        flushed.map_err(|source| ServiceError::Flush {
            directory: config.data.display().to_string(),
            source: Box::new(source),
        })
    }
}

async fn keep_ledger(mut sink: StoreSink, node: Arc<str>) {
    let mut ticks = tokio::time::interval(LEDGER_INTERVAL);
    loop {
        ticks.tick().await;
        sink.record_store_losses(&node, Utc::now().timestamp_micros());
    }
}

/// An empty directory to spill to, or none where it cannot be made: large sorts then fail and say so.
fn spill_directory(data: &Path) -> Option<PathBuf> {
    let directory = data.join(SPILL_DIRECTORY);
    let cleared = match std::fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::fs::create_dir(&directory),
    };
    match cleared {
        Ok(()) => Some(directory),
        Err(error) => {
            tracing::warn!(%error, directory = %directory.display(), "queries cannot spill to disk");
            None
        }
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

/// The signals that the service hears.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, ServiceError> {
        let listen = |kind| signal(kind).map_err(start_error("listen for signals"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
