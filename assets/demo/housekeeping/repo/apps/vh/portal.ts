// The portfolio page. Reads vh and the views; eng is only ever seen through views.

export interface Database {
  query<Row>(sql: string, parameters?: unknown[]): Promise<Row[]>;
}

const PORTFOLIO = `
  SELECT id, name, country, rounds, invested_eur, last_round_on
  FROM views.vh_portfolio_overview
  WHERE active
  ORDER BY invested_eur DESC
  LIMIT $1`;

const DIRECTIVES = `
  SELECT department, team, status, directives, overdue
  FROM views.eng_governance_summary
  WHERE status IN ('active', 'blocked')`;

export const portfolio = (db: Database, limit = 50) => db.query(PORTFOLIO, [limit]);
export const directives = (db: Database) => db.query(DIRECTIVES);
