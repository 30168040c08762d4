//! Processes, durable files, fault points.
