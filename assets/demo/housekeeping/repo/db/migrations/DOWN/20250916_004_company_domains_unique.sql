-- Undoes 20250916_004_company_domains_unique.

-- Prefixes that were cut off the domains stay cut off.
DROP INDEX vh.companies_domain_key;

DELETE FROM audit.migration_log WHERE version = '20250916_004_company_domains_unique';
