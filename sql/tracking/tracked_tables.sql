CREATE OR REPLACE VIEW pggit.tracked_tables AS
SELECT format('%I.%I', t.schema_name, t.table_name) AS table_name,
       (SELECT array_agg(c.name ORDER BY c.key_position) FROM pggit.columns AS c
         WHERE c.table_id = t.table_id AND c.key_position IS NOT NULL) AS key_columns,
       'keyed'::text AS form,
       (SELECT sum(pg_total_relation_size(to_regclass(format('pggit.%s_%s', s.store, t.table_id))))::bigint
          FROM unnest(ARRAY['_log', '_delta', '_mask', '_undo']) AS s(store)) AS history_bytes
  FROM pggit.tables AS t
 WHERE t.untracked_at IS NULL;

COMMENT ON VIEW pggit.tracked_tables IS
'Tables under version control: name, key columns, form, and bytes that pggit keeps for the table (log and branches, with indexes).';
