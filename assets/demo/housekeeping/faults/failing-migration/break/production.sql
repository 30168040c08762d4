-- Somebody imported the spring batch twice, by hand, on production only. Staging never saw it.
INSERT INTO vh.companies (id, name, domain, country, founded_on)
SELECT 9000 + c.id, upper(c.name), 'Company' || c.id || '.EXAMPLE', c.country, c.founded_on
FROM vh.companies AS c
WHERE c.id IN (17, 204, 511);
