-- Types and sequences that were made on a branch come to main as they are: they move, and all that is made of them goes on.

CREATE OR REPLACE FUNCTION pggit._type_steps(p_bases text[], p_source_id integer, p_target_id integer)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_target_id <> 1 OR p_source_id IS NULL OR p_source_id = 1 THEN
        RETURN '[]';
    END IF;
    RETURN (WITH base AS MATERIALIZED (
                SELECT o.object_type, o.object_name FROM unnest(pggit._objects_of_base(p_bases)) AS o
            )
            SELECT coalesce(jsonb_agg(jsonb_build_object('do', 'move', 'kind', t.kind, 'from', t.name, 'schema', t.base_schema, 'name', t.local_name) ORDER BY t.objid), '[]')
              FROM pggit._types_of_branch(p_source_id) AS t
             WHERE to_regtype(format('%I.%I', t.base_schema, t.local_name)) IS NULL AND to_regclass(format('%I.%I', t.base_schema, t.local_name)) IS NULL
               -- What main had and dropped is for the merge of definitions to decide.
               AND NOT EXISTS (SELECT FROM base AS b WHERE b.object_type = t.kind AND b.object_name = format('%I.%I', t.base_schema, t.local_name))
               AND EXISTS (SELECT FROM pggit.tracked_schemas AS s WHERE s.schema_name = t.base_schema));
END;
$$;

COMMENT ON FUNCTION pggit._type_steps(text[], integer, integer) IS
'The types and sequences that a merge of a branch into main moves there, as steps for pggit._take_steps. p_source_id NULL, where theirs is a commit: none.';

CREATE OR REPLACE FUNCTION pggit._move_types(p_steps jsonb, p_branch_id integer)
    RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    v_moves jsonb  := coalesce((SELECT jsonb_agg(s) FROM jsonb_array_elements(p_steps) AS s WHERE s ->> 'do' = 'move'), '[]');
    v_made  text[] := '{}';
    v_owner text;
    v_at    pggit._mark;
    v_move  record;
BEGIN
    IF v_moves = '[]' THEN
        RETURN v_made;
    END IF;
    v_at := pggit._next_mark();
    INSERT INTO pggit.schema_moves (branch_id, object_type, object_name, parent, definition, hash, at)
    SELECT p_branch_id, o.object_type, o.object_name, quote_ident(m.schema), o.definition, o.hash, v_at
      FROM pggit._own_objects(p_branch_id) AS o
      JOIN jsonb_to_recordset(v_moves) AS m(kind text, schema text, name text) ON o.object_type = m.kind AND o.object_name = format('%I.%I', m.schema, m.name)
        ON CONFLICT (branch_id, object_type, object_name) DO UPDATE SET definition = excluded.definition, hash = excluded.hash, at = excluded.at;
    FOR v_move IN SELECT * FROM jsonb_to_recordset(v_moves) AS m(kind text, "from" text, schema text, name text) LOOP
        v_owner := pggit._owner_on_main(v_move.schema, p_branch_id);
        EXECUTE format('ALTER %s %s SET SCHEMA %I', v_move.kind, v_move."from", v_move.schema);
        EXECUTE format('ALTER %s %I.%I OWNER TO %I', v_move.kind, v_move.schema, v_move.name, v_owner);
        v_made := v_made || format('ALTER %s %s SET SCHEMA %I', upper(v_move.kind), v_move."from", v_move.schema);
    END LOOP;
    PERFORM pggit._follow_types();
    RETURN v_made;
END;
$$;

COMMENT ON FUNCTION pggit._move_types(jsonb, integer) IS
'Makes types and sequences of a branch main''s, and returns the statements. The branch goes on with them, as with all that main has.';
