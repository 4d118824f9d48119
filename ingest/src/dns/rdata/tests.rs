use super::*;

/// Presents `data` as the only content of a message.
fn shown(rtype: u16, data: &[u8]) -> String {
    present(data, rtype, 0..data.len())
}

#[test]
fn each_usual_type_is_shown_as_dig_shows_it() {
    const CASES: &[(u16, &[u8], &str)] = &[
        (1, b"\xC0\x00\x02\x01", "192.0.2.1"),
        (2, b"\x02ns\x07example\0", "ns.example"),
        (5, b"\x03WWW\x07Example\0", "WWW.Example"),
        (
            6,
            b"\x02ns\0\x05admin\0\x78\x4D\x5E\x01\0\0\x1C\x20\0\0\x0E\x10\0\x12\x75\0\0\0\x0E\x10",
            "ns admin 2018336257 7200 3600 1209600 3600",
        ),
        (12, b"\x04host\x07example\0", "host.example"),
        (13, b"\x03PC \x05Linux", r#""PC " "Linux""#),
        (15, b"\0\x0A\x04mail\x07example\0", "10 mail.example"),
        (15, b"\0\0\0", "0 ."),
        (16, b"\x01a\x00\x04b\"\\\xE9", r#""a" "" "b\"\\\233""#),
        (17, b"\x01m\0\0", "m ."),
        (18, b"\0\x01\x02db\0", "1 db"),
        (28, b"\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01", "2001:db8::1"),
        (
            29,
            b"\0\x12\x16\x13\x8B\x3E\x19\xC8\x81\x0C\x79\x20\0\x98\x95\xB8",
            "52 23 39.208 N 4 53 14.656 E -2.00m 1m 10000m 10m",
        ),
        (33, b"\0\x01\0\x02\x1F\x90\x03srv\0", "1 2 8080 srv"),
        (
            35,
            b"\0\x64\0\x0A\x01u\x07E2U+sip\x0B!^.*$!sip:!\0",
            r#"100 10 "u" "E2U+sip" "!^.*$!sip:!" ."#,
        ),
        (37, b"\0\x01\x04\xD2\x08abc", "PKIX 1234 RSASHA256 YWJj"),
        (37, b"\0\x09\x04\xD2\x09abc", "9 1234 9 YWJj"),
        (39, b"\x03net\0", "net"),
        (42, b"\0\x01\x15\x03\xC0\xA8\x20\0\x02\x00\x81\xFF", "1:192.168.32.0/21 !2:ff00::/0"),
        (43, b"\x33\x22\x08\x02\xAB\xCD", "13090 8 2 ABCD"),
        (44, b"\x04\x02\x01\x23", "4 2 0123"),
        (
            46,
            b"\0\x01\x08\x02\0\0\x0E\x10\x38\x6D\x43\x80\x38\x36\xEB\x01\xC1\x02\x07example\0sig",
            "A 8 2 3600 20000101000000 19991120184001 49410 example c2ln",
        ),
        (47, b"\x01b\x07example\0\0\x06\x40\x01\0\0\0\x03\x01\x01\x40", "b.example A MX RRSIG NSEC CAA"),
        (48, b"\x01\x01\x03\x08key", "257 3 8 a2V5"),
        (50, b"\x01\x01\0\x0C\x02\xAA\xBB\x05fooba\0\x01\x40", "1 1 12 AABB CPNMUOJ1 A"),
        (50, b"\x01\0\0\0\0\x05fooba", "1 0 0 - CPNMUOJ1"),
        (51, b"\x01\0\0\x0A\0", "1 0 10 -"),
        (52, b"\x03\x01\x01\xAB\xCD", "3 1 1 ABCD"),
        (62, b"\0\0\0\x42\0\x03\0\x01\x60", "66 3 A NS"),
        (63, b"\0\0\0\x01\x01\x01\xFE", "1 1 1 FE"),
        (64, b"\0\0\x03foo\0", "0 foo"),
        (
            65,
            b"\0\x01\0\0\0\0\x02\0\x01\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x20\xFB\0\x04\0\x04\xC0\0\x02\x01\0\x05\0\x03abc\
              \0\x06\0\x10\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01",
            r#"1 . mandatory=alpn alpn="h2,h3" port=8443 ipv4hint=192.0.2.1 ech=YWJj ipv6hint=2001:db8::1"#,
        ),
        (65, b"\0\x01\0\0\x01\0\x06\x05a,b\\c\0\x02\0\0", r#"1 . alpn="a\\,b\\\\c" no-default-alpn"#),
        (64, b"\0\x01\0\x02\x9A\0\0\x02\x9B\0\x03x\"y", r#"1 . key666 key667="x\"y""#),
        (104, b"\0\x0A\0\x14\x4F\xFF\xFF\x20\xEE\x64", "10 14:4fff:ff20:ee64"),
        (108, b"\x00\x00\x5E\x00\x53\x2A", "00-00-5e-00-53-2a"),
        (256, b"\0\x0A\0\x01ftp://a/\"", r#"10 1 "ftp://a/\"""#),
        (257, b"\0\x05issueca.example", r#"0 issue "ca.example""#),
        (257, b"\x80\x05iodef", r#"128 iodef """#),
        (11, b"\x0A\0\0\x01\x06\0\0\0\x40\0\0\x80", "10.0.0.1 6 25 48"),
        (22, b"\x47\0\x05\x80", "0x47000580"),
        (27, b"\x03-32\x04116.\x0210", r#""-32" "116." "10""#),
        (30, b"\x01b\0\x62\0\0\x08", "b A NS SOA AAAA"),
        (38, b"\0\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01", "0 2001:db8::1"),
        (38, b"\x40\0\0\0\0\0\0\0\x01\x01p\0", "64 ::1 p"),
        (45, b"\x0A\x01\x02\xC0\0\x02\x26abc", "10 1 2 192.0.2.38 YWJj"),
        (45, b"\x0A\x00\x02", "10 0 2 ."),
        (45, b"\x0A\x03\x02\x02gw\0abc", "10 3 2 gw YWJj"),
        (55, b"\x02\x02\0\x03\xAB\xCDabc\x01r\0\x01s\0", "2 ABCD YWJj r s"),
        (55, b"\x02\x02\0\x03\xAB\xCDabc", "2 ABCD YWJj"),
        (66, b"\0\x3B\x01\x14\xB4\x01n\0", "CDS NOTIFY 5300 n"),
        (109, b"\x00\x00\x5E\xEF\x10\x00\x00\x2A", "00-00-5e-ef-10-00-00-2a"),
        (259, b"\0\0\0\x01\0\0\0\x02\x03\x01t", r#"1 2 3 "t" -"#),
        (260, b"\x0A\x81\xCB\0\x71\x0F", "10 1 1 203.0.113.15"),
        (264, b"\0\0\0\x01\0\0\0\x02", "4294967298"),
        (10, b"\x01\x02", r"\# 2 0102"),
        (65_280, b"", r"\# 0"),
    ];
    for (rtype, data, presentation) in CASES {
        assert_eq!(shown(*rtype, data), *presentation, "type {rtype}");
    }
}

#[test]
fn data_that_breaks_the_rules_of_its_type_is_shown_as_unknown() {
    const CASES: &[(u16, &[u8])] = &[
        (1, b"\x01\x02\x03"),
        (1, b"\x01\x02\x03\x04\x05"),
        (1, b""),
        (16, b""),
        (16, b"\x05abc"),
        (15, b"\0\x0A"),
        (29, b"\x01\x12\x16\x13\x8B\x3E\x19\xC8\x81\x0C\x79\x20\0\x98\x95\xB8"),
        (29, b"\0\xA2\x16\x13\x8B\x3E\x19\xC8\x81\x0C\x79\x20\0\x98\x95\xB8"),
        // A bitmap of 33 bytes, one of none, windows out of order.
        (47, b"\0\0\x21\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"),
        (47, b"\0\0\0"),
        (47, b"\0\x01\x01\x40\0\x01\x40"),
        // Keys out of order, an odd list of hints, an empty protocol.
        (65, b"\0\x01\0\0\x03\0\x02\0\x50\0\x01\0\x03\x02h2"),
        (65, b"\0\x01\0\0\x04\0\x03\x01\x02\x03"),
        (65, b"\0\x01\0\0\x01\0\x01\0"),
        // A tag with a blank; a prefix of 17 bytes, one of an unknown family.
        (257, b"\0\x02a b"),
        (42, b"\0\x02\x08\x11\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10\x11"),
        (42, b"\0\x03\x08\x00"),
        // A gateway of an unknown kind, one that is cut; an EUI-48 of five bytes; a prefix of more than an address.
        (45, b"\x0A\x04\x02\xC0\0\x02\x26"),
        (260, b"\x0A\x02\xCB\0\x71\x0F"),
        (108, b"\x00\x00\x5E\x00\x53"),
        (38, b"\x81\x01p\0"),
        (55, b"\x02\x02\0\x09\xAB\xCDabc"),
    ];
    for (rtype, data) in CASES {
        let text = shown(*rtype, data);
        assert!(
            text.starts_with(&format!("\\# {}", data.len())),
            "type {rtype}: {text}"
        );
    }
}

#[test]
fn dates_know_leap_years() {
    let date = |seconds| {
        let mut text = String::new();
        push_date(&mut text, seconds);
        text
    };
    assert_eq!(date(0), "19700101000000");
    assert_eq!(date(951_782_399), "20000228235959");
    assert_eq!(date(951_782_400), "20000229000000");
    assert_eq!(date(951_868_800), "20000301000000");
    assert_eq!(date(u32::MAX), "21060207062815");
}
