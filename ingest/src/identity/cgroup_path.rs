//! What a cgroup's path tells: container, Kubernetes pod, systemd unit.

/// Hexadecimal digits of a container id.
const ID_DIGITS: usize = 64;
/// Hexadecimal digits of a UUID, and of the hash that stands for it with static pods.
const UID_DIGITS: usize = 32;
/// Lengths of the groups of a UUID.
const UID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// What a cgroup's path tells of the processes in it.
///
/// Containers, pods and units lie inside each other (Docker in a pod, a node of kind, systemd in a container); of each
/// kind the innermost counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Id of the container.
    pub(crate) container_id: Option<String>,
    /// Uid of the Kubernetes pod that the container is of, with dashes; the hash of its manifest for a static pod.
    pub(crate) pod_uid: Option<String>,
    /// Name of the systemd unit (a service or scope) with its suffix.
    pub(crate) unit: Option<String>,
    /// Whether the unit lies inside the container, so that it says more.
    pub(crate) is_unit_inside: bool,
    /// Whether the unit runs this one container, as units that Podman makes do.
    pub(crate) is_unit_of_container: bool,
}

impl Placement {
    /// Reads a path from the root of the hierarchy, or from that of a cgroup namespace (`/../..`).
    ///
    /// - Docker: `/docker/<id>`, `docker-<id>.scope`; containerd: `cri-containerd-<id>.scope`,
    ///   `<slice>:cri-containerd:<id>`, `nerdctl-<id>.scope`; CRI-O: `crio-<id>.scope`; Podman: `libpod-<id>.scope`,
    ///   `libpod-payload-<id>`; Kubernetes' cgroupfs driver: `/kubepods/burstable/pod<uid>/<id>`.
    /// - Pods: `pod<uid>`, `kubepods-besteffort-pod<uid>.slice` with `_` for `-`.
    /// - Units: `<name>.service`, `<name>.scope`. A slice holds units and is none itself.
    pub(crate) fn of(path: &str) -> Self {
        let mut placement = Self::default();
        for name in path.split('/') {
            let pod_uid = pod_uid(name);
            if pod_uid.is_some() {
                placement = Self {
                    pod_uid,
                    ..Self::default()
                };
            }
            if let Some(id) = container_id(name) {
                placement = Self {
                    container_id: Some(id.to_owned()),
                    pod_uid: placement.pod_uid,
                    unit: placement.unit,
                    is_unit_inside: false,
                    is_unit_of_container: name.starts_with("libpod-payload-"),
                };
            } else if is_unit(name) {
                placement.unit = Some(name.to_owned());
                placement.is_unit_inside = true;
                placement.is_unit_of_container = false;
            }
        }
        placement
    }
}

/// The container whose cgroup has this name.
fn container_id(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let prefix = name.get(..name.len().checked_sub(ID_DIGITS)?)?;
    let id = &name[prefix.len()..];
    // `libpod_pod_<id>` is a group of containers.
    let is_delimited = prefix.is_empty() || prefix.ends_with(['-', ':']);
    (is_delimited && !is_monitor(prefix) && is_hexadecimal(id)).then_some(id)
}

/// Whether a unit has this name. systemd knows its suffixes in lower case alone.
fn is_unit(name: &str) -> bool {
    matches!(
        name.rsplit_once('.'),
        Some((_, "service" | "scope")) if !is_monitor(name)
    )
}

/// Whether the cgroup is of the process that watches over a container from outside.
fn is_monitor(name: &str) -> bool {
    name.contains("-conmon-")
}

/// The pod whose cgroup has this name, or which this name of a container's cgroup leads with.
fn pod_uid(name: &str) -> Option<String> {
    let (slice, _) = name.split_once(':').unwrap_or((name, ""));
    let slice = slice.strip_suffix(".slice").unwrap_or(slice);
    let uid = match slice.strip_prefix("pod") {
        Some(uid) => uid,
        None => slice.rsplit_once("-pod")?.1,
    };
    let uid = uid.replace('_', "-");
    let is_hash = uid.len() == UID_DIGITS && is_hexadecimal(&uid);
    let groups = uid.split('-');
    let is_uuid = groups.clone().count() == UID_GROUPS.len()
        && groups
            .zip(UID_GROUPS)
            .all(|(group, length)| group.len() == length && is_hexadecimal(group));
    (is_hash || is_uuid).then_some(uid)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e";
    const OUTER: &str = "aaaa0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e";
    const UID: &str = "0d1c1b5e-1111-2222-3333-444455556666";
    const UID_IN_SLICE: &str = "0d1c1b5e_1111_2222_3333_444455556666";
    const STATIC_UID: &str = "4f2a9c0d1e3b5a6c7d8e9f0a1b2c3d4e";

    fn container(path: &str) -> Option<String> {
        Placement::of(path).container_id
    }

    #[test]
    fn the_id_is_found_in_the_paths_of_the_usual_runtimes() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope"),
            format!("/system.slice/containerd.service/system.slice:docker:{ID}"),
            format!("/system.slice/nerdctl-{ID}.scope"),
            format!("/default/{ID}"),
            format!("/machine.slice/libpod-{ID}.scope"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            format!("/machine.slice/machine-libpod_pod_{OUTER}.slice/libpod-{ID}.scope"),
            format!("/libpod_parent/libpod-{ID}"),
            format!("/libpod_parent/libpod_pod_{OUTER}/libpod-{ID}"),
            format!(
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"
            ),
            format!("/system.slice/web.service/libpod-payload-{ID}"),
            format!("/ecs/0123456789abcdef0123456789abcdef/{ID}"),
            format!("/../../system.slice/docker-{ID}.scope"),
            format!("/docker/{OUTER}/docker/{ID}"),
            format!("/docker/{ID}/system.slice/nginx.service"),
        ] {
            assert_eq!(container(&path).as_deref(), Some(ID), "{path}");
            assert_eq!(Placement::of(&path).pod_uid, None, "{path}");
        }
    }

    #[test]
    fn pods_and_their_containers_are_found_with_both_drivers_and_every_class() {
        for path in [
            format!("/kubepods/pod{UID}/{ID}"),
            format!("/kubepods/burstable/pod{UID}/{ID}"),
            format!("/kubepods/besteffort/pod{UID}/crio-{ID}"),
            format!("/kubepods.slice/kubepods-pod{UID_IN_SLICE}.slice/cri-containerd-{ID}.scope"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_IN_SLICE}.slice/cri-containerd-{ID}.scope"
            ),
            format!(
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_IN_SLICE}.slice/crio-{ID}.scope/container"
            ),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_IN_SLICE}.slice/docker-{ID}.scope"
            ),
            format!(
                "/system.slice/containerd.service/kubepods-burstable-pod{UID_IN_SLICE}.slice:cri-containerd:{ID}"
            ),
            format!("/docker/{OUTER}/kubelet/kubepods/besteffort/pod{UID}/{ID}"),
            format!(
                "/system.slice/docker-{OUTER}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{UID_IN_SLICE}.slice/cri-containerd-{ID}.scope"
            ),
            format!("/../../kubepods/burstable/pod{UID}/{ID}"),
        ] {
            let placement = Placement::of(&path);
            assert_eq!(placement.container_id.as_deref(), Some(ID), "{path}");
            assert_eq!(placement.pod_uid.as_deref(), Some(UID), "{path}");
            assert_eq!(placement.unit, None, "{path}");
        }
        for path in [
            format!("/kubepods/burstable/pod{STATIC_UID}/{ID}"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC_UID}.slice/crio-{ID}.scope"
            ),
        ] {
            assert_eq!(
                Placement::of(&path).pod_uid.as_deref(),
                Some(STATIC_UID),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_no_container_has_no_id() {
        for path in [
            "/".to_owned(),
            String::new(),
            "/system.slice/nginx.service".to_owned(),
            "/user.slice/user-1000.slice/session-2.scope".to_owned(),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/kubepods/besteffort/pod{UID}/crio-conmon-{ID}"),
            format!("/machine.slice/machine-libpod_pod_{ID}.slice"),
            format!("/docker/{ID}f"),
            format!("/docker/{}", &ID[1..]),
            format!("/system.slice/backup-{}.service", &ID[1..]),
            "/docker/ééééééééééééééééééééééééééééééééé".to_owned(),
        ] {
            assert_eq!(container(&path), None, "{path}");
        }
        assert_eq!(
            Placement::of("/kubepods/pod-of-somebody/x").pod_uid,
            None,
            "a name that only looks like it"
        );
    }

    #[test]
    fn the_innermost_unit_is_found() {
        for (path, unit) in [
            ("/system.slice/nginx.service", "nginx.service"),
            ("/system.slice/nginx.service/worker/3", "nginx.service"),
            (
                "/system.slice/system-postgresql.slice/postgresql@15-main.service",
                "postgresql@15-main.service",
            ),
            (
                "/user.slice/user-1000.slice/session-2.scope",
                "session-2.scope",
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service",
                "syncthing.service",
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/init.scope",
                "init.scope",
            ),
            ("/init.scope", "init.scope"),
        ] {
            let placement = Placement::of(path);
            assert_eq!(placement.unit.as_deref(), Some(unit), "{path}");
            assert_eq!(placement.container_id, None, "{path}");
        }
        assert_eq!(Placement::of("/system.slice").unit, None);
        let inside = Placement::of(&format!("/docker/{ID}/system.slice/nginx.service"));
        assert!(inside.is_unit_inside, "{inside:?}");
        let outside = Placement::of(&format!("/system.slice/web.service/libpod-payload-{ID}"));
        assert!(
            !outside.is_unit_inside && outside.is_unit_of_container,
            "{outside:?}"
        );
    }
}
