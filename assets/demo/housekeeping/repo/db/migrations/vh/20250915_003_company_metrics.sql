-- Monthly numbers of the portfolio, one row a company and month.

CREATE TABLE vh.company_metrics_monthly (
    company_id  integer NOT NULL REFERENCES vh.companies (id) ON DELETE CASCADE,
    month       date    NOT NULL,
    revenue_eur numeric(14, 2) NOT NULL DEFAULT 0 CHECK (revenue_eur >= 0),
    cost_eur    numeric(14, 2) NOT NULL DEFAULT 0 CHECK (cost_eur >= 0),
    burn_eur    numeric(14, 2) GENERATED ALWAYS AS (cost_eur - revenue_eur) STORED,
    headcount   integer NOT NULL DEFAULT 0 CHECK (headcount >= 0),
    PRIMARY KEY (company_id, month)
);

INSERT INTO vh.company_metrics_monthly (company_id, month, revenue_eur, cost_eur, headcount)
SELECT c.id, m.month::date, c.id * 137 % 90000, c.id * 211 % 120000, 1 + c.id % 60
FROM vh.companies AS c
CROSS JOIN generate_series(date_trunc('month', now()) - interval '5 months',
                           date_trunc('month', now()), interval '1 month') AS m(month)
WHERE c.active;

INSERT INTO audit.migration_log (version) VALUES ('20250915_003_company_metrics');
