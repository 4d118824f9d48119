//! The container id in a cgroup's path.

/// Hexadecimal digits of a container id.
const ID_DIGITS: usize = 64;

/// The container id that a cgroup's path names, where it names one.
///
/// Docker (`/docker/<id>`, `docker-<id>.scope`), containerd (`cri-containerd-<id>.scope`), CRI-O (`crio-<id>.scope`),
/// Podman (`libpod-<id>.scope`) and Kubernetes (`/kubepods/.../<id>`) all write the whole id, 64 hexadecimal digits. The
/// innermost one counts: a container may run inside another.
pub(super) fn container_id(cgroup_path: &str) -> Option<&str> {
    cgroup_path.rsplit('/').find_map(|name| {
        name.split(|character: char| !character.is_ascii_hexdigit())
            .find(|digits| digits.len() == ID_DIGITS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e";

    #[test]
    fn the_id_is_found_in_the_paths_of_the_usual_runtimes() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1234.slice/cri-containerd-{ID}.scope"
            ),
            format!("/kubepods/besteffort/pod0d1c1b5e-1111-2222-3333-444455556666/{ID}"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            format!("/kubepods.slice/crio-{ID}.scope"),
        ] {
            assert_eq!(container_id(&path), Some(ID), "{path}");
        }
    }

    #[test]
    fn a_path_without_an_id_names_no_container() {
        assert_eq!(container_id("/system.slice/nginx.service"), None);
        assert_eq!(
            container_id("/user.slice/user-1000.slice/session-2.scope"),
            None
        );
        assert_eq!(container_id("/"), None);
    }
}
