-- name: lock_file
-- Deliveries of one content take their turns.
SELECT pg_advisory_xact_lock(hashtextextended('levada file ' || current_setting('app.tenant') || ' ' || %(sha256)s, 0));

-- name: find_file
-- How this content was taken before, or last refused.
SELECT * FROM levada.delivered_file WHERE sha256 = %(sha256)s AND state <> 'duplicate' ORDER BY state = 'refused', file_id DESC LIMIT 1;

-- name: record_file
-- A delivery.
INSERT INTO levada.delivered_file (name, sha256, size, received_at, state, rows_ok, rows_bad, contract, problem, original_sha256)
VALUES (%(name)s, %(sha256)s, %(size)s, %(received_at)s, %(state)s, %(rows_ok)s, %(rows_bad)s, %(contract)s, %(problem)s, %(original_sha256)s)
RETURNING file_id;

-- name: add_quarantine
-- A row that could not be taken.
INSERT INTO levada.quarantined_row (file_id, entry_no, line, column_name, found, problem, raw)
VALUES (%(file_id)s, %(entry_no)s, %(line)s, %(column)s, %(found)s, %(problem)s, %(raw)s);

-- name: list_files
-- The newest first.
SELECT * FROM levada.delivered_file ORDER BY file_id DESC LIMIT %(limit)s;

-- name: get_file
-- One delivery.
SELECT * FROM levada.delivered_file WHERE file_id = %(file_id)s;

-- name: quarantine_of
-- Its rows that could not be taken, in their order.
SELECT line, column_name, found, problem, raw FROM levada.quarantined_row WHERE file_id = %(file_id)s ORDER BY entry_no;
