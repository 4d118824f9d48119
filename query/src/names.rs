//! The nearest name to a misspelt one.

/// The candidate that `name` most likely meant, where one is near enough to be worth saying.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    // A third of the letters may be wrong; short names still get one.
    let tolerance = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance; a part that is missing at the end (`latency` for `latency_ns`) counts as one edit.
fn distance(wanted: &str, candidate: &str) -> usize {
    let edits = strsim::osa_distance(wanted, candidate);
    let is_whole_word = wanted.len() >= 3
        && candidate.split_once(wanted).is_some_and(|(before, after)| {
            (before.is_empty() || before.ends_with('_'))
                && (after.is_empty() || after.starts_with('_'))
        });
    if is_whole_word { edits.min(1) } else { edits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let columns = ["latency_ns", "ttfb_ns", "status", "path", "host", "time"];
        assert_eq!(nearest("latencyns", columns), Some("latency_ns"));
        assert_eq!(nearest("latnecy_ns", columns), Some("latency_ns"));
        assert_eq!(nearest("latency", columns), Some("latency_ns"));
        assert_eq!(nearest("STATUSS", columns), Some("status"));
        assert_eq!(nearest("tiem", columns), Some("time"));
        assert_eq!(nearest("colour", columns), None);
    }
}
