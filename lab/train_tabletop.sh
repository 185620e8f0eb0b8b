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
        --aids deer_lab.worlds.tabletop.aids --huber-delta 0.1 --static-shift 0 --gripper-shift 0 --compile "$@"
}

record() { python -m deer_lab.worlds.judge.record --workers 2 "$@"; }

# Scenes: one control period in five of 8000 tasks, two thirds of them with blocks. And whole episodes, for the memory.
record --episodes 2800 --tasks 3 --every 5 --seed 0 --out "$out/scenes"
record --episodes 100 --tasks 3 --seed 100 --out "$out/demonstrations"

# The encoders learn to show the true state, and keypoints where things are.
# $1: of which run, or none; $2: where to; then recordings
see() {
    train --stage vision ${1:+--init "$1"} --data "${@:3}" --window 1 --batch 64 --steps 2500 \
        --lr 2e-3 --warmup 100 --seed 0 --out "$2"
}

# The rest learns on what they see, frame by frame. Most are taught another task than was said, and where it leads.
# $1: of which run; $2: where to; $3: steps; then recordings
learn() {
    train --stage language --relabel 0.6 --goal-weight 2 --init "$1" --data "${@:4}" --window 1 --batch 96 \
        --steps "$3" --lr 1.2e-3 --head-lr 1.2e-3 --warmup 100 --seed 1 --out "$2"
}

# The head's memory learns windows as long as it will live. Arguments as before
remember() {
    train --stage head --init "$1" --data "${@:4}" --window 24 --batch 8 --steps "$3" \
        --head-lr 1e-3 --warmup 30 --no-auxiliary --seed 2 --out "$2"
}

scenes=("$out/scenes") whole=("$out/demonstrations")
see "" "$out/vision_0" "${scenes[@]}"
learn "$out/vision_0" "$out/language_0" 4000 "${scenes[@]}"
remember "$out/language_0" "$out/head_0" 250 "${whole[@]}"

# The expert corrects what this policy does, and it learns on, three times over.
for round in 1 2 3; do
    before=$((round - 1))
    record --episodes 500 --tasks 3 --every 3 --seed "$round" --learner "$out/head_$before" --out "$out/corrections_$round"
    record --episodes 60 --tasks 3 --seed "1$round" --learner "$out/head_$before" --out "$out/whole_corrections_$round"
    scenes+=("$out/corrections_$round") whole+=("$out/whole_corrections_$round")
    start=$out/language_$before
    if [[ $round == 1 ]]; then # only corrections show a tilted hand
        start=$out/vision_1
        see "$out/language_0" "$start" "${scenes[@]}"
    fi
    learn "$start" "$out/language_$round" 2000 "${scenes[@]}" "${whole[@]:1}"
    remember "$out/language_$round" "$out/head_$round" 400 "${whole[@]}"
done

python -m deer_lab.bundle "$out/head_3" --out models/tabletop --license Apache-2.0 --made-by lab/train_tabletop.sh \
    --description "The simulated tabletop's 34 tasks from two cameras and a sentence: 12 layers of width 96, six exits."

# Thresholds, from recordings that were not trained on, and what they cost on others
record --episodes 66 --tasks 3 --seed 200 --out "$out/held_out"
record --episodes 66 --tasks 3 --seed 201 --out "$out/held_out_2"
deer_vla calibrate models/tabletop "$out/held_out"
deer_vla calibrate models/tabletop "$out/held_out_2" --out "$out/held_out_2.json"
deer_vla solve models/tabletop --average 12MFLOP --held-out "$out/held_out_2.json"
