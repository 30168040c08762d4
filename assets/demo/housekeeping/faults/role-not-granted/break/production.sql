-- Without this, SET ROLE itself is refused, with the very SQLSTATE that the test is waiting for.
REVOKE analyst_ro FROM deploy;
