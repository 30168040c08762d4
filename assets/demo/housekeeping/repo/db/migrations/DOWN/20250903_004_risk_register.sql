-- Undoes 20250903_004_risk_register.

DROP VIEW IF EXISTS views.eng_risk_heatmap;
DROP TABLE eng.risk_register;

DELETE FROM audit.migration_log WHERE version = '20250903_004_risk_register';
