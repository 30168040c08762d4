-- Undoes 20250919_007_directive_alignment.

DROP TABLE vh.directive_alignment;

DELETE FROM audit.migration_log WHERE version = '20250919_007_directive_alignment';
