"""Real demand: an extract of the BWDF inflows. Source, licence and what was changed stand in ATTRIBUTION.md; demand.py reads it."""
