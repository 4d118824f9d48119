//! Directory trees as the runtimes make them.

use std::fs;

use super::*;

const ID: &str = "3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e0c5b1a2d3f4e";
const UID: &str = "0d1c1b5e-1111-2222-3333-444455556666";

struct Node {
    root: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory can be made");
        Self { root }
    }

    fn with(self, path: &str, content: &str) -> Self {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().expect("it is below the root")).expect("it can be made");
        fs::write(path, content).expect("it can be written");
        self
    }

    fn files(&self) -> NodeFiles {
        NodeFiles::new(self.root.path())
    }
}

fn names(container: &str, pod: &str, namespace: &str) -> Names {
    let some = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    Names {
        container: some(container),
        compose_service: None,
        pod: some(pod),
        namespace: some(namespace),
    }
}

#[test]
fn docker_tells_the_name_and_what_compose_calls_it() {
    let config = r#"{"ID": "x", "Name": "/shop-web-1", "State": {"Pid": 7},
        "Config": {"Env": ["PASSWORD=x"], "Labels": {"com.docker.compose.service": "web"}}}"#;
    let node = Node::new().with(
        &format!("var/lib/docker/containers/{ID}/config.v2.json"),
        config,
    );
    let found = node.files().container(ID);
    assert_eq!(
        found,
        Some(Names {
            compose_service: Some("web".to_owned()),
            ..names("shop-web-1", "", "")
        })
    );
    assert_eq!(node.files().container(&ID.replace('3', "4")), None);
}

#[test]
fn docker_may_have_its_data_elsewhere() {
    let node = Node::new()
        .with("etc/docker/daemon.json", r#"{"data-root": "/srv/docker"}"#)
        .with(
            &format!("srv/docker/containers/{ID}/config.v2.json"),
            r#"{"Name": "/web", "Config": {"Labels": null}}"#,
        );
    assert_eq!(node.files().container(ID), Some(names("web", "", "")));
}

#[test]
fn a_kubelet_on_docker_tells_the_pod_by_labels() {
    let config = r#"{"Name": "/k8s_app_web-0_shop_uid_0", "Config": {"Labels": {
        "io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.container.name": "app"}}}"#;
    let node = Node::new().with(
        &format!("var/lib/docker/containers/{ID}/config.v2.json"),
        config,
    );
    assert_eq!(
        node.files().container(ID),
        Some(names("app", "web-0", "shop"))
    );
}

#[test]
fn containerd_tells_container_and_pod_by_annotations() {
    let config = r#"{"ociVersion": "1.1.0", "process": {"env": ["TOKEN=x"]}, "annotations": {
        "io.kubernetes.cri.container-name": "app", "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop"}}"#;
    for base in ["run/containerd", "run/k3s/containerd"] {
        let path = format!("{base}/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
        let node = Node::new().with(&path, config);
        assert_eq!(
            node.files().container(ID),
            Some(names("app", "web-0", "shop")),
            "{base}"
        );
    }
}

#[test]
fn crio_tells_container_and_pod_by_annotations() {
    let config = r#"{"annotations": {"io.kubernetes.container.name": "app",
        "io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop"}}"#;
    let node = Node::new().with(
        &format!("var/lib/containers/storage/overlay-containers/{ID}/userdata/config.json"),
        config,
    );
    assert_eq!(
        node.files().container(ID),
        Some(names("app", "web-0", "shop"))
    );
}

#[test]
fn podman_has_the_name_in_its_list() {
    let node = Node::new()
        .with(
            &format!("var/lib/containers/storage/overlay-containers/{ID}/userdata/config.json"),
            r#"{"annotations": {"io.container.manager": "libpod"}}"#,
        )
        .with(
            "var/lib/containers/storage/overlay-containers/containers.json",
            &format!(r#"[{{"id": "other"}}, {{"id": "{ID}", "names": ["web"]}}]"#),
        );
    assert_eq!(node.files().container(ID), Some(names("web", "", "")));
}

#[test]
fn the_names_of_log_files_tell_container_and_pod() {
    let node = Node::new()
        .with("var/log/containers/other-0_shop_app-1.log", "")
        .with(
            &format!("var/log/containers/web-0_shop_my-app-{ID}.log"),
            "",
        )
        .with(&format!("var/log/pods/shop_web-0_{UID}/my-app/0.log"), "");
    assert_eq!(
        node.files().container(ID),
        Some(names("my-app", "web-0", "shop"))
    );
    assert_eq!(node.files().pod(UID), Some(names("", "web-0", "shop")));
    assert_eq!(node.files().pod("4f2a9c0d1e3b5a6c7d8e9f0a1b2c3d4e"), None);
}

#[test]
fn files_that_cannot_be_used_are_counted_and_the_next_source_is_asked() {
    let huge = format!(
        "{{\"annotations\": {{}}, \"x\": \"{}\"}}",
        "x".repeat(5 << 20)
    );
    let containerd =
        format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    let docker = format!("var/lib/docker/containers/{ID}/config.v2.json");
    for (path, content) in [
        (&docker, "{\"Name\": "),
        (&docker, "[]"),
        (&containerd, huge.as_str()),
        (&containerd, "{\"annotations\": {\"a\": 1}}"),
    ] {
        let node = Node::new()
            .with(path, content)
            .with(&format!("var/log/containers/web-0_shop_app-{ID}.log"), "");
        let mut files = node.files();
        assert_eq!(
            files.container(ID),
            Some(names("app", "web-0", "shop")),
            "{path}"
        );
        assert_eq!(files.take_failures(), 1, "{path}");
        assert_eq!(files.take_failures(), 0, "{path}");
    }
}

#[test]
fn a_directory_or_a_pipe_in_the_place_of_a_file_is_no_file() {
    let path = format!("var/lib/docker/containers/{ID}/config.v2.json");
    let node = Node::new().with(&format!("{path}/x"), "");
    let mut files = node.files();
    assert_eq!(files.container(ID), None);
    assert_eq!(files.take_failures(), 1);

    let node = Node::new().with(&format!("var/lib/docker/containers/{ID}/x"), "");
    nix::unistd::mkfifo(&node.root.path().join(&path), nix::sys::stat::Mode::S_IRWXU)
        .expect("a pipe can be made");
    let mut files = node.files();
    assert_eq!(files.container(ID), None, "and nobody waits for its writer");
    assert_eq!(files.take_failures(), 1);
}

#[test]
fn an_empty_node_knows_nothing_and_fails_at_nothing() {
    let node = Node::new();
    let mut files = node.files();
    assert_eq!((files.container(ID), files.pod(UID)), (None, None));
    assert_eq!(files.take_failures(), 0);
}
