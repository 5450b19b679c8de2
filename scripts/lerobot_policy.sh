#!/usr/bin/env bash
# Does lerobot find our plugin and get our actions from an exported policy? In lerobot's own environment (.venv-interop, made
# by 'make interop'), which is left as it is: the plugin and onnxruntime go into a folder of this run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=$PWD/.venv-interop
if [[ ! -x $VENV/bin/lerobot-eval ]]; then
    echo "lerobot_policy: $VENV is not there: make interop" >&2
    exit 3
fi
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export HF_HOME=$WORK/hf HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore

cp -r plugins/lerobot_policy_vidpretrain "$WORK/plugin"
install_into() { .venv/bin/uv pip install -q --python "$VENV/bin/python" --target "$WORK/site" --no-deps "$@"; }
install_into --no-build-isolation "$WORK/plugin"
"$VENV/bin/python" -c 'import onnxruntime' 2>/dev/null || install_into onnxruntime==1.32.0 flatbuffers==25.12.19 ||
    echo "lerobot_policy: onnxruntime cannot be installed, so only policy.pt2 is asked" >&2

.venv/bin/python scripts/lerobot_policy.py make "$WORK"
export PYTHONPATH=$WORK/site:$PWD/scripts/lerobot_env VIDPRETRAIN_EXPECTED=$WORK/expected.npz
"$VENV/bin/python" -P scripts/lerobot_policy.py compare "$WORK"

"$VENV/bin/lerobot-eval" --policy.path="$WORK/both" --policy.n_action_steps=4 --policy.seed=7 --policy.device=cpu \
    --env.type=vidpretrain_check --env.discover_packages_path=gym_vidpretrain_check \
    --rename_map='{"observation.image": "observation.images.head"}' \
    --eval.n_episodes=2 --eval.batch_size=1 --output_dir="$WORK/eval" >"$WORK/log" 2>&1 || { tail -30 "$WORK/log" >&2; exit 1; }
"$VENV/bin/python" - "$WORK/eval/eval_info.json" <<'PYTHON'
import json, sys

found = json.load(open(sys.argv[1]))["overall"]
print(f"lerobot-eval: {found['n_episodes']} episodes, {found['pc_success']:.0f} % were sent our actions, "
      f"mean largest difference {-found['avg_sum_reward'] / 12:.2g}")
sys.exit(found["pc_success"] != 100.0)
PYTHON
