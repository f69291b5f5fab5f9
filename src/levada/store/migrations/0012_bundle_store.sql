-- Inputs of runs may lie in a store of objects: their rows stay here, without the content.
ALTER TABLE levada.blob ALTER COLUMN content DROP NOT NULL;
ALTER TABLE levada.blob ADD COLUMN apart_bytes bigint;  -- as they are stored there
ALTER TABLE levada.blob ADD CHECK ((content IS NULL) = (apart_bytes IS NOT NULL));

-- What follows looks across tenants, as the registry.
SET LOCAL ROLE levada_registry;

-- As before, but for the bytes of contents that lie apart. Their objects are swept afterwards: whatever lies there without a row.
CREATE OR REPLACE FUNCTION registry.drop_bundles(tenant text, made_before timestamptz, at timestamptz) RETURNS TABLE (bundles bigint, contents bigint, bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = levada, pg_temp AS $$
DECLARE
    held text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('levada content of ' || tenant, 0));
    WITH old AS (
        UPDATE bundle AS b SET dropped_at = drop_bundles.at
        WHERE b.tenant_id = tenant AND b.dropped_at IS NULL AND b.created_at < made_before AND NOT EXISTS (
            SELECT FROM run AS r
            WHERE r.tenant_id = tenant AND r.bundle_id = b.bundle_id AND (r.created_at >= made_before OR r.state IN ('queued', 'running'))
        )
        RETURNING b.parts
    )
    SELECT (SELECT count(*) FROM old), (SELECT array_agg(DISTINCT part.value) FROM old CROSS JOIN jsonb_each_text(old.parts) AS part) INTO bundles, held;
    WITH old AS (
        DELETE FROM forecast_model AS m
        WHERE m.tenant_id = tenant AND m.trained_at < made_before AND m.trained_at < (SELECT max(n.trained_at) FROM forecast_model AS n WHERE n.tenant_id = tenant)
        RETURNING m.sha256
    )
    SELECT coalesce(held, '{}') || coalesce(array_agg(DISTINCT old.sha256), '{}') INTO held FROM old;
    WITH kept AS MATERIALIZED (
        SELECT DISTINCT part.value AS sha256 FROM bundle AS b CROSS JOIN jsonb_each_text(b.parts) AS part WHERE b.tenant_id = tenant AND b.dropped_at IS NULL
    ), gone AS (
        DELETE FROM blob AS x
        WHERE x.tenant_id = tenant AND x.sha256 = ANY(held)
            AND NOT EXISTS (SELECT FROM kept WHERE kept.sha256 = x.sha256)
            AND NOT EXISTS (SELECT FROM run AS r WHERE r.tenant_id = tenant AND r.result_sha256 = x.sha256)
            AND NOT EXISTS (SELECT FROM forecast_model AS m WHERE m.tenant_id = tenant AND m.sha256 = x.sha256)
            AND NOT EXISTS (SELECT FROM network AS n WHERE n.tenant_id = tenant AND n.sha256 = x.sha256)
            AND NOT EXISTS (SELECT FROM delivered_file AS f WHERE f.tenant_id = tenant AND f.original_sha256 = x.sha256)
        RETURNING coalesce(length(x.content), x.apart_bytes) AS bytes
    )
    SELECT count(*), coalesce(sum(gone.bytes), 0) INTO contents, bytes FROM gone;
    RETURN NEXT;
END $$;
