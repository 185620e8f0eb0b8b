#!/usr/bin/env bash
# train_calvin.sh [OUT]: makes models/calvin_d, a policy for CALVIN's own scene D: demonstrations, training that begins with the
# tabletop's weights, corrections, thresholds and plans. Needs CALVIN_ENV (README.md#calvin-itself). What is
# finished stays in OUT: the same call goes on where it was stopped. Hours on two cores, or a machine with a GPU and many cores:
#     PROCESSES=1 WORKERS=16 TRAIN="--loaders 12" BATCH=1536 RATE=2e-3 lab/train_calvin.sh
# EPISODES: of demonstrations, one control period in eight; STEPS: of the first language stage; all other numbers follow
# these. WORKERS: that record. PROCESSES: that train. TRAIN: more options of deer_lab.train. BUNDLE: where to.
# BATCH, RATE: of the last language stage, which learns longest; the shipped bundle's were 1536 and 2e-3, on a GPU.
# STATIC=yes: also the static network of twice the depth, OUT/static/bundle. It begins where this policy's last round
# begins, with as many layers again that add nothing yet, and learns as long from the same recordings.
set -euo pipefail
cd "$(dirname "$0")/.."
config=calvin out=${1:-out/calvin}
episodes=${EPISODES:-2800} steps=${STEPS:-2000} workers=${WORKERS:-2} processes=${PROCESSES:-2}
read -ra more <<< "${TRAIN---compile}"
bundle=${BUNDLE:-models/calvin_d}
batch=192 rate=1.2e-3
python=(torchrun --standalone --nproc-per-node "$processes" -m)
((processes > 1)) || python=(python -m)
export OMP_NUM_THREADS=1
ulimit -n "$(ulimit -Hn)" # an open file for each recording

# train BATCH OPTION...: BATCH is of all processes together
train() {
    "${python[@]}" deer_lab.train --config "$config" --cache "$out/shards" --schedule cosine --huber-delta 0.1 \
        --aids deer_lab.worlds.calvin.aids --static-shift 0 --gripper-shift 0 "${more[@]}" \
        --batch $(($1 / processes)) "${@:2}"
}

# record FOLDER EPISODES SEED OPTION...; a few more than their share, as not every episode comes to anything
record() {
    python -m deer_lab.worlds.judge.record --world calvin:D --workers "$workers" --tasks 3 --out "$out/$1" \
        --episodes "$2" --seed "$3" "${@:4}"
}

# The encoders learn to show the true state, and keypoints where things are.
# $1: of which run; $2: where to; then recordings. part: what of that run, all if not said
see() {
    train 128 --stage vision --init "$1" --init-part "${part:-all}" --data "${@:3}" --window 1 --steps "$steps" \
        --lr 2e-3 --warmup 100 --seed 0 --out "$2"
}

# The rest learns on what they see, frame by frame. Most are taught another task than was said, and where it leads. The
# gripper weighs more than in the paper: when to let go is all that these tasks end with.
# $1: of which run; $2: where to; $3: steps; then recordings
learn() {
    train "$batch" --stage language --relabel 0.6 --goal-weight 2 --gripper-weight 0.05 --init "$1" --data "${@:4}" \
        --window 1 --steps "$3" --lr "$rate" --head-lr "$rate" --warmup 100 --seed 1 --out "$2"
}

# The head's memory learns windows as long as it will live. Arguments as before
remember() {
    train 16 --stage head --init "$1" --data "${@:4}" --window 24 --steps "$3" \
        --head-lr 1e-3 --warmup 30 --no-auxiliary --gripper-weight 0.05 --seed 2 --out "$2"
}

# Scenes, for what is seen, and whole episodes, for the memory.
record scenes "$episodes" 0 --every 8
record demonstrations $((episodes / 28 + 2)) 100
scenes=("$out/scenes") whole=("$out/demonstrations")
part=wordless see lab/weights/tabletop_ahead "$out/vision_0" "${scenes[@]}" # the tabletop was told evaluation's sentences
learn "$out/vision_0" "$out/language_0" "$steps" "${scenes[@]}"
remember "$out/language_0" "$out/head_0" $((steps / 16)) "${whole[@]}"

# The expert corrects what this policy does, and it learns on, three times over, never without the demonstrations: of
# corrections alone it forgets them.
for round in 1 2 3; do
    before=$((round - 1))
    record "corrections_$round" $((episodes * 5 / 28 + 4)) "$round" --every 3 --learner "$out/head_$before"
    record "whole_corrections_$round" $((episodes / 46 + 4)) "1$round" --learner "$out/head_$before"
    scenes+=("$out/corrections_$round") whole+=("$out/whole_corrections_$round")
    start=$out/language_$before long=$((steps * 5 / 4))
    if [[ $round != 3 ]]; then # only corrections show a tilted hand
        start=$out/vision_$round long=$((steps / 2))
        see "$out/language_$before" "$start" "${scenes[@]}"
    else
        batch=${BATCH:-$batch} rate=${RATE:-$rate}
    fi
    learn "$start" "$out/language_$round" "$long" "${scenes[@]}" "${whole[@]:1}"
    remember "$out/language_$round" "$out/head_$round" $((steps / 5)) "${whole[@]}"
done

[[ $bundle/manifest.json -nt $out/head_3/policy.safetensors ]] || # else its calibration would have to be made again
    python -m deer_lab.bundle "$out/head_3" --out "$bundle" --license Apache-2.0 --made-by lab/train_calvin.sh \
    --description "The 34 tasks of CALVIN's scene D from two cameras and a sentence: 12 layers of width 96, six exits."

# Thresholds and plans, from what it does itself and was not trained on: where it fails it stays, and there its exits
# disagree. What they cost, on others.
record held_out $((episodes / 42 + 2)) 200 --learner "$out/head_3"
record held_out_2 $((episodes / 42 + 2)) 201 --learner "$out/head_3"
deer_vla calibrate "$bundle" "$out/held_out"
deer_vla calibrate "$bundle" "$out/held_out_2" --out "$out/held_out_2.json"
deer_vla calibrate "$bundle" "$out/held_out" --plans
deer_vla solve "$bundle" --average 10MFLOP --held-out "$out/held_out_2.json"

if [[ -n ${STATIC:-} ]]; then
    config=calvin_static_24
    [[ -e $out/static_0/policy.safetensors ]] || python -m deer_lab.deepen "$out/language_2" --config "$config" --out "$out/static_0"
    learn "$out/static_0" "$out/static_1" "$long" "${scenes[@]}" "${whole[@]:1}"
    remember "$out/static_1" "$out/static" $((steps / 5)) "${whole[@]}"
    python -m deer_lab.bundle "$out/static" --out "$out/static/bundle" --license Apache-2.0 \
        --made-by lab/train_calvin.sh --description "One exit after 24 layers, to compare models/calvin_d with."
fi
