#!/usr/bin/env bash
# experiment_calvin.sh RUN|BUNDLE CHAINS OUT [NAME...]: a policy on the first CHAINS of CALVIN's official chains, scene D, as
# lab/results/calvin/README.md shows it: full depth, DeeR-B (12 layers) and DeeR-S (4 layers) at an average budget, every exit,
# fixed plans, and adaptive ones at budgets of the whole step; all of them or those named. A bundle is judged through the
# node, a training run in process as RUN/bundle. Needs CALVIN_ENV. The same call goes on where it stopped.
# STATIC=RUN|BUNDLE: the static network of twice the depth beside them. WORKERS: that judge.
# EXPERT=FOLDER: recordings of the expert: DeeR-B once more, with thresholds for 12 MMAC solved on them.
# KEPT: the folder of tables and results.
set -euo pipefail
run=$1 chains=$2 out=$3
shift 3
names=("$@")
cd "$(dirname "$0")/.."
bundle=$run
[[ -e $run/manifest.json ]] || bundle=$run/bundle
kept=${KEPT:-lab/results/calvin}
export OMP_NUM_THREADS=1
mkdir -p "$out"

# judged RUN|BUNDLE: as evaluate is told it
judged() { if [[ -e $1/manifest.json ]]; then policy=(--bundle "$1"); else policy=(--run "$1"); fi; }

wanted() { [[ ${#names[@]} == 0 || " ${names[*]} " == *" $1 "* ]]; }

# judge NAME OPTION...: the result becomes a row of the README
judge() {
    wanted "$1" || return 0
    echo "$1"
    python -m deer_lab.worlds.judge.evaluate --world calvin:D --workers "${WORKERS:-2}" --chains "$chains" \
        --out "$out/$1" "${policy[@]}" "${@:2}"
    python -m deer_lab.worlds.judge.tables --keep "$1=$out/$1/results.json" \
        --results "$kept" --readme "$kept/README.md"
}

# solved NAME OPTION...: thresholds for a budget, judged
solved() {
    wanted "$1" || return 0
    deer_vla solve "$bundle" "${@:2}" --out "$out/$1.json"
    judge "$1" --thresholds "$out/$1.json"
}

# each NAME EXIT N: the network runs at every N-th step, to this exit; between them the arm does what was foreseen
each() {
    judge "$1" --exit "$2" --parameter plan.skip_delta:=2.0 --parameter plan.skip_change:=1.0 \
        --parameter "plan.max_skips:=$(($3 - 1))" --parameter plan.max_age:=20
}

judged "$run"
judge full_depth --exit 5
judge other_sentences --exit 5 --sentences test # a writer's whom no recording quotes
solved deer_b --average 10MFLOP
if [[ -n ${EXPERT:-} ]] && wanted deer_b_expert; then
    deer_vla calibrate "$bundle" "$EXPERT" --out "$out/expert.json"
    solved deer_b_expert --average 12MFLOP --calibration "$out/expert.json"
fi
solved deer_s --average 10MFLOP --peak 14MFLOP
for exit in 0 1 2 3 4; do judge "exit_$exit" --exit "$exit"; done
for n in 3 4; do each "step_${n}_exit_5" 5 "$n"; done
# Adaptive plans beside the best fixed one that costs no more
for average in 45 30 20; do
    wanted "whole_$average" || wanted "fixed_$average" || continue
    deer_vla solve "$bundle" --of whole --average "${average}MFLOP" --out "$out/whole_$average.json" \
        --fixed-out "$out/fixed_$average.json" || continue # nothing costs so little
    for kind in whole fixed; do judge "${kind}_$average" --thresholds "$out/${kind}_$average.json"; done
done
if [[ -n ${STATIC:-} ]]; then
    judged "$STATIC"
    judge static_24
fi

# One curve a kind, of the results that there are
curve() { for name in "${@:2}"; do [[ ! -e $kept/$name.json ]] || echo "$1=$kept/$name.json"; done; }
mapfile -t results < <(
    curve one_exit exit_{0..4} full_depth
    curve deer deer_{s,b,b_expert}
    curve every_nth step_{4,3}_exit_5
    curve fixed_plans fixed_{20,30,45}
    curve plans whole_{20,30,45}
    curve static static_24
)
deer_vla report "${results[@]}" --out "$out/report"
cp "$out/report/success_by_gflop.svg" "$kept"
