//! Dynamic updates in the words of nsupdate (RFC 2136).

use super::rdata::present;
use super::wire::RecordHeader;
use super::words::{class, rtype, type_word};

/// A record of a dynamic update.
pub(super) struct Record<'a> {
    /// Its name in presentation form.
    pub(super) name: &'a str,
    pub(super) header: &'a RecordHeader,
    /// The message, in which its data lies.
    pub(super) message: &'a [u8],
}

impl Record<'_> {
    /// `name TYPE data`.
    fn with_data(&self) -> String {
        let RecordHeader { rtype, data, .. } = self.header;
        let data = present(self.message, *rtype, data.clone());
        format!("{} {} {data}", self.name, type_word(*rtype))
    }

    /// `name TYPE`, the name alone where it is any type.
    fn without_data(&self) -> String {
        match self.header.rtype {
            rtype::ANY => self.name.to_owned(),
            rtype => format!("{} {}", self.name, type_word(rtype)),
        }
    }
}

/// What has to be so for the update to be made (RFC 2136, section 2.4).
pub(super) fn prerequisite(record: &Record<'_>) -> String {
    let set = if record.header.rtype == rtype::ANY {
        "domain"
    } else {
        "rrset"
    };
    match record.header.class {
        class::NONE => format!("prereq nx{set} {}", record.without_data()),
        class::ANY => format!("prereq yx{set} {}", record.without_data()),
        _ => format!("prereq yxrrset {}", record.with_data()),
    }
}

/// What is to be added or deleted (RFC 2136, section 2.5).
pub(super) fn update(record: &Record<'_>) -> String {
    match record.header.class {
        class::ANY => format!("update delete {}", record.without_data()),
        class::NONE => format!("update delete {}", record.with_data()),
        _ => {
            let RecordHeader {
                rtype, ttl, data, ..
            } = record.header;
            let data = present(record.message, *rtype, data.clone());
            format!(
                "update add {} {ttl} {} {data}",
                record.name,
                type_word(*rtype)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(say: impl Fn(&Record<'_>) -> String, class: u16, rtype: u16, data: &[u8]) -> String {
        say(&Record {
            name: "a.example",
            header: &RecordHeader {
                rtype,
                class,
                ttl: 60,
                data: 0..data.len(),
            },
            message: data,
        })
    }

    #[test]
    fn prerequisites_are_the_five_of_the_rfc() {
        for (class, rtype, data, words) in [
            (255, 255, &b""[..], "prereq yxdomain a.example"),
            (255, 1, b"", "prereq yxrrset a.example A"),
            (254, 255, b"", "prereq nxdomain a.example"),
            (254, 28, b"", "prereq nxrrset a.example AAAA"),
            (
                1,
                1,
                b"\xC0\0\x02\x01",
                "prereq yxrrset a.example A 192.0.2.1",
            ),
        ] {
            assert_eq!(said(prerequisite, class, rtype, data), words);
        }
    }

    #[test]
    fn updates_are_the_four_of_the_rfc() {
        for (class, rtype, data, words) in [
            (
                1,
                1,
                &b"\xC0\0\x02\x01"[..],
                "update add a.example 60 A 192.0.2.1",
            ),
            (255, 16, b"", "update delete a.example TXT"),
            (255, 255, b"", "update delete a.example"),
            (
                254,
                1,
                b"\xC0\0\x02\x01",
                "update delete a.example A 192.0.2.1",
            ),
        ] {
            assert_eq!(said(update, class, rtype, data), words);
        }
    }
}
