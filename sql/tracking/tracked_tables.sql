CREATE OR REPLACE VIEW pggit.tracked_tables AS
SELECT format('%I.%I', t.schema_name, t.table_name) AS table_name,
       ARRAY(SELECT c.name FROM pggit.columns AS c WHERE c.table_id = t.table_id AND c.key_position IS NOT NULL ORDER BY c.key_position) AS key_columns,
       CASE WHEN pggit._is_keyless(t.table_id) THEN 'keyless' ELSE 'keyed' END AS form,
       (SELECT sum(pg_total_relation_size(to_regclass(format('pggit.%s_%s', s.store, t.table_id))))::bigint
          FROM unnest(ARRAY['_log', '_delta', '_mask', '_undo']) AS s(store)) AS history_bytes
  FROM pggit.tables AS t
 WHERE t.untracked_at IS NULL AND t.on_main;

COMMENT ON VIEW pggit.tracked_tables IS
'Tables under version control: name, key columns, form (keyless: without a primary key, so that its rows are counted), and bytes that pggit keeps for the table (log and branches, with indexes).';
