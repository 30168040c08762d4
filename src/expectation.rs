//! What a gate expects, what it saw, and the verdict between the two.
