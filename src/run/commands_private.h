/* What the command table refers to: prepare, run, apply and print of each command, by file. */
#ifndef SEXTANT_RUN_COMMANDS_PRIVATE_H
#define SEXTANT_RUN_COMMANDS_PRIVATE_H

#include "sextant/run/command.h"

#define SX_PREPARE(name)                                                                           \
    enum sx_status sx_cmd_##name##_prepare(struct sx_session *session, struct sx_job *job,         \
                                           struct sx_error *err)
#define SX_RUN(name) enum sx_status sx_cmd_##name##_run(struct sx_job *job, struct sx_error *err)
#define SX_APPLY(name) void sx_cmd_##name##_apply(struct sx_session *session, struct sx_job *job)
#define SX_PRINT(name)                                                                             \
    void sx_cmd_##name##_print(const struct sx_value *document, struct sx_str *out)

/* commands_sae.c */
SX_RUN(info);
SX_PRINT(info);
SX_RUN(compare);
SX_PRINT(compare);
SX_RUN(convert);
SX_PRINT(convert);
SX_RUN(encode);
SX_PRINT(encode);

/* commands_tokenize.c */
SX_RUN(tokenize);
SX_PRINT(tokenize);

/* commands_core.c */
SX_RUN(core);
SX_PRINT(core);

/* commands_card.c */
SX_PREPARE(card);
SX_RUN(card);
SX_APPLY(card);
SX_PRINT(card);
SX_PREPARE(gallery);
SX_RUN(gallery);
SX_APPLY(gallery);

/* commands_match.c */
SX_RUN(match);
SX_PRINT(match);
SX_PREPARE(match_family);
SX_RUN(match_family);
SX_APPLY(match_family);
SX_PREPARE(match_alive);
SX_RUN(match_alive);
SX_APPLY(match_alive);

/* commands_train.c */
SX_RUN(train);
SX_PRINT(train);
SX_PREPARE(curves);
SX_RUN(curves);
SX_APPLY(curves);

/* commands_run.c */
SX_RUN(run);
SX_PRINT(run);

/* commands_predict.c */
SX_RUN(predict);
SX_PRINT(predict);
SX_RUN(contacts);
SX_PRINT(contacts);

/* commands_score.c */
SX_RUN(score);
SX_PRINT(score);

/* commands_generate.c */
SX_RUN(generate);
SX_PRINT(generate);

/* commands_report.c */
SX_RUN(report);
SX_PRINT(report);

/* commands_selfcheck.c */
SX_RUN(selfcheck);
SX_PRINT(selfcheck);

/* commands_session.c */
SX_PREPARE(select);
SX_APPLY(select);
SX_PREPARE(set);
SX_APPLY(set);
SX_PREPARE(rows);
SX_APPLY(rows);
SX_PREPARE(jump);
SX_APPLY(jump);
SX_PREPARE(mark);
SX_APPLY(mark);
SX_APPLY(cancel);
SX_APPLY(message);

/* commands_open.c */
SX_PREPARE(open);
SX_PREPARE(rescan);
SX_RUN(open);
SX_APPLY(open);
SX_PREPARE(load_family);
SX_RUN(load_family);
SX_APPLY(load_family);

/* commands_input.c */
SX_PREPARE(input);
SX_RUN(input);
SX_APPLY(input);
SX_PREPARE(mask);
SX_APPLY(mask);

/* commands_model_views.c */
SX_PREPARE(infer);
SX_RUN(infer);
SX_APPLY(infer);
SX_PREPARE(lens);
SX_RUN(lens);
SX_APPLY(lens);
SX_PREPARE(attend);
SX_RUN(attend);
SX_APPLY(attend);
SX_PREPARE(attention_map);
SX_RUN(attention_map);
SX_APPLY(attention_map);
SX_PREPARE(contact_map);
SX_RUN(contact_map);
SX_APPLY(contact_map);

/* commands_nterm.c */
SX_RUN(nterm);
SX_PRINT(nterm);
SX_PREPARE(nterm_table);
SX_RUN(nterm_table);
SX_APPLY(nterm_table);

/* commands_bands.c, print_bands.c */
SX_RUN(bands);
SX_PRINT(bands);
SX_PREPARE(band_table);
SX_RUN(band_table);
SX_APPLY(band_table);
SX_PREPARE(head_bands);
SX_RUN(head_bands);
SX_APPLY(head_bands);

/* commands_band_means.c */
SX_PREPARE(band_means);
SX_RUN(band_means);
SX_APPLY(band_means);
SX_PREPARE(band_interval);
SX_RUN(band_interval);
SX_APPLY(band_interval);

/* commands_attribute.c */
SX_RUN(attribute);
SX_PRINT(attribute);
SX_PREPARE(attribution);
SX_RUN(attribution);
SX_APPLY(attribution);

/* commands_heads.c */
SX_RUN(heads);
SX_PRINT(heads);

/* commands_compose.c */
SX_RUN(compose);
SX_PRINT(compose);
SX_PREPARE(composition);
SX_RUN(composition);
SX_APPLY(composition);

/* commands_patch.c */
SX_RUN(patch);
SX_PRINT(patch);
SX_RUN(ablate);
SX_PRINT(ablate);

/* commands_positions.c */
SX_RUN(positions);
SX_PRINT(positions);

/* commands_patch_grid.c */
SX_PREPARE(patch_grid);
SX_RUN(patch_grid);
SX_APPLY(patch_grid);
void sx_cmd_patch_grid_partial(struct sx_session *session, const void *input,
                               const struct sx_value *line);

/* commands_export.c */
SX_PREPARE(export);
SX_RUN(export);
SX_APPLY(export);

#endif
