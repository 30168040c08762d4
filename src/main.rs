//! The `stagegate` program: arguments, panic and signal hooks, exit code.

fn main() {}
