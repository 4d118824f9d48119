//! Records of the kernel's rings: no panic, and what they say of their length holds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_ebpf::events::{ControlEvent, PayloadEvent};

fuzz_target!(|data: &[u8]| {
    // Records lie in the ring at multiples of eight.
    let mut words = vec![0_u64; data.len().div_ceil(8)];
    for (word, bytes) in words.iter_mut().zip(data.chunks(8)) {
        let mut aligned = [0; 8];
        aligned[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(aligned);
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    if let Some((event, captured)) = PayloadEvent::read(&bytes) {
        assert_eq!(event.captured as usize, captured.len());
        let _ = (event.owner.name(), event.endpoints.local(), event.endpoints.remote());
    }
    let Some(event) = ControlEvent::read(data) else {
        return;
    };
    let _ = event.time_ns();
    match event {
        ControlEvent::TcpOpen(event) | ControlEvent::TcpClose(event) | ControlEvent::TcpListen(event) => {
            let _ = (event.owner.name(), event.endpoints.local(), event.endpoints.remote());
        }
        ControlEvent::ProcessExec(event) => assert!(event.filename().len() <= 3 * 256),
        _ => {}
    }
});
