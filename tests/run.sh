#!/usr/bin/env bash
# Runs the tests on SQLite and, where PostgreSQL answers, on it too.
# GASTOWN_TEST_DATABASES: "sqlite", "postgresql" or both (the default).
# GASTOWN_CRASH_SEED, GASTOWN_CRASH_SHARE: at which points workers are killed, and how many of them
# that only look (0.25).
# GASTOWN_TEST_POSTGRESQL: where PostgreSQL is; its user must be allowed to create databases.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=${GASTOWN_TEST_DATABASES:-"sqlite postgresql"}
server=${GASTOWN_TEST_POSTGRESQL:-postgres://postgres@127.0.0.1:5432}
python=.venv/bin/python
export GASTOWN_CRASH_SEED=${GASTOWN_CRASH_SEED:-$RANDOM}  # which points workers are killed at
echo "== GASTOWN_CRASH_SEED=$GASTOWN_CRASH_SEED"

answers() {
    "$python" - "$server" <<'PY'
import sys
import psycopg
try:
    psycopg.connect(f"{sys.argv[1]}/postgres", connect_timeout=3).close()
except psycopg.OperationalError as error:
    sys.exit(str(error))
PY
}

for database in $wanted; do
    case $database in
    sqlite)
        echo "== tests on SQLite"
        DATABASE_URL="sqlite:///var/test.sqlite3" "$python" -m pytest -n "${GASTOWN_TEST_WORKERS:-auto}" --dist worksteal "$@"
        ;;
    postgresql)
        if ! answers 2>/dev/null; then
            if [ "$wanted" = "postgresql" ] || [ -n "${CI:-}" ]; then
                echo "PostgreSQL does not answer at $server." >&2
                exit 1
            fi
            echo "== PostgreSQL does not answer at $server: only SQLite was tested"
            continue
        fi
        echo "== tests on PostgreSQL"
        DATABASE_URL="$server/gastown_ops" "$python" -m pytest -n "${GASTOWN_TEST_WORKERS:-auto}" --dist worksteal "$@"
        ;;
    esac
done
