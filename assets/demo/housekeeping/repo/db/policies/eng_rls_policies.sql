-- Row level security for every table of eng.
--
-- eng_app sees and changes the rows of the team it works for (setting ehg.team_id) and of nobody
-- else; eng_lead reads everything; analyst_ro has no right on tables at all and reads views.
-- May be applied again: policies are replaced, not added.

ALTER TABLE eng.teams                    ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.engineers                ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.services                 ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.strategic_directives     ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.decision_records         ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.incidents                ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.deployments              ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.strategic_directives_v2  ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.directive_status_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.governance_reviews       ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.review_findings          ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.risk_register            ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.service_scorecards       ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.policy_exceptions        ENABLE ROW LEVEL SECURITY;
ALTER TABLE eng.decision_tags            ENABLE ROW LEVEL SECURITY;

-- The team of this session. No setting, no team, no rows.
CREATE OR REPLACE FUNCTION eng.current_team() RETURNS integer
    LANGUAGE sql STABLE
AS $function$
    SELECT nullif(current_setting('ehg.team_id', true), '')::integer
$function$;

-- Leads read everything.
DO $leads$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT c.oid, c.oid::regclass AS name FROM pg_class AS c
             WHERE c.relnamespace = 'eng'::regnamespace AND c.relkind = 'r' AND c.relrowsecurity
             ORDER BY c.relname
    LOOP
        IF EXISTS (SELECT FROM pg_policy WHERE polrelid = t.oid AND polname = 'leads_read') THEN
            EXECUTE format('DROP POLICY leads_read ON %s', t.name);
        END IF;
        EXECUTE format('CREATE POLICY leads_read ON %s FOR SELECT TO eng_lead USING (true)', t.name);
        EXECUTE format('GRANT SELECT ON %s TO eng_lead', t.name);
    END LOOP;
END
$leads$;

-- What every engineer may read.
DROP POLICY IF EXISTS everyone_reads ON eng.teams;
CREATE POLICY everyone_reads ON eng.teams FOR SELECT TO eng_app USING (true);
DROP POLICY IF EXISTS everyone_reads ON eng.engineers;
CREATE POLICY everyone_reads ON eng.engineers FOR SELECT TO eng_app USING (true);
DROP POLICY IF EXISTS everyone_reads ON eng.decision_records;
CREATE POLICY everyone_reads ON eng.decision_records FOR SELECT TO eng_app USING (true);

-- What belongs to a team.
DROP POLICY IF EXISTS own_team ON eng.services;
CREATE POLICY own_team ON eng.services TO eng_app
    USING (owner_team_id = eng.current_team()) WITH CHECK (owner_team_id = eng.current_team());
DROP POLICY IF EXISTS own_team ON eng.strategic_directives_v2;
CREATE POLICY own_team ON eng.strategic_directives_v2 TO eng_app
    USING (owner_team_id = eng.current_team()) WITH CHECK (owner_team_id = eng.current_team());

-- What belongs to a service, which belongs to a team. The inner query obeys the policy above.
DROP POLICY IF EXISTS own_services ON eng.deployments;
CREATE POLICY own_services ON eng.deployments TO eng_app
    USING (service_id IN (SELECT id FROM eng.services))
    WITH CHECK (service_id IN (SELECT id FROM eng.services));
DROP POLICY IF EXISTS own_services ON eng.incidents;
CREATE POLICY own_services ON eng.incidents TO eng_app
    USING (service_id IN (SELECT id FROM eng.services))
    WITH CHECK (service_id IN (SELECT id FROM eng.services));

GRANT SELECT, INSERT, UPDATE ON eng.strategic_directives_v2 TO eng_app;
GRANT SELECT ON eng.service_scorecards, eng.governance_reviews TO eng_app;
