CREATE OR REPLACE FUNCTION pggit.help(p_word text DEFAULT NULL)
    RETURNS TABLE (topic text, call text, meaning text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_word text := btrim(lower(p_word));
BEGIN
    RETURN QUERY
    WITH topics(place, name, functions) AS MATERIALIZED (
        VALUES (1, 'begin',    '{track_schema,track_table,untrack_table,commit}'::text[]),
               (2, 'look',     '{status,diff,diff_rows,diff_schema,log,show,blame,as_of}'),
               (3, 'branches', '{create_branch,list_branches,checkout,current_branch,rename_branch,delete_branch,branch_capabilities,materialize}'),
               (4, 'merge',    '{plan_merge,merge,merge_status,resolve_conflict,resolve_conflicts,continue_merge,abort_merge}'),
               (5, 'undo',     '{revert,reset,cherry_pick,rebase,stash,unstash,drop_stash}'),
               (6, 'keep',     '{tag,delete_tag,protect_branch,unprotect_branch,verify,gc}')
    ), functions AS MATERIALIZED (
        SELECT p.oid, p.proname::text AS name, obj_description(p.oid, 'pg_proc') AS comment,
               format('%s(%s)', p.proname, (SELECT string_agg(CASE WHEN a.n > p.pronargs - p.pronargdefaults THEN format('[%s]', a.name) ELSE a.name END, ', ' ORDER BY a.n)
                                              FROM unnest(p.proargnames[:p.pronargs]) WITH ORDINALITY AS a(name, n))) AS call
          FROM pg_proc AS p
         WHERE p.pronamespace = 'pggit'::regnamespace AND p.proname NOT LIKE E'\\_%' AND p.prokind = 'f' AND p.oid <> 'pggit.as_of(text, text)'::regprocedure
    )
    SELECT t.name, f.call, CASE WHEN f.name = v_word THEN f.comment ELSE regexp_replace(replace(f.comment, E'\n', ' '), '([^.]{3,}?[.])( .*)?$', E'\\1') END
      FROM functions AS f LEFT JOIN topics AS t ON f.name = ANY (t.functions)
     WHERE CASE WHEN v_word IS NULL THEN t.name IS NOT NULL
                WHEN EXISTS (SELECT FROM topics AS k WHERE k.name = v_word) AND NOT EXISTS (SELECT FROM functions AS k WHERE k.name = v_word) THEN t.name = v_word
                WHEN EXISTS (SELECT FROM functions AS k WHERE k.name = v_word) THEN f.name = v_word
                ELSE strpos(lower(f.name), v_word) > 0 OR strpos(replace(lower(f.comment), 'pggit.', ''), v_word) > 0 END
     ORDER BY t.place NULLS LAST, array_position(t.functions, f.name), f.name, f.oid;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG202', SCHEMA = 'pggit',
            MESSAGE = format('no function of pggit is called %L or has to do with it', p_word),
            HINT    = pggit._near_names(p_word, ARRAY(SELECT DISTINCT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'pggit'::regnamespace AND p.proname NOT LIKE E'\\_%'))
                      || 'SELECT * FROM pggit.help(); shows what is called every day.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit.help(text) IS
'What can be called, arguments in brackets may be left out: what is used every day, by topic; with the name of a function all about it, with a topic or another word whatever has to do with it.
The texts are the functions'' own comments. Raises VG202 (nothing has to do with the word).';
