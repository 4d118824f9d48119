//! Names of the log files that the kubelet makes, whatever the container runtime is.

use std::path::Path;

use super::Names;
use super::file::{Failure, Reader};

/// `<namespace>_<pod>_<uid>`; none of the three can hold an underscore.
const PODS: &str = "var/log/pods";
/// `<pod>_<namespace>_<container>-<container id>.log`
const CONTAINERS: &str = "var/log/containers";

pub(super) fn pod_names(reader: &Reader<'_>, uid: &str) -> Result<Option<Names>, Failure> {
    let mut directories = reader.entries(Path::new(PODS))?;
    Ok(directories.find_map(|name| {
        let (pod, found) = name.rsplit_once('_')?;
        let (namespace, pod) = pod.split_once('_')?;
        (found == uid).then(|| Names {
            pod: Some(pod.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..Names::default()
        })
    }))
}

pub(super) fn container_names(reader: &Reader<'_>, id: &str) -> Result<Option<Names>, Failure> {
    let mut files = reader.entries(Path::new(CONTAINERS))?;
    Ok(files.find_map(|name| {
        let name = name.strip_suffix(".log")?.strip_suffix(id)?;
        let name = name.strip_suffix('-')?;
        let (pod, rest) = name.split_once('_')?;
        let (namespace, container) = rest.split_once('_')?;
        Some(Names {
            container: Some(container.to_owned()),
            pod: Some(pod.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..Names::default()
        })
    }))
}
