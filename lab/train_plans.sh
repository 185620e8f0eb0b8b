#!/usr/bin/env bash
# train_plans.sh [OUT]: makes lab/weights/tabletop_ahead again: the tabletop's policy learns to foresee its own next actions, and
# to bear skipped steps, from what it does itself with every picture. Half an hour on two cores; the same call goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/plans}
before=lab/weights/tabletop
export OMP_NUM_THREADS=1

# record SEED EPISODES LEARNER PARAMETER:=VALUE...: the learner leads, with a plan
record() {
    local seed=$1 episodes=$2 learner=$3 parameters=()
    shift 3
    for parameter in "$@"; do parameters+=(--parameter "$parameter"); done
    python -m deer_lab.worlds.judge.record --workers 2 --tasks 3 --seed "$seed" --episodes "$episodes" \
        --learner "$learner" --out "$out/runs_$seed" "${parameters[@]}"
}

# foresee INIT STEPS SEED OUT: the head alone learns; skipped steps in windows of 32, up to seven in a row
foresee() {
    torchrun --nproc-per-node 2 -m deer_lab.train --config tabletop_ahead --cache "$out/shards" --schedule cosine \
        --aids deer_lab.worlds.tabletop.aids --huber-delta 0.1 --static-shift 0 --gripper-shift 0 --stage head \
        --teacher "$before" --init "$1" --data "$out"/runs_* --window 32 --batch 8 --steps "$2" --head-lr 1e-3 \
        --warmup 30 --no-auxiliary --gripper-weight 0.05 --skip 0.9 --longest 7 --seed "$3" --out "$4"
}

every=(plan.skip_delta:=2 plan.skip_change:=1 plan.max_age:=20)
record 31 102 "$before"
record 32 102 "$before" "${every[@]}" plan.max_skips:=2
foresee "$before" 400 4 "$out/first"
record 33 120 "$out/first" "${every[@]}" plan.max_skips:=4
foresee "$out/first" 300 5 "$out/second"
python -m deer_lab.runs "$out/second" --on "$before" --out lab/weights/tabletop_ahead
