-- Undoes 20250915_003_company_metrics.

DROP TABLE vh.company_metrics_monthly;

DELETE FROM audit.migration_log WHERE version = '20250915_003_company_metrics';
