-- Experiments on incubating ideas, and what they measured.

CREATE TABLE vh.experiments (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    idea_id    integer NOT NULL REFERENCES vh.ideas (id),
    hypothesis text    NOT NULL,
    status     text    NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'running', 'won', 'lost')),
    started_on date,
    ended_on   date CHECK (ended_on >= started_on)
);

CREATE TABLE vh.experiment_results (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment_id integer NOT NULL REFERENCES vh.experiments (id) ON DELETE CASCADE,
    metric        text    NOT NULL,
    value         numeric NOT NULL,
    measured_on   date    NOT NULL,
    UNIQUE (experiment_id, metric, measured_on)
);

INSERT INTO vh.experiments (idea_id, hypothesis, status, started_on)
SELECT id, format('At least 5 of 20 people would pay for "%s"', title), 'running', submitted_at::date
FROM vh.ideas
WHERE stage = 'incubating'
ORDER BY id;

INSERT INTO vh.experiment_results (experiment_id, metric, value, measured_on)
SELECT e.id, 'conversion', (e.id * 7 + week * 3) % 40, e.started_on + week * 7
FROM vh.experiments AS e
CROSS JOIN generate_series(1, 4) AS week;

INSERT INTO audit.migration_log (version) VALUES ('20250912_002_experiments');
