#!/usr/bin/env bash
# train_tabletop.sh [OUT]: makes models/tabletop again, from nothing: demonstrations, training, corrections, thresholds.
# About two hours on two cores. What is finished stays in OUT: the same call goes on where it was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/tabletop}
export OMP_NUM_THREADS=1 # two processes of one thread are faster than one of two

train() {
    torchrun --nproc-per-node 2 -m deer_lab.train --config tabletop --cache "$out/shards" --schedule cosine \
        --huber-delta 0.1 --static-shift 0.01 --gripper-shift 0.02 "$@"
}

record() { python -m deer_lab.tabletop.record --workers 2 "$@"; }

# 1300 episodes of up to five tasks: 288 k frames
record --episodes 1300 --seed 0 --out "$out/demonstrations"

# The encoders learn to show the true state.
train --stage vision --data "$out"/demonstrations/episode_000[0-3]* --window 1 --batch 64 --steps 4000 \
    --lr 2e-3 --warmup 200 --static-shift 0.02 --compile --seed 0 --out "$out/vision"

# Everything learns, on short windows first: they show more scenes for the same compute.
train --stage joint --init "$out/vision" --data "$out/demonstrations" --window 2 --batch 48 --steps 2200 \
    --lr 1e-3 --head-lr 1e-3 --warmup 300 --state-weight 0.3 --compile --seed 0 --out "$out/joint"

# The head's memory learns windows as long as it will live.
train --stage head --init "$out/joint" --data "$out/demonstrations" --window 16 --batch 6 --steps 450 \
    --head-lr 1e-3 --warmup 50 --no-auxiliary --seed 1 --out "$out/head"

# The expert corrects what this policy does, one task an episode; then everything learns once more.
record --episodes 191 --tasks 1 --seed 1 --learner "$out/head" --out "$out/corrections"
train --stage joint --init "$out/joint" --data "$out"/demonstrations/episode_000[0-6]* "$out/corrections" \
    --window 4 --batch 24 --steps 2000 --lr 8e-4 --head-lr 8e-4 --warmup 100 --state-weight 1.0 --compile --seed 2 \
    --out "$out/joint_corrected"
train --stage head --init "$out/joint_corrected" --data "$out"/demonstrations/episode_000[0-6]* "$out/corrections" \
    --window 24 --batch 4 --steps 600 --head-lr 1e-3 --warmup 50 --no-auxiliary --seed 3 --out "$out/head_corrected"

python -m deer_lab.bundle "$out/head_corrected" --out models/tabletop --license Apache-2.0 \
    --made-by lab/train_tabletop.sh \
    --description "The simulated tabletop's 34 tasks from two cameras and a sentence: 12 layers of width 96, six exits."
