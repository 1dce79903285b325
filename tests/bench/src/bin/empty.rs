//! Does nothing: what any program of ours costs before it has done anything.

fn main() {}
