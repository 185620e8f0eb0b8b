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

# Scenes: one control period in five of 8000 tasks, two thirds of them with blocks. And whole episodes, for the memory.
record --episodes 2800 --tasks 3 --every 5 --seed 0 --out "$out/scenes"
record --episodes 100 --tasks 3 --seed 100 --out "$out/demonstrations"

# The encoders learn to show the true state, and keypoints where things are.
train --stage vision --data "$out/scenes" --window 1 --batch 64 --steps 2500 \
    --lr 2e-3 --warmup 100 --seed 0 --out "$out/vision"

# The rest learns on what they see, frame by frame. Most are taught another task than was said, and where it leads.
train --stage language --relabel 0.7 --goal-weight 2 --init "$out/vision" --data "$out/scenes" --window 1 --batch 96 \
    --steps 4000 --lr 1.5e-3 --head-lr 1.5e-3 --warmup 150 --seed 1 --out "$out/language"

# The head's memory learns windows as long as it will live. $1: of which run, $2: where to, $3: steps; then recordings.
remember() {
    train --stage head --init "$1" --data "${@:4}" --window 24 --batch 8 --steps "$3" \
        --head-lr 1e-3 --warmup 30 --no-auxiliary --seed 2 --out "$2"
}
remember "$out/language" "$out/head_0" 250 "$out/demonstrations"

# The expert corrects what this policy does, and it learns on.
record --episodes 700 --tasks 1 --every 3 --seed 1 --learner "$out/head_0" --out "$out/corrections"
record --episodes 100 --tasks 1 --seed 2 --learner "$out/head_0" --out "$out/whole_corrections"
train --stage language --relabel 0.5 --goal-weight 2 --init "$out/language" \
    --data "$out/scenes" "$out/corrections" "$out/whole_corrections" --window 1 --batch 96 \
    --steps 2000 --lr 1.2e-3 --head-lr 1.2e-3 --warmup 100 --seed 3 --out "$out/language_1"
remember "$out/language_1" "$out/head" 400 "$out/demonstrations" "$out/whole_corrections"

python -m deer_lab.bundle "$out/head" --out models/tabletop --license Apache-2.0 --made-by lab/train_tabletop.sh \
    --description "The simulated tabletop's 34 tasks from two cameras and a sentence: 12 layers of width 96, six exits."

# Thresholds, from recordings that were not trained on
record --episodes 33 --tasks 3 --seed 200 --out "$out/held_out"
deer_vla calibrate models/tabletop "$out/held_out"
deer_vla solve models/tabletop --average 12MFLOP
