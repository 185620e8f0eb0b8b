#!/usr/bin/env bash
# experiment_predicted.sh [OUT]: the metric `predicted` beside `rms` on the shipped tabletop bundle. Fits predictor.json into a
# copy of the bundle from recordings of the policy itself, and solves the same budgets by both metrics, on those recordings
# and on others; what it prints stands in models/tabletop/README.md. With CHAINS=N, both are judged through the node on the
# same N chains too, with thresholds from the others. An hour on two cores, and hours more for 500 chains.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/predicted} bundle=$out/bundle
export OMP_NUM_THREADS=1
mkdir -p "$out"
cp -r models/tabletop/. "$bundle"

record() { python -m deer_lab.worlds.judge.record --tasks 3 --learner lab/weights/tabletop --workers 2 "$@"; }
record --episodes 30 --seed 411 --out "$out/recorded"
record --episodes 20 --seed 412 --out "$out/others"
for set in recorded others; do
    deer_vla calibrate "$bundle" "$out/$set" --out "$out/rms.$set.json" --signs "$out/signs.$set.json"
done
python -m deer_lab.predictor "$bundle" "$out/signs.recorded.json" --held-out "$out/signs.others.json"
for set in recorded others; do
    deer_vla calibrate "$bundle" "$out/$set" --metric predicted --out "$out/predicted.$set.json"
done

for mflop in 12 16 24; do
    for metric in rms predicted; do
        for pair in recorded:others others:recorded; do
            echo "$metric, $mflop MFLOP, solved on ${pair%:*}"
            deer_vla solve "$bundle" --average "${mflop}MFLOP" --calibration "$out/$metric.${pair%:*}.json" \
                --held-out "$out/$metric.${pair#*:}.json" --out "$out/${metric}_$mflop.${pair%:*}.json"
        done
        [[ -z ${CHAINS:-} ]] || python -m deer_lab.worlds.judge.evaluate --bundle "$bundle" --chains "$CHAINS" --workers 2 \
            --thresholds "$out/${metric}_$mflop.others.json" --out "$out/judged/${metric}_$mflop"
    done
    [[ -z ${CHAINS:-} ]] ||
        python -m deer_lab.worlds.judge.pairs "$out/judged/rms_$mflop" "$out/judged/predicted_$mflop" --bundle "$bundle"
done
