-- Undoes 20250901_001_strategic_directives_v2.

-- Directives changed since the promotion are lost: the first edition knows nothing of them.
DROP TABLE eng.strategic_directives_v2;
DROP FUNCTION eng.directive_status_from_text(text);
DROP TYPE eng.directive_status;

DELETE FROM audit.migration_log WHERE version = '20250901_001_strategic_directives_v2';
