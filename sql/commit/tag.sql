CREATE OR REPLACE FUNCTION pggit._require_ref_name(p_name text, p_what text)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF p_name IS NULL OR p_name = '' OR length(p_name) > 200 OR p_name ~ E'[[:cntrl:][:space:]~^:?*\\[\\\\]' OR p_name ~ E'(\\.\\.|@\\{|//|/$|^/|^-|\\.lock$|\\.$|^\\.|/\\.)'
       OR p_name IN ('HEAD', 'WORKING', '@') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG201', SCHEMA = 'pggit',
            MESSAGE = format('%L is no name for a %s', p_name, p_what),
            HINT    = E'As in Git: 1 to 200 characters, no blanks, none of ~ ^ : ? * [ \\, no .. or @{ or //, not beginning with - or . or /, not ending in / or . or .lock; HEAD and WORKING are taken.';
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._require_ref_name(text, text) IS
'Raises VG201 unless the text can name a branch or tag: Git''s rules for refs (git-check-ref-format).';

CREATE OR REPLACE FUNCTION pggit._tell_of_hidden(p_name text)
    RETURNS void
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF pggit._is_branch(p_name) AND EXISTS (SELECT FROM pggit.tags AS t WHERE t.name = p_name) THEN
        RAISE NOTICE 'branch % hides the tag of the same name: as a ref the name means the branch', quote_literal(p_name)
            USING HINT = 'pggit.rename_branch gives the branch another name; the commit of the tag is in pggit.tags.';
    ELSIF isfinite(pggit._time(p_name)) THEN
        RAISE NOTICE '% can be read as a time: as a ref it means the % of this name', quote_literal(p_name), CASE WHEN pggit._is_branch(p_name) THEN 'branch' ELSE 'tag' END
            USING HINT = format('The time is %L.', to_char(pggit._time(p_name), 'YYYY-MM-DD HH24:MI:SS'));
    END IF;
END;
$$;

COMMENT ON FUNCTION pggit._tell_of_hidden(text) IS
'Says in a NOTICE when a branch and a tag have this name, or a time is written so.';

CREATE OR REPLACE FUNCTION pggit.tag(p_name text, p_ref text DEFAULT 'HEAD', p_message text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
    v_commit text;
    v_there  text;
BEGIN
    PERFORM pggit._require_ref_name(p_name, 'tag');
    v_commit := pggit._hold_commit(p_ref);
    INSERT INTO pggit.tags (name, commit_id, message, tagged_by) VALUES (p_name, v_commit, p_message, pggit._actor())
        ON CONFLICT (name) DO NOTHING;
    SELECT t.commit_id INTO v_there FROM pggit.tags AS t WHERE t.name = p_name;
    IF v_there <> v_commit THEN
        RAISE EXCEPTION USING
            ERRCODE = 'VG102', SCHEMA = 'pggit',
            MESSAGE = format('tag %L already names commit %s', p_name, left(v_there, 12)),
            HINT    = 'A tag stays where it is: delete it first with pggit.delete_tag, or choose another name.';
    END IF;
    PERFORM pggit._tell_of_hidden(p_name);
    RETURN v_commit;
END;
$$;

COMMENT ON FUNCTION pggit.tag(text, text, text) IS
'Names a commit for good and returns its id; tagging the same commit with the same name again changes nothing.
Raises VG201 (bad name), VG102 (the tag names another commit), VG001, VG002, VG009, VG205,
VG306 (the commit''s rows are collected), VG401 (pggit.gc is at work).';

CREATE OR REPLACE FUNCTION pggit.delete_tag(p_name text)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    v_trusted boolean := pggit._require_trusted_path(pg_catalog.current_schemas(true));
BEGIN
    DELETE FROM pggit.tags AS t WHERE t.name = p_name;
    IF NOT FOUND THEN
        RAISE NOTICE 'there is no tag %', quote_nullable(p_name) USING HINT = pggit._near_names(p_name, ARRAY(SELECT t.name FROM pggit.tags AS t)) || 'pggit.tags lists them.';
        RETURN false;
    END IF;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION pggit.delete_tag(text) IS
'Removes a tag; the commit stays. False, with a NOTICE, when there is none of that name.';
