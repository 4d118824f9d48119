//! Who asks whom for what.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::cluster::{Cluster, Service};
use super::connections::Ends;
use super::draw::{Draw, Zipf};
use super::headers::{Via, browsers};
use super::routes::Route;

/// What callers and callees are drawn from, beside the cluster itself.
#[derive(Debug)]
pub(super) struct Callers {
    browsers: Vec<String>,
    popular_browsers: Zipf,
    /// The first of a service's callees, and of its callers, far more often than the last.
    partners: Zipf,
    probes: [Route; 3],
    scrape: Route,
}

/// A call that is about to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// Place of the pod of this machine.
    pub(super) pod: usize,
    pub(super) remote: IpAddr,
    pub(super) is_client: bool,
    pub(super) via: Via,
    pub(super) server: &'a Service,
    pub(super) place_of_server: usize,
    pub(super) route: &'a Route,
    pub(super) user_agent: &'a str,
}

impl Callers {
    pub(super) fn new() -> Self {
        let browsers = browsers();
        Self {
            popular_browsers: Zipf::new(browsers.len(), 1.0),
            browsers,
            partners: Zipf::new(64, 1.0),
            probes: ["/healthz", "/livez", "/readyz"]
                .map(|path| Route::fixed(path, 600e3, 2.0, 0.0)),
            scrape: Route::fixed("/metrics", 12e6, 38_000.0, 0.4),
        }
    }

    pub(super) fn call<'a>(&'a self, cluster: &'a Cluster, draw: &mut Draw) -> Call<'a> {
        let kind = draw.unit();
        if kind < 0.012 {
            let kubelet = Ipv4Addr::new(10, 64, 0, 1);
            let probe = draw.below(self.probes.len());
            return Self::by_machine(
                kubelet,
                &self.probes[probe],
                "kube-probe/1.31",
                cluster,
                draw,
            );
        }
        if kind < 0.02 {
            let prometheus = Ipv4Addr::new(10, 70, 0, 77);
            return Self::by_machine(prometheus, &self.scrape, "Prometheus/2.53.0", cluster, draw);
        }
        let pod = cluster.local[cluster.popular_pods.rank(draw)];
        let place = cluster.pods[pod].service;
        let service = &cluster.services[place];
        if kind < 0.46
            && let Some(callee) = self.partner(&service.callees, draw)
        {
            let server = &cluster.services[callee];
            return Call {
                pod,
                remote: cluster.peer(callee, pod, draw),
                is_client: true,
                via: Via::Mesh,
                server,
                place_of_server: callee,
                route: server.popular_route(draw),
                user_agent: service.runtime.user_agent,
            };
        }
        let caller = self.partner(&service.callers, draw);
        if let Some(caller) = caller.filter(|_| !service.is_public || kind > 0.85) {
            return Call {
                pod,
                remote: cluster.peer(caller, pod, draw),
                is_client: false,
                via: Via::Mesh,
                server: service,
                place_of_server: place,
                route: service.popular_route(draw),
                user_agent: cluster.services[caller].runtime.user_agent,
            };
        }
        Call {
            pod,
            remote: Ipv4Addr::new(10, 66, 0, 3 + draw.below(3) as u8).into(),
            is_client: false,
            via: Via::Ingress,
            server: service,
            place_of_server: place,
            route: service.popular_route(draw),
            user_agent: &self.browsers[self.popular_browsers.rank(draw)],
        }
    }

    fn partner(&self, services: &[usize], draw: &mut Draw) -> Option<usize> {
        let count = services.len();
        (count > 0).then(|| services[self.partners.rank(draw) % count])
    }

    /// Any pod of this machine is asked.
    fn by_machine<'a>(
        remote: Ipv4Addr,
        route: &'a Route,
        user_agent: &'a str,
        cluster: &'a Cluster,
        draw: &mut Draw,
    ) -> Call<'a> {
        let pod = *draw.one_of(&cluster.local);
        let place_of_server = cluster.pods[pod].service;
        Call {
            pod,
            remote: remote.into(),
            is_client: false,
            via: Via::Machine,
            server: &cluster.services[place_of_server],
            place_of_server,
            route,
            user_agent,
        }
    }
}

impl Call<'_> {
    /// What the connection of the call joins.
    pub(super) fn ends(&self, cluster: &Cluster) -> Ends {
        let pod = &cluster.pods[self.pod];
        Ends {
            pod: self.pod,
            process: Arc::clone(cluster.process_of(self.pod)),
            local: pod.address,
            remote: self.remote,
            is_client: self.is_client,
            server_port: self.server.port(),
            name: self.is_client.then(|| self.server.host.as_str().into()),
            l7: Some("http"),
        }
    }
}
