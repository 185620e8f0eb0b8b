#!/usr/bin/env bash
# train_tabletop.sh [OUT]: makes models/tabletop again, from nothing: demonstrations, training, corrections, thresholds.
# Hours on two cores. What is finished stays in OUT: the same call goes on where it was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/tabletop}
export OMP_NUM_THREADS=1 # two processes of one thread are faster than one of two

# The cameras stand still, so pictures are not shifted: a pixel of the static one is a centimetre.
train() {
    torchrun --nproc-per-node 2 -m deer_lab.train --config tabletop --cache "$out/shards" --schedule cosine \
        --huber-delta 0.1 --static-shift 0 --gripper-shift 0 --compile "$@"
}

record() { python -m deer_lab.tabletop.record --workers 2 "$@"; }

# 1000 episodes of up to three tasks: 220 k frames, two thirds of them with blocks
record --episodes 1000 --tasks 3 --seed 0 --out "$out/demonstrations"

# The encoders learn to show the true state, and keypoints where things are.
train --stage vision --data "$out/demonstrations" --window 1 --batch 64 --steps 2500 \
    --lr 2e-3 --warmup 100 --seed 0 --out "$out/vision"

# The rest learns on what they see, on short windows first: they show more scenes for the same compute. Most windows are
# taught another task than was said: two thousand tasks in their own scenes alone are learned by heart.
train --stage language --relabel 0.8 --init "$out/vision" --data "$out/demonstrations" --window 2 --batch 48 --steps 4000 \
    --lr 1e-3 --head-lr 1e-3 --warmup 200 --seed 1 --out "$out/language"

# Twice the expert corrects what this policy does, one task an episode, and it learns on.
corrections=()
policy=$out/language
for round in 1 2; do
    record --episodes 500 --tasks 1 --seed "$round" --learner "$policy" --out "$out/corrections_$round"
    corrections+=("$out/corrections_$round")
    train --stage language --relabel 0.5 --init "$policy" --data "$out/demonstrations" "${corrections[@]}" \
        --window 4 --batch 24 --steps 2000 --lr 8e-4 --head-lr 8e-4 --warmup 100 --seed $((1 + round)) \
        --out "$out/language_$round"
    policy=$out/language_$round
done

# The head's memory learns windows as long as it will live.
train --stage head --init "$policy" --data "$out/demonstrations" "${corrections[@]}" --window 24 --batch 8 --steps 800 \
    --head-lr 1e-3 --warmup 50 --no-auxiliary --seed 4 --out "$out/head"

python -m deer_lab.bundle "$out/head" --out models/tabletop --license Apache-2.0 --made-by lab/train_tabletop.sh \
    --description "The simulated tabletop's 34 tasks from two cameras and a sentence: 12 layers of width 96, six exits."
