-- Undoes 20250912_002_experiments.

DROP VIEW IF EXISTS views.vh_experiment_outcomes;
DROP TABLE vh.experiment_results;
DROP TABLE vh.experiments;

DELETE FROM audit.migration_log WHERE version = '20250912_002_experiments';
