#!/bin/sh
# Starts the agent in a town's machine. Everything else (restore, gt up, backups, SIGTERM) is its work.
set -eu

# gt commits and dolt commits need an author; a town may set its own later.
git config --global --get user.name >/dev/null || git config --global user.name "Gas Town"
git config --global --get user.email >/dev/null || git config --global user.email "town@localhost"
if command -v dolt >/dev/null; then
    dolt config --global --get user.name >/dev/null 2>&1 || dolt config --global --add user.name "Gas Town"
    dolt config --global --get user.email >/dev/null 2>&1 || dolt config --global --add user.email "town@localhost"
fi

# tini reaps what the town's programs leave behind. It signals only its child, the agent: the agent
# stops the others itself, in order. On a Fly machine init is PID 1, hence -s.
exec tini -s -- python -m sandbox
