#include "answer_fields.h"

#include <string.h>

#include "session_private.h"
#include "sextant/base/status.h"

size_t sx_field_bytes(enum sx_field_type type)
{
    switch (type) {
    case SX_FIELD_SIZE:
        return sizeof(size_t);
    case SX_FIELD_BITS:
        return sizeof(uint64_t);
    case SX_FIELD_I32:
        return sizeof(int32_t);
    case SX_FIELD_U32:
        return sizeof(uint32_t);
    case SX_FIELD_BOOL:
        return sizeof(bool);
    case SX_FIELD_F32:
        return sizeof(float);
    case SX_FIELD_F64:
        return sizeof(double);
    case SX_FIELD_CHAR:
        return 1;
    case SX_FIELD_TEXT:
        break;
    }
    return sizeof(char *);
}

/* In a table, DATA is the structure of the slot. */
#define AT(member) .at = offsetof(struct DATA, member)
#define VALUE(name, type, member)                                                                  \
    {                                                                                              \
        name, SX_FIELD_##type, AT(member)                                                          \
    }
#define WORD(name, member)                                                                         \
    {                                                                                              \
        name, SX_FIELD_CHAR, AT(member), .run = sizeof(((struct DATA *)0)->member)                 \
    }
#define BELOW(name, type, member, end)                                                             \
    {                                                                                              \
        name, SX_FIELD_##type, AT(member), .below = (end)                                          \
    }
#define LINE(name, type, member, n)                                                                \
    {                                                                                              \
        name, SX_FIELD_##type, AT(member), .rank = 1, .dims = { n }                                \
    }

/* --- bands --------------------------------------------------------------------------------------
 */

#define DATA sx_bands_data
enum { BANDS_L, BANDS_H, BANDS_B, BANDS_P };
#define HEADS .rank = 2, .dims = {BANDS_L, BANDS_H}
#define ALL_BANDS .rank = 3, .dims = {BANDS_L, BANDS_H, BANDS_B}
static const struct sx_field bands_fields[] = {
    [BANDS_L] = VALUE("layers", SIZE, result.n_layers),
    [BANDS_H] = VALUE("heads", SIZE, result.n_heads),
    [BANDS_B] = VALUE("bands", SIZE, result.n_bands),
    [BANDS_P] = VALUE("positions", SIZE, result.n_profile),
    VALUE("pass_through", BOOL, result.pass_through),
    VALUE("query", SIZE, result.query_a),
    VALUE("key", SIZE, result.key_a),
    VALUE("query_b", SIZE, result.query_b),
    VALUE("key_b", SIZE, result.key_b),
    VALUE("against", SIZE, against),
    VALUE("other", TEXT, other),
    VALUE("residual", F64, result.residual),
    VALUE("scale", F64, result.scale),
    LINE("period", F64, result.period, BANDS_B),
    {"a", SX_FIELD_F64, AT(result.a), ALL_BANDS, .run = sizeof(struct sx_band) / sizeof(double)},
    {"b", SX_FIELD_F64, AT(result.b), ALL_BANDS, .run = sizeof(struct sx_band) / sizeof(double),
     .optional = true},
    {"split", SX_FIELD_F64, AT(result.split), ALL_BANDS,
     .run = sizeof(struct sx_band_split) / sizeof(double), .optional = true},
    {"attention", SX_FIELD_F64, AT(result.attention_a), HEADS},
    {"attention_b", SX_FIELD_F64, AT(result.attention_b), HEADS, .optional = true},
    {"margin", SX_FIELD_F64, AT(result.margin_a), HEADS},
    {"margin_b", SX_FIELD_F64, AT(result.margin_b), HEADS, .optional = true},
    {"readout", SX_FIELD_F64, AT(result.readout), HEADS, .optional = true},
    {"margin_split", SX_FIELD_F64, AT(result.margin_split), ALL_BANDS,
     .run = sizeof(struct sx_band_split) / sizeof(double), .optional = true},
    {"margin_residual", SX_FIELD_F64, AT(result.margin_residual), HEADS, .optional = true},
    {"profile_at", SX_FIELD_U32, AT(result.profile_at), .rank = 1, .dims = {BANDS_P},
     .optional = true},
    {"profile", SX_FIELD_F32, AT(result.profile), .rank = 4,
     .dims = {BANDS_L, BANDS_H, BANDS_B, BANDS_P}, .optional = true},
};
#undef HEADS
#undef ALL_BANDS
#undef DATA

static bool of_model(const struct sx_input *input, size_t layers, size_t heads, size_t bands)
{
    return layers == (size_t)input->info.n_layers && heads == (size_t)input->info.n_heads &&
           bands >= 1 && bands <= SX_MAX_BANDS + 1;
}

static const char *check_bands(const void *p, const struct sx_input *input)
{
    const struct sx_bands_data *data = p;
    const struct sx_bands_result *r = &data->result;
    if (!of_model(input, r->n_layers, r->n_heads, r->n_bands))
        return "layers, heads or bands are not the model's";
    if (r->query_a >= input->n || r->key_a >= input->n)
        return "the query or the key is no token";
    const bool all = r->b && r->split && r->attention_b && r->margin_b;
    if (!all && (r->b || r->split || r->attention_b || r->margin_b))
        return "condition B is not complete";
    if (all && !data->other && (r->query_b >= input->n || r->key_b >= input->n))
        return "the query or the key of B is no token";
    if (all && !data->other && data->against != SIZE_MAX && data->against >= input->n)
        return "`against` is no token";
    if (!r->profile != !r->profile_at || (r->profile && r->n_profile == 0))
        return "the profile is not complete";
    for (size_t i = 0; r->profile && i < r->n_profile; i++)
        if (r->profile_at[i] >= input->n)
            return "the profile has a token that the sequence has not";
    return NULL;
}

static void release_bands(void *data)
{
    sx_bands_data_release(data);
}

/* --- head ---------------------------------------------------------------------------------------
 */

#define DATA sx_head_data
enum { HEAD_N, HEAD_B };
static const struct sx_field head_fields[] = {
    [HEAD_N] = VALUE("tokens", SIZE, result.n),
    [HEAD_B] = VALUE("bands", SIZE, result.n_bands),
    VALUE("layer", SIZE, result.layer),
    VALUE("head", SIZE, result.head),
    VALUE("query", SIZE, result.query),
    VALUE("pass_through", BOOL, result.pass_through),
    VALUE("removed", BITS, result.removed),
    VALUE("target", I32, result.target),
    VALUE("top", I32, result.top),
    VALUE("top_removed", I32, result.top_removed),
    WORD("target_text", target_text),
    WORD("top_text", top_text),
    WORD("top_removed_text", top_removed_text),
    VALUE("p", F64, result.p),
    VALUE("p_removed", F64, result.p_removed),
    VALUE("residual", F64, result.residual),
    LINE("period", F64, result.period, HEAD_B),
    {"score", SX_FIELD_F32, AT(result.score), .rank = 2, .dims = {HEAD_B, HEAD_N}},
    LINE("attention", F32, result.attention, HEAD_N),
    LINE("attention_removed", F32, result.attention_removed, HEAD_N),
};
#undef DATA

static bool is_head(const struct sx_input *input, size_t layer, size_t head)
{
    return layer < (size_t)input->info.n_layers && head < (size_t)input->info.n_heads;
}

static const char *check_head(const void *p, const struct sx_input *input)
{
    const struct sx_head_result *r = &((const struct sx_head_data *)p)->result;
    if (!is_head(input, r->layer, r->head))
        return "the model has no such head";
    if (r->n != input->n || r->query >= r->n)
        return "tokens or query are not the sequence's";
    if (r->n_bands < 1 || r->n_bands > SX_MAX_BANDS + 1)
        return "no model has that many bands";
    return NULL;
}

static void release_head(void *data)
{
    sx_head_data_release(data);
}

/* --- attribution --------------------------------------------------------------------------------
 */

#define COMPONENT(member, n)                                                                       \
    {                                                                                              \
        "component", SX_FIELD_I32, AT(member),                                                     \
            .rank = 1, .dims = {n}, .step = sizeof *((struct DATA *)0)->member,                    \
            .run = sizeof(struct sx_component) / sizeof(int32_t)                                   \
    }

#define DATA sx_attribution_data
enum { TERMS_N, TERMS_L, TERMS_H, TERMS_T };
static const struct sx_field attribution_fields[] = {
    [TERMS_N] = VALUE("terms", SIZE, result.n_terms),
    [TERMS_L] = VALUE("layers", SIZE, result.n_layers),
    [TERMS_H] = VALUE("heads", SIZE, result.n_heads),
    [TERMS_T] = VALUE("tokens", SIZE, result.n),
    VALUE("token", SIZE, result.token),
    VALUE("target", I32, result.target),
    VALUE("against", I32, result.against),
    WORD("target_text", target_text),
    WORD("against_text", against_text),
    VALUE("gradient", BOOL, result.gradient),
    VALUE("from_biases", F64, result.from_biases),
    VALUE("total", F64, result.total),
    VALUE("logit", F64, result.logit),
    VALUE("residual", F64, result.residual),
    VALUE("linearised_residual", F64, result.linearised_residual),
    {"groups", SX_FIELD_F64, AT(result.groups),
     .run = sizeof(struct sx_attribution_groups) / sizeof(double)},
    COMPONENT(result.terms, TERMS_N),
    {"value", SX_FIELD_F64, AT(result.terms), .rank = 1, .dims = {TERMS_N},
     .step = sizeof(struct sx_attribution_term),
     .within = offsetof(struct sx_attribution_term, value), .run = 4},
    {"by_source", SX_FIELD_F32, AT(result.by_source), .rank = 3,
     .dims = {TERMS_L, TERMS_H, TERMS_T}, .optional = true},
    {"by_embedding", SX_FIELD_F64, AT(result.by_embedding), .rank = 1, .dims = {TERMS_T},
     .optional = true},
};
#undef DATA

static bool is_component(const struct sx_input *input, const struct sx_component *c)
{
    return (int)c->kind >= 0 && c->kind <= SX_COMPONENT_CONST && is_head(input, c->layer, c->head);
}

static const char *check_attribution(const void *p, const struct sx_input *input)
{
    const struct sx_attribution_result *r = &((const struct sx_attribution_data *)p)->result;
    if (r->n_layers != (size_t)input->info.n_layers || r->n_heads != (size_t)input->info.n_heads)
        return "layers or heads are not the model's";
    if (r->n != input->n || r->token >= r->n)
        return "tokens are not the sequence's";
    for (size_t i = 0; i < r->n_terms; i++)
        if (!is_component(input, &r->terms[i].component))
            return "the model has no such component";
    return NULL;
}

static void release_attribution(void *data)
{
    sx_attribution_data_release(data);
}

/* --- composition --------------------------------------------------------------------------------
 */

#define DATA sx_composition_data
enum { PARTS_N, PARTS_B };
#define PARTS .rank = 2, .dims = {PARTS_N, PARTS_B}
static const struct sx_field composition_fields[] = {
    [PARTS_N] = VALUE("terms", SIZE, result.n_terms),
    [PARTS_B] = VALUE("bands", SIZE, result.n_bands),
    VALUE("layer", SIZE, result.layer),
    VALUE("head", SIZE, result.head),
    VALUE("query", SIZE, result.query),
    VALUE("key", SIZE, result.key),
    BELOW("side", I32, result.side, SX_OF_VALUE + 1),
    VALUE("target", I32, result.target),
    VALUE("against", I32, result.against),
    VALUE("pass_through", BOOL, result.pass_through),
    VALUE("score", F64, result.score),
    VALUE("residual", F64, result.residual),
    LINE("period", F64, result.period, PARTS_B),
    COMPONENT(result.terms, PARTS_N),
    {"value", SX_FIELD_F64, AT(result.terms), .rank = 1, .dims = {PARTS_N},
     .step = sizeof(struct sx_composition_term),
     .within = offsetof(struct sx_composition_term, score), .run = 1},
    {"band", SX_FIELD_F64, AT(result.band), PARTS},
    {"radial", SX_FIELD_F64, AT(result.radial), PARTS},
    {"tangential", SX_FIELD_F64, AT(result.tangential), PARTS},
    {"pairs", SX_FIELD_F64, AT(result.pairs), .rank = 2, .dims = {PARTS_N, PARTS_N},
     .optional = true},
};
#undef PARTS
#undef DATA

static const char *check_composition(const void *p, const struct sx_input *input)
{
    const struct sx_composition_result *r = &((const struct sx_composition_data *)p)->result;
    if (!is_head(input, r->layer, r->head))
        return "the model has no such head";
    if (r->query >= input->n || r->key >= input->n)
        return "the query or the key is no token";
    if (r->n_bands > SX_MAX_BANDS + 1 || (r->n_bands == 0) != (r->side == SX_OF_VALUE))
        return "no head has that many bands";
    for (size_t i = 0; i < r->n_terms; i++)
        if (!is_component(input, &r->terms[i].component))
            return "the model has no such component";
    return NULL;
}

static void release_composition(void *data)
{
    sx_composition_data_release(data);
}

/* --- patching -----------------------------------------------------------------------------------
 */

#define DATA sx_patching_data
enum { GRID_ROWS, GRID_COLUMNS };
static const struct sx_field patching_fields[] = {
    [GRID_ROWS] = VALUE("rows", SIZE, result.rows),
    [GRID_COLUMNS] = VALUE("columns", SIZE, result.columns),
    BELOW("grid", I32, result.grid, SX_GRID_COUNT),
    BELOW("metric", I32, result.metric, SX_METRIC_COUNT),
    VALUE("target", I32, result.target),
    VALUE("against", I32, result.against),
    WORD("target_text", target_text),
    WORD("what", what),
    VALUE("token", SIZE, result.token),
    VALUE("done", SIZE, result.n_done),
    VALUE("ablation", BOOL, result.ablation),
    VALUE("normalised", BOOL, result.normalised),
    VALUE("clean", F64, result.clean),
    VALUE("corrupt", F64, result.corrupt),
    VALUE("corrupt_text", TEXT, corrupt),
    VALUE("seconds", F64, seconds),
    {"value", SX_FIELD_F32, AT(result.value), .rank = 2, .dims = {GRID_ROWS, GRID_COLUMNS}},
};
#undef DATA

static size_t columns_of(enum sx_grid grid, const struct sx_input *input)
{
    switch (grid) {
    case SX_GRID_LAYER_TOKEN:
        return input->n;
    case SX_GRID_LAYER_HEAD:
        return (size_t)input->info.n_heads;
    case SX_GRID_QKV:
        return 3 * (size_t)input->info.n_heads;
    case SX_GRID_LAYER_BAND:
        return SX_MAX_BANDS + 1;
    case SX_GRID_LAYER_BLOCK:
        return 2;
    case SX_GRID_COUNT:
        break;
    }
    return 0;
}

static const char *check_patching(const void *p, const struct sx_input *input)
{
    const struct sx_scan_result *r = &((const struct sx_patching_data *)p)->result;
    if (r->rows < 1 || r->rows > (size_t)input->info.n_layers + 1)
        return "the rows are not the model's layers";
    if (r->columns < 1 || r->columns > columns_of(r->grid, input))
        return "the columns are not those of this grid";
    if (r->token >= input->n || r->n_done > r->rows * r->columns)
        return "the token is not the sequence's, or more cells are done than there are";
    return NULL;
}

static void release_patching(void *data)
{
    sx_patching_data_release(data);
}

/* --- nterm --------------------------------------------------------------------------------------
 */

#define DATA sx_nterm_data
enum { NTERM_N };
#define OF_ROW(name, type, member, ...)                                                            \
    {                                                                                              \
        name, SX_FIELD_##type, AT(result.rows),                                                    \
            .rank = 1, .dims = {NTERM_N}, .step = sizeof(struct sx_nterm_row),                     \
            .within = offsetof(struct sx_nterm_row, member), __VA_ARGS__                           \
    }
#define OF_CELL(name, type, member)                                                                \
    OF_ROW(name, type, cell[0].member, .inner = SX_PRESENTATION_COUNT,                             \
           .inner_step = sizeof(struct sx_nterm_cell))
static const struct sx_field nterm_fields[] = {
    [NTERM_N] = VALUE("proteins", SIZE, result.n_rows),
    VALUE("path", TEXT, path),
    OF_ROW("id", CHAR, id, .run = sizeof(((struct sx_nterm_row *)0)->id)),
    OF_ROW("class", I32, kind, .below = SX_NTERM_CLASS_COUNT),
    OF_ROW("inferred", BOOL, inferred, .run = 1),
    OF_ROW("first", CHAR, first, .run = 1),
    OF_ROW("length", U32, length, .run = 1),
    OF_ROW("offset", U32, offset, .run = 1),
    OF_CELL("made", BOOL, made),
    OF_CELL("p_met", F32, p_met),
    OF_CELL("p_true", F32, p_true),
    OF_CELL("rank_true", F32, rank_true),
    OF_CELL("gap", F32, gap),
    OF_CELL("top", CHAR, top),
};
#undef OF_CELL
#undef OF_ROW
#undef DATA

static bool is_letter(char c)
{
    return c >= 'A' && c <= 'Z';
}

static const char *check_nterm(const void *p, const struct sx_input *input)
{
    const struct sx_nterm_result *r = &((const struct sx_nterm_data *)p)->result;
    if (input->info.family != SX_MODEL_ESM2)
        return "the model is no ESM-2";
    for (size_t i = 0; i < r->n_rows; i++) {
        if (!is_letter(r->rows[i].first))
            return "a first residue is no letter";
        for (int c = 0; c < SX_PRESENTATION_COUNT; c++)
            if (r->rows[i].cell[c].made && !is_letter(r->rows[i].cell[c].top))
                return "a most probable residue is no letter";
    }
    return NULL;
}

static void release_nterm(void *data)
{
    sx_nterm_data_release(data);
}

/* --- all ----------------------------------------------------------------------------------------
 */

#define KIND(slot, name)                                                                           \
    {                                                                                              \
        slot, #name, sizeof(struct sx_##name##_data), name##_fields,                               \
            sizeof name##_fields / sizeof name##_fields[0], check_##name, release_##name           \
    }
static const struct sx_answer_kind kinds[] = {
    KIND(SX_SLOT_BANDS, bands),
    KIND(SX_SLOT_HEAD, head),
    KIND(SX_SLOT_ATTRIBUTION, attribution),
    KIND(SX_SLOT_COMPOSITION, composition),
    KIND(SX_SLOT_PATCHING, patching),
    KIND(SX_SLOT_NTERM, nterm),
};

const struct sx_answer_kind *sx_answer_kind_of(enum sx_slot slot)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].slot == slot)
            return &kinds[i];
    return NULL;
}

const struct sx_answer_kind *sx_answer_kind_named(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}
