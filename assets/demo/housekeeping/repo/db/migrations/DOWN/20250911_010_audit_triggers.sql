-- Undoes 20250911_010_audit_triggers.

-- The directives that were set to blocked stay so; eng.directive_status_history tells which.
DO $unwatch$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT tgname, tgrelid::regclass AS name FROM pg_trigger
             WHERE tgrelid = ANY (ARRAY['eng.strategic_directives_v2', 'eng.governance_reviews',
                                        'eng.review_findings', 'eng.risk_register',
                                        'eng.policy_exceptions']::regclass[])
               AND tgname IN ('audit_insert', 'audit_update', 'audit_delete')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.name);
    END LOOP;
END
$unwatch$;

DELETE FROM audit.migration_log WHERE version = '20250911_010_audit_triggers';
