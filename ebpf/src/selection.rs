//! What to capture: chosen by whoever runs weir, applied by the kernel side before it copies anything.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use crate::pattern::PathPattern;

/// Names of processes, and networks, that a selection may list: half of what the kernel's maps hold, since the lists
/// before a change and after it stand there together for a moment.
const MAX_NAMES: usize = 1024;
const MAX_NETWORKS: usize = 4096;
/// Bytes of a process's name that the kernel keeps (`TASK_COMM_LEN` without the zero at the end).
const COMM_LEN: usize = 15;
const SMALLEST_PREFIX: u32 = 256;
const LARGEST_PREFIX: u32 = 64 * 1024;

/// What to capture. The default is everything, on the whole machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Directories of cgroups, each with all below it.
    pub cgroups: Vec<PathBuf>,
    /// Cgroups by their path, also those that are made later, each with all below it. With no cgroup and no pattern,
    /// the root of the hierarchy is meant.
    pub patterns: Vec<PathPattern>,
    /// Processes by name: those that own the sockets.
    pub processes: Lists<ProcessName>,
    /// Ports of servers; where it is not known which end that is (UDP), of either end.
    pub ports: Lists<PortRange>,
    /// Addresses to leave out, at either end.
    pub exclude: Vec<Network>,
    /// Addresses to leave out where they are the other end's.
    pub exclude_peers: Vec<Network>,
    /// What is told of the traffic.
    pub protocols: Protocols,
    /// Bytes of a message that are copied at most.
    pub message_prefix: u32,
}

/// Only these, and not those. Without `only`, all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists<T> {
    /// Only these; empty for all.
    pub only: Vec<T>,
    /// Not these.
    pub except: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            except: Vec::new(),
        }
    }
}

/// What is told of the traffic: which tables get rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocols {
    /// Payload of HTTP, for `http_events`.
    pub http: bool,
    /// Payload of DNS, for `dns_events`.
    pub dns: bool,
    /// Openings, ends and counters, for `flows`.
    pub flows: bool,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            cgroups: Vec::new(),
            patterns: Vec::new(),
            processes: Lists::default(),
            ports: Lists::default(),
            exclude: Vec::new(),
            exclude_peers: Vec::new(),
            protocols: Protocols {
                http: true,
                dns: true,
                flows: true,
            },
            message_prefix: 16 * 1024,
        }
    }
}

/// A selection that the kernel side cannot apply, or a part of one that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Not a name of a process.
    #[error(
        "{0:?} is no name of a process such as nginx or python*; `*` may only be its last character"
    )]
    Name(String),
    /// Not a port.
    #[error("{0:?} is no port such as 8080 and no range such as 8000-8099")]
    Port(String),
    /// Not a network.
    #[error("{0:?} is no network such as 10.0.0.0/8 or fd00::/8{1}")]
    Network(String, String),
    /// Too long a list.
    #[error("{0} {1} are listed; at most {2} can be")]
    TooMany(usize, &'static str, usize),
    /// A prefix out of range.
    #[error(
        "{0} bytes of each message cannot be copied; choose between {SMALLEST_PREFIX} and {LARGEST_PREFIX}"
    )]
    Prefix(u32),
    /// Nothing is left to capture.
    #[error("no protocol is chosen; name at least one of http, dns and flows, or stop weir")]
    Nothing,
}

impl Selection {
    /// Whether the kernel side can apply it.
    ///
    /// # Errors
    ///
    /// Where a list is too long, the prefix is out of range, or nothing is chosen.
    pub fn check(&self) -> Result<(), SelectionError> {
        let Protocols { http, dns, flows } = self.protocols;
        if !(http || dns || flows) {
            return Err(SelectionError::Nothing);
        }
        let names = self.processes.only.len() + self.processes.except.len();
        if names > MAX_NAMES {
            return Err(SelectionError::TooMany(
                names,
                "names of processes",
                MAX_NAMES,
            ));
        }
        let networks = self.exclude.len() + self.exclude_peers.len();
        if networks > MAX_NETWORKS {
            return Err(SelectionError::TooMany(networks, "networks", MAX_NETWORKS));
        }
        if !(SMALLEST_PREFIX..=LARGEST_PREFIX).contains(&self.message_prefix) {
            return Err(SelectionError::Prefix(self.message_prefix));
        }
        Ok(())
    }
}

/// The name of a process as the kernel keeps it, or with `*` at its end, the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessName {
    text: String,
}

impl ProcessName {
    /// The bytes that a name must have, and how many bits of them count.
    pub(crate) fn prefix(&self) -> ([u8; 16], u32) {
        let (beginning, is_whole) = match self.text.strip_suffix('*') {
            Some(beginning) => (beginning, false),
            None => (self.text.as_str(), true),
        };
        let kept = beginning.len().min(COMM_LEN);
        let mut bytes = [0; 16];
        bytes[..kept].copy_from_slice(&beginning.as_bytes()[..kept]);
        let bits = if is_whole { 16 } else { kept } * 8;
        (bytes, bits as u32)
    }
}

impl FromStr for ProcessName {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let beginning = text.strip_suffix('*').unwrap_or(text);
        if text.is_empty() || beginning.contains(['*', '\0', '\n']) {
            return Err(SelectionError::Name(text.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A port or a range of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortRange(pub RangeInclusive<u16>);

impl FromStr for PortRange {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(SelectionError::Port(text.to_owned())),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        if first == last {
            write!(formatter, "{first}")
        } else {
            write!(formatter, "{first}-{last}")
        }
    }
}

/// A network in CIDR notation, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Its address as the kernel side has them (IPv4 as `::ffff:a.b.c.d`), and how many bits of it count.
    pub(crate) fn prefix(&self) -> ([u8; 16], u32) {
        match self.address {
            IpAddr::V4(address) => (address.to_ipv6_mapped().octets(), 96 + u32::from(self.bits)),
            IpAddr::V6(address) => (address.octets(), u32::from(self.bits)),
        }
    }
}

impl FromStr for Network {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let unfit = |why: String| SelectionError::Network(text.to_owned(), why);
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| unfit(String::new()))?;
        let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => longest,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= longest)
                .ok_or_else(|| unfit(format!(": its length is not between 0 and {longest}")))?,
        };
        let network = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
        };
        if network != address {
            return Err(unfit(format!(
                ": it has bits beyond its length; write {network}/{bits}"
            )));
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_or_beginnings() {
        let prefix = |text: &str| text.parse::<ProcessName>().unwrap().prefix();
        assert_eq!(prefix("nginx"), (*b"nginx\0\0\0\0\0\0\0\0\0\0\0", 128));
        assert_eq!(prefix("python*").1, 48);
        assert_eq!(prefix("*").1, 0);
        // The kernel keeps 15 bytes of a name.
        assert_eq!(prefix("a-very-long-name-indeed").0, *b"a-very-long-nam\0");
        for text in ["", "a*b", "*a", "a**"] {
            assert!(text.parse::<ProcessName>().is_err(), "{text}");
        }
    }

    #[test]
    fn ports_are_numbers_or_ranges() {
        let range = |text: &str| text.parse::<PortRange>().unwrap().0;
        assert_eq!(range("80"), 80..=80);
        assert_eq!(range("8000-8099"), 8000..=8099);
        for text in ["0", "65536", "90-80", "http", "", "1-2-3", "-1"] {
            assert!(text.parse::<PortRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_told_as_the_kernel_side_has_addresses() {
        let prefix = |text: &str| text.parse::<Network>().unwrap().prefix();
        let (bytes, bits) = prefix("10.0.0.0/8");
        assert_eq!(
            (bytes[10], bytes[11], bytes[12], bits),
            (0xff, 0xff, 10, 104)
        );
        assert_eq!(prefix("127.0.0.1").1, 128);
        assert_eq!(prefix("fd00::/8").1, 8);
        assert_eq!(prefix("0.0.0.0/0").1, 96);
        assert_eq!(prefix("::/0").1, 0);
        for text in [
            "10.0.0.0/33",
            "10.0.0.1/8",
            "fd00::1/8",
            "host",
            "",
            "10/8",
            "::/129",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let error = "10.1.2.3/8".parse::<Network>().unwrap_err().to_string();
        assert!(error.contains("write 10.0.0.0/8"), "{error}");
    }

    #[test]
    fn what_cannot_be_applied_is_refused() {
        let refused = |change: fn(&mut Selection)| {
            let mut selection = Selection::default();
            change(&mut selection);
            selection.check().is_err()
        };
        assert!(!refused(|_| {}));
        assert!(refused(|selection| selection.message_prefix = 255));
        assert!(refused(|selection| selection.message_prefix = 65_537));
        assert!(refused(|selection| {
            selection.protocols = Protocols {
                http: false,
                dns: false,
                flows: false,
            };
        }));
        assert!(refused(|selection| {
            selection.exclude = vec!["10.0.0.0/8".parse().unwrap(); MAX_NETWORKS + 1];
        }));
    }
}
