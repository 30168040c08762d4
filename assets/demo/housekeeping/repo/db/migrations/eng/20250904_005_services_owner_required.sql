-- A service without an owner has nobody to ask. Who deployed the services of the old catalogue last
-- was never recorded, so a platform team takes each of them over, chosen by tier.

UPDATE eng.services AS s
SET owner_team_id = (SELECT t.id
                     FROM eng.teams AS t
                     WHERE t.department = 'Platform'
                     ORDER BY (t.id + s.tier) % 8, t.id
                     LIMIT 1)
WHERE s.owner_team_id IS NULL;

-- The check is validated under a weak lock; with it in place SET NOT NULL need not scan the table.
ALTER TABLE eng.services
    ADD CONSTRAINT services_owner_known CHECK (owner_team_id IS NOT NULL) NOT VALID;
ALTER TABLE eng.services VALIDATE CONSTRAINT services_owner_known;
ALTER TABLE eng.services ALTER COLUMN owner_team_id SET NOT NULL;
ALTER TABLE eng.services DROP CONSTRAINT services_owner_known;

COMMENT ON COLUMN eng.services.owner_team_id IS 'Who is asked when it breaks';

INSERT INTO audit.migration_log (version) VALUES ('20250904_005_services_owner_required');
