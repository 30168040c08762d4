-- After the databases have let go of it: roles belong to the server.
DROP OWNED BY analyst_ro;
DROP ROLE analyst_ro;
