-- How a run that is being computed gets on: stage, and cost and bound of what was found so far. Kept until it is begun again.
ALTER TABLE levada.run ADD COLUMN progress jsonb;
