//! Files whose rows are in another file too, since a compaction merged them: told by name alone, and ignored.
//!
//! A merged file has the sequence range of its inputs and a higher level. Until its inputs are deleted, and after a
//! crash between the two, both are there.

use std::sync::Arc;

use crate::file::DataFile;

/// Divides files, in the order of [`crate::catalog::FileList`], into those that count and those that are covered.
///
/// A covering file that is not what its name says would hide good ones, so each is looked at before it counts:
/// those not known yet are opened, which are the few that a crash or another process left beside their inputs.
pub(crate) async fn without_covered(
    files: Vec<Arc<DataFile>>,
) -> (Vec<Arc<DataFile>>, Vec<Arc<DataFile>>) {
    loop {
        let covers = covers(&files);
        let mut is_sure = true;
        for cover in covers.iter().flatten() {
            let cover = &files[*cover];
            if cover.stats().is_none() && cover.load_stats().await.is_err() {
                // One that cannot be read for now is not gone: it counts until it is known to be bad.
                is_sure &= cover.unreadable().is_none();
            }
        }
        if is_sure {
            return divide(files, &covers);
        }
    }
}

fn divide(
    files: Vec<Arc<DataFile>>,
    covers: &[Option<usize>],
) -> (Vec<Arc<DataFile>>, Vec<Arc<DataFile>>) {
    if covers.iter().all(Option::is_none) {
        return (files, Vec::new());
    }
    let (mut counting, mut covered) = (Vec::new(), Vec::new());
    for (file, cover) in files.into_iter().zip(covers) {
        match cover {
            Some(_) => covered.push(file),
            None => counting.push(file),
        }
    }
    (counting, covered)
}

/// For each file the place of one that covers it.
fn covers(files: &[Arc<DataFile>]) -> Vec<Option<usize>> {
    let mut covers = vec![None; files.len()];
    let mut start = 0;
    for hour in files.chunk_by(|one, next| one.name.hour == next.name.hour) {
        let places = start..start + hour.len();
        start = places.end;
        // Most hours have nothing to look for.
        if !hour.iter().any(|file| file.name.level > 0) {
            continue;
        }
        let mut order: Vec<usize> = places.collect();
        // Wide ranges before those within them.
        order.sort_unstable_by(|&one, &other| {
            let (one, other) = (&files[one].name, &files[other].name);
            (
                &one.node,
                one.first_sequence,
                other.last_sequence,
                other.level,
            )
                .cmp(&(
                    &other.node,
                    other.first_sequence,
                    one.last_sequence,
                    one.level,
                ))
        });
        // Files that began before this one and do not end before it begins.
        let mut open: Vec<usize> = Vec::new();
        for place in order {
            let name = &files[place].name;
            open.retain(|&other| {
                let other = &files[other].name;
                other.node == name.node && other.last_sequence >= name.first_sequence
            });
            let covers_it = |&&other: &&usize| files[other].name.covers(name);
            covers[place] = open.iter().find(covers_it).copied();
            if files[place].unreadable().is_none() {
                open.push(place);
            }
        }
    }
    covers
}
