//! What was made of paths and header fields lately, so that what comes again and again is parsed once.
//!
//! Most of what a client or a server sends it has sent before: the same fields in each message but one or two, often the
//! same whole section. Each is found again by its bytes, which are compared as a whole: a hash alone proves nothing.
//! **Nothing that held a secret is kept**, so that no secret is longer in memory than its message.
//!
//! There is room for a fixed number of each, and what has not come twice is not kept: ids that differ from message to
//! message do not push out what does come again.

use std::hash::Hasher as _;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHasher;

use super::request_line::KnownPath;
use super::section::{Fields, KnownField};

/// Paths and header sections that were parsed lately, by one [`Config`](super::Config): another one may redact more.
#[derive(Debug, Default)]
pub struct Known(Mutex<Memory>);

/// What [`Known`] holds: 5 MiB at most, and some hundred KiB of usual traffic.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) paths: Slots<KnownPath>,
    pub(super) sections: Slots<Arc<Fields>>,
    pub(super) fields: Slots<KnownField>,
    pub(super) texts: Texts,
}

/// Values found again by some bytes: a slot for each of so many groups of hashes.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Slot<T>>,
    /// A power of two.
    count: usize,
    /// Longest bytes that are kept.
    max_len: usize,
}

#[derive(Debug)]
struct Slot<T> {
    /// Hash of what came last and was not found.
    missed: u64,
    hash: u64,
    bytes: Box<[u8]>,
    value: Option<T>,
}

/// Texts that many messages have in common (methods, hosts, routes): each is allocated once.
#[derive(Debug)]
pub(super) struct Texts(Vec<Option<Arc<str>>>);

/// Texts that [`Texts`] knows.
const TEXTS: usize = 1024;

/// Longest of them.
const MAX_TEXT: usize = 256;

impl Known {
    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock()
    }
}

#[cfg(test)]
impl Memory {
    /// All bytes of messages that are kept.
    pub(super) fn bytes(&self) -> Vec<&[u8]> {
        fn of<T>(slots: &Slots<T>) -> impl Iterator<Item = &[u8]> {
            slots.places.iter().map(|slot| &*slot.bytes)
        }
        let all = of(&self.paths).chain(of(&self.sections));
        let all = all.chain(of(&self.fields));
        all.chain(self.texts.0.iter().flatten().map(|text| text.as_bytes()))
            .filter(|bytes| !bytes.is_empty())
            .collect()
    }
}

impl Clone for Known {
    /// Knows nothing: what a copy is made for may redact more.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            paths: Slots::new(1024, 256),
            sections: Slots::new(256, 2048),
            fields: Slots::new(1024, 256),
            texts: Texts(Vec::new()),
        }
    }
}

impl<T> Slots<T> {
    const fn new(count: usize, max_len: usize) -> Self {
        Self {
            places: Vec::new(),
            count,
            max_len,
        }
    }

    /// What was kept for these bytes, and their hash for [`Self::keep`].
    pub(super) fn get(&self, bytes: &[u8]) -> (Option<&T>, u64) {
        let hash = hash_of(bytes);
        let slot = self.places.get(hash as usize & (self.count - 1));
        let known = slot.filter(|slot| slot.hash == hash && *slot.bytes == *bytes);
        (known.and_then(|slot| slot.value.as_ref()), hash)
    }

    /// Keeps a value for these bytes where they were the last that were missed there: in the place of another one.
    pub(super) fn keep(&mut self, bytes: &[u8], hash: u64, value: impl FnOnce() -> T) {
        if bytes.len() > self.max_len {
            return;
        }
        if self.places.is_empty() {
            self.places.resize_with(self.count, || Slot {
                missed: 0,
                hash: 0,
                bytes: Box::default(),
                value: None,
            });
        }
        let place = hash as usize & (self.count - 1);
        let Some(slot) = self.places.get_mut(place) else {
            return;
        };
        if slot.missed == hash {
            slot.hash = hash;
            slot.bytes = bytes.into();
            slot.value = Some(value());
        }
        slot.missed = hash;
    }
}

impl Texts {
    /// The text, in the memory of an earlier one that was the same.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if text.len() > MAX_TEXT {
            return text.into();
        }
        if self.0.is_empty() {
            self.0.resize(TEXTS, None);
        }
        let place = hash_of(text.as_bytes()) as usize % TEXTS;
        match self.0.get_mut(place) {
            Some(Some(known)) if **known == *text => Arc::clone(known),
            Some(slot) => Arc::clone(slot.insert(text.into())),
            None => text.into(),
        }
    }
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_is_kept_and_what_comes_once_pushes_nothing_out() {
        let mut slots = Slots::new(1, 8);
        let mut see = |bytes: &[u8], value: u32| {
            let (known, hash) = slots.get(bytes);
            let known = known.copied();
            if known.is_none() {
                slots.keep(bytes, hash, || value);
            }
            known
        };
        assert_eq!(
            [see(b"a", 1), see(b"a", 2), see(b"a", 3)],
            [None, None, Some(2)]
        );
        assert_eq!([see(b"b", 4), see(b"c", 5), see(b"b", 6)], [None; 3]);
        assert_eq!(see(b"a", 7), Some(2));
        assert_eq!(
            [see(b"c", 8), see(b"c", 9), see(b"c", 9)],
            [None, None, Some(9)]
        );
        assert_eq!(see(b"a", 7), None);
        assert_eq!([see(b"too long 1", 1); 3], [None; 3]);
    }

    #[test]
    fn the_same_text_is_allocated_once() {
        let mut texts = Texts(Vec::new());
        let first = texts.share("GET");
        assert!(Arc::ptr_eq(&first, &texts.share("GET")));
        assert_eq!(
            *texts.share(&"x".repeat(MAX_TEXT + 1)),
            *"x".repeat(MAX_TEXT + 1)
        );
    }
}
