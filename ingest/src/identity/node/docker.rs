//! Docker: `<data root>/containers/<id>/config.v2.json`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Names;
use super::file::{Failure, Reader};

const DATA_ROOT: &str = "var/lib/docker";
/// Where an administrator says that the data lies elsewhere.
const DAEMON_CONFIG: &str = "etc/docker/daemon.json";

const COMPOSE_SERVICE: &str = "com.docker.compose.service";
/// Labels that a kubelet gives the containers that it runs by Docker.
const POD: &str = "io.kubernetes.pod.name";
const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const CONTAINER: &str = "io.kubernetes.container.name";

#[derive(Deserialize)]
struct DaemonConfig {
    #[serde(rename = "data-root")]
    data_root: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    name: Option<String>,
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    labels: Option<HashMap<String, String>>,
}

pub(super) fn names(reader: &Reader<'_>, id: &str) -> Result<Option<Names>, Failure> {
    let root = data_root(reader)?;
    let path = root.join("containers").join(id).join("config.v2.json");
    let Some(container) = reader.json::<Container>(&path)? else {
        return Ok(None);
    };
    let mut labels = container
        .config
        .and_then(|config| config.labels)
        .unwrap_or_default();
    let name = container
        .name
        .map(|name| name.trim_start_matches('/').to_owned())
        .filter(|name| !name.is_empty());
    Ok(Some(Names {
        container: labels.remove(CONTAINER).or(name),
        compose_service: labels.remove(COMPOSE_SERVICE),
        pod: labels.remove(POD),
        namespace: labels.remove(NAMESPACE),
    }))
}

fn data_root(reader: &Reader<'_>) -> Result<PathBuf, Failure> {
    let config: Option<DaemonConfig> = reader.json(Path::new(DAEMON_CONFIG))?;
    let chosen = config.and_then(|config| config.data_root);
    Ok(chosen
        .and_then(|path| path.strip_prefix("/").map(Path::to_owned).ok())
        .unwrap_or_else(|| DATA_ROOT.into()))
}
