/* A session as the engine would leave it, made by hand from plain, consistent numbers: 24 latents
 * of 8x8 images in three seeds. Latent j of seed 0 has partner (j + 5) % 24 in seed 1 and
 * (j + 7) % 24 in seed 2, with similarities that fall with j. */
#ifndef SX_TEST_FAKE_SESSION_H
#define SX_TEST_FAKE_SESSION_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sextant/base/value.h"
#include "sextant/run/session.h"
#include "sextant/sae/match_types.h"

enum { FAKE_F = 24, FAKE_D = 64, FAKE_SEEDS = 3, FAKE_TAU = 51, FAKE_STEPS = 40, FAKE_TILES = 6 };
enum { FAKE_TOKENS = 78, FAKE_LAYERS = 6, FAKE_HEADS = 8 };

struct fake {
    struct sx_session session;
    struct sx_entry entry[14]; /* the last two: fake_protein, fake_text */
    struct sx_family family[3];
    size_t members[3][3];
    struct sx_seed_latents seed[FAKE_SEEDS];
    float enc_norm[FAKE_SEEDS][FAKE_F], dec_norm[FAKE_SEEDS][FAKE_F], align[FAKE_SEEDS][FAKE_F];
    uint64_t marks[1];
    struct sx_match_set set;
    struct sx_match_pair pair[3];
    int32_t forward[3][FAKE_F], backward[3][FAKE_F], enc_forward[3][FAKE_F],
        enc_backward[3][FAKE_F];
    float sim_dec[3][FAKE_F], sim_enc[3][FAKE_F], margin[3][FAKE_F], back_margin[3][FAKE_F];
    struct sx_match_summary summary;
    struct sx_match_fractions fractions[3];
    struct sx_match_survival survival, other;
    double tau[FAKE_TAU], shared[4][FAKE_TAU], other_shared[4][FAKE_TAU];
    uint8_t category[FAKE_F];
    uint32_t order[FAKE_F];
    float row[2 * FAKE_SEEDS][FAKE_D];
    struct sx_gallery_cell cell[4 * FAKE_TILES];
    float enc_tile[4 * FAKE_TILES][FAKE_D], dec_tile[4 * FAKE_TILES][FAKE_D];
    double curve[FAKE_STEPS][9];
    int32_t ids[FAKE_TOKENS], original[FAKE_TOKENS];
    struct sx_token_text tokens[FAKE_TOKENS];
    bool masked[FAKE_TOKENS];
    float surprise[FAKE_TOKENS], entropy[FAKE_TOKENS], rank[FAKE_TOKENS];
    int32_t top[FAKE_TOKENS][SX_TOP_TOKENS];
    float top_p[FAKE_TOKENS][SX_TOP_TOKENS], residues[FAKE_TOKENS][20];
    struct sx_token_text top_text[FAKE_TOKENS][SX_TOP_TOKENS];
    float lens_logit[(FAKE_LAYERS + 1) * FAKE_TOKENS], lens_p[(FAKE_LAYERS + 1) * FAKE_TOKENS],
        lens_rank[(FAKE_LAYERS + 1) * FAKE_TOKENS];
    int32_t lens_top[(FAKE_LAYERS + 1) * FAKE_TOKENS];
    struct sx_token_text lens_text[(FAKE_LAYERS + 1) * FAKE_TOKENS];
    float pattern[FAKE_LAYERS * FAKE_HEADS * FAKE_TOKENS];
    float map[FAKE_TOKENS * FAKE_TOKENS], contact[FAKE_TOKENS * FAKE_TOKENS];
};

/* A disc whose centre and sign depend on the latent; `noise` is another seed's difference. */
static inline void fake_image(float *out, int latent, double noise)
{
    const double cx = 1.5 + latent % 5, cy = 1.5 + latent * 3 % 6;
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++) {
            const double r2 = (x - cx) * (x - cx) + (y - cy) * (y - cy);
            const double ripple = noise * sin(1.7 * x + 2.3 * y + latent);
            out[8 * y + x] = (float)((latent % 2 ? -0.4 : 0.5) * exp(-r2 / 4) - 0.1 + 0.1 * ripple);
        }
}

static inline void fake_sae(struct fake *fake, size_t i, char *path, char *title, int64_t seed)
{
    struct sx_entry *entry = &fake->entry[i];
    *entry = (struct sx_entry){.kind = SX_ENTRY_SAE, .path = path, .label = path, .family = i / 3};
    entry->info = (struct sx_sae_info){
        .path = path,
        .file = path,
        .name = title,
        .format = SX_SAE_SEXTANT,
        .arch = SX_ARCH_RELU,
        .activation_dim = FAKE_D,
        .dict_size = FAKE_F,
        .k = -1,
        .seed = seed,
        .penalty = SX_PENALTY_L2,
        .penalty_known = true,
        .lambda = 1e-5,
        .l1_activation = 0.1,
        .threshold = NAN,
        .layer = -1,
        .norm_factor = NAN,
        .constraint = SX_CONSTRAINT_RENORM,
        .subtract_b_dec = true,
        .has_bias = true,
        .image_width = 8,
        .image_height = 8,
        .training = {.steps = 2000 + 100 * (uint64_t)seed,
                     .epochs = 20,
                     .mse = 0.0312 - 0.0003 * (double)seed,
                     .l0 = 41.7,
                     .dead = 1,
                     .alignment = 0.52},
        .bytes = 12544000,
        .n_tensors = 4,
    };
    static const char *const name[] = {"W_enc", "W_dec", "b_enc", "b_dec"};
    for (int t = 0; t < 4; t++) {
        struct sx_tensor_row *row = &entry->info.tensors[t];
        strcpy(row->name, name[t]);
        strcpy(row->dtype, "F32");
        row->rank = t < 2 ? 2 : 1;
        row->shape[0] = t == 3 ? FAKE_D : FAKE_F;
        row->shape[1] = FAKE_D;
        row->strides[0] = t < 2 ? FAKE_D : 1;
        row->strides[1] = 1;
        row->contiguous = true;
    }
}

static inline void fake_workspace(struct fake *fake)
{
    static char path[9][32] = {
        "T_none_s0.sae.h5",     "T_none_s1.sae.h5",     "T_none_s2.sae.h5",
        "T_l2_1e-05_s0.sae.h5", "T_l2_1e-05_s1.sae.h5", "T_l2_1e-05_s2.sae.h5",
        "pythia/trainer_0",     "pythia/trainer_8",     "pythia/trainer_16"};
    static char title[3][64] = {"T none 64→24 relu", "T l2 1e-05 64→24 relu",
                                "pythia-70m L3 512→16384 topk k=40"};
    static char key[3][8] = {"a", "b", "c"}, root[] = "/data/runs/mnist";
    static char curve[] = "T_l2_1e-05.curve.h5", match[] = "T_l2.match.h5", bad[] = "broken/ae.pt";
    static char trap[] = "W_enc is stored transposed (strides 1,24): read as it is meant, not as "
                         "it lies";
    struct sx_workspace *workspace = &fake->session.workspace;

    for (size_t i = 0; i < 9; i++)
        fake_sae(fake, i, path[i], title[i / 3], (int64_t)(i % 3));
    for (size_t i = 6; i < 9; i++) {
        struct sx_sae_info *info = &fake->entry[i].info;
        info->format = SX_SAE_DICTIONARY_LEARNING;
        info->arch = SX_ARCH_TOPK;
        info->k = 40;
        info->activation_dim = 512;
        info->dict_size = 16384;
        info->image_width = info->image_height = 0;
        info->bytes = 67166208;
        info->training.steps = 0;
    }
    struct sx_sae_info *odd = &fake->entry[7].info;
    odd->warnings[odd->n_warnings++] = trap;
    odd->tensors[0].contiguous = false;
    odd->tensors[0].strides[0] = 1;
    odd->tensors[0].strides[1] = FAKE_F;
    fake->entry[9] = (struct sx_entry){
        .kind = SX_ENTRY_TRAINING, .path = curve, .label = curve, .family = SIZE_MAX};
    fake->entry[10] = (struct sx_entry){
        .kind = SX_ENTRY_MATCH, .path = match, .label = match, .family = SIZE_MAX};
    fake->entry[11] =
        (struct sx_entry){.kind = SX_ENTRY_PROBLEM, .path = bad, .label = bad, .family = SIZE_MAX};
    fake->entry[11].problem.status = SX_ERR_FORMAT;
    strcpy(fake->entry[11].problem.message,
           "broken/ae.pt: the zip directory ends at byte 1200, found 800 bytes");
    for (size_t f = 0; f < 3; f++) {
        for (size_t m = 0; m < 3; m++)
            fake->members[f][m] = 3 * f + m;
        fake->family[f] = (struct sx_family){.key = key[f],
                                             .group = key[f],
                                             .title = title[f],
                                             .members = fake->members[f],
                                             .n_members = 3,
                                             .n_warnings = f == 2};
    }
    *workspace = (struct sx_workspace){.root = root,
                                       .entries = fake->entry,
                                       .n_entries = 12,
                                       .families = fake->family,
                                       .n_families = 3,
                                       .n_problems = 1,
                                       .n_warnings = 1};
    fake->session.workspace_state = SX_STATE_READY;
}

static inline void fake_family(struct fake *fake)
{
    for (size_t s = 0; s < FAKE_SEEDS; s++) {
        for (int j = 0; j < FAKE_F; j++) {
            fake->align[s][j] = (float)(0.98 - 0.04 * j + 0.003 * (double)s);
            fake->enc_norm[s][j] = (float)(2.2 - 0.07 * j + 0.01 * (double)s);
            fake->dec_norm[s][j] = 1.0f;
        }
        fake->align[s][FAKE_F - 1] = 0;
        fake->enc_norm[s][FAKE_F - 1] = 0;
        fake->seed[s] = (struct sx_seed_latents){
            .entry = 3 + s,
            .seed = (int64_t)s,
            .stats = {.enc_norm_mean = 1.4,
                      .enc_norm_max = 2.2,
                      .dec_norm_mean = 1,
                      .dec_norm_min = 1,
                      .dec_norm_max = 1,
                      .dec_norm_deviation = 2e-7,
                      .decoder_constraint = SX_CONSTRAINT_RENORM,
                      .align_mean = 0.51,
                      .align_median = 0.52,
                      .align_over_05 = 13.0 / 24,
                      .align_over_07 = 8.0 / 24,
                      .align_over_09 = 3.0 / 24,
                      .align_over_095 = 1,
                      .dead_exact = 1,
                      .dead_tiny = 1},
            .enc_norm = fake->enc_norm[s],
            .dec_norm = fake->dec_norm[s],
            .align = fake->align[s],
        };
        strcpy(fake->seed[s].stats.fingerprint, "0123456789abcdef0123456789abcdef");
    }
    fake->marks[0] = 1u << 2;
    fake->seed[0].marks = fake->marks;
    fake->session.family = (struct sx_family_data){
        .state = SX_STATE_READY,
        .family = 1,
        .D = FAKE_D,
        .F = FAKE_F,
        .image_width = 8,
        .image_height = 8,
        .seeds = fake->seed,
        .n_seeds = FAKE_SEEDS,
    };
}

static inline void fake_match(struct fake *fake)
{
    static const size_t a[] = {0, 0, 1}, b[] = {1, 2, 2};
    static const int shift[] = {5, 7, 2};

    for (int p = 0; p < 3; p++) {
        for (int j = 0; j < FAKE_F; j++) {
            const int to = (j + shift[p]) % FAKE_F;
            fake->forward[p][j] = to;
            fake->backward[p][to] = j;
            fake->enc_forward[p][j] = j % 9 == 8 ? (to + 1) % FAKE_F : to;
            fake->sim_dec[p][j] = (float)(0.97 - 0.03 * j - 0.02 * p);
            fake->sim_enc[p][j] = (float)(0.95 - 0.03 * j - 0.02 * p);
            fake->margin[p][j] = j % 6 == 3 ? 0.02f : 0.31f;
            fake->back_margin[p][to] = fake->margin[p][j];
        }
        for (int j = 0; j < FAKE_F; j++)
            fake->enc_backward[p][fake->enc_forward[p][j]] = j;
        fake->pair[p] = (struct sx_match_pair){
            .a = a[p],
            .b = b[p],
            .F_a = FAKE_F,
            .F_b = FAKE_F,
            .n_a = FAKE_F,
            .n_b = FAKE_F,
            .partner_enc = fake->enc_forward[p],
            .partner_dec = fake->forward[p],
            .sim_enc = fake->sim_enc[p],
            .sim_dec = fake->sim_dec[p],
            .margin = fake->margin[p],
            .back_enc = fake->enc_backward[p],
            .back_dec = fake->backward[p],
            .back_margin = fake->back_margin[p],
            .proof_dec = {.gap = 2e-7},
            .proof_enc = {.gap = 1e-7},
        };
        fake->fractions[p] = (struct sx_match_fractions){
            .n_a = FAKE_F,
            .n_b = FAKE_F,
            .n_shared = (size_t)(8 - p),
            .mmcs = 0.812 - 0.01 * p,
            .mmcs_enc = 0.78 - 0.01 * p,
            .mmcs_dec = 0.846 - 0.01 * p,
            .paired = (10.0 - p) / FAKE_F,
            .shared = (8.0 - p) / FAKE_F,
            .shared_enc = (9.0 - p) / FAKE_F,
            .shared_dec = (10.0 - p) / FAKE_F,
        };
    }
    fake->set =
        (struct sx_match_set){.n_models = 3, .n_pairs = 3, .pairs = fake->pair, .alive_cut = NAN};
    fake->summary = (struct sx_match_summary){
        .tau = 0.7, .n_pairs = 3, .pairs = fake->fractions, .mean = fake->fractions[1]};
    for (int k = 0; k < SX_N_COUNTERS; k++)
        for (int basis = 0; basis < SX_N_BASES; basis++)
            fake->summary.counts[k][basis] =
                (struct sx_match_counts){(size_t)(7 - 2 * k), (size_t)(1 + k), (size_t)(16 + k)};
    for (int t = 0; t < FAKE_TAU; t++) {
        fake->tau[t] = t / (FAKE_TAU - 1.0);
        for (int p = 0; p < 4; p++) {
            fake->shared[p][t] = 1 / (1 + exp(12 * (fake->tau[t] - 0.65 + 0.01 * p)));
            fake->other_shared[p][t] = 1 / (1 + exp(12 * (fake->tau[t] - 0.35)));
        }
    }
    fake->survival = (struct sx_match_survival){
        .n_pairs = 3, .n_tau = FAKE_TAU, .tau = fake->tau, .shared = fake->shared[0]};
    fake->other = fake->survival;
    fake->other.shared = fake->other_shared[0];
    for (int j = 0; j < FAKE_F; j++)
        fake->category[j] = j < 7   ? SX_CATEGORY_ALWAYS
                            : j < 8 ? SX_CATEGORY_SOMETIMES
                                    : SX_CATEGORY_NEVER;
    fake->session.match = (struct sx_match_data){
        .state = SX_STATE_READY,
        .family = 1,
        .set = &fake->set,
        .summary = &fake->summary,
        .survival = &fake->survival,
        .category = fake->category,
        .other = SIZE_MAX,
    };
}

static inline void fake_card(struct fake *fake)
{
    struct sx_card *card = &fake->session.card;

    *card = (struct sx_card){
        .state = SX_STATE_READY,
        .family = 1,
        .latent = 3,
        .assigned = true,
        .enc_norm = fake->enc_norm[0][3],
        .dec_norm = 1,
        .align = fake->align[0][3],
        .b_enc = -0.031f,
        .neighbour = {4, 9, 17},
        .neighbour_cos = {0.72f, -0.64f, 0.41f},
        .n_neighbours = 3,
        .D = FAKE_D,
        .image_width = 8,
        .image_height = 8,
        .n_partners = 2,
    };
    for (int s = 0; s < FAKE_SEEDS; s++) {
        fake_image(fake->row[2 * s], 3, s);
        fake_image(fake->row[2 * s + 1], 3, 0.5 + s);
    }
    card->dec_row = fake->row[0];
    card->enc_row = fake->row[1];
    for (int p = 0; p < 2; p++) {
        card->partner[p].seed_index = (size_t)p + 1;
        card->partner[p].latent = fake->forward[p][3];
        card->partner[p].sim_dec = fake->sim_dec[p][3];
        card->partner[p].sim_enc = fake->sim_enc[p][3];
        card->partner[p].margin = fake->margin[p][3];
        card->partner[p].runner_up = fake->sim_dec[p][3] - fake->margin[p][3];
        card->partner[p].dec_row = fake->row[2 * p + 2];
        card->partner[p].enc_row = fake->row[2 * p + 3];
    }
}

static inline void fake_gallery(struct fake *fake)
{
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < FAKE_TILES; c++) {
            const int at = r * FAKE_TILES + c;
            const int latent = r == 0   ? c
                               : r == 3 ? (7 * c + 11) % FAKE_F
                                        : fake->forward[r - 1][c];
            fake->cell[at].latent = latent;
            fake->cell[at].sim = r == 0 ? 1 : r == 3 ? NAN : fake->sim_dec[r - 1][c];
            fake_image(fake->dec_tile[at], r == 3 ? latent : c, r);
            fake_image(fake->enc_tile[at], r == 3 ? latent : c, r + 0.5);
        }
    fake->session.gallery = (struct sx_gallery){
        .state = SX_STATE_READY,
        .family = 1,
        .D = FAKE_D,
        .width = 8,
        .height = 8,
        .rows = 4,
        .columns = FAKE_TILES,
        .cells = fake->cell,
        .enc = fake->enc_tile[0],
        .dec = fake->dec_tile[0],
    };
}

static inline void fake_curves(struct fake *fake)
{
    static const char *const name[] = {"step",  "epoch", "s0.mse",   "s1.mse", "s0.l0",
                                       "s1.l0", "s2.l0", "mmcs.0-1", "mmcs"};
    struct sx_curves *curves = &fake->session.curves;

    *curves = (struct sx_curves){
        .state = SX_STATE_READY, .path = fake->entry[9].path, .rows = FAKE_STEPS, .n_columns = 9};
    curves->columns = sx_value_list();
    for (int c = 0; c < 9; c++)
        sx_value_append(curves->columns, sx_value_string(name[c]));
    curves->attributes = sx_value_map();
    sx_value_set(curves->attributes, "steps", sx_value_int(11800));
    for (int r = 0; r < FAKE_STEPS; r++) {
        double *row = fake->curve[r];
        row[0] = 100 * r;
        row[1] = r * 100 / 118.0;
        row[2] = 0.002 + 0.06 * exp(-0.15 * r);
        row[3] = 0.003 + 0.05 * exp(-0.12 * r);
        for (int s = 0; s < 3; s++)
            row[4 + s] = 500 - 8 * r - 20 * s;
        row[7] = r % 5 ? NAN : 0.1 + 0.01 * r;
        row[8] = row[7];
    }
    curves->data = fake->curve[0];
}

/* Everything READY, family 1 (the l2 one) selected. */
static inline void fake_init(struct fake *fake)
{
    struct sx_session *session = &fake->session;

    memset(fake, 0, sizeof *fake);
    fake_workspace(fake);
    session->selection = (struct sx_selection){
        .entry = SIZE_MAX, .family = 1, .latent = 3, .pair_b = 1, .training = 9, .model = SIZE_MAX};
    session->settings = (struct sx_settings){.tau = 0.7, .alive = -1};
    fake_family(fake);
    fake_match(fake);
    fake_card(fake);
    fake_gallery(fake);
    fake_curves(fake);
    for (uint32_t j = 0; j < FAKE_F; j++)
        fake->order[j] = j;
    session->rows = (struct sx_rows){.state = SX_STATE_READY, .order = fake->order, .n = FAKE_F};
}

/* --- transformers: entry 12 is a small ESM-2 with human ubiquitin, two of its tokens masked; with
 * fake_text a small GPT-NeoX with a sentence. Entry 13 is a run. Both come after fake_init. */

static inline void fake_label(struct sx_token_text *out, const char *text)
{
    snprintf(out->text, sizeof out->text, "%s", text);
}

/* ESM-2's alphabet from id 4 on; the specials are those of its vocabulary. */
static inline void fake_esm_label(struct sx_token_text *out, int32_t id)
{
    static const char residue[] = "LAGVSERTIDPKQNFYMHWCXBUZO.-";
    static const char *const special[] = {"<cls>", "<pad>", "<eos>", "<unk>"};
    char one[2] = {id >= 4 && id < 31 ? residue[id - 4] : '?', 0};

    fake_label(out, id < 4 ? special[id] : id == 32 ? "<mask>" : one);
}

static inline int32_t fake_esm_id(char residue)
{
    static const char all[] = "LAGVSERTIDPKQNFYMHWC";
    return (int32_t)(4 + (strchr(all, residue) - all));
}

static inline void fake_model_entries(struct fake *fake, const char *family_path,
                                      enum sx_model_family family)
{
    static char path[64], run[] = "ubiquitin.run.h5";

    snprintf(path, sizeof path, "%s", family_path);
    fake->entry[12] =
        (struct sx_entry){.kind = SX_ENTRY_MODEL, .path = path, .label = path, .family = SIZE_MAX};
    fake->entry[12].model = (struct sx_model_info){
        .path = path,
        .name = path,
        .family = family,
        .format = SX_MODEL_HUGGING_FACE,
        .dtype = "F16",
        .n_layers = FAKE_LAYERS,
        .d_model = 128,
        .n_heads = FAKE_HEADS,
        .d_head = 16,
        .d_mlp = 512,
        .vocab = family == SX_MODEL_ESM2 ? 33 : 4096,
        .n_bands = family == SX_MODEL_ESM2 ? 8 : 2,
        .max_positions = family == SX_MODEL_ESM2 ? 1026 : 2048,
        .layer_norm_eps = 1e-5,
        .token_dropout = family == SX_MODEL_ESM2,
        .parallel_residual = family == SX_MODEL_GPT_NEOX,
        .has_lm_head = true,
        .has_contact_head = family == SX_MODEL_ESM2,
        .has_tokenizer = true,
        .stored_frequencies = family == SX_MODEL_ESM2,
        .rope_theta = 10000,
        .parameters = family == SX_MODEL_ESM2 ? 1210529 : 2237952,
        .bytes = family == SX_MODEL_ESM2 ? 2423416 : 4479040,
    };
    fake->entry[13] =
        (struct sx_entry){.kind = SX_ENTRY_RUN, .path = run, .label = run, .family = SIZE_MAX};
    fake->session.workspace.n_entries = 14;
}

/* Token t has the original at rank 2 where t % 7 is 3, else at rank 0; the distribution over the
 * others falls by rank, the faster the more certain the position is. */
static inline void fake_sequence(struct fake *fake, size_t n, size_t first, int32_t base)
{
    for (size_t t = 0; t < n; t++) {
        const bool esm = base == 4;
        const int32_t original = fake->original[t];
        const bool special = esm && original < 4;
        const int rank = special ? 0 : t % 7 == 3 ? 2 : 0;
        const double fall = fake->masked[t] ? 0.25 : 0.3 + 1.2 * fabs(sin(0.7 * (double)t));
        double sum = 0, entropy = 0;
        for (int r = 0; r < 20; r++)
            sum += exp(-fall * r);
        for (int r = 0; r < 20; r++) {
            const double p = exp(-fall * r) / sum;
            /* The residues in order of their distance from the original, which comes at `rank`. */
            const int32_t step = r == rank ? 0 : r < rank ? r + 1 : r;
            const int32_t id = special     ? (r == 0 ? original : 4 + (r - 1))
                               : base == 4 ? 4 + (original - 4 + step) % 20
                                           : original + step;
            entropy -= p * log2(p);
            if (r < SX_TOP_TOKENS) {
                fake->top[t][r] = id;
                fake->top_p[t][r] = (float)p;
                if (esm)
                    fake_esm_label(&fake->top_text[t][r], id);
                else if (step == 0)
                    fake->top_text[t][r] = fake->tokens[t];
                else
                    snprintf(fake->top_text[t][r].text, sizeof fake->top_text[t][r].text, " w%d",
                             (int)(id % 97));
            }
            if (esm && id >= 4 && id < 24)
                fake->residues[t][id - 4] = (float)p;
            if (r == rank) {
                fake->surprise[t] = (float)-log2(p);
                fake->rank[t] = (float)rank;
            }
        }
        fake->entropy[t] = (float)entropy;
        if (t < first) {
            fake->surprise[t] = fake->entropy[t] = fake->rank[t] = NAN;
            for (int r = 0; r < SX_TOP_TOKENS; r++) {
                fake->top[t][r] = -1;
                fake->top_p[t][r] = 0;
                fake->top_text[t][r].text[0] = 0;
            }
        }
    }
    fake->session.sequence = (struct sx_sequence_data){
        .state = SX_STATE_READY,
        .serial = 7,
        .n = n,
        .vocab = base == 4 ? 33 : 4096,
        .surprise = fake->surprise,
        .entropy = fake->entropy,
        .rank = fake->rank,
        .top = fake->top[0],
        .top_p = fake->top_p[0],
        .top_text = fake->top_text[0],
        .residues = base == 4 ? fake->residues[0] : NULL,
        .seconds = 0.012,
    };
}

/* The target (each token itself) rises layer by layer to what fake_sequence says; early rows prefer
 * a frequent token. */
static inline void fake_lens(struct fake *fake, size_t n, bool esm)
{
    for (size_t l = 0; l <= FAKE_LAYERS; l++)
        for (size_t t = 0; t < n; t++) {
            const size_t at = l * n + t;
            const size_t of = esm ? t : t + 1; /* GPT-NeoX predicts the next one */
            const double done = (double)l / FAKE_LAYERS;
            const bool none = of >= n;
            const double last = none ? 0.5 : exp2(-(double)fake->surprise[of]);
            const double p = 0.04 + (last - 0.04) * done * done;
            const bool late = l >= 3 + t % 3;
            fake->lens_p[at] = none ? NAN : (float)p;
            fake->lens_logit[at] = none ? NAN : (float)(log(p / (1 - p)) + 3);
            fake->lens_rank[at] = none   ? NAN
                                  : late ? fake->rank[of]
                                         : (float)(2 * (FAKE_LAYERS - l));
            fake->lens_top[at] = late && !none ? fake->top[of][0] : (esm ? 4 : 11);
            if (esm)
                fake_esm_label(&fake->lens_text[at], fake->lens_top[at]);
            else if (late && !none)
                fake->lens_text[at] = fake->top_text[of][0];
            else
                fake_label(&fake->lens_text[at], " the");
        }
    fake->session.lens = (struct sx_lens_data){
        .state = SX_STATE_READY,
        .serial = 7,
        .target = -1,
        .rows = FAKE_LAYERS + 1,
        .n = n,
        .logit = fake->lens_logit,
        .p = fake->lens_p,
        .rank = fake->lens_rank,
        .top = fake->lens_top,
        .top_text = fake->lens_text,
    };
}

/* Rows that sum to 1: head h of layer l looks `h - l` tokens away, with some weight on token 0. */
static inline void fake_attention_row(float *row, size_t l, size_t h, size_t query, size_t n,
                                      bool causal)
{
    const size_t keys = causal ? query + 1 : n;
    const double centre = (double)query + (causal ? -(double)h : 2.0 * ((double)h - (double)l));
    double sum = 0;

    for (size_t k = 0; k < n; k++) {
        const double d = (double)k - centre;
        row[k] = k < keys ? (float)(exp(-d * d / (2 + 4 * (double)l)) + 0.002) : 0;
        if (k == 0)
            row[k] += 0.1f * (float)(l + 1);
        sum += (double)row[k];
    }
    for (size_t k = 0; k < n; k++)
        row[k] = (float)((double)row[k] / sum);
}

static inline void fake_attention(struct fake *fake, size_t n, bool causal)
{
    const struct sx_selection *selection = &fake->session.selection;

    for (size_t l = 0; l < FAKE_LAYERS; l++)
        for (size_t h = 0; h < FAKE_HEADS; h++)
            fake_attention_row(fake->pattern + (l * FAKE_HEADS + h) * n, l, h, selection->token, n,
                               causal);
    for (size_t q = 0; q < n; q++)
        fake_attention_row(fake->map + q * n, selection->layer, selection->head, q, n, causal);
    fake->session.attention = (struct sx_attention_data){
        .state = SX_STATE_READY,
        .serial = 7,
        .query = selection->token,
        .n_layers = FAKE_LAYERS,
        .n_heads = FAKE_HEADS,
        .n = n,
        .pattern = fake->pattern,
    };
    fake->session.map = (struct sx_map_data){
        .state = SX_STATE_READY,
        .serial = 7,
        .layer = selection->layer,
        .head = selection->head,
        .n = n,
        .pattern = fake->map,
    };
}

/* A hairpin of residues 1 to 17, a helix from 23 on and a pair of parallel strands. */
static inline void fake_contacts(struct fake *fake, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            const size_t low = i < j ? i : j, high = i < j ? j : i;
            double p = 0.01 + 0.02 / (1.0 + (double)(high - low));
            if (low + high == 16)
                p = 0.9;
            else if (low >= 22 && high <= 34 && high - low == 4)
                p = 0.6;
            else if (low < 7 && high == low + 63)
                p = 0.75;
            fake->contact[i * n + j] = (float)p;
        }
    fake->session.contacts =
        (struct sx_contacts_data){.state = SX_STATE_READY, .serial = 7, .n = n, .p = fake->contact};
}

static inline void fake_input(struct fake *fake, char *text, char *title, size_t n)
{
    fake->session.input = (struct sx_input){
        .state = SX_STATE_READY,
        .serial = 7,
        .model = 12,
        .info = fake->entry[12].model,
        .text = text,
        .title = title,
        .ids = fake->ids,
        .original = fake->original,
        .tokens = fake->tokens,
        .masked = fake->masked,
        .n = n,
    };
}

/* ESM-2: <cls>, 76 residues, <eos>; tokens 1 and 20 masked; query 1, key 17, layer 2, head 5. */
static inline void fake_protein(struct fake *fake)
{
    static char text[] =
        "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG";
    static char title[] = "ubiquitin (human)";
    const size_t n = sizeof text - 1 + 2;

    fake_model_entries(fake, "esm2-mini", SX_MODEL_ESM2);
    for (size_t t = 0; t < n; t++) {
        fake->original[t] = t == 0 ? 0 : t == n - 1 ? 2 : fake_esm_id(text[t - 1]);
        fake->masked[t] = t == 1 || t == 20;
        fake->ids[t] = fake->masked[t] ? 32 : fake->original[t];
        fake_esm_label(&fake->tokens[t], fake->original[t]);
    }
    fake_input(fake, text, title, n);
    fake->session.selection.model = 12;
    fake->session.selection.token = 1;
    fake->session.selection.key = 17;
    fake->session.selection.layer = 2;
    fake->session.selection.head = 5;
    fake_sequence(fake, n, 0, 4);
    fake_lens(fake, n, true);
    fake_attention(fake, n, false);
    fake_contacts(fake, n - 2);
}

/* GPT-NeoX: 14 tokens of a sentence; token 0 has no prediction; CONTACTS stays EMPTY. */
static inline void fake_text(struct fake *fake)
{
    static char text[] = "The old man looked at the sea, and said that it was calm.";
    static char title[] = "The old man looked at the sea, …";
    static const char *const word[] = {"The", " old", " man",  " looked", " at", " the", " sea",
                                       ",",   " and", " said", " that",   " it", " was", " calm."};
    const size_t n = sizeof word / sizeof *word;

    fake_model_entries(fake, "neox-mini", SX_MODEL_GPT_NEOX);
    for (size_t t = 0; t < n; t++) {
        fake->ids[t] = fake->original[t] = (int32_t)(300 + 37 * t);
        fake->masked[t] = false;
        fake_label(&fake->tokens[t], word[t]);
    }
    fake_input(fake, text, title, n);
    fake->session.selection.model = 12;
    fake->session.selection.token = 6;
    fake->session.selection.key = 3;
    fake->session.selection.layer = 2;
    fake->session.selection.head = 5;
    fake_sequence(fake, n, 1, 0);
    fake_lens(fake, n, false);
    fake_attention(fake, n, true);
    fake->session.contacts = (struct sx_contacts_data){.state = SX_STATE_EMPTY};
}

static inline void fake_release(struct fake *fake)
{
    sx_value_free(fake->session.curves.columns);
    sx_value_free(fake->session.curves.attributes);
}

#endif
