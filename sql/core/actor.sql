CREATE OR REPLACE FUNCTION pggit._actor()
    RETURNS text
    LANGUAGE sql STABLE
AS $$
    SELECT coalesce(nullif(nullif(current_setting('role', true), 'none'), ''), session_user::text);
$$;

COMMENT ON FUNCTION pggit._actor() IS
'The role that acts: the role set by SET ROLE, else the session''s login. SECURITY DEFINER functions do not change the answer.';
