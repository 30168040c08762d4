-- The questions that are asked of ingest runs during a rollout, made cheap.

ALTER TABLE vh.ingest_runs
    ADD COLUMN took interval GENERATED ALWAYS AS (finished_at - created_at) STORED;

CREATE INDEX ingest_runs_created_at_idx ON vh.ingest_runs (created_at);
CREATE INDEX ingest_runs_failed_idx     ON vh.ingest_runs (source_id, created_at) WHERE status = 'failed';

-- A run that never ended would be running forever.
ALTER TABLE vh.ingest_runs
    ADD CONSTRAINT ended_runs_have_an_end CHECK (status = 'running' OR finished_at IS NOT NULL) NOT VALID;
ALTER TABLE vh.ingest_runs VALIDATE CONSTRAINT ended_runs_have_an_end;

INSERT INTO audit.migration_log (version) VALUES ('20250918_006_ingest_run_health');
