//! What runs a pod, from the names that the controllers of Kubernetes give.

/// Characters of the endings that Kubernetes makes up (`k8s.io/apimachinery/pkg/util/rand`).
const MADE_UP: &str = "bcdfghjklmnpqrstvwxz2456789";
/// Length of the ending of a pod that a controller made.
const POD_ENDING: usize = 5;
/// Lengths of the hash that a deployment puts into the names of its replica sets.
const TEMPLATE_HASH: std::ops::RangeInclusive<usize> = 6..=10;
/// Digits of the minute that a cron job puts into the names of its jobs: minutes since 1970.
const CRON_MINUTE: usize = 8;

/// The workload of a pod with this name; `None` where the name tells of none.
///
/// - deployment: `<name>-<hash>-<ending>`; daemon set, replica set, job: `<name>-<ending>`;
/// - cron job: `<name>-<minute>-<ending>`; stateful set: `<name>-<number>`;
/// - a pod that the kubelet makes from a file: `<name>-<node>`.
///
/// A pod that somebody gave such a name himself cannot be told from these.
pub(crate) fn workload_of<'a>(pod: &'a str, is_static: bool, node: &str) -> Option<&'a str> {
    if is_static {
        let name = pod.strip_suffix(node)?.strip_suffix('-')?;
        return (!name.is_empty()).then_some(name);
    }
    let (name, ending) = pod.rsplit_once('-')?;
    if name.is_empty() || ending.is_empty() {
        return None;
    }
    if is_number(ending) && ending.len() < POD_ENDING {
        return Some(name);
    }
    if ending.len() != POD_ENDING || !is_made_up(ending) {
        return is_number(ending).then_some(name);
    }
    match name.rsplit_once('-') {
        Some((deployment, hash))
            if !deployment.is_empty()
                && TEMPLATE_HASH.contains(&hash.len())
                && is_made_up(hash) =>
        {
            Some(deployment)
        }
        Some((cron_job, minute))
            if !cron_job.is_empty() && minute.len() == CRON_MINUTE && is_number(minute) =>
        {
            Some(cron_job)
        }
        _ => Some(name),
    }
}

fn is_made_up(text: &str) -> bool {
    text.chars().all(|character| MADE_UP.contains(character))
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_controllers_tell_the_workload() {
        for (pod, workload) in [
            ("checkout-5d4f8c7b9-xk2lp", Some("checkout")),
            ("my-big-shop-7c9d6b5f8d-2zlqv", Some("my-big-shop")),
            ("coredns-668d6bf9bc-4jzht", Some("coredns")),
            ("kube-proxy-7xq2z", Some("kube-proxy")),
            ("node-exporter-zzzzz", Some("node-exporter")),
            ("postgres-0", Some("postgres")),
            ("kafka-broker-12", Some("kafka-broker")),
            ("backup-29387520-k8gkd", Some("backup")),
            ("migrate-22222", Some("migrate")),
            ("shell", None),
            ("my-shell", None),
            ("-0", None),
            ("a-", None),
            ("", None),
        ] {
            assert_eq!(workload_of(pod, false, "node-1"), workload, "{pod}");
        }
    }

    #[test]
    fn a_static_pod_is_named_by_its_manifest_and_the_node() {
        assert_eq!(workload_of("etcd-node-1", true, "node-1"), Some("etcd"));
        assert_eq!(
            workload_of(
                "kube-apiserver-kind-control-plane",
                true,
                "kind-control-plane"
            ),
            Some("kube-apiserver")
        );
        assert_eq!(workload_of("etcd-other", true, "node-1"), None);
    }
}
