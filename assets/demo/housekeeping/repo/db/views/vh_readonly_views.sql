-- What readers see of vh. Nothing here can be written through: each view aggregates or joins.

CREATE OR REPLACE VIEW views.vh_portfolio_overview AS
SELECT c.id, c.name, c.country, c.active,
       count(i.id)                     AS rounds,
       coalesce(sum(i.amount_eur), 0)  AS invested_eur,
       max(i.invested_on)              AS last_round_on
FROM vh.companies AS c
LEFT JOIN vh.investments AS i ON i.company_id = c.id
GROUP BY c.id, c.name, c.country, c.active;

CREATE OR REPLACE VIEW views.vh_fund_deployment AS
SELECT f.name AS fund, f.vintage, f.size_eur, sum(i.amount_eur) AS invested_eur,
       round(100 * sum(i.amount_eur) / f.size_eur, 1) AS percent_invested
FROM vh.funds AS f
JOIN vh.investments AS i ON i.fund_id = f.id
GROUP BY f.id, f.name, f.vintage, f.size_eur;

CREATE OR REPLACE VIEW views.vh_ingest_health AS
SELECT s.name AS source, s.enabled,
       count(*)                                     AS runs,
       count(*) FILTER (WHERE r.status = 'failed')  AS failed,
       max(r.created_at)                            AS last_run
FROM vh.ingest_sources AS s
JOIN vh.ingest_runs AS r ON r.source_id = s.id
WHERE r.created_at BETWEEN now() - interval '1 day' AND now()
GROUP BY s.id, s.name, s.enabled;

CREATE OR REPLACE VIEW views.vh_experiment_outcomes AS
SELECT e.id, i.title AS idea, e.hypothesis, e.status,
       count(r.id)            AS measurements,
       round(avg(r.value), 2) AS average
FROM vh.experiments AS e
JOIN vh.ideas AS i ON i.id = e.idea_id
LEFT JOIN vh.experiment_results AS r ON r.experiment_id = e.id
GROUP BY e.id, i.title, e.hypothesis, e.status;

GRANT SELECT ON views.vh_portfolio_overview, views.vh_fund_deployment,
                views.vh_ingest_health, views.vh_experiment_outcomes
    TO analyst_ro, vh_app;
