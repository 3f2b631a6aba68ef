#!/usr/bin/env bash
# Makes nterm.dat and globins.fa beside this script from the files that DATA.md names:
#     make_subset.sh emboss_swiss_seq.dat emboss_uniprotft.sw globins45.fa
# Entries are taken whole and unchanged, in the order of the list; of the globins those that do not
# begin with M.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seq=${1:?the Swiss-Prot sequences of emboss-test} ft=${2:?its feature tables} globins=${3:?globins45.fa}
wanted=(
    # initiator methionine removed
    AMIC_PSEAE ARF3_HUMAN BGAL_ECOLI FLAV_ANASO FLAV_AZOCH FLAV_AZOVI FLAV_ECOLI
    HBA_PANTR HBB_PANTR 12S_PROFR ANXA5_HUMAN
    # signal peptide, and products from within
    CRU4_ARATH ACH2_DROME CO9_TAKRU IFNA2_HUMAN CSF3_HUMAN COLI_HUMAN CPG3_CAEEL GHRL_RAT
    AACT_HUMAN
    # transit peptide, propeptide, two enzymes in one chain
    FENR_CYAPA 2SS1_ARATH FMRF_LYMST ACTC_TAKRU ARGJ_BORPE
    # begins within the protein; or nobody says why there is no Met
    110KD_PLAKN 14331_PSEMZ FLS_MATIN ABP1_PIG FLAV_CHOCR
    # controls that keep their Met
    AMIR_PSEAE DAPB_KLEPN EI2BB_TAKRU FLAV_BACSU FLAV_CLOBE FLAV_DESDE GAC_YEAST MTBB1_METBA
    RS24_TAKRU
)
: >"$here/nterm.dat"
for name in "${wanted[@]}"; do
    awk -v name="$name" '/^ID / { on = $2 == name } on { print; n++ } /^\/\// { on = 0 }
                         END { exit !n }' "$seq" "$ft" >>"$here/nterm.dat" ||
        { echo "no entry $name" >&2; exit 1; }
done
awk '/^>/ { head = $0; next } head { on = !/^M/; if (on) print head; head = "" } on' \
    "$globins" >"$here/globins.fa"
