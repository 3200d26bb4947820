-- Parts that many definitions have.

CREATE OR REPLACE FUNCTION pggit._object_hash(p_definition jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT encode(sha256(convert_to(p_definition::text, 'UTF8')), 'hex');
$$;

COMMENT ON FUNCTION pggit._object_hash(jsonb) IS
'What a definition is known by: the sha256 of its canonical text.';

CREATE OR REPLACE FUNCTION pggit._grants(p_acl aclitem[], p_kind "char", p_owner oid)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT jsonb_object_agg(g.grantee, g.privileges)
              FROM (SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
                           jsonb_agg(DISTINCT a.privilege_type || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS privileges
                      FROM aclexplode(coalesce(p_acl, acldefault(p_kind, p_owner))) AS a
                     WHERE a.grantee <> p_owner
                       AND NOT EXISTS (SELECT FROM pggit.branches AS b JOIN pg_roles AS r ON r.rolname = b.role_name WHERE r.oid = a.grantee)
                     GROUP BY 1) AS g);
END;
$$;

COMMENT ON FUNCTION pggit._grants(aclitem[], "char", oid) IS
'Who but the owner has which privileges, by role; NULL when nobody has. Roles that pggit made for branches are left out.';

CREATE OR REPLACE FUNCTION pggit._options(p_options text[])
    RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT jsonb_object_agg(split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)) FROM unnest(p_options) AS o);
END;
$$;

COMMENT ON FUNCTION pggit._options(text[]) IS
'Options as the catalog has them (name=value) by name.';

CREATE OR REPLACE FUNCTION pggit._sql_tokens(p_sql text)
    RETURNS TABLE (n bigint, token text)
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog
AS $$
    SELECT t.n, t.m[1]
      FROM regexp_matches(p_sql, $re$(E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|[[:alpha:]_][[:alnum:]_$]*|[[:space:]]+|.)$re$, 'g') WITH ORDINALITY AS t(m, n);
$$;

COMMENT ON FUNCTION pggit._sql_tokens(text) IS
'An expression as PostgreSQL writes it, in pieces: literals, quoted and plain names, spaces, and other characters one by one. Together they are the text.';

CREATE OR REPLACE FUNCTION pggit._stable_sql(p_sql text)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
AS $$
DECLARE
    v_tokens  text[];
    v_start   integer;
    v_at      integer;
    v_depth   integer;
    v_element text;
    v_parts   text[];
    v_type    text;
    v_tail    text;
BEGIN
    -- (ARRAY[a, b])::t[] is read as ARRAY[(a)::t, (b)::t], and told so from then on: CHECK (status IN ('a', 'b')) of a varchar.
    WHILE p_sql LIKE '%(ARRAY[%' LOOP
        v_tokens := ARRAY(SELECT t.token FROM pggit._sql_tokens(p_sql) AS t ORDER BY t.n);
        v_start  := NULL;
        FOR i IN REVERSE cardinality(v_tokens) - 2 .. 1 LOOP
            IF v_tokens[i] = '(' AND v_tokens[i + 1] = 'ARRAY' AND v_tokens[i + 2] = '[' AND v_tokens[i] IS NOT NULL THEN
                v_depth   := 0;
                v_parts   := '{}';
                v_element := '';
                v_at      := i + 3;
                WHILE v_at <= cardinality(v_tokens) AND NOT (v_depth = 0 AND v_tokens[v_at] = ']') LOOP
                    v_depth := v_depth + CASE WHEN v_tokens[v_at] IN ('(', '[') THEN 1 WHEN v_tokens[v_at] IN (')', ']') THEN -1 ELSE 0 END;
                    IF v_depth = 0 AND v_tokens[v_at] = ',' THEN
                        v_parts   := v_parts || btrim(v_element);
                        v_element := '';
                    ELSE
                        v_element := v_element || v_tokens[v_at];
                    END IF;
                    v_at := v_at + 1;
                END LOOP;
                v_tail := array_to_string(v_tokens[v_at + 1:], '');
                v_type := substring(v_tail FROM $re$^\)::((?:"(?:[^"]|"")*"|[[:alnum:]_. ])+(?:\([0-9, ]+\))?(?: with(?:out)? time zone)?)\[\]$re$);
                IF v_type IS NOT NULL THEN
                    p_sql := array_to_string(v_tokens[:i - 1], '') || 'ARRAY['
                             || (SELECT string_agg(format('(%s)::%s', e.text, v_type), ', ' ORDER BY e.n) FROM unnest(v_parts || btrim(v_element)) WITH ORDINALITY AS e(text, n))
                             || ']' || substr(v_tail, length(v_type) + 6);
                    v_start := i;
                    EXIT;
                END IF;
            END IF;
        END LOOP;
        EXIT WHEN v_start IS NULL;
    END LOOP;
    RETURN p_sql;
END;
$$;

COMMENT ON FUNCTION pggit._stable_sql(text) IS
'An expression as PostgreSQL tells it after it has read its own text once: the same on main and in what was made from it. A cast of an array is one of its elements.';
