//! The runbook file format, pure.
