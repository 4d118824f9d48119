//! pcap and pcapng files, plain and gzip, read in pieces of any length: no panic, frames within what their headers say,
//! and an end.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use weir_ingest::capture_file::Reader;

/// Gives out so many bytes at a time.
struct Pieces<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.length.min(buffer.len()).min(self.bytes.len());
        let (piece, rest) = self.bytes.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.bytes = rest;
        Ok(length)
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((length, bytes)) = data.split_first() else {
        return;
    };
    let length = usize::from(*length) * 16 + 1;
    let Ok(mut reader) = Reader::open(Pieces { bytes, length }) else {
        return;
    };
    reader.begin_at(0);
    let mut frames = 0_usize;
    while let Some(frame) = reader.next_frame() {
        frames += 1;
        assert!(frame.bytes.len() <= 16 * 1024 * 1024);
    }
    let damages = reader.damages();
    let passed_over: u64 = damages.iter().map(|damage| damage.bytes).sum();
    let _ = (frames, passed_over, reader.bytes_read());
});
