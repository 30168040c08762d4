-- The new tables of vh report to audit.change_log; the applications get their grants.

DO $watch$
DECLARE
    watched regclass;
BEGIN
    FOREACH watched IN ARRAY ARRAY[
        'vh.ideas', 'vh.experiments', 'vh.company_metrics_monthly',
        'vh.directive_alignment', 'vh.api_clients']::regclass[]
    LOOP
        PERFORM audit.watch(watched);
    END LOOP;
    RAISE NOTICE 'tables of vh are watched';
END
$watch$;

GRANT SELECT, INSERT, UPDATE ON vh.idea_stage_transitions, vh.experiments, vh.experiment_results,
                                vh.company_metrics_monthly, vh.directive_alignment
    TO vh_app;
GRANT SELECT ON vh.ingest_errors TO vh_app;

-- Dormant companies lost their domain to somebody else years ago.
UPDATE vh.companies SET active = false WHERE founded_on < date '2012-06-01' AND active;

INSERT INTO audit.migration_log (version) VALUES ('20250922_009_audit_triggers');
