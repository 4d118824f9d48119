//! The OCI runtime configuration (`config.json`), whose annotations hold the names.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::Names;
use super::file::{Failure, Reader};

/// State directories of containerd, alone and inside the Kubernetes distributions that bring their own.
const CONTAINERD: [&str; 4] = [
    "run/containerd",
    "run/k3s/containerd",
    "run/k0s/containerd",
    "var/snap/microk8s/common/run/containerd",
];
const CONTAINERD_TASKS: &str = "io.containerd.runtime.v2.task";
/// Where CRI-O and Podman keep containers.
const STORAGE: [&str; 2] = ["run/containers/storage", "var/lib/containers/storage"];
/// Directory of the containers of one storage driver: `overlay-containers`.
const OF_DRIVER: &str = "-containers";

const CONTAINER: [&str; 3] = [
    "io.kubernetes.cri.container-name",
    "io.kubernetes.container.name",
    "nerdctl/name",
];
const POD: [&str; 2] = ["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"];
const NAMESPACE: [&str; 2] = [
    "io.kubernetes.cri.sandbox-namespace",
    "io.kubernetes.pod.namespace",
];

#[derive(Deserialize)]
struct Spec {
    annotations: Option<HashMap<String, String>>,
}

/// One of Podman's list of containers.
#[derive(Deserialize)]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
}

pub(super) fn names(reader: &Reader<'_>, id: &str) -> Result<Option<Names>, Failure> {
    for base in CONTAINERD {
        let tasks = Path::new(base).join(CONTAINERD_TASKS);
        for namespace in reader.entries(&tasks)? {
            let path = tasks.join(namespace).join(id).join("config.json");
            if let Some(spec) = reader.json::<Spec>(&path)? {
                return Ok(Some(annotated(spec)));
            }
        }
    }
    for base in STORAGE {
        for driver in reader.entries(Path::new(base))? {
            if !driver.ends_with(OF_DRIVER) {
                continue;
            }
            let containers = Path::new(base).join(driver);
            let path = containers.join(id).join("userdata/config.json");
            if let Some(spec) = reader.json::<Spec>(&path)? {
                let mut names = annotated(spec);
                if names.container.is_none() {
                    names.container = listed(reader, id)?;
                }
                return Ok(Some(names));
            }
        }
    }
    Ok(None)
}

fn annotated(spec: Spec) -> Names {
    let annotations = spec.annotations.unwrap_or_default();
    let first = |keys: &[&str]| {
        let mut values = keys.iter().filter_map(|key| annotations.get(*key));
        values.find(|value| !value.is_empty()).cloned()
    };
    Names {
        container: first(&CONTAINER),
        compose_service: None,
        pod: first(&POD),
        namespace: first(&NAMESPACE),
    }
}

/// The name under which Podman lists a container: the annotations do not have it.
fn listed(reader: &Reader<'_>, id: &str) -> Result<Option<String>, Failure> {
    let base = Path::new(STORAGE[1]);
    for driver in reader.entries(base)? {
        if !driver.ends_with(OF_DRIVER) {
            continue;
        }
        let list: Option<Vec<Listed>> = reader.json(&base.join(driver).join("containers.json"))?;
        let found = list
            .into_iter()
            .flatten()
            .find(|container| container.id == id);
        if let Some(name) = found.and_then(|container| container.names?.into_iter().next()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
