-- Undoes 20250901_002_directive_status_history.

DROP VIEW IF EXISTS views.eng_directive_progress;
DROP TRIGGER keep_status ON eng.strategic_directives_v2;
DROP TRIGGER keep_first_status ON eng.strategic_directives_v2;
DROP FUNCTION eng.keep_directive_status();
DROP TABLE eng.directive_status_history;

DELETE FROM audit.migration_log WHERE version = '20250901_002_directive_status_history';
