//! Looks up by which name a process knew an address.

use std::net::IpAddr;

use arrow::array::{Array as _, AsArray as _, Int64Array, ListArray, StringArray, StructArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err};

/// What [`super::DnsAnswers`] made, ascending by process, address and time.
pub(super) struct ByProcess {
    pids: Int64Array,
    addresses: StringArray,
    names: StringArray,
    from: Int64Array,
    until: Int64Array,
}

/// What the rows are in the order of: `None` before all others.
type Key<'a> = (Option<i64>, Option<&'a str>, Option<i64>);

impl ByProcess {
    pub(super) fn of(list: &ListArray) -> Result<Self> {
        let wrong = "dns_name needs answers that dns_answers made";
        if list.len() != 1 {
            return exec_err!("{wrong}");
        }
        // Of a NULL these are none.
        let rows = list.value(0);
        let columns = rows.as_struct_opt().map(StructArray::columns);
        let Some([pids, addresses, names, from, until]) = columns else {
            return exec_err!("{wrong}");
        };
        let (Some(pids), Some(addresses), Some(names), Some(from), Some(until)) = (
            pids.as_primitive_opt::<Int64Type>(),
            addresses.as_string_opt(),
            names.as_string_opt(),
            from.as_primitive_opt::<TimestampMicrosecondType>(),
            until.as_primitive_opt::<TimestampMicrosecondType>(),
        ) else {
            return exec_err!("{wrong}");
        };
        Ok(Self {
            pids: pids.clone(),
            addresses: addresses.clone(),
            names: names.clone(),
            from: from.reinterpret_cast(),
            until: until.reinterpret_cast(),
        })
    }

    /// The name at that time. A process that asks no DNS itself (something else asks for it) gets what anybody was told.
    pub(super) fn look_up(&self, ip: &str, pid: Option<i64>, time: i64) -> Option<&str> {
        let pid = pid.filter(|pid| self.has_asked(*pid));
        let row = self.find(pid, ip, time).or_else(|| {
            // Perhaps not in the form that the list has addresses in.
            let address: IpAddr = ip.parse().ok()?;
            self.find(pid, &address.to_canonical().to_string(), time)
        })?;
        let is_good = self.until.is_valid(row) && time < self.until.value(row);
        (is_good && self.names.is_valid(row)).then(|| self.names.value(row))
    }

    fn has_asked(&self, pid: i64) -> bool {
        let first = self.count_of(|(of, ..)| of < Some(pid));
        first < self.pids.len() && self.pid(first) == Some(pid)
    }

    /// The row of the last name that such an address had at that time or before.
    fn find(&self, pid: Option<i64>, ip: &str, time: i64) -> Option<usize> {
        let last = (pid, Some(ip), Some(time));
        let row = self.count_of(|key| key <= last).checked_sub(1)?;
        (self.pid(row) == pid && self.address(row) == Some(ip)).then_some(row)
    }

    /// How many rows at the beginning have such a key.
    fn count_of(&self, is_before: impl Fn(Key<'_>) -> bool) -> usize {
        let (mut start, mut end) = (0, self.pids.len());
        while start < end {
            let middle = start.midpoint(end);
            let from = self.from.is_valid(middle).then(|| self.from.value(middle));
            if is_before((self.pid(middle), self.address(middle), from)) {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }

    fn pid(&self, row: usize) -> Option<i64> {
        self.pids.is_valid(row).then(|| self.pids.value(row))
    }

    fn address(&self, row: usize) -> Option<&str> {
        self.addresses
            .is_valid(row)
            .then(|| self.addresses.value(row))
    }
}
