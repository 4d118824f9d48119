//! A whole capture file: reader, decoder, tracker, parsers. No panic, bounded memory, nothing left at the end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_ingest::capture_file::{Import, Reader};
use weir_ingest::tracker::{Settings, Tracker};
use weir_storage::Row;

fuzz_target!(|data: &[u8]| {
    let Ok(reader) = Reader::open(data) else {
        return;
    };
    let mut settings = Settings::new("fuzz".into(), 0);
    settings.max_connections = 8;
    settings.max_dns_queries = 8;
    settings.max_held_bytes = 64 * 1024;
    settings.max_names = 8;
    let mut tracker = Tracker::new(settings);
    let mut rows: Vec<Row> = Vec::new();
    let mut import = Import::new();
    import.file(reader, &mut tracker, &mut rows, &mut |_| {});
    import.finish(&mut tracker, &mut rows);
    assert_eq!(tracker.connections(), 0);
});
