//! What is captured changes while the programs run: other cgroups, other rules.

use crate::attachment::Attached;
use crate::cgroup::{self, Missing, Target};
use crate::error::LoadError;
use crate::selection::Selection;

use super::{Kernel, is_whole_machine};

impl Kernel {
    /// Captures this from now on. Where it cannot be done, what was captured before goes on.
    ///
    /// # Errors
    ///
    /// Where the selection makes no sense, names a cgroup that is not there, or the programs cannot be attached to one.
    pub fn select(&mut self, selection: &Selection) -> Result<(), LoadError> {
        selection.check()?;
        let targets = cgroup::targets(&selection.cgroups, &selection.patterns, Missing::Refuse)?;
        self.change(selection, targets)
    }

    /// Looks whether the cgroups that are meant have gone or come since; returns whether that is so. One that cannot be
    /// attached to is an error, and the others are captured all the same as before.
    pub fn follow_cgroups(&mut self) -> Result<bool, LoadError> {
        let Selection {
            cgroups, patterns, ..
        } = &self.selection;
        let targets = cgroup::targets(cgroups, patterns, Missing::LeaveOut)?;
        let is_same = targets.len() == self.targets.len()
            && targets
                .iter()
                .zip(&self.targets)
                .all(|(found, attached)| found.id == attached.target.id);
        if is_same {
            return Ok(false);
        }
        if targets.len() == cgroup::MAX_TARGETS {
            tracing::warn!(
                "no more than {} cgroups are captured; name one above them",
                cgroup::MAX_TARGETS
            );
        }
        let selection = self.selection.clone();
        self.change(&selection, targets)?;
        Ok(true)
    }

    /// Attaches to what is new before anything is detached, and takes everything back where that fails. `targets` are in
    /// order of their paths.
    fn change(&mut self, selection: &Selection, targets: Vec<Target>) -> Result<(), LoadError> {
        let written = self.maps.write(selection, is_whole_machine(&targets))?;
        let ids: Vec<u64> = targets.iter().map(|target| target.id).collect();
        let before = self.maps.put_in_force(written)?;
        let added = match self.attach_new(targets) {
            Ok(added) => added,
            Err(error) => {
                let failed = self.maps.put_in_force(before)?;
                self.maps.forget(&failed);
                return Err(error);
            }
        };
        self.maps.forget(&before);
        let (kept, gone): (Vec<Attached>, Vec<Attached>) = std::mem::take(&mut self.targets)
            .into_iter()
            .partition(|attached| ids.contains(&attached.target.id));
        for attached in gone {
            // Absent already: nothing to do. Its links end with it.
            let _ = self.target_ids.remove(&attached.target.id);
        }
        self.targets = kept.into_iter().chain(added).collect();
        self.targets
            .sort_by(|one, other| one.target.path.cmp(&other.target.path));
        self.selection = selection.clone();
        Ok(())
    }

    fn attach_new(&mut self, targets: Vec<Target>) -> Result<Vec<Attached>, LoadError> {
        let mut added: Vec<Attached> = Vec::new();
        for target in targets {
            let id = target.id;
            let is_known = |attached: &Attached| attached.target.id == id;
            if self.targets.iter().any(is_known) {
                continue;
            }
            let attached = self.name_target(id).and_then(|()| {
                let mut attached = Attached::new(target);
                attached.attach_all(&mut self.ebpf, &self.programs)?;
                Ok(attached)
            });
            match attached {
                Ok(attached) => added.push(attached),
                Err(error) => {
                    let taken_back = added.iter().map(|attached| attached.target.id);
                    for id in taken_back.chain([id]) {
                        let _ = self.target_ids.remove(&id);
                    }
                    return Err(error);
                }
            }
        }
        Ok(added)
    }
}
