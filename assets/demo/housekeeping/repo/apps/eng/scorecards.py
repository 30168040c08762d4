"""Recomputes the scorecards of the current month. Run nightly."""

import datetime

RECOMPUTE = "SELECT eng.recompute_scorecards(%s)"


def recompute(connection, today=None):
    today = today or datetime.date.today()
    return connection.execute(RECOMPUTE, (today.replace(day=1),)).fetchone()[0]
