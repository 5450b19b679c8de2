#!/usr/bin/env bash
# The peers of 'make bench-retarget' (with torch, which dex-retargeting imports).
exec "$(dirname "${BASH_SOURCE[0]}")/peer_env.sh" .venv-bench constraints-bench.txt \
    dex-retargeting==0.5.0 dexi-rs==0.4.1 mink==1.3.0 daqp torch six
