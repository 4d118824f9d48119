//! What the processes of one cgroup have in common.

use std::sync::Arc;

use super::cgroup_path::Placement;
use super::node::{Names, NodeFiles};
use super::workload::workload_of;

/// The processes of one cgroup: where they are, and what that is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) path: Arc<str>,
    pub(crate) container_id: Option<Arc<str>>,
    pub(crate) container: Option<Arc<str>>,
    pub(crate) compose_service: Option<Arc<str>>,
    pub(crate) pod: Option<Arc<str>>,
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) workload: Option<Arc<str>>,
    pub(crate) unit: Option<Arc<str>>,
    /// Whether the unit says more than the container: it lies inside, or is what the container was made for.
    pub(crate) is_unit_closer: bool,
    /// Whether the files of the node did not tell yet what the path promises: they may be written a moment later.
    pub(crate) is_incomplete: bool,
}

impl Group {
    /// The group of a cgroup with this path, on the node of this name.
    pub(crate) fn of(path: &Arc<str>, files: &mut NodeFiles, node: &str) -> Self {
        let placement = Placement::of(path);
        let of_container = placement
            .container_id
            .as_deref()
            .and_then(|id| files.container(id));
        let is_incomplete = placement.container_id.is_some() && of_container.is_none();
        let mut names = of_container.unwrap_or_default();
        let mut lacks_pod = false;
        if let Some(uid) = &placement.pod_uid
            && names.pod.is_none()
        {
            let Names { pod, namespace, .. } = files.pod(uid).unwrap_or_default();
            lacks_pod = pod.is_none();
            (names.pod, names.namespace) = (pod, namespace);
        }
        // A static pod has the hash of its manifest for a uid.
        let is_static = placement
            .pod_uid
            .as_deref()
            .is_some_and(|uid| !uid.contains('-'));
        let workload = names
            .pod
            .as_deref()
            .and_then(|pod| workload_of(pod, is_static, node))
            .map(Arc::from);
        let Names {
            container,
            compose_service,
            pod,
            namespace,
        } = names;
        let shared = |text: Option<String>| text.map(Arc::from);
        Self {
            path: Arc::clone(path),
            container_id: shared(placement.container_id),
            is_unit_closer: placement.is_unit_inside
                || (placement.is_unit_of_container && container.is_none()),
            container: shared(container),
            compose_service: shared(compose_service),
            pod: shared(pod),
            namespace: shared(namespace),
            workload,
            unit: shared(placement.unit),
            is_incomplete: is_incomplete || lacks_pod,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ID: &str = "3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e";
    const UID: &str = "0d1c1b5e-1111-2222-3333-444455556666";
    const STATIC_UID: &str = "4f2a9c0d1e3b5a6c7d8e9f0a1b2c3d4e";

    fn texts(group: &Group) -> [Option<&str>; 4] {
        [
            &group.container,
            &group.pod,
            &group.namespace,
            &group.workload,
        ]
        .map(Option::as_deref)
    }

    #[test]
    fn the_files_of_the_node_complete_what_the_path_tells() {
        let root = tempfile::tempdir().expect("a temporary directory can be made");
        let mut files = NodeFiles::new(root.path());
        let path: Arc<str> = format!("/kubepods/burstable/pod{UID}/{ID}").into();
        let before = Group::of(&path, &mut files, "node-1");
        assert!(before.is_incomplete);
        assert_eq!(before.container_id.as_deref(), Some(ID));
        assert_eq!(texts(&before), [None; 4]);

        let pods = root.path().join("var/log/pods");
        fs::create_dir_all(pods.join(format!("shop_checkout-5d4f8c7b9-xk2lp_{UID}")))
            .expect("it can be made");
        let half = Group::of(&path, &mut files, "node-1");
        assert!(half.is_incomplete, "the container has no name yet");
        assert_eq!(
            texts(&half),
            [
                None,
                Some("checkout-5d4f8c7b9-xk2lp"),
                Some("shop"),
                Some("checkout")
            ]
        );

        let containers = root.path().join("var/log/containers");
        fs::create_dir_all(&containers).expect("it can be made");
        let log = format!("checkout-5d4f8c7b9-xk2lp_shop_app-{ID}.log");
        fs::write(containers.join(log), "").expect("it can be written");
        let whole = Group::of(&path, &mut files, "node-1");
        assert!(!whole.is_incomplete);
        assert_eq!(whole.container.as_deref(), Some("app"));
        assert_eq!(whole.workload.as_deref(), Some("checkout"));
    }

    #[test]
    fn a_static_pod_is_found_by_the_hash_of_its_manifest() {
        let root = tempfile::tempdir().expect("a temporary directory can be made");
        let directory = format!("var/log/pods/kube-system_etcd-node-1_{STATIC_UID}");
        fs::create_dir_all(root.path().join(directory)).expect("it can be made");
        let path: Arc<str> = format!("/kubepods/burstable/pod{STATIC_UID}/{ID}").into();
        let group = Group::of(&path, &mut NodeFiles::new(root.path()), "node-1");
        assert_eq!(
            texts(&group),
            [None, Some("etcd-node-1"), Some("kube-system"), Some("etcd")]
        );
    }

    #[test]
    fn a_cgroup_without_container_needs_no_file() {
        let path: Arc<str> = "/system.slice/nginx.service".into();
        let group = Group::of(
            &path,
            &mut NodeFiles::new("/nonexistent".as_ref()),
            "node-1",
        );
        assert!(!group.is_incomplete);
        assert_eq!(group.unit.as_deref(), Some("nginx.service"));
    }
}
