"""The commands of docs/guide/getting-started.md that make the database's login and its Secret."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from uuid import uuid4

import psycopg

from fixtures.postgres import ROOT
from localcluster import ControlPlane
from postgres import Server

PAGE = (ROOT / "docs" / "guide" / "getting-started.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


def test_the_password_goes_from_a_file_into_the_secret_and_lets_the_owner_in(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = f"guide-{uuid4().hex[:8]}"
    control_plane.run("create", "namespace", namespace)
    make_login, make_secret = [block for block in BLOCKS if "geo-password" in block]
    make_secret = "".join(line for line in make_secret.splitlines(keepends=True) if "vdb/geo" not in line)
    make_secret = make_secret.replace("kubectl apply -f examples/database.yaml\n", "")
    with Server(18, password=uuid4().hex, settings={"log_statement": "all"}) as server:
        commands = (make_login + make_secret).replace("postgres.example.com", server.host)
        commands = commands.replace("port=5432", f"port={server.port}")
        kubectl = shlex.join(control_plane.command("--namespace", namespace))
        script = f'psql() {{ {server.bin}/psql -X -v ON_ERROR_STOP=1 "$@"; }}\nkubectl() {{ {kubectl} "$@"; }}\n'
        known = {"PGPORT": str(server.port), "PGPASSWORD": server.password or ""}
        subprocess.run(["bash", "-euc", script + commands], cwd=tmp_path, env={**os.environ, **known}, check=True)

        data = json.loads(control_plane.run("get", "secret", "geo-owner", "--namespace", namespace, "--output=json"))
        secret = {key: base64.b64decode(value).decode() for key, value in data["data"].items()}
        with psycopg.connect(**secret) as session:  # type: ignore[arg-type]
            assert session.execute("SELECT current_user").fetchone() == ("geo",)
        assert secret["password"] not in server.log.read_text()
    assert list(tmp_path.iterdir()) == [], "the file with the password is gone"
    control_plane.run("delete", "namespace", namespace, "--wait=false")
