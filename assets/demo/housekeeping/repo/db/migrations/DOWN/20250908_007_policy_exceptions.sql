-- Undoes 20250908_007_policy_exceptions.

DROP TABLE eng.policy_exceptions;

DELETE FROM audit.migration_log WHERE version = '20250908_007_policy_exceptions';
