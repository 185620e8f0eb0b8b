#!/usr/bin/env bash
# train_plans.sh [OUT]: makes lab/weights/tabletop_ahead again: the tabletop's policy learns to foresee its own next actions, and
# to bear kept pictures and skipped steps, from what it does itself with every picture. Five hours on two cores; the same
# call goes on.
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

# train INIT OUT OPTION...: on all recordings, up to seven steps skipped in a row
train() {
    torchrun --nproc-per-node 2 -m deer_lab.train --config tabletop_ahead --cache "$out/shards" --schedule cosine \
        --aids deer_lab.worlds.tabletop.aids --huber-delta 0.1 --static-shift 0 --gripper-shift 0 --teacher "$before" \
        --init "$1" --data "$out"/runs_* --no-auxiliary --skip 0.9 --longest 7 --out "$2" "${@:3}"
}

# foresee INIT OUT STEPS SEED: the head alone
foresee() {
    train "$1" "$2" --stage head --window 32 --batch 8 --steps "$3" --head-lr 1e-3 --warmup 30 --gripper-weight 0.05 --seed "$4"
}

# bear INIT OUT STEPS OPTION...: all but the encoders, with pictures of different ages
bear() {
    train "$1" "$2" --stage language --steps "$3" --keep 0.8 "${@:4}"
}

every=(plan.skip_delta:=2 plan.skip_change:=1 plan.max_age:=20)
record 31 102 "$before"
record 32 102 "$before" "${every[@]}" plan.max_skips:=2
foresee "$before" "$out/first" 400 4
record 33 120 "$out/first" "${every[@]}" plan.max_skips:=4
foresee "$out/first" "$out/second" 300 5
bear "$out/second" "$out/third" 2000 --window 16 --batch 6 --lr 2e-4 --head-lr 1e-3 --warmup 50 --gripper-weight 0.05 \
    --relabel 0.2 --seed 6
# Rounds in which it meets what its own foreseeing leads to.
record 34 102 "$out/third" "${every[@]}" plan.max_skips:=4
longer=(--window 24 --batch 4 --head-lr 7e-4 --warmup 30 --gripper-weight 0.1)
bear "$out/third" "$out/fourth" 600 "${longer[@]}" --lr 1.5e-4 --seed 8
record 35 102 "$out/fourth" "${every[@]}" plan.max_skips:=5
bear "$out/fourth" "$out/fifth" 1000 "${longer[@]}" --lr 2e-4 --seed 9
record 36 201 "$out/fifth" "${every[@]}" plan.max_skips:=5
bear "$out/fifth" "$out/sixth" 1400 "${longer[@]}" --lr 2e-4 --seed 10
# As long again as all before, most pictures new: what made it as good at full depth as the network that it learns from.
record 37 400 "$out/sixth" "${every[@]}" plan.max_skips:=4
longest=("${longer[@]}" --keep 0.4 --lr 3e-4 --head-lr 1e-3 --warmup 100)
bear "$out/sixth" "$out/seventh" 5500 "${longest[@]}" --seed 12
record 38 300 "$out/seventh" "${every[@]}" plan.max_skips:=5
bear "$out/seventh" "$out/eighth" 3000 "${longest[@]}" --seed 13
python -m deer_lab.runs "$out/eighth" --on "$before" --out lab/weights/tabletop_ahead
