//! The cluster that the traffic passes in: its services, their pods and who calls whom. Made once, then only read.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use weir_storage::Process;

use super::draw::{Draw, Zipf, hex, push_hex, scramble};
use super::routes::Route;

const SERVICES: usize = 300;
const NAMESPACES: usize = 24;
/// Machines of the cluster; the first is the one that captures.
const NODES: usize = 15;
/// Pods of a service, on average.
const MEAN_REPLICAS: f64 = 10.0;
/// Pods of another service that a client spreads its calls over.
const SUBSET: usize = 3;

const SUBJECTS: [&str; 30] = [
    "cart",
    "checkout",
    "orders",
    "payments",
    "catalog",
    "search",
    "inventory",
    "shipping",
    "users",
    "auth",
    "sessions",
    "profiles",
    "reviews",
    "pricing",
    "promotions",
    "recommendations",
    "notifications",
    "email",
    "sms",
    "billing",
    "invoices",
    "ledger",
    "fraud",
    "risk",
    "geo",
    "maps",
    "images",
    "media",
    "uploads",
    "reports",
];
const KINDS: [&str; 10] = [
    "", "-api", "-gateway", "-bff", "-worker", "-cache", "-admin", "-sync", "-events", "-store",
];
const TEAMS: [&str; NAMESPACES] = [
    "shop",
    "payments",
    "identity",
    "search",
    "logistics",
    "media",
    "growth",
    "ads",
    "data",
    "platform",
    "mobile",
    "partners",
    "support",
    "finance",
    "risk",
    "geo",
    "messaging",
    "content",
    "pricing",
    "labs",
    "billing",
    "fulfilment",
    "insights",
    "internal",
];

/// What a service is written in, which shows in its processes and headers.
#[derive(Debug)]
pub(super) struct Runtime {
    process: &'static str,
    exe: &'static str,
    /// `User-Agent` of its requests.
    pub(super) user_agent: &'static str,
    /// `Server` of its responses.
    pub(super) server: Option<&'static str>,
    port: u16,
}

const RUNTIMES: [Runtime; 6] = [
    Runtime {
        process: "server",
        exe: "/app/server",
        user_agent: "Go-http-client/1.1",
        server: None,
        port: 8080,
    },
    Runtime {
        process: "java",
        exe: "/opt/java/openjdk/bin/java",
        user_agent: "Apache-HttpClient/4.5.14 (Java/17.0.11)",
        server: None,
        port: 8080,
    },
    Runtime {
        process: "node",
        exe: "/usr/local/bin/node",
        user_agent: "axios/1.7.2",
        server: Some("Express"),
        port: 3000,
    },
    Runtime {
        process: "python3.12",
        exe: "/usr/local/bin/python3.12",
        user_agent: "python-requests/2.32.3",
        server: Some("uvicorn"),
        port: 8000,
    },
    Runtime {
        process: "envoy",
        exe: "/usr/local/bin/envoy",
        user_agent: "okhttp/4.12.0",
        server: Some("envoy"),
        port: 80,
    },
    Runtime {
        process: "dotnet",
        exe: "/usr/share/dotnet/dotnet",
        user_agent: "Mozilla/5.0 (compatible; Refit/7.1.2)",
        server: Some("Kestrel"),
        port: 5000,
    },
];

/// A service: what it is called, what it serves and whom it calls.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) namespace: &'static str,
    /// Name by which others call it.
    pub(super) host: String,
    /// Name by which browsers call it.
    pub(super) public_host: String,
    pub(super) runtime: &'static Runtime,
    routes: Vec<Route>,
    popular_routes: Zipf,
    /// Whether browsers reach it through the ingress.
    pub(super) is_public: bool,
    /// Whether its requests carry trace headers.
    pub(super) is_traced: bool,
    /// Services that it calls, the most frequent first.
    pub(super) callees: Vec<usize>,
    /// Services that call it, the most frequent first.
    pub(super) callers: Vec<usize>,
    /// Its pods, as places in [`Cluster::pods`].
    pods: Vec<usize>,
}

impl Service {
    pub(super) fn port(&self) -> u16 {
        self.runtime.port
    }

    /// One of its routes, popular ones more often.
    pub(super) fn popular_route(&self, draw: &mut Draw) -> &Route {
        &self.routes[self.popular_routes.rank(draw)]
    }
}

/// A pod, here or on another machine.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) service: usize,
    pub(super) address: IpAddr,
    /// Its process, for pods of this machine.
    pub(super) process: Option<Arc<Process>>,
}

/// Everything that stays as it is while traffic passes.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) services: Vec<Service>,
    pub(super) pods: Vec<Pod>,
    /// Pods of this machine, as places in `pods`, the busiest first.
    pub(super) local: Vec<usize>,
    pub(super) popular_pods: Zipf,
    /// The name server that runs on this machine.
    pub(super) name_server: Arc<Process>,
}

impl Cluster {
    pub(super) fn new(draw: &mut Draw) -> Self {
        let mut services: Vec<Service> = (0..SERVICES).map(|place| service(place, draw)).collect();
        let popular = Zipf::new(SERVICES, 1.0);
        for caller in 0..SERVICES {
            for _ in 0..2 + draw.below(5) {
                let callee = popular.rank(draw);
                if callee != caller && !services[caller].callees.contains(&callee) {
                    services[caller].callees.push(callee);
                    services[callee].callers.push(caller);
                }
            }
        }
        let mut pods = Vec::new();
        let mut local = Vec::new();
        let mut addresses = [1_u16; NODES];
        for (place, service) in services.iter_mut().enumerate() {
            let replicas = (draw.log_normal(MEAN_REPLICAS * 0.8, 0.7) as usize).max(2);
            for _ in 0..replicas {
                let node = draw.below(NODES);
                addresses[node] += 1;
                let [high, low] = addresses[node].to_be_bytes();
                let process = (node == 0).then(|| Arc::new(process(service, draw)));
                if process.is_some() {
                    local.push(pods.len());
                }
                service.pods.push(pods.len());
                pods.push(Pod {
                    service: place,
                    address: Ipv4Addr::new(10, 64 + node as u8, high, low).into(),
                    process,
                });
            }
        }
        // A service's place says how often it is called, a pod's place here how busy it is.
        draw.shuffle(&mut local);
        let popular_pods = Zipf::new(local.len(), 1.0);
        Self {
            services,
            popular_pods,
            name_server: Arc::new(name_server(draw)),
            pods,
            local,
        }
    }

    /// Address of one of the pods of a service that a pod of another talks to: always out of the same few.
    pub(super) fn peer(&self, service: usize, pod: usize, draw: &mut Draw) -> IpAddr {
        let pods = &self.services[service].pods;
        let choice = draw.below(SUBSET);
        let place = scramble((pod * SUBSET + choice) as u64) as usize % pods.len();
        self.pods[pods[place]].address
    }

    /// The process of a pod of this machine.
    ///
    /// # Panics
    ///
    /// If the pod is on another machine.
    pub(super) fn process_of(&self, pod: usize) -> &Arc<Process> {
        let process = self.pods[pod].process.as_ref();
        process.expect("pods of this machine have a process")
    }
}

fn service(place: usize, draw: &mut Draw) -> Service {
    // 7 has no factor in common with 30 and 10, so every name occurs once.
    let name = format!(
        "{}{}",
        SUBJECTS[place * 7 % SUBJECTS.len()],
        KINDS[(place / SUBJECTS.len() + place) % KINDS.len()]
    );
    let namespace = TEAMS[Zipf::new(TEAMS.len(), 0.7).rank(draw)];
    let count = (draw.log_normal(12.0, 0.6) as usize).clamp(3, 60);
    let routes: Vec<Route> = (0..count).map(|_| Route::new(draw)).collect();
    Service {
        host: format!("{name}.{namespace}.svc.cluster.local"),
        public_host: format!("{name}.example.com"),
        name,
        namespace,
        runtime: draw.one_of(&RUNTIMES),
        popular_routes: Zipf::new(routes.len(), 1.0),
        routes,
        is_public: place % 10 == 3,
        is_traced: draw.chance(0.6),
        callees: Vec::new(),
        callers: Vec::new(),
        pods: Vec::new(),
    }
}

fn pod_name(workload: &str, draw: &mut Draw) -> String {
    let mut name = format!("{workload}-");
    // The part for the set of replicas is the same for all of them.
    let set = workload
        .bytes()
        .fold(0, |sum, byte| scramble(sum ^ u64::from(byte)));
    push_hex(&mut name, set, 10);
    name.push('-');
    push_hex(&mut name, draw.bits(), 5);
    name
}

fn process(service: &Service, draw: &mut Draw) -> Process {
    let pod = pod_name(&service.name, draw);
    let Runtime { process, exe, .. } = service.runtime;
    process_of(&service.name, service.namespace, &pod, (process, exe), draw)
}

fn name_server(draw: &mut Draw) -> Process {
    let pod = pod_name("coredns", draw);
    process_of(
        "coredns",
        "kube-system",
        &pod,
        ("coredns", "/coredns"),
        draw,
    )
}

fn process_of(
    workload: &str,
    namespace: &str,
    pod: &str,
    (name, exe): (&str, &str),
    draw: &mut Draw,
) -> Process {
    let container_id = hex(draw, 64);
    let pod_id = hex(draw, 32);
    let cgroup = format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod_id}.slice/cri-containerd-{container_id}.scope"
    );
    Process {
        pid: draw.between(2_000, 4_000_000),
        start_ns: 0,
        name: Some(name.into()),
        exe: Some(exe.into()),
        cgroup: Some(cgroup.into()),
        container_id: Some(container_id.into()),
        pod: Some(pod.into()),
        namespace: Some(namespace.into()),
        workload: Some(workload.into()),
        service: Some(workload.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_cluster_is_as_large_as_the_docs_say() {
        let cluster = Cluster::new(&mut Draw::new(42));
        let names: HashSet<&str> = cluster.services.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names.len(), SERVICES, "every service has a name of its own");
        let routes: usize = cluster.services.iter().map(|it| it.routes.len()).sum();
        assert!((3_000..5_500).contains(&routes), "{routes} routes");
        assert!(
            (2_500..3_500).contains(&cluster.pods.len()),
            "{}",
            cluster.pods.len()
        );
        assert!(
            (150..250).contains(&cluster.local.len()),
            "{}",
            cluster.local.len()
        );
        let addresses: HashSet<IpAddr> = cluster.pods.iter().map(|pod| pod.address).collect();
        assert_eq!(addresses.len(), cluster.pods.len());
    }
}
