DROP TABLE IF EXISTS eng.strategic_directives_copy_0830;
