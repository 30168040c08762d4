//! One file a gate kind: plan, run, reconcile.
