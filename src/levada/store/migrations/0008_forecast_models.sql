-- Models of demand that training runs have made; their texts are in blob.

CREATE TABLE forecast_model (
    tenant_id text NOT NULL DEFAULT nullif(current_setting('app.tenant', true), '') REFERENCES tenant,
    run_id uuid NOT NULL,
    zone text NOT NULL,
    trained_at timestamptz NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (tenant_id, run_id, zone),
    FOREIGN KEY (tenant_id, run_id) REFERENCES run,
    FOREIGN KEY (tenant_id, sha256) REFERENCES blob (tenant_id, sha256)
);
CREATE INDEX forecast_model_by_age ON forecast_model (tenant_id, trained_at);
CALL isolate('forecast_model', 'SELECT, INSERT');
