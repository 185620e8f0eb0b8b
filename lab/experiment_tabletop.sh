#!/usr/bin/env bash
# experiment_tabletop.sh [OUT]: what budgets and methods buy, as models/tabletop/README.md shows it: full depth beside
# DeeR-B (12 layers) and DeeR-S (4 layers) at an average budget; thresholds offline by shares, directly, online; other
# criteria than the actions'; thresholds from recordings of the policy itself. Hours; the same call goes on where it
# stopped. Needs train_tabletop.sh's recordings. HEADLINE and POINTS: chains for the first three rows and for the others.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/tabletop}
headline=${HEADLINE:-500} points=${POINTS:-200}
made=$out/experiment bundle=models/tabletop
deer_b=(--average 12MFLOP)
deer_s=(--average 10MFLOP --peak 14MFLOP)
export OMP_NUM_THREADS=1
mkdir -p "$made"

evaluate() { python -m deer_lab.worlds.judge.evaluate --bundle "$bundle" --workers 2 "$@"; }

# judge NAME CHAINS OPTION...: the result becomes a row of the README
judge() {
    local name=$1 chains=$2
    shift 2
    evaluate --chains "$chains" --out "$made/$name" "$@"
    python -m deer_lab.worlds.judge.tables --keep "$name=$made/$name/results.json"
}

# solved NAME CHAINS OPTION...: thresholds for a budget, judged
solved() {
    local name=$1 chains=$2
    shift 2
    deer_vla solve "$bundle" "$@" --out "$made/$name.json"
    judge "$name" "$chains" --thresholds "$made/$name.json"
}

# tuned NAME OPTION...: searched on chains from 600 on, which no row is judged on
tuned() {
    local name=$1
    shift
    deer_vla tune "$bundle" "$@" --evaluations 12 --folder "$made/tune_$name" --out "$made/$name.json" --evaluator \
        "python -m deer_lab.worlds.judge.evaluate --bundle $bundle --first 600 --chains 40 --workers 2 --json \
        --thresholds {thresholds} --out {folder}"
    judge "$name" "$points" --thresholds "$made/$name.json"
}

solved deer_b "$headline" "${deer_b[@]}"
judge full_depth "$headline" --exit 5
solved deer_s "$headline" "${deer_s[@]}"

for exit in 0 1 2 3 4; do judge "exit_$exit" "$points" --exit "$exit"; done
solved deer_b_direct "$points" "${deer_b[@]}" --method direct
solved deer_s_direct "$points" "${deer_s[@]}" --method direct
for metric in feature time; do
    deer_vla calibrate "$bundle" "$out/held_out" --metric "$metric" --out "$made/$metric.calibration.json"
    solved "deer_b_$metric" "$points" "${deer_b[@]}" --calibration "$made/$metric.calibration.json"
    solved "deer_s_$metric" "$points" "${deer_s[@]}" --calibration "$made/$metric.calibration.json"
done
python -m deer_lab.worlds.judge.record --episodes 66 --tasks 3 --seed 202 --learner lab/weights/tabletop --workers 2 --out "$out/own"
deer_vla calibrate "$bundle" "$out/own" --out "$made/own.calibration.json"
solved deer_b_own "$points" "${deer_b[@]}" --calibration "$made/own.calibration.json"
solved deer_s_own "$points" "${deer_s[@]}" --calibration "$made/own.calibration.json"
judge deer_b_hold "$points" --parameter budget.average:=0.012 --parameter budget.hold:=true
for mflop in 8 16 24; do solved "deer_b_$mflop" "$points" --average "${mflop}MFLOP"; done
tuned deer_b_online "${deer_b[@]}"
tuned deer_s_online "${deer_s[@]}"

# One curve per method, and where in each task thresholds from the policy's own recordings stop
named() { for name in "${@:2}"; do printf '%s=lab/results/tabletop/%s.json\n' "$1" "$name"; done; }
mapfile -t results < <(
    named one_exit exit_{0,1,2,3,4} full_depth
    named offline deer_{s,b} deer_b_{8,16,24}
    named own_recordings deer_{b,s}_own
    named hold deer_b_hold
    named direct deer_{b,s}_direct
    named online deer_{b,s}_online
    named feature deer_{b,s}_feature
    named time deer_{b,s}_time
)
deer_vla report "${results[@]}" --out "$made/report"
deer_vla report "deer_b_own=$made/deer_b_own/results.json" --out "$made/report_deer_b_own"
cp "$made"/report/{success_by_gflop,success_by_ms,exits}.svg lab/results/tabletop
cp "$made/report_deer_b_own/course_0.svg" lab/results/tabletop/course_deer_b_own.svg
