//! What this kernel, these rights and this cgroup setup allow: each thing tried for real, what its absence costs, and
//! how to mend it.

mod probes;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::cgroup::{self, Missing};
use crate::kernel::{Kernel, KernelOptions};
use crate::programs::{Outcome, ProgramStatus};
use crate::{LoadError, Selection};

/// What to examine.
#[derive(Debug, Clone, Default)]
pub struct DoctorOptions {
    /// The cgroups that would be captured; none means the root of the hierarchy.
    pub cgroups: Vec<PathBuf>,
}

/// The state of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// There, and as it should be.
    Ok,
    /// Not there.
    Missing,
    /// There, and the kernel refused it.
    Refused,
    /// Worth knowing; weir does not depend on it.
    Note,
}

/// One thing that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Group: system, rights, program types, programs.
    pub group: &'static str,
    /// What it is.
    pub name: String,
    /// Its state.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What stays empty or unknown without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<String>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Of a program: how many instructions the verifier followed to accept it, out of at most a million. From Linux 5.16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_instructions: Option<u32>,
}

impl Item {
    fn new(
        group: &'static str,
        name: impl Into<String>,
        status: Status,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            group,
            name: name.into(),
            status,
            detail: detail.into(),
            costs: None,
            remedy: None,
            verified_instructions: None,
        }
    }

    fn costing(mut self, costs: impl Into<String>) -> Self {
        if self.status != Status::Ok {
            self.costs = Some(costs.into());
        }
        self
    }

    fn mended_by(mut self, remedy: impl Into<String>) -> Self {
        if self.status != Status::Ok {
            self.remedy = Some(remedy.into());
        }
        self
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether `weir serve` can capture here.
    pub can_capture: bool,
    /// Whether nothing is missing, so that no column stays empty for want of it.
    pub complete: bool,
    /// What was examined.
    pub items: Vec<Item>,
}

/// Examines this machine. Loads every program, attaches it for a moment to a cgroup of its own where one can be made
/// (else to those that would be captured), and takes it away again.
pub fn examine(options: &DoctorOptions) -> Report {
    let mut items = probes::system(options);
    items.extend(probes::rights());
    items.extend(probes::program_types());
    let programs = try_programs(options);
    let mut can_capture = true;
    let mut complete = items
        .iter()
        .all(|item| matches!(item.status, Status::Ok | Status::Note));
    match programs {
        Ok(statuses) => {
            for status in &statuses {
                if status.outcome != Outcome::Attached {
                    complete = false;
                    can_capture &= !status.program.required;
                }
                items.push(program_item(status));
            }
        }
        Err(error) => {
            (can_capture, complete) = (false, false);
            items.push(
                Item::new("programs", "all", Status::Refused, error.to_string())
                    .costing("nothing can be captured")
                    .mended_by(probes::RIGHTS_REMEDY),
            );
        }
    }
    Report {
        can_capture,
        complete,
        items,
    }
}

fn program_item(status: &ProgramStatus) -> Item {
    let program = status.program;
    match &status.outcome {
        Outcome::Attached => Item {
            verified_instructions: status.info.verified_instructions,
            ..Item::new(
                "programs",
                program.name,
                Status::Ok,
                match status.info.verified_instructions {
                    Some(count) => {
                        format!("{} attached, {count} instructions verified", program.hook)
                    }
                    None => format!("{} attached", program.hook),
                },
            )
        },
        Outcome::Refused(reason) | Outcome::Detached(reason) => Item::new(
            "programs",
            program.name,
            Status::Refused,
            format!("{}: {reason}", program.hook),
        )
        .costing(program.costs)
        .mended_by(format!(
            "it needs Linux {} or later and {}",
            program.since,
            probes::CAPABILITIES
        )),
    }
}

/// A cgroup that is removed again.
struct OwnCgroup(PathBuf);

impl OwnCgroup {
    fn new() -> Option<Self> {
        let path = cgroup::mount_point()?.join(format!("weir-doctor-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        Some(Self(path))
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        // Nothing is in it but the programs, and they are gone.
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn try_programs(options: &DoctorOptions) -> Result<Vec<ProgramStatus>, LoadError> {
    // A wrong path is an error also where another cgroup is used for the trial.
    cgroup::targets(&options.cgroups, &[], Missing::Refuse)?;
    let own = OwnCgroup::new();
    let cgroups = own
        .as_ref()
        .map_or_else(|| options.cgroups.clone(), |own| vec![own.0.clone()]);
    let smallest_rings = KernelOptions {
        selection: Selection {
            cgroups,
            ..Selection::default()
        },
        payload_ring_bytes: 64 * 1024,
        control_ring_bytes: 64 * 1024,
    };
    let kernel = Kernel::load_what_works(&smallest_rings)?;
    let statuses = kernel.programs().to_vec();
    drop(kernel);
    Ok(statuses)
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = "";
        let width = self
            .items
            .iter()
            .map(|item| item.name.len())
            .max()
            .unwrap_or(0);
        for item in &self.items {
            if item.group != group {
                group = item.group;
                writeln!(formatter, "{group}")?;
            }
            let word = match item.status {
                Status::Ok => "ok",
                Status::Missing => "MISSING",
                Status::Refused => "REFUSED",
                Status::Note => "note",
            };
            writeln!(
                formatter,
                "  {word:<8} {:<width$}  {}",
                item.name, item.detail
            )?;
            let indent = width + 13;
            if let Some(costs) = &item.costs {
                writeln!(formatter, "{:indent$}without it: {costs}", "")?;
            }
            if let Some(remedy) = &item.remedy {
                writeln!(formatter, "{:indent$}to mend it: {remedy}", "")?;
            }
        }
        let verdict = match (self.can_capture, self.complete) {
            (true, true) => "weir can capture here, and every column can be filled.",
            (true, false) => "weir can capture here, with the gaps named above.",
            (false, _) => {
                "weir cannot capture here; `weir serve --no-capture` answers queries all the same."
            }
        };
        writeln!(formatter, "{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_program_says_what_it_costs_and_how_to_mend_it() {
        let status = ProgramStatus {
            program: &crate::PROGRAMS[0],
            outcome: Outcome::Refused("operation not permitted".into()),
            info: crate::ProgramInfo::default(),
        };
        let item = program_item(&status);
        assert_eq!(item.status, Status::Refused);
        assert!(item.costs.is_some() && item.remedy.is_some());
        let report = Report {
            can_capture: true,
            complete: false,
            items: vec![item],
        };
        let text = report.to_string();
        assert!(
            text.contains("REFUSED")
                && text.contains("operation not permitted")
                && text.contains("gaps"),
            "{text}"
        );
    }
}
