//! The usual words for types and response codes (IANA, Domain Name System Parameters).

use std::borrow::Cow;

/// Type numbers that the code treats specially.
pub(super) mod rtype {
    pub(in super::super) const A: u16 = 1;
    pub(in super::super) const CNAME: u16 = 5;
    pub(in super::super) const DNAME: u16 = 39;
    pub(in super::super) const RRSIG: u16 = 46;
    pub(in super::super) const SRV: u16 = 33;
    pub(in super::super) const NIMLOC: u16 = 32;
    pub(in super::super) const AAAA: u16 = 28;
    pub(in super::super) const OPT: u16 = 41;
    pub(in super::super) const IXFR: u16 = 251;
    pub(in super::super) const AXFR: u16 = 252;
    pub(in super::super) const ANY: u16 = 255;
}

/// The word for a type, `TYPE<n>` where it has none.
pub(super) fn type_word(rtype: u16) -> Cow<'static, str> {
    known_type_word(rtype).map_or_else(|| Cow::Owned(format!("TYPE{rtype}")), Cow::Borrowed)
}

const fn known_type_word(rtype: u16) -> Option<&'static str> {
    Some(match rtype {
        1 => "A",
        2 => "NS",
        3 => "MD",
        4 => "MF",
        5 => "CNAME",
        6 => "SOA",
        7 => "MB",
        8 => "MG",
        9 => "MR",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        14 => "MINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        19 => "X25",
        20 => "ISDN",
        21 => "RT",
        22 => "NSAP",
        23 => "NSAP-PTR",
        24 => "SIG",
        25 => "KEY",
        26 => "PX",
        27 => "GPOS",
        28 => "AAAA",
        29 => "LOC",
        30 => "NXT",
        31 => "EID",
        32 => "NIMLOC",
        33 => "SRV",
        34 => "ATMA",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        38 => "A6",
        39 => "DNAME",
        40 => "SINK",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        53 => "SMIMEA",
        55 => "HIP",
        56 => "NINFO",
        57 => "RKEY",
        58 => "TALINK",
        59 => "CDS",
        60 => "CDNSKEY",
        61 => "OPENPGPKEY",
        62 => "CSYNC",
        63 => "ZONEMD",
        64 => "SVCB",
        65 => "HTTPS",
        66 => "DSYNC",
        67 => "HHIT",
        68 => "BRID",
        99 => "SPF",
        100 => "UINFO",
        101 => "UID",
        102 => "GID",
        103 => "UNSPEC",
        104 => "NID",
        105 => "L32",
        106 => "L64",
        107 => "LP",
        108 => "EUI48",
        109 => "EUI64",
        128 => "NXNAME",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        253 => "MAILB",
        254 => "MAILA",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        258 => "AVC",
        259 => "DOA",
        260 => "AMTRELAY",
        261 => "RESINFO",
        262 => "WALLET",
        263 => "CLA",
        264 => "IPN",
        32768 => "TA",
        32769 => "DLV",
        _ => return None,
    })
}

/// Class numbers that the code treats specially.
pub(super) mod class {
    pub(in super::super) const NONE: u16 = 254;
    pub(in super::super) const ANY: u16 = 255;
}

/// The word for a class, `CLASS<n>` where it has none (RFC 3597, section 5). The highest bit, which in multicast DNS
/// has another meaning, has to be taken off before.
pub(super) fn class_word(class: u16) -> Cow<'static, str> {
    Cow::Borrowed(match class {
        1 => "IN",
        3 => "CH",
        4 => "HS",
        class::NONE => "NONE",
        class::ANY => "ANY",
        _ => return Cow::Owned(format!("CLASS{class}")),
    })
}

/// Operation codes that the code treats specially.
pub(super) mod opcode {
    pub(in super::super) const UPDATE: u8 = 5;
}

/// The word for an operation code, of 4 bits.
pub(super) const fn opcode_word(opcode: u8) -> &'static str {
    match opcode {
        0 => "QUERY",
        1 => "IQUERY",
        2 => "STATUS",
        3 => "OPCODE3",
        4 => "NOTIFY",
        opcode::UPDATE => "UPDATE",
        6 => "DSO",
        7 => "OPCODE7",
        8 => "OPCODE8",
        9 => "OPCODE9",
        10 => "OPCODE10",
        11 => "OPCODE11",
        12 => "OPCODE12",
        13 => "OPCODE13",
        14 => "OPCODE14",
        _ => "OPCODE15",
    }
}

/// The word for a response code (extended by EDNS), `RCODE<n>` where it has none.
pub(super) fn rcode_word(rcode: u16) -> Cow<'static, str> {
    Cow::Borrowed(match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        16 => "BADVERS",
        17 => "BADKEY",
        18 => "BADTIME",
        19 => "BADMODE",
        20 => "BADNAME",
        21 => "BADALG",
        22 => "BADTRUNC",
        23 => "BADCOOKIE",
        _ => return Cow::Owned(format!("RCODE{rcode}")),
    })
}
