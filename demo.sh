#!/usr/bin/env bash
# The demonstration: a painted gallery, the four steps on it, the measured answers, and the web site.
#
#   ./demo.sh              sets up what is missing, runs the steps, then serves the site
#   ./demo.sh --no-serve   ends after the steps
#   ./demo.sh --help       prints this
#
# It works in dataset/demo, output/demo and database/demo, so that it never touches your own pictures, results and
# accounts. A second run goes on from what is there; delete the three folders for a fresh start.
set -eu
cd "$(dirname "$0")"

serve=yes
for argument in "$@"; do
    case $argument in
    -h | --help)
        sed -n '2,/^set/s/^# \{0,1\}//p' demo.sh
        exit
        ;;
    --no-serve) serve= ;;
    *)
        echo "demo.sh: $argument is unknown; the options are --no-serve and --help." >&2
        exit 2
        ;;
    esac
done

./installation_1.sh
VIRTUAL_ENV='' ./installation_2.sh

# The steps and the site read these (config.py); they stand for --dataset, --lists, --output and --weights.
export RETRIEVAL_DATASET=dataset/demo/images RETRIEVAL_LISTS=dataset/demo/lists
export RETRIEVAL_OUTPUT=output/demo RETRIEVAL_WEIGHTS=bundled
export RETRIEVAL_DATABASE=database/demo RETRIEVAL_ADDRESSES=on
printf '\nThe demonstration has folders of its own. To repeat a step by hand:\n'
printf '  source vir_env/bin/activate\n'
printf '  export RETRIEVAL_DATASET=%s RETRIEVAL_LISTS=%s\n' "$RETRIEVAL_DATASET" "$RETRIEVAL_LISTS"
printf '  export RETRIEVAL_OUTPUT=%s RETRIEVAL_WEIGHTS=%s\n' "$RETRIEVAL_OUTPUT" "$RETRIEVAL_WEIGHTS"
printf '  export RETRIEVAL_DATABASE=%s RETRIEVAL_ADDRESSES=%s\n' "$RETRIEVAL_DATABASE" "$RETRIEVAL_ADDRESSES"

step() { # step WHAT SCRIPT ARGUMENT...: says what comes and the command for it, then does it
    printf '\n%s\n  python %s\n' "$1" "${*:2}"
    vir_env/bin/python "${@:2}"
}

step "Paint a gallery, and visitors' photographs of it." dataset/sample.py \
    --dataset dataset/demo/images --queries dataset/demo/queries --catalog dataset/demo/catalog.csv
step "Step 1: list the pictures." create_list.py
step "Step 2: compute a descriptor of each." train.py --update
step "Step 3: compute the local features of each." pre_compute_descriptor.py --update
step "Step 4: query with every photograph, and measure the answers." test_with_statistics.py -n dataset/demo/queries
printf '\nEvery wrong answer, with pictures: %s/statistics/queries/report.html (opens in a browser)\n' "$RETRIEVAL_OUTPUT"

step "The catalogue: who painted what." app.py load_catalog dataset/demo/catalog.csv
if [ "$serve" ]; then
    step "An administrator, for you to sign in as." app.py create_admin admin admin@example.com --random-password
    step "Serve the site, until Ctrl-C. Photographs to try: dataset/demo/queries" app.py
fi
