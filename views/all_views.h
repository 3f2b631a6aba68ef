/* The screens, one constant table each, at the end of the file that it describes. */
#ifndef SEXTANT_ALL_VIEWS_H
#define SEXTANT_ALL_VIEWS_H

#include "sextant/views/view.h"

extern const struct sx_view_ops sx_view_workspace;
extern const struct sx_view_ops sx_view_features;
extern const struct sx_view_ops sx_view_seeds;
extern const struct sx_view_ops sx_view_weights;
extern const struct sx_view_ops sx_view_gallery;
extern const struct sx_view_ops sx_view_training;
extern const struct sx_view_ops sx_view_sequence;
extern const struct sx_view_ops sx_view_lens;
extern const struct sx_view_ops sx_view_attention;
extern const struct sx_view_ops sx_view_contacts;
extern const struct sx_view_ops sx_view_bands;
extern const struct sx_view_ops sx_view_head;
extern const struct sx_view_ops sx_view_circuit;
extern const struct sx_view_ops sx_view_patching;
extern const struct sx_view_ops sx_view_nterm;
extern const struct sx_view_ops sx_view_inspector;
extern const struct sx_view_ops sx_view_jobs;
extern const struct sx_view_ops sx_view_log;
extern const struct sx_view_ops sx_view_help;

#endif
