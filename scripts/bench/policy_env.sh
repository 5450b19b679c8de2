#!/usr/bin/env bash
# The client that bench-policy is asked by (it needs numpy < 2, and imports typing_extensions without naming it).
exec "$(dirname "${BASH_SOURCE[0]}")/peer_env.sh" .venv-openpi constraints-openpi.txt openpi-client==0.1.2 typing_extensions
