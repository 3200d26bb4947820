-- What an error says of a name that is not there: the names that look like it.

CREATE OR REPLACE FUNCTION pggit._typing_errors(p_a text, p_b text)
    RETURNS integer
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_a       text[] := string_to_array(p_a, NULL);
    v_b       text[] := string_to_array(p_b, NULL);
    v_earlier integer[];
    v_before  integer[];
    v_row     integer[];
    v_same    integer := 0;
BEGIN
    -- What both begin and end with has no errors, and need not be compared letter by letter.
    WHILE v_a[v_same + 1] = v_b[v_same + 1] LOOP
        v_same := v_same + 1;
    END LOOP;
    v_a    := v_a[v_same + 1 :];
    v_b    := v_b[v_same + 1 :];
    v_same := 0;
    WHILE v_a[cardinality(v_a) - v_same] = v_b[cardinality(v_b) - v_same] LOOP
        v_same := v_same + 1;
    END LOOP;
    v_a   := v_a[: cardinality(v_a) - v_same];
    v_b   := v_b[: cardinality(v_b) - v_same];
    v_row := ARRAY(SELECT generate_series(0, cardinality(v_b)));
    FOR i IN 1 .. cardinality(v_a) LOOP
        v_earlier := v_before;
        v_before  := v_row;
        v_row     := ARRAY[i];
        FOR j IN 1 .. cardinality(v_b) LOOP
            v_row[j + 1] := least(v_before[j + 1] + 1, v_row[j] + 1, v_before[j] + (v_a[i] <> v_b[j])::integer);
            IF i > 1 AND j > 1 AND v_a[i] = v_b[j - 1] AND v_a[i - 1] = v_b[j] THEN
                v_row[j + 1] := least(v_row[j + 1], v_earlier[j - 1] + 1);
            END IF;
        END LOOP;
    END LOOP;
    RETURN v_row[cardinality(v_b) + 1];
END;
$$;

COMMENT ON FUNCTION pggit._typing_errors(text, text) IS
'How many characters have to be added, left out, changed or swapped with their neighbour to come from one text to another.';

CREATE OR REPLACE FUNCTION pggit._near_names(p_name text, p_names text[])
    RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_name   text    := lower(left(replace(p_name, '"', ''), 63));
    v_errors integer := greatest(length(v_name) / 3, 1);
    v_near   text[];
BEGIN
    WITH candidates AS MATERIALIZED (
        SELECT n.name, lower(left(replace(n.name, '"', ''), 63)) AS plain FROM unnest(p_names) AS n(name) WHERE n.name <> p_name ORDER BY abs(length(n.name) - length(p_name)) LIMIT 2000
    ), counted AS MATERIALIZED (
        SELECT c.name, CASE WHEN length(v_name) >= 3 AND (starts_with(c.plain, v_name) OR c.plain ~ ('[/.]' || regexp_replace(v_name, E'\\W', E'\\\\&', 'g') || '$')) THEN 1
                            WHEN abs(length(c.plain) - length(v_name)) <= v_errors THEN pggit._typing_errors(v_name, c.plain) END AS errors
          FROM candidates AS c
    )
    SELECT array_agg(quote_literal(f.name) ORDER BY f.errors, f.name) INTO v_near
      FROM (SELECT c.name, c.errors FROM counted AS c WHERE c.errors <= v_errors AND c.errors < length(v_name) ORDER BY c.errors, c.name LIMIT 3) AS f;
    RETURN CASE WHEN v_near IS NOT NULL THEN format('Did you mean %s? ', array_to_string(v_near, ' or '))
                WHEN cardinality(p_names) BETWEEN 1 AND 5 THEN (SELECT format('There is %s. ', string_agg(quote_literal(n.name), ', ' ORDER BY n.name)) FROM unnest(p_names) AS n(name))
                ELSE '' END;
END;
$$;

COMMENT ON FUNCTION pggit._near_names(text, text[]) IS
'The beginning of a hint: up to three names that are nearly the one that was given, or begin or end with it; all names where they are few and none is near; else empty.';

CREATE OR REPLACE FUNCTION pggit._deleted_branch(p_name text)
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT format('A branch of that name was deleted; SELECT pggit.create_branch(%L, %L); makes it again from its last commit. ', b.name, left(b.head, 12))
      FROM pggit.branches AS b WHERE b.name = p_name AND b.deleted_at IS NOT NULL AND b.mode <> 'detached' AND b.head IS NOT NULL
     ORDER BY b.deleted_at DESC, b.branch_id DESC LIMIT 1;
$$;

COMMENT ON FUNCTION pggit._deleted_branch(text) IS
'How the last branch of a name that was deleted is made again, in words; NULL when there was none.';

CREATE OR REPLACE FUNCTION pggit._as_in_git(p_ref text)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN p_ref LIKE '%..%' THEN 'A range is two refs, each an argument: pggit.diff(''main'', ''dev''). What dev has and main has not: SELECT * FROM pggit.log(''dev'', NULL) EXCEPT SELECT * FROM pggit.log(''main'', NULL). '
                WHEN p_ref = '@' OR p_ref LIKE '@{%' THEN 'It is written HEAD. '
                WHEN p_ref LIKE '%@{%' THEN 'There is no reflog; a time is a ref too, and shows a branch as it was. '
                WHEN p_ref LIKE '-%' THEN 'Options are arguments with names, such as p_limit => 5: pggit.help() lists them. ' END;
$$;

COMMENT ON FUNCTION pggit._as_in_git(text) IS
'What a ref that only Git has is called here, in words; NULL for any other.';

CREATE OR REPLACE FUNCTION pggit._near_branches(p_name text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN CASE WHEN p_name LIKE '{%}' THEN 'Options have a name: p_options => ''{…}''. '
                WHEN p_name = 'HEAD' THEN 'NULL stands for the branch that is checked out. '
                WHEN EXISTS (SELECT FROM pggit.tags AS t WHERE t.name = p_name) THEN format('%L is a tag, and a tag stays where it is: SELECT pggit.create_branch(''name'', %1$L); makes a branch that begins there. ', p_name)
                ELSE coalesce(pggit._deleted_branch(p_name), pggit._near_names(p_name, ARRAY(SELECT b.name FROM pggit.branches AS b WHERE b.deleted_at IS NULL AND b.mode <> 'detached'))) END;
END;
$$;

COMMENT ON FUNCTION pggit._near_branches(text) IS
'pggit._near_names among the branches; or what has the name instead: HEAD, a tag, a branch that was deleted.';

CREATE OR REPLACE FUNCTION pggit._near_refs(p_name text)
    RETURNS text
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN CASE WHEN EXISTS (SELECT FROM pggit.stashes AS s WHERE s.name = p_name) THEN format('%L is a stash: pggit.unstash(%1$L) takes it back, and its commit is in pggit.stashes. ', p_name)
                ELSE coalesce(pggit._as_in_git(p_name), pggit._deleted_branch(p_name),
                              pggit._near_names(p_name, ARRAY(SELECT b.name FROM pggit.branches AS b WHERE b.deleted_at IS NULL AND b.mode <> 'detached'
                                                              UNION SELECT t.name FROM pggit.tags AS t UNION VALUES ('HEAD'), ('WORKING')))) END;
END;
$$;

COMMENT ON FUNCTION pggit._near_refs(text) IS
'pggit._near_names among branches, tags, HEAD and WORKING; or what the name is instead: a stash, a branch that was deleted, a ref as Git writes it.';

CREATE OR REPLACE FUNCTION pggit._near_tables(p_name text)
    RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    -- As SQL would have to name them here: with the schema where they are not found without.
    RETURN pggit._near_names(p_name, ARRAY(
        WITH tables AS MATERIALIZED (
            SELECT c.oid, c.relname, n.nspname
              FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pggit', 'pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT LIKE '%@%'
        )
        SELECT CASE WHEN p_name LIKE '%.%' THEN format('%I.%I', t.nspname, t.relname) ELSE t.oid::regclass::text END FROM tables AS t));
END;
$$;

COMMENT ON FUNCTION pggit._near_tables(text) IS
'pggit._near_names among the tables of main.';
