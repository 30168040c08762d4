-- One register of risks, seeded from what has gone wrong already.

CREATE TABLE eng.risk_register (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service_id   integer REFERENCES eng.services (id),
    directive_id bigint REFERENCES eng.strategic_directives_v2 (id),
    title        text     NOT NULL,
    likelihood   smallint NOT NULL CHECK (likelihood BETWEEN 1 AND 5),
    impact       smallint NOT NULL CHECK (impact BETWEEN 1 AND 5),
    score        smallint GENERATED ALWAYS AS (likelihood * impact) STORED,
    mitigated_on date,
    -- A risk is about something.
    CHECK (num_nonnulls(service_id, directive_id) >= 1)
);

WITH severe AS (
    SELECT service_id, count(*) AS incidents, min(severity) AS worst
    FROM eng.incidents
    WHERE severity <= 2
    GROUP BY service_id
)
INSERT INTO eng.risk_register (service_id, title, likelihood, impact)
SELECT s.id, format('%s: %s severe incidents', s.name, severe.incidents),
       greatest(1, least(5, severe.incidents / 8)), 6 - s.tier
FROM severe
JOIN eng.services AS s ON s.id = severe.service_id
ORDER BY s.id;

CREATE INDEX risk_register_open_idx ON eng.risk_register (score DESC) WHERE mitigated_on IS NULL;

INSERT INTO audit.migration_log (version) VALUES ('20250903_004_risk_register');
