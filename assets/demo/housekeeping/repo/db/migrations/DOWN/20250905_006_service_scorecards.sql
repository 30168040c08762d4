-- Undoes 20250905_006_service_scorecards.

DROP VIEW IF EXISTS views.eng_service_scorecard;
DROP FUNCTION eng.recompute_scorecards(date);
DROP TABLE eng.service_scorecards;

DELETE FROM audit.migration_log WHERE version = '20250905_006_service_scorecards';
