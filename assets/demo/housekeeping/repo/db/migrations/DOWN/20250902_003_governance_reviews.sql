-- Undoes 20250902_003_governance_reviews.

DROP VIEW IF EXISTS views.eng_governance_summary;
DROP TABLE eng.review_findings;
DROP TABLE eng.governance_reviews;

DELETE FROM audit.migration_log WHERE version = '20250902_003_governance_reviews';
