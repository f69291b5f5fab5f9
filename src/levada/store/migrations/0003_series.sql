-- Series and their readings. A reading has the instant it is for (time) and the instant it became known (available_at).

CREATE TABLE series (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    series_no integer NOT NULL,
    series_id text NOT NULL,
    quantity text NOT NULL,
    cell_method text NOT NULL,
    step_s integer NOT NULL CHECK (step_s > 0),
    description text NOT NULL,
    PRIMARY KEY (tenant_id, series_no),
    UNIQUE (tenant_id, series_id)
);
CALL isolate('series', 'SELECT, INSERT, UPDATE', registry_may => 'SELECT');

-- Never updated, never deleted: a corrected value is another row with a later available_at. No foreign key: it would be checked
-- for each of the many rows, and store/series.py takes series_no from `series` in the same transaction.
CREATE TABLE reading (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), ''),
    series_no integer NOT NULL,
    quality smallint NOT NULL,
    time timestamptz NOT NULL,
    available_at timestamptz NOT NULL,
    value double precision NOT NULL,
    source bigint,
    PRIMARY KEY (tenant_id, series_no, time, available_at)
);
CALL isolate('reading', 'SELECT, INSERT', registry_may => 'SELECT');
