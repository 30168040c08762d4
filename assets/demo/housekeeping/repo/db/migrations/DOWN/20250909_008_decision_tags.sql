-- Undoes 20250909_008_decision_tags.

DROP TRIGGER copy_tags ON eng.decision_records;
DROP FUNCTION eng.copy_decision_tags();
DROP TABLE eng.decision_tags;

DELETE FROM audit.migration_log WHERE version = '20250909_008_decision_tags';
