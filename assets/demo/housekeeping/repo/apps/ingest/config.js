// Settings of the ingest service. A commit on this branch is what the service reads.

// How many of a hundred sources take the new path. Raised during a promotion: 10, 50, 100.
const INGEST_ROLLOUT_PERCENTAGE = 0;

module.exports = { INGEST_ROLLOUT_PERCENTAGE };
