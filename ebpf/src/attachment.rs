//! Programs at cgroups: attached one by one, detached when the cgroup is let go.

use aya::Ebpf;
use aya::programs::cgroup_skb::CgroupSkbLink;
use aya::programs::cgroup_sock::CgroupSockLink;
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, Program as Loaded, ProgramError,
};

use crate::cgroup::Target;
use crate::error::LoadError;
use crate::kernel::describe;
use crate::programs::{Kind, Outcome, ProgramStatus};

/// A link without a flag to a cgroup leaves the programs of others on it alone (since 5.7).
const MODE: CgroupAttachMode = CgroupAttachMode::Single;

/// A cgroup with what is attached to it. Dropping it detaches that.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) target: Target,
    links: Vec<Link>,
}

/// Held for what its end does: it detaches the program.
#[derive(Debug)]
enum Link {
    Packets(#[expect(dead_code, reason = "held until it is dropped")] CgroupSkbLink),
    Sockets(#[expect(dead_code, reason = "held until it is dropped")] CgroupSockLink),
}

/// Loads a program of a cgroup into the kernel.
pub(crate) fn load(program: &mut Loaded) -> Result<(), ProgramError> {
    match program {
        Loaded::CgroupSkb(packets) => packets.load(),
        other => {
            let sockets: &mut CgroupSock = other.try_into()?;
            sockets.load()
        }
    }
}

impl Attached {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            links: Vec::new(),
        }
    }

    /// Attaches one program that is loaded.
    pub(crate) fn attach(&mut self, kind: Kind, program: &mut Loaded) -> Result<(), ProgramError> {
        let directory = &self.target.directory;
        let link = match kind {
            Kind::CgroupIngress | Kind::CgroupEgress => {
                let direction = match kind {
                    Kind::CgroupIngress => CgroupSkbAttachType::Ingress,
                    _ => CgroupSkbAttachType::Egress,
                };
                let packets: &mut CgroupSkb = program.try_into()?;
                let id = packets.attach(directory, direction, MODE)?;
                Link::Packets(packets.take_link(id)?)
            }
            Kind::CgroupSock => {
                let sockets: &mut CgroupSock = program.try_into()?;
                let id = sockets.attach(directory, MODE)?;
                Link::Sockets(sockets.take_link(id)?)
            }
            Kind::Tracepoint(_) | Kind::Iterator(_) => return Ok(()),
        };
        self.links.push(link);
        Ok(())
    }

    /// Detaches the programs that look at packets.
    pub(crate) fn detach_packets(&mut self) {
        self.links.retain(|link| !matches!(link, Link::Packets(_)));
    }

    /// Attaches every program of cgroups that this kernel took.
    pub(crate) fn attach_all(
        &mut self,
        ebpf: &mut Ebpf,
        programs: &[ProgramStatus],
    ) -> Result<(), LoadError> {
        for ProgramStatus {
            program, outcome, ..
        } in programs
        {
            if matches!(outcome, Outcome::Refused(_)) {
                continue;
            }
            let Some(loaded) = ebpf.program_mut(program.name) else {
                continue;
            };
            self.attach(program.kind, loaded)
                .map_err(|error| LoadError::Attach {
                    program: program.name,
                    path: self.target.path.clone(),
                    reason: describe(&error),
                })?;
        }
        Ok(())
    }
}
