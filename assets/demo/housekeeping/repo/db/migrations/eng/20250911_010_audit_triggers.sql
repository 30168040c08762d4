-- The new tables report to audit.change_log like the old ones. Last, so that backfills of the
-- files before are not reported as somebody's work.

DO $watch$
DECLARE
    watched text;
BEGIN
    FOREACH watched IN ARRAY ARRAY[
        'strategic_directives_v2', 'governance_reviews', 'review_findings',
        'risk_register', 'policy_exceptions']
    LOOP
        PERFORM audit.watch(format('eng.%I', watched)::regclass);
        RAISE NOTICE 'eng.% is watched', watched;
    END LOOP;
END
$watch$;

-- Overdue work is not active work. The first statement that the new triggers see.
UPDATE eng.strategic_directives_v2
SET status = 'blocked'
WHERE status = 'active' AND due_on < current_date - 60;

INSERT INTO audit.migration_log (version) VALUES ('20250911_010_audit_triggers');
