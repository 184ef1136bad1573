//! Headers as front ends write them, cut, damaged, and made up.

use proptest::prelude::*;

use super::*;

/// A header of version 2.
fn v2(version_and_command: u8, family_and_transport: u8, body: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([version_and_command, family_and_transport]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

/// Source, destination, ports.
fn tcp4() -> Vec<u8> {
    [192, 0, 2, 7, 198, 51, 100, 1, 0xc3, 0x50, 0x03, 0xe1].to_vec()
}

fn tcp6(source: &str) -> Vec<u8> {
    let [source, destination] = [source, "2001:db8::1"].map(|it| it.parse::<Ipv6Addr>().unwrap().octets());
    [source.as_slice(), &destination, &[0xc3, 0x50, 0x03, 0xe1]].concat()
}

fn extension(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// The header with the checksum that it should have, put into the four zeros behind the last [`CRC32C`].
fn with_checksum(mut header: Vec<u8>) -> Vec<u8> {
    let at = header.len() - 4;
    let sum = crc32c_without(&header, at);
    header[at..].copy_from_slice(&sum.to_be_bytes());
    header
}

/// Fed as a reader does, one byte at a time if `slowly`, with a client's bytes behind it: what it comes to, and how many
/// bytes were taken.
fn feed(header: &[u8], slowly: bool) -> (Result<Option<IpAddr>, HeaderError>, usize) {
    let stream = [header, &[0x16; HEADER_BYTES_MAX]].concat();
    let mut taken = 0;
    loop {
        match parse(&stream[..taken]) {
            Ok(Parsed::Need(count)) => {
                assert!(count > 0, "it goes on");
                taken += if slowly { 1 } else { count };
                assert!(taken <= HEADER_BYTES_MAX);
            }
            Ok(Parsed::Header(client)) => return (Ok(client), taken),
            Err(error) => return (Err(error), taken),
        }
    }
}

#[track_caller]
fn comes_to(header: &[u8], client: Option<&str>) {
    let client = client.map(|it| it.parse().unwrap());
    for slowly in [true, false] {
        assert_eq!(feed(header, slowly), (Ok(client), header.len()), "{}", String::from_utf8_lossy(header));
    }
}

#[track_caller]
fn is_refused(header: &[u8], error: HeaderError) {
    for slowly in [true, false] {
        let (result, taken) = feed(header, slowly);
        assert_eq!(result, Err(error), "{}", String::from_utf8_lossy(header));
        assert!(taken <= header.len().max(SIGNATURE.len()), "{taken} of {}", header.len());
    }
}

#[test]
fn version_1_as_front_ends_write_it() {
    comes_to(b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 993\r\n", Some("192.0.2.7"));
    comes_to(b"PROXY TCP4 1.1.1.1 1.1.1.1 0 0\r\n", Some("1.1.1.1"));
    comes_to(b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 993\r\n", Some("2001:db8::7"));
    comes_to(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 50000 993\r\n", Some("192.0.2.7"));
    comes_to(b"PROXY UNKNOWN\r\n", None);
    let all = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {all} {all} 65535 65535\r\n");
    assert_eq!(longest.len(), LINE_BYTES_MAX);
    comes_to(longest.as_bytes(), None);
}

#[test]
fn version_1_otherwise_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 50000\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 50000 993 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 50000 993 x\r\n",
        "PROXY  TCP4 192.0.2.7 198.51.100.1 50000 993\r\n",
        "PROXY TCP4 192.0.2.7  198.51.100.1 50000 993\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 50000 993\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 050000 993\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +5000 993\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 993\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 50000 993\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 50000 993\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 50000 993\r\n",
        "PROXY TCP5 192.0.2.7 198.51.100.1 50000 993\r\n",
        "PROXY tcp4 192.0.2.7 198.51.100.1 50000 993\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY TCP4 192.0.2.7\n198.51.100.1 50000 993\r\n",
        "PROXY TCP4 192.0.2.7\r198.51.100.1 50000 993\r\n",
        "PROXY UNKNOWN\nPROXY UNKNOWN\r\n",
        "PROXY UNKNOWN \u{e9}\r\r\n",
    ] {
        is_refused(line.as_bytes(), HeaderError::Line);
    }
    is_refused(b"PROXY UNKNOWN \xff\r\n", HeaderError::Line);
    is_refused(format!("PROXY UNKNOWN {}", "x".repeat(200)).as_bytes(), HeaderError::TooLong);
    for other in ["EHLO x\r\n", "proxy TCP4", "PROXYTCP4", "\r\n\r\nQUIT", "\x16\x03\x01", "GET / HTTP/1.1\r\n"] {
        is_refused(other.as_bytes(), HeaderError::Absent);
    }
}

#[test]
fn version_2_as_front_ends_write_it() {
    comes_to(&v2(0x21, 0x11, &tcp4()), Some("192.0.2.7"));
    comes_to(&v2(0x21, 0x21, &tcp6("2001:db8::7")), Some("2001:db8::7"));
    comes_to(&v2(0x21, 0x21, &tcp6("::ffff:192.0.2.7")), Some("192.0.2.7"));
    comes_to(&v2(0x20, 0x00, b""), None);
    comes_to(&v2(0x20, 0x31, b"anything"), None);
    comes_to(&v2(0x21, 0x00, b""), None);
    let extensions = [extension(0x04, b""), extension(0xea, b"\x01vpce-08d2bf15fac5001c9")].concat();
    comes_to(&v2(0x21, 0x11, &[tcp4(), extensions.clone()].concat()), Some("192.0.2.7"));
    let summed = v2(0x21, 0x11, &[tcp4(), extensions, extension(CRC32C, &[0; 4])].concat());
    comes_to(&with_checksum(summed), Some("192.0.2.7"));
}

#[test]
fn version_2_otherwise_is_refused() {
    for first in [0x00, 0x01, 0x10, 0x11, 0x22, 0x2f, 0x31, 0xff] {
        is_refused(&v2(first, 0x11, &tcp4()), HeaderError::Unknown);
    }
    for family in [0x01, 0x10, 0x12, 0x13, 0x20, 0x22, 0x31, 0x32, 0x41, 0xff] {
        is_refused(&v2(0x21, family, &[0; 216]), HeaderError::Transport);
    }
    is_refused(&v2(0x21, 0x11, &tcp4()[..11]), HeaderError::Damaged);
    is_refused(&v2(0x21, 0x21, &tcp4()), HeaderError::Damaged);
    for damaged in [&b"\x04"[..], b"\x04\0", b"\x04\0\x01", b"\x04\0\0\x01", b"\x03\0\x03abc"] {
        is_refused(&v2(0x21, 0x11, &[tcp4(), damaged.to_vec()].concat()), HeaderError::Damaged);
    }
    is_refused(&v2(0x21, 0x11, &vec![0; HEADER_BYTES_MAX]), HeaderError::TooLong);
    is_refused(&[SIGNATURE, &[0x20, 0, 0xff, 0xff]].concat(), HeaderError::TooLong);
}

#[test]
fn a_checksum_has_to_be_right_and_the_only_one() {
    let good = with_checksum(v2(0x21, 0x11, &[tcp4(), extension(CRC32C, &[0; 4])].concat()));
    // Under another type it would be no checksum at all.
    let type_at = FIXED_BYTES + tcp4().len();
    for at in (SIGNATURE.len() + 4..good.len()).filter(|at| *at != type_at) {
        let mut damaged = good.clone();
        damaged[at] ^= 0x10;
        assert!(feed(&damaged, false).0.is_err(), "byte {at}");
    }
    let two = [tcp4(), good[28..].to_vec(), extension(CRC32C, &[0; 4])].concat();
    is_refused(&with_checksum(v2(0x21, 0x11, &two)), HeaderError::Checksum);
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    // RFC 3720 appendix B.4: 32 bytes of zeros; and the check value of the algorithm.
    assert_eq!(crc32c_without(&[0; 32], 0), 0x8a91_36aa);
    assert_eq!(crc32c_without(b"123456789\0\0\0\0", 13), {
        let whole = crc32c_without(b"123456789\0\0\0\0", 9);
        assert_eq!(crc32c_without(b"123456789", 9), 0xe306_9283);
        whole
    });
}

proptest! {
    #[test]
    fn nothing_is_asked_for_past_the_end(client in any::<[u8; 4]>(), extra in prop::collection::vec(any::<u8>(), 0..64), slowly: bool) {
        let body = [tcp4(), extension(0xe0, &extra)].concat();
        let mut header = v2(0x21, 0x11, &body);
        header[FIXED_BYTES..FIXED_BYTES + 4].copy_from_slice(&client);
        prop_assert_eq!(feed(&header, slowly), (Ok(Some(IpAddr::from(client))), header.len()));
        let line = format!("PROXY TCP4 {} 192.0.2.1 1 65535\r\n", Ipv4Addr::from(client));
        prop_assert_eq!(feed(line.as_bytes(), slowly), (Ok(Some(IpAddr::from(client))), line.len()));
    }

    #[test]
    fn any_bytes_come_to_an_end_within_the_bound(bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0..3, slowly: bool) {
        let begun = [&b""[..], WORD, SIGNATURE][start as usize];
        let (_, taken) = feed(&[begun, &bytes].concat(), slowly);
        prop_assert!(taken <= HEADER_BYTES_MAX);
    }

    #[test]
    fn a_whole_header_is_whole_at_its_end_alone(cut in 1usize..28) {
        let header = v2(0x21, 0x11, &tcp4());
        prop_assert!(matches!(parse(&header[..header.len() - cut]), Ok(Parsed::Need(count)) if count <= cut));
    }
}
