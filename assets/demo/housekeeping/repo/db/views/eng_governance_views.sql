-- What readers see of eng. The views run with their owner's rights: readers need no right on the
-- tables beneath, and must not get any.

CREATE OR REPLACE VIEW views.eng_governance_summary AS
SELECT t.department,
       t.name                                                         AS team,
       d.status,
       count(*)                                                       AS directives,
       count(*) FILTER (WHERE d.due_on < current_date
                          AND d.status NOT IN ('done', 'dropped'))    AS overdue,
       max(r.last_review)                                             AS last_review
FROM eng.strategic_directives_v2 AS d
LEFT JOIN eng.teams AS t ON t.id = d.owner_team_id
LEFT JOIN (SELECT directive_id, max(reviewed_on) AS last_review
           FROM eng.governance_reviews
           GROUP BY directive_id) AS r ON r.directive_id = d.id
GROUP BY t.department, t.name, d.status;

CREATE OR REPLACE VIEW views.eng_directive_progress AS
SELECT d.id, d.title, d.status, d.priority, d.due_on, d.planned_days,
       h.changed_at AS status_since,
       eng.working_days(d.opened_on, current_date) AS age_in_working_days
FROM eng.strategic_directives_v2 AS d
LEFT JOIN LATERAL (SELECT changed_at
                   FROM eng.directive_status_history
                   WHERE directive_id = d.id
                   ORDER BY changed_at DESC
                   LIMIT 1) AS h ON true;

CREATE OR REPLACE VIEW views.eng_risk_heatmap AS
SELECT likelihood, impact, count(*) AS risks, max(score) AS score
FROM eng.risk_register
WHERE mitigated_on IS NULL
GROUP BY likelihood, impact;

CREATE OR REPLACE VIEW views.eng_service_scorecard AS
SELECT DISTINCT ON (c.service_id)
       s.name AS service, s.tier, t.name AS owner, c.month, c.deployments, c.failure_rate, c.incidents
FROM eng.service_scorecards AS c
JOIN eng.services AS s ON s.id = c.service_id
JOIN eng.teams AS t ON t.id = s.owner_team_id
ORDER BY c.service_id, c.month DESC;

COMMENT ON VIEW views.eng_governance_summary IS 'Directives by department, team and status';

GRANT SELECT ON views.eng_governance_summary, views.eng_directive_progress,
                views.eng_risk_heatmap, views.eng_service_scorecard
    TO analyst_ro, eng_app, eng_lead;
-- The portal of the venture hub shows which directives a venture serves.
GRANT SELECT ON views.eng_governance_summary TO vh_app;
