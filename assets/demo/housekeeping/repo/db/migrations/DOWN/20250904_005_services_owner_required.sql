-- Undoes 20250904_005_services_owner_required.

-- The owners that were filled in stay: which ones were empty is not known any more.
ALTER TABLE eng.services ALTER COLUMN owner_team_id DROP NOT NULL;
COMMENT ON COLUMN eng.services.owner_team_id IS 'Empty for services that were imported from the old catalogue';

DELETE FROM audit.migration_log WHERE version = '20250904_005_services_owner_required';
