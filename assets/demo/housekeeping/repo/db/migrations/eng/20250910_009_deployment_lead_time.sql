-- Lead time as a column: every dashboard computed it, and two of them differently.
--
-- Hazard, accepted: a stored generated column rewrites the table under ACCESS EXCLUSIVE. At forty
-- thousand rows that is a fraction of a second; measured on staging, see ops/audit.

ALTER TABLE eng.deployments
    ADD COLUMN lead_time interval GENERATED ALWAYS AS (deployed_at - committed_at) STORED,
    ADD CONSTRAINT deployed_after_commit CHECK (deployed_at >= committed_at) NOT VALID;
ALTER TABLE eng.deployments VALIDATE CONSTRAINT deployed_after_commit;

CREATE INDEX deployments_production_idx
    ON eng.deployments (service_id, deployed_at DESC)
    WHERE environment = 'production';

INSERT INTO audit.migration_log (version) VALUES ('20250910_009_deployment_lead_time');
