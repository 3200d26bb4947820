CREATE OR REPLACE FUNCTION pggit.create_commit(p_message text, p_branch text DEFAULT NULL, p_author text DEFAULT NULL, p_allow_empty boolean DEFAULT false,
                                               p_committed_at timestamptz DEFAULT NULL)
    RETURNS text
    LANGUAGE sql
AS $$
    SELECT pggit.commit(p_message, p_branch, p_author, p_allow_empty, p_committed_at);
$$;

COMMENT ON FUNCTION pggit.create_commit(text, text, text, boolean, timestamptz) IS
'The same as pggit.commit.';
