-- Which directive of engineering a venture serves. The venture hub refers to eng and reads it;
-- it never writes there.

CREATE TABLE vh.directive_alignment (
    company_id   integer NOT NULL REFERENCES vh.companies (id) ON DELETE CASCADE,
    directive_id bigint  NOT NULL REFERENCES eng.strategic_directives_v2 (id),
    weight       numeric(3, 2) NOT NULL DEFAULT 1 CHECK (weight > 0 AND weight <= 1),
    stated_on    date    NOT NULL DEFAULT current_date,
    PRIMARY KEY (company_id, directive_id)
);
CREATE INDEX directive_alignment_directive_id_idx ON vh.directive_alignment (directive_id);

INSERT INTO vh.directive_alignment (company_id, directive_id, weight)
SELECT c.id, d.id, 0.5
FROM vh.companies AS c
JOIN eng.strategic_directives_v2 AS d ON d.id = c.id * 2
WHERE c.active AND d.status IN ('active', 'blocked');

INSERT INTO audit.migration_log (version) VALUES ('20250919_007_directive_alignment');
