//! The CareKey program.

fn main() {}
