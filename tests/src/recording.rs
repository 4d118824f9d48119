//! A recording of TCP connections, one after the other, that a test makes packet by packet: pcap, raw IPv4.

use std::fs;
use std::path::Path;

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 2], 80);
const LINK_TYPE_RAW_IP: u32 = 101;
/// Headers of IPv4 and TCP without options.
const HEADERS_LEN: usize = 40;
const FLAG_FIN: u8 = 1;
const FLAG_SYN: u8 = 2;
const FLAG_ACK: u8 = 16;

/// The packets of a connection, one each millisecond, with the sequence numbers that they must have.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Whole packets, in the order in which they were captured.
    pub packets: Vec<Vec<u8>>,
    /// Next sequence numbers of client and server.
    next: [u32; 2],
    client_port: u16,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            packets: Vec::new(),
            next: [1_000, 9_000],
            client_port: CLIENT.1,
        }
    }
}

impl Recording {
    /// A connection that begins with its handshake.
    #[must_use]
    pub fn of_a_connection() -> Self {
        let mut recording = Self::default();
        recording.connect();
        recording
    }

    /// Another connection begins, from the next port.
    pub fn connect(&mut self) -> &mut Self {
        self.client_port += 1;
        self.next = [1_000, 9_000];
        self.packet(0, FLAG_SYN, b"");
        self.packet(1, FLAG_SYN | FLAG_ACK, b"");
        self.packet(0, FLAG_ACK, b"");
        self
    }

    /// The client sends this in one segment.
    pub fn client(&mut self, payload: impl AsRef<[u8]>) -> &mut Self {
        self.packet(0, FLAG_ACK, payload.as_ref());
        self
    }

    /// The server sends this in one segment.
    pub fn server(&mut self, payload: impl AsRef<[u8]>) -> &mut Self {
        self.packet(1, FLAG_ACK, payload.as_ref());
        self
    }

    /// Both ends finish.
    pub fn close(&mut self) -> &mut Self {
        self.packet(0, FLAG_FIN | FLAG_ACK, b"");
        self.packet(1, FLAG_FIN | FLAG_ACK, b"");
        self.packet(0, FLAG_ACK, b"");
        self
    }

    /// Writes it to a file, with at most so many bytes of each TCP payload.
    pub fn write(&self, path: &Path, most_payload: usize) {
        let mut file = Vec::new();
        for field in [
            0xa1b2_c3d4_u32,
            0x0004_0002,
            0,
            0,
            262_144,
            LINK_TYPE_RAW_IP,
        ] {
            file.extend(field.to_le_bytes());
        }
        for (index, packet) in (0_u32..).zip(&self.packets) {
            let captured = packet.len().min(HEADERS_LEN + most_payload);
            let lengths =
                [captured, packet.len()].map(|len| u32::try_from(len).unwrap_or(u32::MAX));
            let (seconds, millis) = (1_700_000_000 + index / 1_000, index % 1_000);
            for field in [seconds, millis * 1_000, lengths[0], lengths[1]] {
                file.extend(field.to_le_bytes());
            }
            file.extend(&packet[..captured]);
        }
        fs::write(path, file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn packet(&mut self, sender: usize, flags: u8, payload: &[u8]) {
        let client = (CLIENT.0, self.client_port);
        let [source, destination] = if sender == 0 {
            [client, SERVER]
        } else {
            [SERVER, client]
        };
        let [seq, ack] = [self.next[sender], self.next[1 - sender]];
        let ack = if flags & FLAG_ACK == 0 { 0 } else { ack };
        let len = u16::try_from(HEADERS_LEN + payload.len()).expect("it fits into a packet");
        let mut packet = vec![0x45, 0];
        packet.extend(len.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        packet.extend(source.0);
        packet.extend(destination.0);
        packet.extend(source.1.to_be_bytes());
        packet.extend(destination.1.to_be_bytes());
        packet.extend(seq.to_be_bytes());
        packet.extend(ack.to_be_bytes());
        packet.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        packet.extend(payload);
        self.packets.push(packet);
        let numbered = u32::from(flags & (FLAG_SYN | FLAG_FIN) != 0);
        self.next[sender] = seq + numbered + u32::from(len) - 40;
    }
}
