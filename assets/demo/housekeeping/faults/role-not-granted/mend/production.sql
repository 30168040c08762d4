GRANT analyst_ro TO deploy;
