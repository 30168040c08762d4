-- The second copies have no founders and no investments: nothing refers to them.
DELETE FROM vh.companies WHERE id BETWEEN 9001 AND 9600;
