//! Where weir's programs have their memory from: the binary, the benches, and the test of what overload takes.
//!
//! Rows come in small pieces on one thread and go in large blocks on others. glibc keeps what is freed in heaps that a
//! single small block keeps from shrinking, and under overload held three times what its rows took; told to have each
//! large block from the operating system, it spends its time on page faults. jemalloc does without either, and appending
//! a row takes a fifth less. `docs/decisions/2026-11-27-jemalloc.md` has
//! the figures.
//!
//! A program has it by naming the crate: `use weir_allocator as _;`.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What is freed goes back to the operating system within a second, and not within ten: a window that was
/// written out is used again at once or not for long. Given back at once, queries would take half as long again.
#[expect(
    unsafe_code,
    reason = "jemalloc reads its options under this name, and nothing else has it"
)]
// SAFETY: no other symbol has this name, and jemalloc takes it for a pointer to a text that ends with a zero, which is
// what the first word of a slice is.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static OPTIONS: &[u8] = b"dirty_decay_ms:1000,muzzy_decay_ms:0\0";
