//! Where a plan comes from that somebody else made, such as the publish page of a platform.

/// A migration plan that this program did not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanSource {
    /// A person gives it.
    Paste,
    /// A file, read whole when the gate runs.
    File(String),
    /// What a program prints.
    Program(PlanProgram),
}

/// A program whose standard output is the plan. There is no shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanProgram {
    pub argv: Vec<String>,
    /// Names of the variables that the program gets; it gets no others.
    pub env: Vec<String>,
    pub cwd: Option<String>,
}
