-- Undoes 20250922_009_audit_triggers.

DO $unwatch$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT tgname, tgrelid::regclass AS name FROM pg_trigger
             WHERE tgrelid = ANY (ARRAY['vh.ideas', 'vh.experiments', 'vh.company_metrics_monthly',
                                        'vh.directive_alignment', 'vh.api_clients']::regclass[])
               AND tgname IN ('audit_insert', 'audit_update', 'audit_delete')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.name);
    END LOOP;
END
$unwatch$;

REVOKE SELECT, INSERT, UPDATE ON vh.idea_stage_transitions, vh.experiments, vh.experiment_results,
                                 vh.company_metrics_monthly, vh.directive_alignment
    FROM vh_app;
REVOKE SELECT ON vh.ingest_errors FROM vh_app;

DELETE FROM audit.migration_log WHERE version = '20250922_009_audit_triggers';
