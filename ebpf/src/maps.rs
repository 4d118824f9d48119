//! A selection as the programs read it: settings, ports, names and addresses in maps.
//!
//! Those of two generations stand side by side. A change writes the lists of the next one, and then the one word that
//! says which is in force: no packet sees half of it.

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, MapData};
use aya::{Ebpf, Pod};

use crate::error::LoadError;
use crate::events::CaptureSettings;
use crate::kernel::{describe, map};
use crate::selection::{Lists, Network, PortRange, ProcessName, Selection};

const PROTOCOL_HTTP: u8 = 0x1;
const PROTOCOL_DNS: u8 = 0x2;
const PROTOCOL_FLOWS: u8 = 0x4;

const CHECK_ONLY_PROCESSES: u8 = 0x01;
const CHECK_EXCEPT_PROCESSES: u8 = 0x02;
const CHECK_ONLY_PORTS: u8 = 0x04;
const CHECK_EXCEPT_PORTS: u8 = 0x08;
const CHECK_ADDRESSES: u8 = 0x10;

const LISTED_ONLY: u32 = 0x1;
const LISTED_EXCEPT: u32 = 0x2;
const LISTED_EITHER_END: u32 = 0x1;
const LISTED_PEER: u32 = 0x2;

const PORT_SET_BYTES: usize = 8192;
const GENERATION_BITS: u32 = 32;

/// `struct listed_key` without its length: the generation, and the bytes that a prefix counts of.
type Listing = [u8; 20];
/// `struct port_lists`.
type PortLists = [[u8; PORT_SET_BYTES]; 2];

// SAFETY: plain integers, `repr(C)`, without padding (the size is asserted beside it).
unsafe impl Pod for CaptureSettings {}

/// The maps of what to capture.
pub(crate) struct SelectionMaps {
    generation: Array<MapData, u32>,
    settings: Array<MapData, CaptureSettings>,
    ports: Array<MapData, PortLists>,
    process_names: LpmTrie<MapData, Listing, u32>,
    addresses: LpmTrie<MapData, Listing, u32>,
    in_force: Written,
    newest: u32,
}

/// What stands in the maps for one generation.
#[derive(Default)]
pub(crate) struct Written {
    generation: u32,
    names: Vec<Key<Listing>>,
    addresses: Vec<Key<Listing>>,
}

impl SelectionMaps {
    pub(crate) fn take(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            generation: map(ebpf, "generation")?,
            settings: map(ebpf, "settings")?,
            ports: map(ebpf, "ports")?,
            process_names: map(ebpf, "process_names")?,
            addresses: map(ebpf, "addresses")?,
            in_force: Written::default(),
            newest: 0,
        })
    }

    /// Counts the changes.
    pub(crate) fn generation(&self) -> u32 {
        self.in_force.generation
    }

    /// Writes the lists of a selection beside those in force.
    pub(crate) fn write(
        &mut self,
        selection: &Selection,
        capture_all: bool,
    ) -> Result<Written, LoadError> {
        // It must stand in the other place than the one in force.
        self.newest = self.newest.wrapping_add(1);
        if self.newest & 1 == self.in_force.generation & 1 || self.newest == 0 {
            self.newest = self.newest.wrapping_add(1);
        }
        let mut written = Written {
            generation: self.newest,
            ..Written::default()
        };
        if let Err(error) = self.fill(&mut written, selection, capture_all) {
            self.forget(&written);
            return Err(LoadError::Object(describe(&error)));
        }
        Ok(written)
    }

    fn fill(
        &mut self,
        written: &mut Written,
        selection: &Selection,
        capture_all: bool,
    ) -> Result<(), aya::maps::MapError> {
        let Selection {
            cgroups: _,
            patterns: _,
            processes,
            ports,
            exclude,
            exclude_peers,
            protocols,
            message_prefix,
        } = selection;
        let generation = written.generation;
        let slot = generation & 1;
        let names = prefixes(&processes.only, &processes.except, ProcessName::prefix);
        for (prefix, flags) in names {
            let key = key(generation, prefix);
            self.process_names.insert(&key, flags, 0)?;
            written.names.push(key);
        }
        let networks = prefixes(exclude, exclude_peers, Network::prefix);
        for (prefix, flags) in networks {
            let key = key(generation, prefix);
            self.addresses.insert(&key, flags, 0)?;
            written.addresses.push(key);
        }
        if !(ports.only.is_empty() && ports.except.is_empty()) {
            self.ports.set(slot, port_lists(ports), 0)?;
        }
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        self.settings.set(
            slot,
            CaptureSettings {
                generation,
                message_prefix: *message_prefix,
                protocols: bit(protocols.http, PROTOCOL_HTTP)
                    | bit(protocols.dns, PROTOCOL_DNS)
                    | bit(protocols.flows, PROTOCOL_FLOWS),
                checks: bit(!processes.only.is_empty(), CHECK_ONLY_PROCESSES)
                    | bit(!processes.except.is_empty(), CHECK_EXCEPT_PROCESSES)
                    | bit(!ports.only.is_empty(), CHECK_ONLY_PORTS)
                    | bit(!ports.except.is_empty(), CHECK_EXCEPT_PORTS)
                    | bit(!written.addresses.is_empty(), CHECK_ADDRESSES),
                capture_all: u8::from(capture_all),
                tell_cgroups: u8::from(!capture_all),
                reserved: 0,
            },
            0,
        )
    }

    /// Puts what was written in force; returns what was before, which stays in the maps.
    pub(crate) fn put_in_force(&mut self, written: Written) -> Result<Written, LoadError> {
        self.generation
            .set(0, written.generation, 0)
            .map_err(|error| LoadError::Object(describe(&error)))?;
        Ok(std::mem::replace(&mut self.in_force, written))
    }

    /// Removes the lists of a generation that is not in force.
    pub(crate) fn forget(&mut self, written: &Written) {
        // What cannot be removed is of no use to anyone, and its place is taken again by nobody.
        for key in &written.names {
            let _ = self.process_names.remove(key);
        }
        for key in &written.addresses {
            let _ = self.addresses.remove(key);
        }
    }
}

fn key(generation: u32, (bytes, bits): Prefix) -> Key<Listing> {
    let mut listing = [0; 20];
    listing[..4].copy_from_slice(&generation.to_ne_bytes());
    listing[4..].copy_from_slice(&bytes);
    Key::new(GENERATION_BITS + bits, listing)
}

/// Bytes, and how many bits of them count; the others are zero.
type Prefix = ([u8; 16], u32);

/// The prefixes of two lists. The kernel finds the longest that fits, so each has the flags of the shorter ones too.
fn prefixes<T>(first: &[T], second: &[T], prefix: impl Fn(&T) -> Prefix) -> Vec<(Prefix, u32)> {
    const { assert!(LISTED_ONLY == LISTED_EITHER_END && LISTED_EXCEPT == LISTED_PEER) };
    let mut all: Vec<(Prefix, u32)> = Vec::with_capacity(first.len() + second.len());
    all.extend(first.iter().map(|it| (prefix(it), LISTED_ONLY)));
    all.extend(second.iter().map(|it| (prefix(it), LISTED_EXCEPT)));
    // Of those that hold one another, the shorter stands before the longer.
    all.sort_unstable_by_key(|((bytes, bits), _)| (*bytes, *bits));
    let mut merged: Vec<(Prefix, u32)> = Vec::with_capacity(all.len());
    let mut outer: Vec<usize> = Vec::new();
    for (prefix, flags) in all {
        while let Some(last) = outer.last()
            && !holds(merged[*last].0, prefix)
        {
            outer.pop();
        }
        let inherited = outer.last().map_or(0, |last| merged[*last].1);
        match merged.last_mut() {
            Some((last, last_flags)) if *last == prefix => *last_flags |= flags,
            _ => {
                outer.push(merged.len());
                merged.push((prefix, flags | inherited));
            }
        }
    }
    merged
}

fn holds((outer, outer_bits): Prefix, (inner, inner_bits): Prefix) -> bool {
    let (outer, inner) = (u128::from_be_bytes(outer), u128::from_be_bytes(inner));
    let mask = u128::MAX.checked_shl(128 - outer_bits).unwrap_or(0);
    outer_bits <= inner_bits && (outer ^ inner) & mask == 0
}

fn port_lists(ports: &Lists<PortRange>) -> PortLists {
    let mut lists = [[0; PORT_SET_BYTES]; 2];
    for (list, ranges) in lists.iter_mut().zip([&ports.only, &ports.except]) {
        for port in ranges.iter().flat_map(|range| range.0.clone()) {
            list[usize::from(port >> 3)] |= 1 << (port & 7);
        }
    }
    lists
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use super::*;

    fn flags_of(first: &[&str], second: &[&str]) -> Vec<(u32, u32)> {
        let parse = |texts: &[&str]| -> Vec<Network> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        prefixes(&parse(first), &parse(second), Network::prefix)
            .into_iter()
            .map(|((_, bits), flags)| (bits, flags))
            .collect()
    }

    #[test]
    fn a_longer_prefix_has_the_flags_of_the_shorter_ones_around_it() {
        assert_eq!(
            flags_of(&["10.0.0.0/8"], &["10.1.0.0/16", "10.1.2.0/24"]),
            [(104, 1), (112, 3), (120, 3)]
        );
        assert_eq!(
            flags_of(&["10.1.2.0/24"], &["10.0.0.0/8"]),
            [(104, 2), (120, 3)]
        );
        assert_eq!(
            flags_of(&["10.1.0.0/16"], &["10.0.0.0/16", "10.2.0.0/16"]),
            [(112, 2), (112, 1), (112, 2)]
        );
        assert_eq!(flags_of(&["::1/128"], &["::1/128"]), [(128, 3)]);
        assert_eq!(
            flags_of(&["0.0.0.0/0"], &["10.0.0.0/8", "fd00::/8"]),
            [(96, 1), (104, 3), (8, 2)]
        );
    }

    #[test]
    fn names_and_beginnings_of_names_are_told_apart() {
        let names: Vec<ProcessName> = ["py*", "python3", "py"]
            .into_iter()
            .map(|name| name.parse().unwrap())
            .collect();
        let found = prefixes(&names[..1], &names[1..], ProcessName::prefix);
        let bits: Vec<(u32, u32)> = found
            .iter()
            .map(|((_, bits), flags)| (*bits, *flags))
            .collect();
        assert_eq!(bits, [(16, 1), (128, 3), (128, 3)]);
    }

    #[test]
    fn every_port_of_a_range_has_its_bit() {
        let lists = port_lists(&Lists {
            only: vec!["1-16".parse().unwrap(), "65535".parse().unwrap()],
            except: vec!["80".parse().unwrap()],
        });
        assert_eq!(lists[0][..3], [0b1111_1110, 0xff, 1]);
        assert_eq!(lists[0][8191], 0x80);
        assert_eq!(lists[1][10], 1);
        assert_eq!(
            lists[1].iter().map(|byte| byte.count_ones()).sum::<u32>(),
            1
        );
    }
}
