CREATE OR REPLACE VIEW pggit.merge_conflicts AS
SELECT c.merge_id, c.conflict_no, c.conflict_id, c.kind, format('%I.%I', t.schema_name, t.table_name) AS table_name, c.key,
       coalesce(k.name, (SELECT min(b.name) FROM pggit.branch_columns AS b WHERE b.table_id = c.table_id AND b.column_id = c.column_id)) AS column_name,
       c.base, c.ours, c.theirs, c.resolution, c.resolved_value, c.resolved_by, c.resolved_at, c.rule, c.note,
       (SELECT r.resolution FROM pggit.conflicts AS r WHERE r.conflict_id = c.conflict_id AND r.merge_id <> c.merge_id AND r.resolution IS NOT NULL AND r.rule IS NULL
         ORDER BY r.resolved_at DESC LIMIT 1) AS remembered,
       (SELECT r.resolved_value FROM pggit.conflicts AS r WHERE r.conflict_id = c.conflict_id AND r.merge_id <> c.merge_id AND r.resolution IS NOT NULL AND r.rule IS NULL
         ORDER BY r.resolved_at DESC LIMIT 1) AS remembered_value
  FROM pggit.conflicts AS c
  JOIN pggit.tables AS t USING (table_id)
  LEFT JOIN pggit.columns AS k USING (table_id, column_id);

COMMENT ON VIEW pggit.merge_conflicts IS
'Conflicts of merges. kind update_update is one cell: column_name and the cell''s three values. insert_insert, update_delete (ours changed, theirs deleted) and delete_update are
whole rows: column_name is NULL and the values are rows. conflict_id is the same whenever the same conflict is found again. rule is the merge rule that decided it, note why none did.
remembered, with remembered_value, is what was decided last when another merge had the same conflict: pggit.resolve_conflicts(merge_id, ''remembered'') decides so again.';

CREATE OR REPLACE VIEW pggit.merge_violations AS
SELECT v.merge_id, v.violation_id, v.kind, v.constraint_name, format('%I.%I', t.schema_name, t.table_name) AS table_name, v.key, v.side, v.detail
  FROM pggit.violations AS v
  JOIN pggit.tables AS t USING (table_id);

COMMENT ON VIEW pggit.merge_violations IS
'Constraints that the merged state would violate, a row each: kind is not_null, check (a domain''s too), unique, exclusion, foreign_key or partition (no partition takes the row); side is theirs, both or resolution, and NULL for a row of ours that would be
left without what it refers to, or that a constraint of theirs does not take.';

CREATE OR REPLACE VIEW pggit.merge_schema_conflicts AS
SELECT c.merge_id, c.conflict_id, c.object_type, c.object_name, c.kind, c.base, c.ours, c.theirs, c.resolution, c.resolved_value, c.resolved_by, c.resolved_at
  FROM pggit.schema_conflicts AS c;

COMMENT ON VIEW pggit.merge_schema_conflicts IS
'Conflicts of definitions, a row each. Of a column, kind is update_delete (ours wrote to it or gave it another type, theirs dropped it), delete_update (the other way round), update_update (two types),
insert_insert (added on both sides with two types), rename (two names) or needs_fill: theirs filled a new or retyped column with values of its own, and ours has inserted or changed rows since. resolution is ours, theirs or,
for needs_fill, value: an SQL expression over the row; ours leaves what the column has in these rows anyway.';
