-- Undoes 20250910_009_deployment_lead_time.

DROP INDEX eng.deployments_production_idx;
ALTER TABLE eng.deployments
    DROP CONSTRAINT deployed_after_commit,
    DROP COLUMN lead_time;

DELETE FROM audit.migration_log WHERE version = '20250910_009_deployment_lead_time';
