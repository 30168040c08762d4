//! Reading SQL text, pure.
