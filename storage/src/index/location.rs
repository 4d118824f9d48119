//! Where a file's index is: the entry `weir.index` in the footer's metadata.

use parquet::file::metadata::KeyValue;

/// The key of the entry.
const KEY: &str = "weir.index";
/// Version of all that is written here; an index of a later version is left alone. In version 1 all fingerprints are of
/// the coarse kind, and it is read as it is.
const VERSION: u64 = 2;

/// Where a file's index is. All in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    /// Where it begins in the file.
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Length of the head at its end, which is read at once.
    pub(crate) head_length: u64,
    /// Of the head.
    pub(crate) checksum: u64,
}

/// What a footer says of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// There is none, or one of another version.
    None,
    /// Here it is.
    At(Location),
    /// An entry that makes no sense.
    Broken,
}

impl Location {
    /// Where the head begins, counted from the beginning of the index.
    pub(super) fn head_start(self) -> u64 {
        self.length - self.head_length
    }

    pub(crate) fn to_entry(self) -> KeyValue {
        let Self {
            offset,
            length,
            head_length,
            checksum,
        } = self;
        let value = format!(
            "version={VERSION} offset={offset} length={length} head={head_length} \
             xxh64={checksum:016x}"
        );
        KeyValue::new(KEY.to_owned(), value)
    }

    /// Reads what stands in the metadata of a file of that size.
    pub(crate) fn find(metadata: Option<&Vec<KeyValue>>, file_size: u64) -> Entry {
        let entry = metadata.and_then(|entries| entries.iter().find(|entry| entry.key == KEY));
        let Some(value) = entry.and_then(|entry| entry.value.as_deref()) else {
            return Entry::None;
        };
        match number(value, "version") {
            Some(1..=VERSION) => Self::parse(value, file_size).map_or(Entry::Broken, Entry::At),
            Some(_) => Entry::None,
            None => Entry::Broken,
        }
    }

    fn parse(value: &str, file_size: u64) -> Option<Self> {
        let location = Self {
            offset: number(value, "offset")?,
            length: number(value, "length")?,
            head_length: number(value, "head")?,
            checksum: u64::from_str_radix(field(value, "xxh64")?, 16).ok()?,
        };
        let is_inside = location.offset.checked_add(location.length)? <= file_size
            && location.head_length <= location.length;
        is_inside.then_some(location)
    }
}

fn field<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = value.split(' ').filter_map(|field| field.split_once('='));
    fields.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn number(value: &str, name: &str) -> Option<u64> {
    field(value, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOMEWHERE: Location = Location {
        offset: 1_000,
        length: 500,
        head_length: 200,
        checksum: 0xabc,
    };

    #[test]
    fn an_entry_reads_back_within_its_file_only() {
        let metadata = vec![SOMEWHERE.to_entry()];
        assert_eq!(Location::find(Some(&metadata), 1_500), Entry::At(SOMEWHERE));
        assert_eq!(Location::find(Some(&metadata), 1_499), Entry::Broken);
        assert_eq!(Location::find(None, 1_500), Entry::None);
    }

    #[test]
    fn another_version_is_no_index_and_no_error() {
        for version in ["version=3 offset=-1", "version=0"] {
            let metadata = vec![KeyValue::new(KEY.to_owned(), version.to_owned())];
            assert_eq!(Location::find(Some(&metadata), 1_500), Entry::None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(rest: String, numbers: [u64; 3]) {
            let [offset, length, head] = numbers;
            for value in [
                rest.clone(),
                format!("version=1 {rest}"),
                format!("version=1 offset={offset} length={length} head={head} xxh64=0"),
            ] {
                let metadata = vec![KeyValue::new(KEY.to_owned(), value)];
                if let Entry::At(location) = Location::find(Some(&metadata), 1_500) {
                    prop_assert!(location.offset + location.length <= 1_500);
                }
            }
        }
    }
}
