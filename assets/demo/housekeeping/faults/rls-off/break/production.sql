-- A copy made by hand before some earlier repair. No policy file knows of it.
SET ROLE ehg_owner;
CREATE TABLE eng.strategic_directives_copy_0830 AS TABLE eng.strategic_directives;
RESET ROLE;
