"""Models of one zone's demand, a file a model. Each knows only values before its origin.

typical_day.py (a day or more of history), seasonal.py (a week or more), boosted.py (three weeks or more).
May import domain and the arrays of levada.forecast: history, features, wall_clock.
"""
