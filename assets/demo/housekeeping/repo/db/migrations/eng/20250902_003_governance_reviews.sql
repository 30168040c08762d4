/* Governance reviews and their findings.

   A review looks at one directive; a finding belongs to one review. Past decisions become
   reviews without findings, so that the summary does not begin with an empty year. */

CREATE TABLE eng.governance_reviews (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    directive_id bigint NOT NULL REFERENCES eng.strategic_directives_v2 (id),
    decision_id  integer UNIQUE REFERENCES eng.decision_records (id),
    outcome      text   NOT NULL CHECK (outcome IN ('accepted', 'rejected', 'superseded', 'proposed')),
    reviewed_on  date   NOT NULL
);
CREATE INDEX governance_reviews_directive_id_idx ON eng.governance_reviews (directive_id, reviewed_on DESC);

CREATE TABLE eng.review_findings (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    review_id bigint   NOT NULL REFERENCES eng.governance_reviews (id) ON DELETE CASCADE,
    severity  smallint NOT NULL CHECK (severity BETWEEN 1 AND 4),
    finding   text     NOT NULL,
    closed_on date
);
CREATE INDEX review_findings_open_idx ON eng.review_findings (review_id) WHERE closed_on IS NULL;

INSERT INTO eng.governance_reviews (directive_id, decision_id, outcome, reviewed_on)
SELECT v.id, r.id, r.outcome, r.decided_on
FROM eng.decision_records AS r
JOIN eng.strategic_directives_v2 AS v ON v.legacy_id = r.directive_id;

-- A rejected proposal has at least the finding that led to it.
INSERT INTO eng.review_findings (review_id, severity, finding, closed_on)
SELECT id, 2, 'Rejected; the reason is in the decision record.', reviewed_on
FROM eng.governance_reviews
WHERE outcome = 'rejected';

INSERT INTO audit.migration_log (version) VALUES ('20250902_003_governance_reviews');
