-- One company a domain. The portal signs people in by the domain of their address; two companies
-- with the same one would see each other's numbers.

UPDATE vh.companies
SET domain = regexp_replace(domain, '^(https?://)?(www\.)?', '', 'i')
WHERE domain ~* '^(https?://|www\.)';

CREATE UNIQUE INDEX companies_domain_key ON vh.companies (lower(domain));

COMMENT ON INDEX vh.companies_domain_key IS 'Domains are compared without regard to case';

INSERT INTO audit.migration_log (version) VALUES ('20250916_004_company_domains_unique');
