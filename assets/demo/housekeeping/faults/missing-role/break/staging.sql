DROP OWNED BY analyst_ro;
