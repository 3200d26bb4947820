DO $types$
BEGIN
    IF to_regtype('pggit._schema_object') IS NULL THEN
        CREATE TYPE pggit._schema_object AS (
            object_type text,
            object_name text,
            parent      text,
            definition  jsonb,
            hash        text,
            table_id    integer,
            column_id   integer
        );
    END IF;

    IF to_regtype('pggit._schema_relation') IS NULL THEN
        CREATE TYPE pggit._schema_relation AS (
            relation oid,
            kind     "char",
            name     text,
            schema   text,
            table_id integer
        );
    END IF;
END;
$types$;

COMMENT ON TYPE pggit._schema_object IS
'A versioned object of the schema: type, name as on main, the object it belongs to, what defines it (fields as a migration needs them) and the sha256 of that. table_id: of a tracked table;
column_id: of a column of one, the number that it keeps whatever its name and type become (pggit.columns.origin).';
COMMENT ON TYPE pggit._schema_relation IS
'A relation whose definition is versioned, with its name and schema as on main.';
