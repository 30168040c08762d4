//! Owns a run: commands in, decide, journal, work started, updates out.
