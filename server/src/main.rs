//! the weir binary
fn main() {}
