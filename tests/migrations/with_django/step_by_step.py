"""Applies every migration of the installed applications, each followed by a commit and a tag of its name."""

import django
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

django.setup()
executor = MigrationExecutor(connection)
for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes()):
    name = f"{migration.app_label}/{migration.name}"
    call_command("migrate", migration.app_label, migration.name, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pggit.commit(%s, p_allow_empty => true), pggit.tag(%s)", [name, name])
    print(name)
