/* The words that views and the `:` prompt say to the session. The table itself is
 * src/run/command_table.c; every line goes through sx_run_submit_line. Text with spaces or quotes
 * is put through sx_command_quote first (`filter`, `jump` and `message` also take several words).
 *
 * UI lane: done when sx_run_submit_line returns.
 *
 *   select [--entry N] [--family N] [--seed I] [--latent J] [--pair A,B] [--training N]
 *          Move the selection. Numbers are indices into session.workspace (entry, family,
 *          training), members of the family (seed, pair) and latents. Another family empties
 *          FAMILY, MATCH, ROWS, CARD, GALLERY; another seed changes ROWS (computed again
 *          at once) and empties CARD and GALLERY; each seed has marks of its own. --entry of an SAE
 * also selects its family and seed. set    [--tau X] [--alive X] [--counter anchored|clique|paper]
 * [--orphans on|off]
 *          [--marked-only on|off]
 *          Fractions, counters and rows follow at once; another --alive is a short job on the
 *          compute lane (match.alive_state). --alive -1: all latents.
 *   rows   [--sort latent|align|enc-norm|dec-norm|similarity|margin|category] [--descending]
 *          [--filter TEXT]
 *          What is not given stays; --sort without --descending is ascending. --filter '' shows
 *          all. Needs FAMILY; without it the wish is kept and carried out when FAMILY arrives.
 *   sort   KEY [--descending]        short for rows --sort
 *   filter [TEXT…]                   short for rows --filter; no text: all rows
 *   jump   [TEXT…] [--backward] [--count N]
 *          Select the next row for which TEXT holds (a latent number, or a filter expression);
 *          without TEXT the last one again (n and N). Wraps around.
 *   mark   [--latent J] [--clear]    toggle a mark (default: the selected latent); --clear all
 *   cancel [ID]                      one job, or all
 *   select --model N                 index into session.workspace; empties INPUT and what hangs on
 * it select [--token P] [--key P] [--layer L] [--head H]      cursors of the transformer views mask
 * [--token P] [--clear]     set or remove a mask (default: the selected token); --clear: all. ESM-2
 * only. A change of INPUT
 *   set    --lens-metric logit|p|rank, --against P|none, --target T|default, --bands-removed BITS
 *   select --band B, --protein N
 *   message TEXT…                    put text on the last line
 *
 * Query lane: short; the slot is PENDING until sx_run_apply.
 *
 *   open PATH…                       scan paths, replace the workspace            (WORKSPACE)
 *   rescan                           the same paths again                         (WORKSPACE)
 *   load-family                      weights of every seed of the family: norms, alignment,
 *                                    statistics                                   (FAMILY, ROWS)
 *   card [--seed I] [--latent J]     one latent; default: the selected one        (CARD)
 *   gallery [--first N] [--columns N]  images of the rows from position N on      (GALLERY)
 *   curves [PATH]                    a training run; default: the selected one. An unchanged file
 *                                    changes no slot, so it may be asked again every second
 *                                                                                 (CURVES)
 *   input  [TEXT…] [--fasta FILE [--record N]]
 *                                    open the selected model if it is not open, tokenise a sequence
 *                                    or prompt; without arguments a built-in example   (INPUT)
 *   band-interval [--layer L] [--head H] [--band B]
 *                                    mean and interval of one cell of BAND_MEANS; without --head of
 *                                    the sum over heads                              (BAND_MEANS)
 *   export FILE [--what rows|marked|curves|match]
 *                                    write what is shown: *.csv, *.json, and matches *.match.h5
 *
 * Compute lane: long; progress in JOBS, Esc cancels.
 *
 *   match-family [--other N]         match every pair of seeds; --other: also the survival curve of
 *                                    family N, to compare                         (MATCH, ROWS)
 *   infer                            the model's distributions over the input     (SEQUENCE)
 *   lens [--target T]                logit lens; T a token ("M", " the") or "self"  (LENS)
 *   attend [--token P]               attention of a query in all layers and heads (ATTENTION)
 *   attention-map [--layer L] [--head H]     one head                             (MAP)
 *   contact-map                      ESM-2's contact head                         (CONTACTS)
 *   band-table [--against P|SEQ] [--profile]   selection.token → selection.key      (BANDS)
 *   band-means [--against P] [--fasta FILE]   the same in every sequence of the file (BAND_MEANS)
 *   head-bands [--layer L] [--head H] [--removed BITS]   at selection.token         (HEAD)
 *   attribution [--target T] [--against T] [--linearised]  at selection.token       (ATTRIBUTION)
 *   composition [--layer L] [--head H] [--side query|key|value]                     (COMPOSITION)
 *   patch-grid --corrupt SEQ --grid G [--metric M] | --ablate zero|mean --grid G    (PATCHING)
 *                                    cells arrive while it runs
 *   nterm-table [FILE] [--truth F] [--limit N]
 *                                    proteins of a FASTA or Swiss-Prot file, told apart by their
 *                                    content; without FILE the selected entry of such a
 *                                    file, else the workspace's first, else built-in examples
 *                                                                                    (NTERM)
 *   train CONFIG …, match SAE SAE …, encode …   as on the command line; what they would print goes
 *                                    to the log
 *
 * Carried out by the program, never by sx_run_submit_line (flag SX_CMD_APP): view, theme, save,
 * copy, quit, help, play, config, doctor.
 *
 * How a slot behaves: EMPTY until asked for. The asking command makes it PENDING at once and writes
 * what was asked (card.latent, gallery.first, curves.path …), so that a view can see whether the
 * job on its way is the one it needs; what else the slot holds is then out of date and must not be
 * drawn. It ends READY or FAILED; a cancelled job is FAILED with error.status SX_CANCELLED. `need`
 * asks only for EMPTY slots (or READY, PENDING ones whose key is another), so that a cancel is not
 * followed by the same job again; asking on purpose (Enter, r) is always allowed. */
#ifndef SEXTANT_RUN_COMMANDS_H
#define SEXTANT_RUN_COMMANDS_H

#include "sextant/run/session.h"

/* The words of --sort, --counter and --lens-metric. */
const char *sx_sort_key_name(enum sx_sort_key key);          /* "enc-norm" */
const char *sx_counter_name(enum sx_counter counter);        /* "anchored" */
const char *sx_lens_metric_name(enum sx_lens_metric metric); /* "logit" */
const char *sx_lane_name(enum sx_lane lane);                 /* "compute" */
const char *sx_job_state_name(enum sx_job_state state);      /* "running" */

#endif
