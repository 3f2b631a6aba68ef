/* Circuits of the made-up transformers of fake_session.h, as the commands would leave them: numbers
 * that add up, a few heads that do most of it. */
#ifndef SX_TEST_FAKE_CIRCUITS_H
#define SX_TEST_FAKE_CIRCUITS_H

#include "fake_session.h"

/* What slots own as text. */
static char fake_attribution_line[] = "sextant attribute esm2-mini --pos 1 --target M",
            fake_composition_line[] = "sextant compose esm2-mini --layer 2 --head 5 --query 1",
            fake_scan_line[] = "sextant patch esm2-mini --grid layer-token",
            fake_corrupt[] = "GGRLRLVLHLTSEKQINYDSLTRGDELQKGAFILR",
            fake_proteins[] = "nterm/swissprot.dat.gz",
            fake_nterm_line[] = "sextant nterm esm2-mini --swissprot nterm/swissprot.dat.gz";

enum {
    CIRCUIT_BANDS = 8,
    CIRCUIT_TERMS = 1 + FAKE_LAYERS * (FAKE_HEADS + 2) + 1,
    CIRCUIT_CELLS = (FAKE_LAYERS + 1) * FAKE_TOKENS,
    CIRCUIT_PROTEINS = 40
};

struct fake_circuits {
    struct sx_attribution_term term[CIRCUIT_TERMS];
    float by_source[FAKE_LAYERS * FAKE_HEADS * FAKE_TOKENS];
    double by_embedding[FAKE_TOKENS];
    struct sx_composition_term part[CIRCUIT_TERMS];
    double period[CIRCUIT_BANDS];
    double band[CIRCUIT_TERMS * CIRCUIT_BANDS], radial[CIRCUIT_TERMS * CIRCUIT_BANDS],
        tangential[CIRCUIT_TERMS * CIRCUIT_BANDS];
    float value[CIRCUIT_CELLS];
    struct sx_nterm_row row[CIRCUIT_PROTEINS];
    char *precursor[CIRCUIT_PROTEINS];
};

/* Between -1 and 1, most of it small. */
static inline double fake_effect(size_t a, size_t b)
{
    const double x = sin(1.3 * (double)a + 0.7) * cos(2.1 * (double)b + 0.4 * (double)a);
    return x * x * x;
}

static inline size_t fake_components(struct sx_component *out, size_t stride, size_t layers)
{
    size_t n = 0;
#define FAKE_NEXT (*(struct sx_component *)((char *)out + stride * n++))
    FAKE_NEXT = (struct sx_component){.kind = SX_COMPONENT_EMBED};
    for (uint32_t l = 0; l < layers; l++) {
        for (uint32_t h = 0; h < FAKE_HEADS; h++)
            FAKE_NEXT = (struct sx_component){SX_COMPONENT_HEAD, l, h};
        FAKE_NEXT = (struct sx_component){SX_COMPONENT_ATTN_BIAS, l, 0};
        FAKE_NEXT = (struct sx_component){SX_COMPONENT_MLP, l, 0};
    }
    FAKE_NEXT = (struct sx_component){.kind = SX_COMPONENT_CONST};
#undef FAKE_NEXT
    return n;
}

static inline void fake_attribution(struct fake_circuits *c, struct sx_session *session)
{
    const size_t n = session->input.n;
    struct sx_attribution_result *r = &session->attribution.result;
    double total = 0, embedding = 0;

    memset(&session->attribution, 0, sizeof session->attribution);
    r->n_terms = fake_components(&c->term[0].component, sizeof c->term[0], FAKE_LAYERS);
    for (size_t i = 0; i < r->n_terms; i++) {
        struct sx_attribution_term *t = &c->term[i];
        const size_t l = t->component.layer, h = t->component.head;
        if (t->component.kind == SX_COMPONENT_HEAD) {
            float *row = c->by_source + (l * FAKE_HEADS + h) * n;
            t->value = 0;
            t->bos = t->own = t->context = 0;
            for (size_t s = 0; s < n; s++) {
                const double late = (double)(l + 1) / FAKE_LAYERS;
                const double v = s == 0 ? 2.4 * late * late * fake_effect(l, h)
                                        : -0.05 * late * fake_effect(s, h + 3 * l);
                row[s] = (float)v;
                *(s == 0 ? &t->bos : s == session->selection.token ? &t->own : &t->context) += v;
                t->value += v;
            }
        } else {
            t->value = t->component.kind == SX_COMPONENT_EMBED   ? 0
                       : t->component.kind == SX_COMPONENT_MLP   ? 0.3 * (double)l - 0.4
                       : t->component.kind == SX_COMPONENT_CONST ? -0.8125
                                                                 : 0.01 * (double)l;
            t->bos = t->context = 0;
            t->own = t->value;
        }
        total += t->value;
    }
    for (size_t s = 0; s < n; s++) {
        c->by_embedding[s] = s == 0 ? 0.9 * total : 0.02 * fake_effect(s, s);
        embedding += c->by_embedding[s];
    }
    r->token = session->selection.token;
    r->target = 20;
    r->against = -1;
    r->terms = c->term;
    r->n_layers = FAKE_LAYERS;
    r->n_heads = FAKE_HEADS;
    r->n = n;
    r->by_source = c->by_source;
    r->from_biases = total - embedding;
    r->total = total;
    r->logit = total;
    r->residual = 3.1e-7;
    r->linearised_residual = NAN;
    session->attribution.state = SX_STATE_READY;
    session->attribution.serial = 7;
    session->attribution.line = fake_attribution_line;
    strcpy(session->attribution.target_text,
           session->input.info.family == SX_MODEL_ESM2 ? "M" : " the");
}

static inline void fake_composition(struct fake_circuits *c, struct sx_session *session)
{
    struct sx_composition_result *r = &session->composition.result;

    memset(&session->composition, 0, sizeof session->composition);
    r->layer = session->selection.layer;
    r->head = session->selection.head;
    r->query = session->selection.token;
    r->key = session->selection.key;
    r->n_terms = fake_components(&c->part[0].component, sizeof c->part[0], r->layer);
    r->n_bands = CIRCUIT_BANDS;
    r->period = c->period;
    for (size_t b = 0; b < CIRCUIT_BANDS; b++)
        c->period[b] = 6.283185307179586 * pow(10000, (double)b / CIRCUIT_BANDS);
    for (size_t i = 0; i < r->n_terms; i++) {
        c->part[i].score = 0;
        for (size_t b = 0; b < CIRCUIT_BANDS; b++) {
            const double v = 0.9 * fake_effect(i + 2, b);
            c->band[i * CIRCUIT_BANDS + b] = v;
            c->radial[i * CIRCUIT_BANDS + b] = 0.4 * v;
            c->tangential[i * CIRCUIT_BANDS + b] = -0.1 * v;
            c->part[i].score += v;
        }
        r->score += c->part[i].score;
    }
    r->terms = c->part;
    r->band = c->band;
    r->radial = c->radial;
    r->tangential = c->tangential;
    r->residual = 2.2e-4; /* not small, so that the screen says so */
    session->composition.state = SX_STATE_READY;
    session->composition.serial = 7;
    session->composition.line = fake_composition_line;
}

/* `done` cells of a grid; the others are not there yet. */
static inline void fake_scan(struct fake_circuits *c, struct sx_session *session, enum sx_grid grid,
                             bool ablation, size_t done)
{
    struct sx_scan_result *r = &session->patching.result;

    memset(&session->patching, 0, sizeof session->patching);
    r->grid = grid;
    r->metric = SX_METRIC_CENTRED;
    r->target = 20;
    r->against = -1;
    r->token = session->selection.token;
    r->rows = FAKE_LAYERS + (grid == SX_GRID_LAYER_TOKEN);
    r->columns = grid == SX_GRID_LAYER_TOKEN  ? session->input.n
                 : grid == SX_GRID_LAYER_HEAD ? FAKE_HEADS
                 : grid == SX_GRID_QKV        ? 3 * FAKE_HEADS
                 : grid == SX_GRID_LAYER_BAND ? CIRCUIT_BANDS
                                              : 2;
    r->value = c->value;
    r->ablation = ablation;
    r->clean = 4.218125;
    r->corrupt = ablation ? NAN : -0.7315;
    r->normalised = !ablation;
    for (size_t i = 0; i < r->rows * r->columns; i++) {
        const size_t row = i / r->columns, col = i % r->columns;
        const double e = col == 0 ? (double)row / (double)r->rows : fake_effect(row + 1, col);
        c->value[i] =
            i % 7 < 7 * done / (r->rows * r->columns) + 1 && r->n_done < done
                ? (float)(ablation ? r->clean - 3 * e : r->corrupt + e * (r->clean - r->corrupt))
                : NAN;
        r->n_done += !isnan(c->value[i]);
    }
    session->patching.state = r->n_done == r->rows * r->columns ? SX_STATE_READY : SX_STATE_PENDING;
    session->patching.serial = 7;
    session->patching.line = fake_scan_line;
    session->patching.corrupt = ablation ? NULL : fake_corrupt;
    session->patching.seconds = 0.42;
    strcpy(session->patching.target_text, "M");
    strcpy(session->patching.what, ablation ? "zero ablation" : "patching clean into corrupt");
}

static inline void fake_summary_of(const struct sx_nterm_row *row, size_t n, int kind,
                                   struct sx_nterm_summary *s)
{
    for (size_t i = 0; i < n; i++) {
        if (kind >= 0 ? (int)row[i].kind != kind : row[i].first == 'M')
            continue;
        s->n_rows++;
        for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
            if (!row[i].cell[p].made)
                continue;
            s->n[p]++;
            s->says_met[p] += row[i].cell[p].top == 'M';
            s->mean_p_met[p] += (double)row[i].cell[p].p_met;
            s->mean_p_true[p] += (double)row[i].cell[p].p_true;
            s->mean_rank_true[p] += (double)row[i].cell[p].rank_true;
            s->mean_gap[p] += (double)row[i].cell[p].gap;
        }
        if (row[i].cell[SX_PRECURSOR_INSIDE].made) {
            const bool a = row[i].cell[SX_MATURE_FIRST].top == 'M';
            const bool b = row[i].cell[SX_PRECURSOR_INSIDE].top == 'M';
            s->n_pairs++;
            s->first_only += a && !b;
            s->inside_only += b && !a;
        }
    }
    for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
        const double n_p = (double)s->n[p];
        s->says_met_lo[p] = fmax(0, (double)s->says_met[p] / n_p - 0.1);
        s->says_met_hi[p] = fmin(1, (double)s->says_met[p] / n_p + 0.1);
        s->mean_p_met[p] /= n_p;
        s->mean_p_true[p] /= n_p;
        s->mean_rank_true[p] /= n_p;
        s->mean_gap[p] /= n_p;
    }
    s->p_value = 3.8e-6;
}

static inline void fake_nterm(struct fake_circuits *c, struct sx_session *session)
{
    static const char residues[] = "GASKVTLDERIQNPFYHCW";
    static char precursor[] = "MKALIVLGLVLLSVTVQGKVFGRCELAAAMKRHGLDNYRGYSLGNW";
    struct sx_nterm_result *r = &session->nterm.result;

    memset(&session->nterm, 0, sizeof session->nterm);
    for (size_t i = 0; i < CIRCUIT_PROTEINS; i++) {
        struct sx_nterm_row *row = &c->row[i];
        c->precursor[i] = precursor;
        *row = (struct sx_nterm_row){.kind = (enum sx_nterm_class)(i * 5 % SX_NTERM_CLASS_COUNT)};
        snprintf(row->id, sizeof row->id, "%c%c%zu_HUMAN", 'A' + (char)(i * 7 % 26),
                 'A' + (char)(i * 11 % 26), i);
        row->inferred = i % 6 == 1;
        row->first = row->kind == SX_NTERM_MET ? 'M' : residues[i % 19];
        row->offset = row->kind == SX_NTERM_MET || row->kind == SX_NTERM_SEQUENCE ? 0 : 18;
        row->length = (uint32_t)(28 + 13 * i);
        for (int p = 0; p < SX_PRESENTATION_COUNT; p++) {
            const bool inside = p == SX_PRECURSOR_FIRST || p == SX_PRECURSOR_INSIDE;
            const double m = p == SX_PRECURSOR_INSIDE   ? 0.03 + 0.02 * fake_effect(i, 1)
                             : p == SX_MATURE_PREPENDED ? 0.1
                                                        : 0.75 + 0.24 * fake_effect(i, (size_t)p);
            row->cell[p].made = !inside || row->offset > 0;
            row->cell[p].p_met = row->cell[p].made ? (float)m : NAN;
            row->cell[p].p_true = !row->cell[p].made  ? NAN
                                  : row->first == 'M' ? (float)m
                                                      : (float)(0.3 * (1 - m));
            row->cell[p].rank_true = row->cell[p].made ? (float)(1 + i % 9) : NAN;
            row->cell[p].gap = row->cell[p].made ? (float)(5 * m) : NAN;
            row->cell[p].top = row->cell[p].made ? (m > 0.5 ? 'M' : 'L') : '-';
        }
    }
    r->rows = c->row;
    r->n_rows = CIRCUIT_PROTEINS;
    fake_summary_of(c->row, CIRCUIT_PROTEINS, -1, &r->summary);
    for (int k = 0; k < SX_NTERM_CLASS_COUNT; k++)
        fake_summary_of(c->row, CIRCUIT_PROTEINS, k, &r->by_class[k]);
    session->nterm.state = SX_STATE_READY;
    session->nterm.model = 12;
    session->nterm.precursors = c->precursor;
    session->nterm.path = fake_proteins;
    session->nterm.line = fake_nterm_line;
}

/* After fake_protein or fake_text. */
static inline void fake_circuits(struct fake_circuits *c, struct sx_session *session)
{
    session->settings.target = -1;
    fake_attribution(c, session);
    fake_composition(c, session);
    fake_scan(c, session, SX_GRID_LAYER_TOKEN, false, (FAKE_LAYERS + 1) * session->input.n);
    if (session->input.info.family == SX_MODEL_ESM2)
        fake_nterm(c, session);
}

#endif
