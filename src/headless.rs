//! The front end without a terminal, over the same engine.
