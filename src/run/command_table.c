/* The one table of commands. Everything a person or a script can say stands here: the parsers, the
 * usage texts, completion and the manual page read it; nothing else lists commands. */
#include "sextant/run/command.h"

#include <string.h>

#include "commands_private.h"

/* --- parameters ------------------------------------------------------------------------------- */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PARAMS(array) .params = (array), .n_params = COUNT(array)

#define POSITIONAL(name_, kind_, required_, repeat_, help_)                                        \
    {                                                                                              \
        .name = name_, .kind = kind_, .positional = true, .required = required_,                   \
        .repeat = repeat_, .help = help_                                                           \
    }
#define OPTION(name_, kind_, help_)                                                                \
    {                                                                                              \
        .name = name_, .kind = kind_, .help = help_                                                \
    }
#define FLAG(name_, help_) OPTION(name_, SX_PARAM_FLAG, help_)
#define CHOICE(name_, choices_, fallback_, help_)                                                  \
    {                                                                                              \
        .name = name_, .kind = SX_PARAM_CHOICE, .choices = choices_, .fallback = fallback_,        \
        .help = help_                                                                              \
    }
#define NUMBER(name_, kind_, min_, max_, fallback_, help_)                                         \
    {                                                                                              \
        .name = name_, .kind = kind_, .min = min_, .max = max_, .fallback = fallback_,             \
        .help = help_                                                                              \
    }

#define MAX_INDEX 4294967295.0
#define SORT_KEYS "latent|align|enc-norm|dec-norm|similarity|margin|category"

static const struct sx_param info_params[] = {
    POSITIONAL("path", SX_PARAM_PATH, true, true,
               "SAEs, transformers, or folders, searched recursively"),
};
static const struct sx_param compare_params[] = {
    POSITIONAL("a", SX_PARAM_PATH, true, false, "an SAE"),
    POSITIONAL("b", SX_PARAM_PATH, true, false, "another"),
};
static const struct sx_param convert_params[] = {
    POSITIONAL("in", SX_PARAM_PATH, true, false, "an SAE of any format that sextant reads"),
    POSITIONAL("out", SX_PARAM_PATH, true, false, "F.sae.h5, or a folder to be made"),
    CHOICE("to", "h5|saelens|sparsify|dictionary_learning", NULL,
           "form to write; default: h5 for a name that ends in .h5"),
};
static const struct sx_param encode_params[] = {
    POSITIONAL("sae", SX_PARAM_PATH, true, false, "an SAE"),
    {.name = "input",
     .kind = SX_PARAM_PATH,
     .required = true,
     .help = "activations [N,D]: X.npy, X.npz:NAME, X.safetensors:NAME, X.h5:/DATASET, or idx "
             "images"},
    FLAG("dense", "write latents as `acts` [N,F] instead of indptr, indices, values"),
    {.name = "out", .kind = SX_PARAM_PATH, .required = true, .help = "F.npz or F.h5"},
};
static const struct sx_param core_params[] = {
    POSITIONAL("sae", SX_PARAM_PATH, true, false, "an SAE"),
    {.name = "input",
     .kind = SX_PARAM_PATH,
     .required = true,
     .help = "activations [N,D] as for encode, or idx images"},
    NUMBER("latents", SX_PARAM_INT, 1, MAX_INDEX, "250", "size of the core"),
    NUMBER("rows", SX_PARAM_INT, 0, MAX_INDEX, "5000", "first rows of the input; 0: all"),
    NUMBER("seed", SX_PARAM_INT, 0, MAX_INDEX, "0", "of the random latents"),
};
static const struct sx_param train_params[] = {
    POSITIONAL("config", SX_PARAM_PATH, true, false, "training configuration (YAML)"),
    {.name = "set",
     .kind = SX_PARAM_STRING,
     .repeat = true,
     .help = "KEY=VALUE: change one key of the configuration"},
    OPTION("out", SX_PARAM_PATH, "folder for checkpoints, curves and SAEs"),
    FLAG("resume", "go on from the last checkpoint in the folder"),
};
static const struct sx_param match_params[] = {
    POSITIONAL("sae", SX_PARAM_PATH, true, true, "two or more SAEs, or folders that hold them"),
    NUMBER("tau", SX_PARAM_REAL, 0, 1, "0.7", "similarity that counts as shared (strictly above)"),
    NUMBER("alive", SX_PARAM_REAL, -1, 1, "-1",
           "only latents with encoder-decoder alignment above this; -1: all"),
    OPTION("out", SX_PARAM_PATH, "F.match.h5: partners, similarities and margins"),
};
static const struct sx_param tokenize_params[] = {
    POSITIONAL("model", SX_PARAM_PATH, true, false,
               "a model's folder or file, or a tokenizer.json"),
    OPTION("text", SX_PARAM_STRING, "a sequence or a text"),
    OPTION("text-file", SX_PARAM_PATH, "a file that holds it; - is stdin"),
    OPTION("jsonl", SX_PARAM_PATH, "a file of lines {\"text\": …}; - is stdin"),
    FLAG("no-specials", "ESM-2: without <cls> and <eos>; BPE: special tokens are plain text"),
    FLAG("unknown-as-x", "ESM-2: unknown residues become X instead of <unk>"),
};
static const struct sx_param card_params[] = {
    POSITIONAL("sae", SX_PARAM_PATH, false, false, "an SAE (command line only)"),
    {.name = "latent",
     .kind = SX_PARAM_INT,
     .positional = true,
     .min = 0,
     .max = MAX_INDEX,
     .help = "which latent; in the explorer the selected one by default"},
    NUMBER("seed", SX_PARAM_INT, 0, MAX_INDEX, NULL,
           "member of the selected family (explorer only)"),
    {.name = "against",
     .kind = SX_PARAM_PATH,
     .repeat = true,
     .help = "look for partners in these SAEs; default: the other seeds beside it"},
};

#define MANY(name_, kind_, help_)                                                                  \
    {                                                                                              \
        .name = name_, .kind = kind_, .repeat = true, .help = help_                                \
    }
#define MODEL_PARAM                                                                                \
    POSITIONAL("model", SX_PARAM_PATH, true, false, "a transformer: its folder or file")
#define SEQ_PARAM MANY("seq", SX_PARAM_STRING, "ESM-2: a protein sequence; <mask> may stand in it")
#define FASTA_PARAM OPTION("fasta", SX_PARAM_PATH, "ESM-2: the sequences of a FASTA file")
#define PROMPT_PARAM MANY("prompt", SX_PARAM_STRING, "GPT-NeoX: a text")
#define IDS_PARAM MANY("ids", SX_PARAM_STRING, "token ids as they are: 0,32,15,2")
#define IDS_FILE_PARAM                                                                             \
    OPTION("ids-file", SX_PARAM_PATH,                                                              \
           "ids, a sequence a line; or .npy [tokens] or [sequences,tokens]")
#define INTERVENE_PARAM                                                                            \
    MANY("intervene", SX_PARAM_STRING,                                                             \
         "SPEC: change a point of the forward pass (sextant help run); several act in order")
#define MEMORY_PARAM                                                                               \
    NUMBER("max-memory", SX_PARAM_REAL, 0.001, 65536, "2", "GiB: refuse what needs more")
#define ROPE_PARAM                                                                                 \
    FLAG("rope-exact", "rotary frequencies by their formula, not as stored or rounded")
#define RESULT_PARAMS                                                                              \
    OPTION("out", SX_PARAM_PATH, "F.run.h5 or F.json: keep the answer and its command line"),      \
        FORCE_PARAM
#define FORCE_PARAM FLAG("force", "replace the file of --out when it is there")

static const struct sx_param run_params[] = {
    MODEL_PARAM,
    SEQ_PARAM,
    FASTA_PARAM,
    PROMPT_PARAM,
    IDS_PARAM,
    IDS_FILE_PARAM,
    OPTION("capture", SX_PARAM_STRING, "points to keep, NAME,NAME,… or all; default: logits"),
    OPTION("tokens", SX_PARAM_STRING, "keep these tokens only: 0,3-5,last"),
    OPTION("layers", SX_PARAM_STRING, "keep these layers only"),
    OPTION("heads", SX_PARAM_STRING, "keep these heads only"),
    OPTION("keys", SX_PARAM_STRING, "of scores and attn keep these keys only"),
    INTERVENE_PARAM,
    OPTION("embed-scale", SX_PARAM_REAL,
           "factor on all embeddings, in place of ESM-2's own (0.88 / (1 - masks/tokens))"),
    OPTION("positions", SX_PARAM_STRING, "X,Y,… or @FILE: positions in place of 0, 1, 2, …"),
    FLAG("no-pad-mask", "ESM-2: <pad> tokens are keys like any other"),
    ROPE_PARAM,
    OPTION("out", SX_PARAM_PATH, "F.run.h5 or F.npz"),
    FORCE_PARAM,
    MEMORY_PARAM,
};
static const struct sx_param predict_params[] = {
    MODEL_PARAM, SEQ_PARAM, FASTA_PARAM, IDS_PARAM, IDS_FILE_PARAM, ROPE_PARAM, MEMORY_PARAM,
};
static const struct sx_param score_params[] = {
    MODEL_PARAM,
    SEQ_PARAM,
    FASTA_PARAM,
    IDS_PARAM,
    IDS_FILE_PARAM,
    OPTION("mutations", SX_PARAM_PATH,
           "substitutions, A42G or A42G:T50S a line, or a CSV file with a column `mutant`"),
    FLAG("approx", "one pass without masks in place of a pass a residue"),
    {.name = "text", .kind = SX_PARAM_STRING, .repeat = true, .help = "GPT-NeoX: a text"},
    OPTION("text-file", SX_PARAM_PATH, "GPT-NeoX: a text file; - is standard input"),
    ROPE_PARAM,
    MEMORY_PARAM,
};
static const struct sx_param contacts_params[] = {
    MODEL_PARAM,
    SEQ_PARAM,
    FASTA_PARAM,
    IDS_PARAM,
    OPTION("out", SX_PARAM_PATH, "F.npz: `contacts` [length,length]"),
    FORCE_PARAM,
    ROPE_PARAM,
    MEMORY_PARAM,
};
#define METRICS "centred|logit|difference|p|p20|rank|entropy"
#define GRIDS "layer-token|layer-head|qkv|layer-band|layer-block"
#define SCAN_PARAMS                                                                                \
    CHOICE("metric", METRICS, "centred",                                                           \
           "what is followed; centred: logit minus the mean of the 20 residues (or of all)"),      \
        OPTION("target", SX_PARAM_STRING,                                                          \
               "token whose logit is followed; default: M, GPT-NeoX: the next one"),               \
        OPTION("against", SX_PARAM_STRING,                                                         \
               "of difference: the other token; default: the most probable other one"),            \
        NUMBER("token", SX_PARAM_INT, 0, MAX_INDEX, NULL,                                          \
               "where it is measured; default: the first mask, GPT-NeoX: the last token")
#define SCAN_PLACE_PARAMS                                                                          \
    FLAG("at-token", "change the measured token alone (of keys: token 0)"),                        \
        FLAG("all-tokens", "change every token (the default but for q and bands)"),                \
        CHOICE("side", "query|key", "query",                                                       \
               "of bands: whose; keys: of token 0, or --all-tokens"),                              \
        OPTION("embed-scale", SX_PARAM_REAL, "factor on all embeddings, in place of ESM-2's own")

static const struct sx_param patch_params[] = {
    MODEL_PARAM,
    {.name = "clean",
     .kind = SX_PARAM_STRING,
     .required = true,
     .help = "sequence or prompt that activations are taken of; <mask> may stand in it"},
    {.name = "corrupt",
     .kind = SX_PARAM_STRING,
     .required = true,
     .help = "sequence that they are put into: as many tokens and masks"},
    CHOICE("grid", GRIDS, "layer-head", "what is patched, cell by cell"),
    SCAN_PARAMS,
    NUMBER("from-token", SX_PARAM_INT, 0, MAX_INDEX, NULL,
           "put what this token of the clean run had at the measured token"),
    CHOICE("band-part", "full|norm|direction|rotation", "full",
           "layer-band: what of the band is put; rotation: its own, turned as if at the "
           "clean run's token (with --rotated)"),
    FLAG("rotated", "qkv, layer-band: q and k after rotation, with the clean run's position"),
    SCAN_PLACE_PARAMS,
    ROPE_PARAM,
    MEMORY_PARAM,
    RESULT_PARAMS,
};
static const struct sx_param ablate_params[] = {
    MODEL_PARAM,
    {.name = "seq",
     .kind = SX_PARAM_STRING,
     .required = true,
     .help = "a protein sequence, or GPT-NeoX: a text; <mask> may stand in it"},
    CHOICE("site",
           "head|mlp|attn|block|qkv|band|resid|edge|bos-value|bos-key|bos-edge|bos-knockout",
           "head", "what is ablated, cell by cell"),
    CHOICE("how", "zero|mean|resample|knockout", NULL,
           "default zero; of edges knockout: the others share the attention, zero: they do not"),
    SCAN_PARAMS,
    OPTION("reference", SX_PARAM_PATH,
           "FASTA: sequences for mean and resample; default: the other tokens of the sequence"),
    NUMBER("seeds", SX_PARAM_INT, 1, 1000, "1", "of resample: draws; mean and deviation are told"),
    NUMBER("seed", SX_PARAM_INT, 0, 9e15, "0", "the first one"),
    SCAN_PLACE_PARAMS,
    ROPE_PARAM,
    MEMORY_PARAM,
    RESULT_PARAMS,
};
static const struct sx_param patch_grid_params[] = {
    OPTION("corrupt", SX_PARAM_STRING, "the other sequence: the input's activations are put there"),
    CHOICE("ablate", "zero|mean", NULL, "ablate the input instead"),
    CHOICE("grid", GRIDS, "layer-head", "what is changed, cell by cell"),
    SCAN_PARAMS,
};
static const struct sx_param positions_params[] = {
    MODEL_PARAM,
    SEQ_PARAM,
    FASTA_PARAM,
    NUMBER("limit", SX_PARAM_INT, 0, MAX_INDEX, "0", "sequences at most; 0: all"),
    NUMBER("last", SX_PARAM_INT, 1, 100000, "64", "masks are put at residues 1 to this one"),
    OPTION("target", SX_PARAM_STRING, "token whose probability is told; default: M"),
    {.name = "gap",
     .kind = SX_PARAM_STRING,
     .help = "X,Y,…: mask residue 1, and move everything behind <cls> this far away from it"},
    {.name = "query-only",
     .kind = SX_PARAM_STRING,
     .help = "X,Y,…: mask residue 1, and rotate its query as if it stood there"},
    FLAG("per-band", "of --gap and --query-only: one rotary band at a time"),
    {.name = "shift",
     .kind = SX_PARAM_STRING,
     .help = "X,Y,…: mask residue 1, and move everything by so much: a control, only rounding "
             "changes"},
    {.name = "prepend",
     .kind = SX_PARAM_STRING,
     .help = "N,M,…: so many residues before the mask at residue 1: alanines, X and random ones"},
    {.name = "delete",
     .kind = SX_PARAM_STRING,
     .help = "N,M,…: without the first so many residues, the next one masked"},
    FLAG("bos", "<cls> replaced by <unk>, <null_1>, X and <eos>, or removed"),
    FLAG("context", "context shuffled, all X, with more masks, shorter, and none at all"),
    NUMBER("seed", SX_PARAM_INT, 0, 9e15, "0", "of what is drawn, and of the intervals"),
    ROPE_PARAM,
    MEMORY_PARAM,
    RESULT_PARAMS,
};
static const struct sx_param nterm_params[] = {
    MODEL_PARAM,
    OPTION("swissprot", SX_PARAM_PATH, "entries of a Swiss-Prot flat file"),
    OPTION("fasta", SX_PARAM_PATH, "sequences of a FASTA file: mature chains, or see --truth"),
    OPTION("truth", SX_PARAM_PATH,
           "of a FASTA file: lines of id, first residue, class, residues before the mature chain, "
           "between tabs"),
    FLAG("builtin", "eight proteins that everybody knows: insulin, lysozyme, ubiquitin, …"),
    NUMBER("limit", SX_PARAM_INT, 0, MAX_INDEX, "0", "proteins at most; 0: all"),
    NUMBER("min-length", SX_PARAM_INT, 1, MAX_INDEX, "10", "leave out shorter mature chains"),
    NUMBER("prepend", SX_PARAM_INT, 0, 100000, "10",
           "residues put before the chain in (v), alanines; 0: without (v)"),
    FLAG("prepend-random", "residues drawn from the 20 instead, by --seed"),
    NUMBER("seed", SX_PARAM_INT, 0, 9e15, "0", "of the random residues"),
    NUMBER("crop", SX_PARAM_INT, 1, 1000000, "1022",
           "longest input in residues; its end is cut off, and its start where the mask would be "
           "in the second half"),
    ROPE_PARAM,
    MEMORY_PARAM,
    RESULT_PARAMS,
};
#define TARGET_PARAM                                                                               \
    OPTION("target", SX_PARAM_STRING,                                                              \
           "token whose logit is taken apart; default: M, GPT-NeoX the next token")
#define AGAINST_PARAM                                                                              \
    OPTION(                                                                                        \
        "against", SX_PARAM_STRING,                                                                \
        "a second token, whose logit is taken off; mean: the mean of all (ESM-2: the 20); none")
static const struct sx_param bands_params[] = {
    MODEL_PARAM,
    SEQ_PARAM,
    FASTA_PARAM,
    PROMPT_PARAM,
    IDS_PARAM,
    NUMBER("query", SX_PARAM_INT, 0, MAX_INDEX, NULL,
           "token that attends; default: the first mask (ESM-2), the last token (GPT-NeoX)"),
    FLAG("mask", "ESM-2: mask the query's residue"),
    NUMBER("key", SX_PARAM_INT, 0, MAX_INDEX, NULL, "token that is attended to; default: 0"),
    OPTION("against", SX_PARAM_STRING,
           "condition B: the token that the mask moves to, or another sequence"),
    NUMBER("layer", SX_PARAM_INT, 0, MAX_INDEX, NULL, "tell of this layer only"),
    NUMBER("head", SX_PARAM_INT, 0, MAX_INDEX, NULL, "tell of this head only"),
    OPTION("target", SX_PARAM_STRING, "token of the readout; default: M, or the next token"),
    OPTION("groups", SX_PARAM_STRING,
           "EDGES: also sums over bands with periods between these, as in 10,200 (tokens)"),
    CHOICE("metric",
           "score-a|score-b|total|query-norm|key-norm|direction|content|position|coupling", NULL,
           "of the table for people; default: direction, without B score-a"),
    FLAG("margin", "with --against: also the margin's change from A to B, band by band"),
    FLAG("profile", "also the scores with the mask (or the query) at every token"),
    FLAG("along-keys", "with --layer and --head: the scores of all keys"),
    NUMBER("removed", SX_PARAM_INT, 0, 9.2e18, "0",
           "with --along-keys: run again without these bands of the query, the sum of 2^band"),
    FLAG("survey", "every pair of tokens: how much each band counts, in every head"),
    NUMBER("seed", SX_PARAM_INT, 0, 9e15, "0", "of the intervals over several sequences"),
    ROPE_PARAM,
    MEMORY_PARAM,
    RESULT_PARAMS,
};
static const struct sx_param attribute_params[] = {
    MODEL_PARAM,
    SEQ_PARAM,
    FASTA_PARAM,
    PROMPT_PARAM,
    IDS_PARAM,
    NUMBER("pos", SX_PARAM_INT, 0, MAX_INDEX, NULL,
           "token that is read, <cls> is 0; default: the first <mask>, GPT-NeoX the last token"),
    TARGET_PARAM,
    AGAINST_PARAM,
    FLAG("sources", "also by_source [layers][heads][tokens]"),
    FLAG("linearised", "also what each token's embedding gives, through all layers"),
    FLAG("gradient", "cross-check: the head's true gradient; const is then what is left over"),
    ROPE_PARAM,
    MEMORY_PARAM,
    RESULT_PARAMS,
};
static const struct sx_param compose_params[] = {
    MODEL_PARAM,
    SEQ_PARAM,
    FASTA_PARAM,
    PROMPT_PARAM,
    IDS_PARAM,
    {.name = "layer",
     .kind = SX_PARAM_INT,
     .required = true,
     .max = MAX_INDEX,
     .help = "layer of the head, from 0"},
    {.name = "head",
     .kind = SX_PARAM_INT,
     .required = true,
     .max = MAX_INDEX,
     .help = "head of the layer, from 0"},
    NUMBER("query", SX_PARAM_INT, 0, MAX_INDEX, NULL,
           "token that looks; default: the first <mask>, GPT-NeoX the last token"),
    NUMBER("key", SX_PARAM_INT, 0, MAX_INDEX, "0", "token that is looked at; 0: <cls>"),
    CHOICE("side", "query|key|value", "query", "vector that is taken apart"),
    FLAG("pairs", "also the table of pairs: query's component by key's"),
    FLAG("causal", "also attention and logit when a component is taken out of this head's input"),
    TARGET_PARAM,
    AGAINST_PARAM,
    ROPE_PARAM,
    MEMORY_PARAM,
    RESULT_PARAMS,
};
static const struct sx_param heads_params[] = {
    MODEL_PARAM,
    SEQ_PARAM,
    FASTA_PARAM,
    PROMPT_PARAM,
    IDS_PARAM,
    NUMBER("query", SX_PARAM_INT, 0, MAX_INDEX, NULL,
           "token that looks; default: the first <mask>, GPT-NeoX the last token"),
    NUMBER("key", SX_PARAM_INT, 0, MAX_INDEX, "0", "token that is read; 0: <cls>"),
    TARGET_PARAM,
    AGAINST_PARAM,
    NUMBER("profile", SX_PARAM_INT, 0, 100000, "64", "positions of the layer-0 profile; 0: none"),
    ROPE_PARAM,
    MEMORY_PARAM,
};
static const struct sx_param generate_params[] = {
    MODEL_PARAM,
    PROMPT_PARAM,
    OPTION("prompts-file", SX_PARAM_PATH, "prompts, one a line"),
    IDS_PARAM,
    IDS_FILE_PARAM,
    NUMBER("max-new", SX_PARAM_INT, 0, 1000000, "64", "tokens to make at most"),
    FLAG("greedy", "always the likeliest token"),
    {.name = "temperature",
     .kind = SX_PARAM_REAL,
     .min = 1e-6,
     .max = 1e6,
     .help = "above 1 flatter, below 1 sharper; default: 1"},
    NUMBER("top-k", SX_PARAM_INT, 0, MAX_INDEX, NULL, "only the k likeliest; 0: all"),
    {.name = "top-p",
     .kind = SX_PARAM_REAL,
     .min = 1e-9,
     .max = 1,
     .help = "only the likeliest that together reach p; default: 1"},
    {.name = "repetition-penalty",
     .kind = SX_PARAM_REAL,
     .min = 1e-3,
     .max = 1e3,
     .fallback = "1",
     .help = "above 1: tokens that came before are less likely"},
    NUMBER("seed", SX_PARAM_INT, 0, 9e15, "0", "of the random numbers"),
    {.name = "stop",
     .kind = SX_PARAM_STRING,
     .repeat = true,
     .unit = "TOKEN",
     .help = "end before this token: its id, or a text that is one token"},
    FLAG("no-eos", "go on after <|endoftext|>"),
    INTERVENE_PARAM,
};
static const struct sx_param report_params[] = {
    MODEL_PARAM,
    OPTION("swissprot", SX_PARAM_PATH, "proteins of a Swiss-Prot flat file"),
    OPTION("fasta", SX_PARAM_PATH, "proteins of a FASTA file"),
    {.name = "out",
     .kind = SX_PARAM_PATH,
     .required = true,
     .help = "folder for report.md and report.json"},
    NUMBER("limit", SX_PARAM_INT, 3, 100000, "96",
           "proteins that start with Met, and as many natural starts that are not"),
    NUMBER("max-length", SX_PARAM_INT, 40, 100000, "254", "longer proteins are cut to this"),
    FLAG("add-met", "put M in front of proteins that start with something else"),
    NUMBER("seed", SX_PARAM_INT, 0, MAX_INDEX, "1", "of what is drawn: proteins, sites, bootstrap"),
    FLAG("force", "replace the files of an earlier report"),
    ROPE_PARAM,
    MEMORY_PARAM,
};
static const struct sx_param selfcheck_params[] = {
    MODEL_PARAM,
    ROPE_PARAM,
};

static const struct sx_param open_params[] = {
    POSITIONAL("path", SX_PARAM_PATH, true, true, "files and folders, searched recursively"),
};
static const struct sx_param select_params[] = {
    NUMBER("entry", SX_PARAM_INT, 0, MAX_INDEX, NULL, "entry of the workspace"),
    NUMBER("family", SX_PARAM_INT, 0, MAX_INDEX, NULL, "family of the workspace"),
    NUMBER("seed", SX_PARAM_INT, 0, MAX_INDEX, NULL, "anchor seed: member of the family"),
    NUMBER("latent", SX_PARAM_INT, 0, MAX_INDEX, NULL, "latent of the anchor seed"),
    OPTION("pair", SX_PARAM_STRING, "A,B: two members of the family"),
    NUMBER("training", SX_PARAM_INT, 0, MAX_INDEX, NULL, "entry of a training run"),
    NUMBER("model", SX_PARAM_INT, 0, MAX_INDEX, NULL, "entry of a transformer"),
    NUMBER("token", SX_PARAM_INT, 0, MAX_INDEX, NULL, "token of the input, from 0"),
    NUMBER("key", SX_PARAM_INT, 0, MAX_INDEX, NULL, "token that is attended to"),
    NUMBER("layer", SX_PARAM_INT, 0, MAX_INDEX, NULL, "layer of the model, from 0"),
    NUMBER("head", SX_PARAM_INT, 0, MAX_INDEX, NULL, "head of the layer, from 0"),
    NUMBER("band", SX_PARAM_INT, 0, MAX_INDEX, NULL, "rotary band of the head, from 0"),
    NUMBER("protein", SX_PARAM_INT, 0, MAX_INDEX, NULL, "row of the proteins, from 0"),
};
static const struct sx_param set_params[] = {
    NUMBER("tau", SX_PARAM_REAL, 0, 1, NULL, "similarity threshold, strict"),
    NUMBER("alive", SX_PARAM_REAL, -1, 1, NULL, "alignment cut; -1: all latents"),
    CHOICE("counter", "anchored|clique|paper", NULL, "how seeds are counted"),
    CHOICE("orphans", "on|off", NULL, "only latents without any partner"),
    CHOICE("marked-only", "on|off", NULL, "only marked latents"),
    CHOICE("lens-metric", "logit|p|rank", NULL, "what the logit lens shows of its target"),
    OPTION("against", SX_PARAM_STRING,
           "bands: the token that the mask moves to in condition B; none: A alone"),
    OPTION("target", SX_PARAM_STRING,
           "circuits: token whose logit is followed; default: M, or the next token"),
    NUMBER("bands-removed", SX_PARAM_INT, 0, 9.2e18, NULL,
           "head: bands of the query taken out, the sum of 2^band; 0: none"),
};
static const struct sx_param rows_params[] = {
    CHOICE("sort", SORT_KEYS, NULL, "column"),
    FLAG("descending", "largest first"),
    OPTION("filter", SX_PARAM_STRING, "filter expression; empty: all"),
};
static const struct sx_param sort_params[] = {
    {.name = "key",
     .kind = SX_PARAM_CHOICE,
     .choices = SORT_KEYS,
     .positional = true,
     .required = true,
     .help = "column"},
    FLAG("descending", "largest first"),
};
static const struct sx_param filter_params[] = {
    POSITIONAL("text", SX_PARAM_STRING, false, true, "filter expression; none: all rows"),
};
static const struct sx_param jump_params[] = {
    POSITIONAL("text", SX_PARAM_STRING, false, true,
               "latent number or filter expression; none: the last one again"),
    FLAG("backward", "towards the top"),
    NUMBER("count", SX_PARAM_INT, 1, 1000000, "1", "that many matches on"),
};
static const struct sx_param gallery_params[] = {
    NUMBER("first", SX_PARAM_INT, 0, MAX_INDEX, "0", "position in the features order of column 0"),
    NUMBER("columns", SX_PARAM_INT, 1, 64, "10", "latents shown"),
};
static const struct sx_param curves_params[] = {
    POSITIONAL("path", SX_PARAM_PATH, false, false, "curve file; default: the selected run"),
};
static const struct sx_param mark_params[] = {
    NUMBER("latent", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
    FLAG("clear", "remove all marks"),
};
static const struct sx_param match_family_params[] = {
    NUMBER("other", SX_PARAM_INT, 0, MAX_INDEX, NULL,
           "family whose survival curve to compare with"),
};
static const struct sx_param cancel_params[] = {
    {.name = "id",
     .kind = SX_PARAM_INT,
     .positional = true,
     .min = 1,
     .max = 9e15,
     .help = "number of the job; none: all"},
};
static const struct sx_param message_params[] = {
    POSITIONAL("text", SX_PARAM_STRING, true, true, "what to say"),
};
static const struct sx_param export_params[] = {
    POSITIONAL("file", SX_PARAM_PATH, true, false, "F.csv, F.json or F.match.h5"),
    CHOICE("what", "rows|marked|curves|match", NULL,
           "default: match for *.match.h5, rows for the others"),
};
static const struct sx_param input_params[] = {
    POSITIONAL("text", SX_PARAM_STRING, false, true,
               "a sequence of residues, in which <mask> may stand, or a prompt"),
    OPTION("fasta", SX_PARAM_PATH, "take a record of this FASTA file"),
    NUMBER("record", SX_PARAM_INT, 1, MAX_INDEX, NULL,
           "which record, or sequence of a stored run, from 1; default: the first"),
};
static const struct sx_param mask_params[] = {
    NUMBER("token", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
    FLAG("clear", "remove all masks"),
};
static const struct sx_param lens_params[] = {
    {.name = "target",
     .kind = SX_PARAM_STRING,
     .fallback = "self",
     .help = "token to follow, e.g. M or ' the'; self: each position's own (or next) one"},
};
static const struct sx_param nterm_table_params[] = {
    POSITIONAL("file", SX_PARAM_PATH, false, false,
               "FASTA or Swiss-Prot file; default: the selected one, the workspace's first, or "
               "built-in examples"),
    FLAG("builtin", "the built-in examples, whatever the workspace holds"),
    OPTION("truth", SX_PARAM_PATH, "of a FASTA file, as for nterm"),
    NUMBER("limit", SX_PARAM_INT, 0, MAX_INDEX, "0", "proteins at most; 0: all"),
};
static const struct sx_param attend_params[] = {
    NUMBER("token", SX_PARAM_INT, 0, MAX_INDEX, NULL, "query; default: the selected token"),
};
static const struct sx_param attention_map_params[] = {
    NUMBER("layer", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
    NUMBER("head", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
};

static const struct sx_param band_table_params[] = {
    OPTION("against", SX_PARAM_STRING,
           "condition B: the token that the mask moves to, or another sequence"),
    FLAG("profile", "also the scores with the mask (or the query) at every token"),
};
static const struct sx_param band_means_params[] = {
    NUMBER("against", SX_PARAM_INT, 0, MAX_INDEX, NULL,
           "condition B: the token that the mask moves to; default: set --against"),
    OPTION("fasta", SX_PARAM_PATH, "default: the file that the input was read from"),
};
static const struct sx_param band_interval_params[] = {
    NUMBER("layer", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
    NUMBER("head", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the sum over heads"),
    NUMBER("band", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
};
static const struct sx_param head_bands_params[] = {
    NUMBER("layer", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
    NUMBER("head", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
    NUMBER("removed", SX_PARAM_INT, 0, 9.2e18, NULL,
           "bands of the query taken out, the sum of 2^band; default: set --bands-removed"),
};
static const struct sx_param attribution_params[] = {
    OPTION("target", SX_PARAM_STRING, "default: set --target, else M or the next token"),
    AGAINST_PARAM,
    FLAG("linearised", "also what each token's embedding gives, through all layers"),
};
static const struct sx_param composition_params[] = {
    NUMBER("layer", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
    NUMBER("head", SX_PARAM_INT, 0, MAX_INDEX, NULL, "default: the selected one"),
    CHOICE("side", "query|key|value", "query", "vector that is taken apart"),
};

/* Carried out by the program itself. */
static const struct sx_param view_params[] = {
    POSITIONAL("name", SX_PARAM_STRING, true, false,
               "workspace, inspector, features, seeds, weights, gallery, training, sequence, lens, "
               "attention, contacts, bands, head, circuit, patching, nterm, jobs, log, help"),
    POSITIONAL("path", SX_PARAM_PATH, false, true, "what to open (command line only)"),
    {.name = "size",
     .kind = SX_PARAM_STRING,
     .unit = "COLUMNSxROWS",
     .fallback = "120x40",
     .help = "size of the printed screen"},
    CHOICE("color", "none|16|256|truecolor", "none", "colours of the printed screen"),
    FLAG("ascii", "no character beyond ASCII"),
    FLAG("svg", "print a drawing instead of text"),
    OPTION("theme", SX_PARAM_STRING, "colours: default, light, mono, high-contrast"),
    OPTION("family", SX_PARAM_STRING, "family to select: its number, or a part of its title"),
    NUMBER("seed", SX_PARAM_INT, 0, MAX_INDEX, NULL, "anchor seed: member of the family"),
    NUMBER("latent", SX_PARAM_INT, 0, MAX_INDEX, NULL, "latent of the anchor seed"),
    OPTION("pair", SX_PARAM_STRING, "A,B: two members of the family"),
    NUMBER("tau", SX_PARAM_REAL, 0, 1, NULL, "similarity threshold, strict"),
    NUMBER("alive", SX_PARAM_REAL, -1, 1, NULL, "alignment cut; -1: all latents"),
    OPTION("seq", SX_PARAM_STRING, "what a protein model is asked; <mask> may stand in it"),
    OPTION("prompt", SX_PARAM_STRING, "what a text model is asked"),
    OPTION("fasta", SX_PARAM_PATH, "take a record of this FASTA file"),
    NUMBER("record", SX_PARAM_INT, 1, MAX_INDEX, NULL, "which record, from 1"),
    NUMBER("token", SX_PARAM_INT, 0, MAX_INDEX, NULL, "token of the input, from 0; the query"),
    NUMBER("key", SX_PARAM_INT, 0, MAX_INDEX, NULL, "token that is attended to"),
    NUMBER("layer", SX_PARAM_INT, 0, MAX_INDEX, NULL, "layer of the model, from 0"),
    NUMBER("head", SX_PARAM_INT, 0, MAX_INDEX, NULL, "head of the layer, from 0"),
    NUMBER("band", SX_PARAM_INT, 0, MAX_INDEX, NULL, "rotary band of the head, from 0"),
    OPTION("against", SX_PARAM_STRING, "bands: token that the mask moves to in condition B"),
    OPTION("target", SX_PARAM_STRING, "token to follow, e.g. M; lens, self: each its own"),
    OPTION("corrupt", SX_PARAM_STRING, "patching: the sequence that activations are put into"),
    CHOICE("ablate", "zero|mean", NULL, "patching: take out instead (default zero)"),
    CHOICE("grid", "layer-token|layer-head|qkv|layer-band|layer-block", NULL,
           "patching: what is changed, cell by cell (default layer-head)"),
    CHOICE("metric", "centred|logit|difference|p|p20|rank|entropy", NULL,
           "patching: what is followed (default centred)"),
    OPTION("swissprot", SX_PARAM_PATH, "nterm: the proteins; FASTA too"),
    {.name = "do",
     .kind = SX_PARAM_STRING,
     .repeat = true,
     .help = "a `:` line to carry out first, e.g. --do 'select --latent 3'"},
    OPTION("keys", SX_PARAM_STRING, "keys to press before printing, e.g. --keys '5j<Enter>'"),
};
static const struct sx_param theme_params[] = {
    POSITIONAL("name", SX_PARAM_STRING, true, false, "default, light, mono, high-contrast"),
};
static const struct sx_param save_params[] = {
    POSITIONAL("file", SX_PARAM_PATH, true, false, "text file"),
};
static const struct sx_param copy_params[] = {
    {.name = "what",
     .kind = SX_PARAM_CHOICE,
     .choices = "cell|row|screen|line",
     .positional = true,
     .fallback = "row",
     .help = "what goes to the clipboard"},
};
static const struct sx_param play_params[] = {
    POSITIONAL("file", SX_PARAM_PATH, true, false, "session script; - is stdin"),
    FLAG("dry-run", "check the script, do nothing"),
};
static const struct sx_param config_params[] = {
    FLAG("paths", "where files are looked for"),
    FLAG("check", "check the user's files; errors name the line"),
    FLAG("show", "the effective configuration"),
};

/* --- the table -------------------------------------------------------------------------------- */

enum {
    CLI = SX_CMD_CLI,
    PROMPT = SX_CMD_PROMPT,
    APP = SX_CMD_APP,
    SUPERSEDE = SX_CMD_SUPERSEDE,
    QUIET = SX_CMD_QUIET,
};

static const struct sx_command table[] = {
    /* --- SAEs --- */
    {
        .name = "info",
        .group = "SAEs",
        .help = "what SAEs and models say: format, shapes; norms and dead latents measured",
        .details = "A folder is searched recursively; files that claim to be an SAE or a model "
                   "and cannot be read are listed with the reason. A path that names one broken "
                   "file, or a "
                   "folder without any that can be read, is an error. The decoder constraint is "
                   "measured on the weights.",
        .example = "sextant info runs/mnist --json",
        PARAMS(info_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE,
        .run = sx_cmd_info_run,
        .print = sx_cmd_info_print,
    },
    {
        .name = "compare",
        .group = "SAEs",
        .help = "the largest difference per tensor of two SAEs in canonical form",
        .example = "sextant compare ae.pt ae.safetensors",
        PARAMS(compare_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE,
        .run = sx_cmd_compare_run,
        .print = sx_cmd_compare_print,
    },
    {
        .name = "convert",
        .group = "SAEs",
        .help = "write an SAE in another library's form",
        .details = "A form that cannot hold the SAE exactly is refused with the reason.",
        .example = "sextant convert ae.pt out/saelens --to saelens",
        PARAMS(convert_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT,
        .run = sx_cmd_convert_run,
        .print = sx_cmd_convert_print,
    },
    {
        .name = "encode",
        .group = "SAEs",
        .help = "apply an SAE to activations: latents, reconstruction and fit",
        .details = "The library's own input normalisation is included. The output holds `recon` "
                   "[N,D] and the latents: `acts` [N,F] with --dense, else by row `indptr` [N+1], "
                   "`indices`, `values`.",
        .example = "sextant encode ae.pt --input x.npy --out f.npz --json",
        PARAMS(encode_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT,
        .run = sx_cmd_encode_run,
        .print = sx_cmd_encode_print,
    },
    {
        .name = "core",
        .group = "SAEs",
        .help = "how much of the reconstruction the most aligned latents carry",
        .details = "Mean squared error a row under all latents, the most aligned ones, as many "
                   "random ones, and all but the most aligned ones.",
        .example = "sextant core T_l2_s0.sae.h5 --input t10k-images-idx3-ubyte.gz",
        PARAMS(core_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT,
        .run = sx_cmd_core_run,
        .print = sx_cmd_core_print,
    },
    {
        .name = "card",
        .group = "SAEs",
        .help = "one latent: norms, alignment, neighbours, partners in other seeds",
        .details = "On the command line: card SAE LATENT. In the explorer the selected family is "
                   "meant: card --seed I --latent J.",
        .example = "sextant card T_l2_s0.sae.h5 417 --json",
        PARAMS(card_params),
        .lane = SX_LANE_QUERY,
        .flags = CLI | PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_card_prepare,
        .run = sx_cmd_card_run,
        .apply = sx_cmd_card_apply,
        .print = sx_cmd_card_print,
    },
    {
        .name = "match",
        .group = "SAEs",
        .help = "match SAEs across seeds: MMCS, paired, shared, always/sometimes/never",
        .details = "Exact assignment on encoder and decoder separately; a latent is shared when "
                   "both name the same partner and both similarities are above --tau. Folders "
                   "stand for the SAEs inside.",
        .example = "sextant match s0.sae.h5 s1.sae.h5 s2.sae.h5 --json",
        PARAMS(match_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE,
        .run = sx_cmd_match_run,
        .print = sx_cmd_match_print,
    },
    {
        .name = "train",
        .group = "SAEs",
        .help = "train SAEs, all seeds of a family in one run",
        .example = "sextant train examples/mnist/quick.yaml --set steps=500 --out runs/quick",
        PARAMS(train_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_STREAM,
        .run = sx_cmd_train_run,
        .print = sx_cmd_train_print,
    },

    /* --- models: one forward pass or many --- */
    {
        .name = "run",
        .group = "Models",
        .help = "run a transformer: keep any activation, change any of them",
        .details =
            "Points, by their shape a sequence (T tokens, L layers, H heads, d head size, D and F "
            "widths, V vocabulary). [L,T,D]: resid.pre attn.ln attn_out resid.mid mlp.ln mlp_out "
            "resid.post. [L,T,F]: mlp.pre mlp.post. [L,T,H,d]: q k v q.rot k.rot ctx. [L,T,H,D]: "
            "head_out. [L,H,T,T]: scores attn. [L,T]: attn.ln.sigma mlp.ln.sigma. [T,D]: final.ln "
            "and of ESM-2 head.dense head.gelu head.ln. [T]: final.ln.sigma head.ln.sigma. [T,V]: "
            "logits. resid.post of the last layer is before the final LayerNorm. "
            "--seq adds <cls> and <eos>, --ids takes ids as they are. "
            "One sequence stands in the file's root, several in the groups 0, 1, … "
            "SPEC is POINT[@WHERE]=ACTION. WHERE is KEY=LIST,KEY=LIST with the keys layers, heads, "
            "tokens, keys (of scores and attn) and band (one rotary band of q, k, q.rot, k.rot); "
            "LIST is like 0,3-5,8-,last, of tokens also new (made by generation). ACTION is zero, "
            "scale:X, forbid (scores: the edge is gone, the rest renormalised), "
            "patch:FILE[:GROUP] (the same point of another run), mean:FILE[:GROUP] (its mean over "
            "tokens), add:FILE:NAME[*X] or set:FILE:NAME[*X] (an array, right-aligned to the "
            "point's shape over what is chosen). positions[@layers=,heads=,bands=,side=query|key]="
            "shift:X or set:X,Y,… turns rotations as if tokens stood elsewhere. Examples: "
            "ctx@layers=3,heads=5=zero; scores@tokens=1,keys=0=forbid; "
            "resid.pre@layers=2=patch:clean.run.h5; "
            "positions@layers=4,side=query=shift:5.",
        .example = "sextant run MODEL --seq '<mask>KTVRQERLK' --capture logits,attn --out f.run.h5",
        PARAMS(run_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT,
        .run = sx_cmd_run_run,
        .print = sx_cmd_run_print,
    },
    {
        .name = "predict",
        .group = "Models",
        .help = "ESM-2: the distribution behind each <mask>",
        .details = "Over all 33 tokens (p33, argmax, entropy) and over the 20 residues (p20, "
                   "entropy20); entropies in nats. Residues count from 1.",
        .example = "sextant predict MODEL --seq '<mask>KTVRQERLK' --json",
        PARAMS(predict_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT,
        .run = sx_cmd_predict_run,
        .print = sx_cmd_predict_print,
    },
    {
        .name = "score",
        .group = "Models",
        .help = "how well a model expects sequences, mutations or a text",
        .details = "ESM-2: pseudo-perplexity, each residue masked in turn, over all 33 tokens; "
                   "with --mutations log p(mutant) - log p(wild type), all sites of a variant "
                   "masked together and summed. GPT-NeoX: mean loss of the next token in nats, "
                   "perplexity, and bits per byte of the text that was predicted.",
        .example = "sextant score MODEL --fasta proteins.fasta",
        PARAMS(score_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE,
        .run = sx_cmd_score_run,
        .print = sx_cmd_score_print,
    },
    {
        .name = "contacts",
        .group = "Models",
        .help = "ESM-2: which residues touch, by its contact head",
        .details = "People and --csv get the strongest pairs at least six residues apart, --json "
                   "and --out all of [length,length].",
        .example = "sextant contacts MODEL --seq MKTVRQERLK --out f.npz",
        PARAMS(contacts_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE,
        .run = sx_cmd_contacts_run,
        .print = sx_cmd_contacts_print,
    },
    {
        .name = "bands",
        .group = "Models",
        .help = "attention scores in rotary bands: norm, direction, content, position",
        .details =
            "The score of a query and a key is a sum over rotary bands, score = r rho cos / "
            "sqrt(d) in each: r and rho are the norms of the query's and the key's two "
            "dimensions, cos is of alpha (content: the angle between them before rotation) plus "
            "delta (position). GPT-NeoX has one more band, the dimensions that are not rotated. "
            "With --against the change from A to B in closed form: qn, kn, dir are Shapley values "
            "of r, rho and cos, dir = content + position; norm_only, direction_only and "
            "interaction change the query alone, one at a time, and coupling is the share of the "
            "interaction. --against POS moves the mask to that token; what stood under it comes "
            "back (--query P --mask knows it; under a typed <mask> it is taken for X). heads: "
            "attention, margin (score of the key against all others, attention = "
            "sigmoid(margin)), readout (attention times what the head writes towards the target, "
            "through the frozen head, in logits; a term of attribute). --margin: the margin's "
            "change "
            "split like a score's, the key's term exactly, those of the other keys with the mean "
            "of both attentions; margin_residual is what that leaves. --survey: share, size and "
            "centred (the mean over the keys taken off) of |score| over all pairs; with --layer "
            "and --head also by_offset, the mean score by key - query. residual: how far the sums "
            "over bands are from the scores of the pass. Several sequences (--fasta, with "
            "--against "
            "POS and, for proteins, --query P --mask): rows are means over them of the sums over "
            "what layer, head, band and group name, and shares as ratios of means, each with its "
            "95 % bootstrap interval.",
        .example = "sextant bands MODEL --seq MKTVRQERLK --query 1 --mask --against 5",
        PARAMS(bands_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE | SX_CMD_RESULT,
        .run = sx_cmd_bands_run,
        .print = sx_cmd_bands_print,
    },
    {
        .name = "attribute",
        .group = "Models",
        .help = "which heads and MLPs write a logit, and from which token",
        .details =
            "Direct logit attribution, through ESM-2's nonlinear head too: its LayerNorms and "
            "GELU gates are held as they are, so that terms add up to the logit. A head's terms "
            "are told by the token it reads: bos (token 0), own (the token itself), context. "
            "`groups` adds them up; `residual` is |total - logit| over the largest term. "
            "--linearised holds attention, LayerNorms and gates of all layers and says what each "
            "embedding and all biases together give.",
        .example = "sextant attribute MODEL --seq '<mask>KTVRQERLK' --pos 1 --target M",
        PARAMS(attribute_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE | SX_CMD_RESULT,
        .run = sx_cmd_attribute_run,
        .print = sx_cmd_attribute_print,
    },
    {
        .name = "compose",
        .group = "Models",
        .help = "which components write the query, key or value of one head",
        .details =
            "The components of the residual stream in front of the head, each with what it gives "
            "to the score query→key (to its rotary bands; value: to the logit of the target, at "
            "full attention to the key). radial: what it adds to the band's norm; tangential: "
            "across. The parts add up to the score; `residual` is what is missing over the "
            "largest term. pairs[i][j]: the query's component i with the key's j. --causal takes "
            "each component out of the input of this side of this head, and of nothing else, and "
            "runs on: attention_without, logit_without.",
        .example = "sextant compose MODEL --seq '<mask>KTVRQERLK' --layer 4 --head 7",
        PARAMS(compose_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE | SX_CMD_RESULT,
        .run = sx_cmd_compose_run,
        .print = sx_cmd_compose_print,
    },
    {
        .name = "patch",
        .group = "Models",
        .help = "activation patching: what of a run is enough to bring back its prediction",
        .details =
            "Activations of --clean are put into the run of --corrupt, one cell of the grid at a "
            "time, and everything behind is run again. layer-token: the residual stream entering a "
            "layer at a token, the last row the output; layer-head: what a head adds; qkv: query, "
            "key or value of a head; layer-band: one rotary band of the query in "
            "all heads of a layer (--side key: of the key of token 0, --all-tokens: of every "
            "query or key); layer-block: attention and MLP. grid holds (value - corrupt) / (clean "
            "- corrupt), or "
            "value - corrupt where those two are nearer than 0.001 (normalised false); values the "
            "metric itself.",
        .example = "sextant patch MODEL --clean '<mask>KTV' --corrupt '<mask>AAV' --grid qkv",
        PARAMS(patch_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE | SX_CMD_RESULT,
        .run = sx_cmd_patch_run,
        .print = sx_cmd_patch_print,
    },
    {
        .name = "ablate",
        .group = "Models",
        .help = "what a prediction loses when parts of the model are taken out",
        .details =
            "One cell of the grid at a time: heads, MLPs, attention outputs, bands of the queries, "
            "edges from the measured token to a key, and what <cls> offers: value, key, or the "
            "edge to it. zero puts 0, mean what the reference set has there on average, resample "
            "a token drawn from it. grid holds value - clean, together the metric with all cells "
            "at once.",
        .example = "sextant ablate MODEL --seq '<mask>KTVRQERLK' --site bos-value --how zero",
        PARAMS(ablate_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE | SX_CMD_RESULT,
        .run = sx_cmd_ablate_run,
        .print = sx_cmd_ablate_print,
    },
    {
        .name = "positions",
        .group = "Models",
        .help = "ESM-2: a prediction against the position of the mask, and of its context",
        .details = "P of the target among the 20 residues, mean over the sequences with a "
                   "bootstrap interval. Without other options the mask moves along each sequence.",
        .example = "sextant positions MODEL --fasta proteins.fasta --gap 0,1,4,16",
        PARAMS(positions_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE | SX_CMD_RESULT,
        .run = sx_cmd_positions_run,
        .print = sx_cmd_positions_print,
    },
    {
        .name = "heads",
        .group = "Models",
        .help = "every head's QK and OV circuits from the weights; which heads read a token out",
        .details =
            "Singular values of Wv Wo and Wq Wk of each head. ESM-2: layer0_mask_to_bos, the "
            "score that a mask at each position gives <cls> in layer 0, which no context can "
            "change. With a sequence, for each head: attention query→key, readout (what it "
            "would write towards the target at full attention to the key; residues: towards "
            "each of the 20), writes (attention times readout), and the score in four terms, "
            "weight or bias of the query by weight or bias of the key.",
        .example = "sextant heads MODEL --seq '<mask>KTVRQERLK' --target M",
        PARAMS(heads_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE,
        .run = sx_cmd_heads_run,
        .print = sx_cmd_heads_print,
    },
    {
        .name = "nterm",
        .group = "Models",
        .help = "ESM-2: does it say methionine because it stands first? Proteins in five ways",
        .details =
            "(i) mature-first: the mature chain, its first residue masked; (ii) mature-inserted: a "
            "mask put before it; (iii) precursor-first: residue 1 of the precursor masked, the "
            "control; (iv) precursor-inside: the first mature residue masked where it stands in "
            "the precursor; (v) mature-prepended: residues put before the chain, its first one "
            "masked. Probabilities are among the 20 residues, rank_true counts from 0, gap is "
            "logit(M) - logit(true residue). Where chains begin is read from the features "
            "INIT_MET, "
            "SIGNAL, TRANSIT, PROPEP, CHAIN and PEPTIDE; class fragment: the sequence begins "
            "within the protein. `inferred`: annotated without an experiment. The summary is of "
            "those whose first residue is not M, and of every class, with Wilson's 95 % intervals "
            "and McNemar's exact test of (i) against (iv).",
        .example = "sextant nterm MODEL --swissprot proteins.dat",
        PARAMS(nterm_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE | SX_CMD_RESULT,
        .run = sx_cmd_nterm_run,
        .print = sx_cmd_nterm_print,
    },
    {
        .name = "generate",
        .group = "Models",
        .help = "GPT-NeoX: go on from a prompt",
        .details = "Steps as in Hugging Face's generate: repetition penalty, temperature, top-k, "
                   "top-p. The random numbers depend on the seed, the prompt's number and the "
                   "step alone. logprobs are those of the model itself, before these steps. "
                   "Interventions (see run) act on the prompt and, unless tokens are named, on "
                   "what is made; tokens=new means only that; positions are those of the prompt. A "
                   "stop token is not part of the "
                   "answer.",
        .example = "sextant generate MODEL --prompt 'Once upon a time' --greedy --max-new 40",
        PARAMS(generate_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_SPEAK,
        .run = sx_cmd_generate_run,
        .print = sx_cmd_generate_print,
    },
    {
        .name = "report",
        .group = "Models",
        .help = "ESM-2: is the first residue retrieved or recognised? eight claims, measured",
        .details =
            "Measures what Jedryszek & Crook (arXiv 2605.16331) claim of ESM-2: M at a masked "
            "first residue, read from a reference at BOS by a query that several layers write, "
            "in competition with the context, in which rotary bands, and on proteins that do "
            "not start with Met. The heads are found on a third of the proteins, the numbers come "
            "from the others, with intervals; the conditions of each claim are fixed in advance "
            "and stand in the report.",
        .example = "sextant report MODEL --swissprot proteins.dat --out report",
        PARAMS(report_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT,
        .run = sx_cmd_report_run,
        .print = sx_cmd_report_print,
    },
    {
        .name = "selfcheck",
        .group = "Models",
        .help = "check the forward pass on a model: known outputs and properties",
        .details = "Properties that hold for every model, each with its residual and tolerance; "
                   "for esm2_t6_8M_UR50D also outputs known from upstream. The status is 1 when "
                   "one fails.",
        .example = "sextant selfcheck MODEL",
        PARAMS(selfcheck_params),
        .lane = SX_LANE_COMPUTE,
        .flags = CLI | PROMPT | SX_CMD_TABLE,
        .run = sx_cmd_selfcheck_run,
        .print = sx_cmd_selfcheck_print,
    },
    {
        .name = "tokenize",
        .group = "Models",
        .help = "text to token ids and back",
        .details =
            "Ids, tokens as the vocabulary writes them, and the text that the ids give back. "
            "With --jsonl every line {\"text\": …} gives one line {\"ids\": […], \"decoded\": "
            "…}, as it comes. The weights are not opened.",
        .example = "sextant tokenize esm2_t6_8M --text MKTAYIAKQR",
        PARAMS(tokenize_params),
        .lane = SX_LANE_QUERY,
        .flags = CLI | SX_CMD_LINES,
        .run = sx_cmd_tokenize_run,
        .print = sx_cmd_tokenize_print,
    },

    /* --- session --- */
    {
        .name = "open",
        .group = "Session",
        .help = "open files and folders as the workspace",
        .example = "open runs/mnist",
        PARAMS(open_params),
        .lane = SX_LANE_QUERY,
        .flags = PROMPT | SUPERSEDE,
        .prepare = sx_cmd_open_prepare,
        .run = sx_cmd_open_run,
        .apply = sx_cmd_open_apply,
    },
    {
        .name = "rescan",
        .group = "Session",
        .help = "look at the same paths again",
        .example = "rescan",
        .lane = SX_LANE_QUERY,
        .flags = PROMPT | SUPERSEDE,
        .prepare = sx_cmd_rescan_prepare,
        .run = sx_cmd_open_run,
        .apply = sx_cmd_open_apply,
    },
    {
        .name = "select",
        .group = "Session",
        .help = "move the selection: entry, family, seed, latent, pair, training run, model, token",
        .example = "select --family 0 --seed 1 --latent 417",
        PARAMS(select_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT,
        .prepare = sx_cmd_select_prepare,
        .apply = sx_cmd_select_apply,
    },
    {
        .name = "set",
        .group = "Session",
        .help = "change the threshold, the alive cut, the counter, filters, the lens metric, "
                "conditions",
        .example = "set --tau 0.8 --counter clique",
        PARAMS(set_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT,
        .prepare = sx_cmd_set_prepare,
        .apply = sx_cmd_set_apply,
    },
    {
        .name = "load-family",
        .group = "Session",
        .help = "load every seed of the selected family",
        .example = "load-family",
        .lane = SX_LANE_QUERY,
        .flags = PROMPT | SUPERSEDE,
        .prepare = sx_cmd_load_family_prepare,
        .run = sx_cmd_load_family_run,
        .apply = sx_cmd_load_family_apply,
    },
    {
        .name = "match-family",
        .group = "Session",
        .help = "match every pair of seeds of the selected family",
        .example = "match-family --other 1",
        PARAMS(match_family_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE,
        .prepare = sx_cmd_match_family_prepare,
        .run = sx_cmd_match_family_run,
        .apply = sx_cmd_match_family_apply,
    },
    {
        .name = "match-alive",
        .group = "Session",
        .help = "match the alive latents again at the present cut (set --alive starts it)",
        .example = "match-alive",
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE | SX_CMD_HIDDEN,
        .prepare = sx_cmd_match_alive_prepare,
        .run = sx_cmd_match_alive_run,
        .apply = sx_cmd_match_alive_apply,
    },
    {
        .name = "rows",
        .group = "Session",
        .help = "order and filter the features table",
        .example = "rows --sort similarity --descending --filter 'alive & sim>.5'",
        PARAMS(rows_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT,
        .prepare = sx_cmd_rows_prepare,
        .apply = sx_cmd_rows_apply,
    },
    {
        .name = "sort",
        .group = "Session",
        .help = "order the features table",
        .example = "sort align --descending",
        PARAMS(sort_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT,
        .apply = sx_cmd_rows_apply,
    },
    {
        .name = "filter",
        .group = "Session",
        .help = "show only latents for which an expression holds",
        .example = "filter alive & sim>.5 & align<0.3",
        PARAMS(filter_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT,
        .prepare = sx_cmd_rows_prepare,
        .apply = sx_cmd_rows_apply,
    },
    {
        .name = "jump",
        .group = "Session",
        .help = "select the next latent for which an expression holds, or a latent by number",
        .example = "jump orphan & align>0.9",
        PARAMS(jump_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT,
        .prepare = sx_cmd_jump_prepare,
        .apply = sx_cmd_jump_apply,
    },
    {
        .name = "gallery",
        .group = "Session",
        .help = "weights of latents as images, a row a seed",
        .example = "gallery --first 0 --columns 10",
        PARAMS(gallery_params),
        .lane = SX_LANE_QUERY,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_gallery_prepare,
        .run = sx_cmd_gallery_run,
        .apply = sx_cmd_gallery_apply,
    },
    {
        .name = "curves",
        .group = "Session",
        .help = "read the curves of a training run",
        .example = "curves runs/quick",
        PARAMS(curves_params),
        .lane = SX_LANE_QUERY,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_curves_prepare,
        .run = sx_cmd_curves_run,
        .apply = sx_cmd_curves_apply,
    },
    {
        .name = "mark",
        .group = "Session",
        .help = "toggle the mark of a latent",
        .example = "mark --latent 417",
        PARAMS(mark_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT,
        .prepare = sx_cmd_mark_prepare,
        .apply = sx_cmd_mark_apply,
    },
    {
        .name = "input",
        .group = "Session",
        .help = "ask the selected model about a sequence or a prompt; nothing: an example, or what "
                "a stored run holds",
        .example = "input MKT<mask>YIAKQR",
        PARAMS(input_params),
        .lane = SX_LANE_QUERY,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_input_prepare,
        .run = sx_cmd_input_run,
        .apply = sx_cmd_input_apply,
    },
    {
        .name = "mask",
        .group = "Session",
        .help = "mask a residue of the input, or take its mask away",
        .example = "mask --token 1",
        PARAMS(mask_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT,
        .prepare = sx_cmd_mask_prepare,
        .apply = sx_cmd_mask_apply,
    },
    {
        .name = "infer",
        .group = "Session",
        .help = "what the model predicts for every token of the input",
        .example = "infer",
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_infer_prepare,
        .run = sx_cmd_infer_run,
        .apply = sx_cmd_infer_apply,
    },
    {
        .name = "lens",
        .group = "Session",
        .help = "logit lens of the input: the model's head between its layers",
        .example = "lens --target M",
        PARAMS(lens_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_lens_prepare,
        .run = sx_cmd_lens_run,
        .apply = sx_cmd_lens_apply,
    },
    {
        .name = "attend",
        .group = "Session",
        .help = "where one token looks, in every layer and head",
        .example = "attend --token 1",
        PARAMS(attend_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_attend_prepare,
        .run = sx_cmd_attend_run,
        .apply = sx_cmd_attend_apply,
    },
    {
        .name = "attention-map",
        .group = "Session",
        .help = "the attention of one head, every token to every other",
        .example = "attention-map --layer 4 --head 7",
        PARAMS(attention_map_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_attention_map_prepare,
        .run = sx_cmd_attention_map_run,
        .apply = sx_cmd_attention_map_apply,
    },
    {
        .name = "contact-map",
        .group = "Session",
        .help = "residues in contact, by ESM-2's contact head",
        .example = "contact-map",
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_contact_map_prepare,
        .run = sx_cmd_contact_map_run,
        .apply = sx_cmd_contact_map_apply,
    },
    {
        .name = "band-table",
        .group = "Session",
        .help = "the score of the selected query and key in rotary bands",
        .example = "band-table --against 24 --profile",
        PARAMS(band_table_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE,
        .prepare = sx_cmd_band_table_prepare,
        .run = sx_cmd_band_table_run,
        .apply = sx_cmd_band_table_apply,
    },
    {
        .name = "band-means",
        .group = "Session",
        .help = "the bands of the selected query and key in every sequence of the input's file",
        .example = "band-means --against 24",
        PARAMS(band_means_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE,
        .prepare = sx_cmd_band_means_prepare,
        .run = sx_cmd_band_means_run,
        .apply = sx_cmd_band_means_apply,
    },
    {
        .name = "band-interval",
        .group = "Session",
        .help = "mean and 95 % interval of one cell, after band-means",
        .example = "band-interval --layer 5 --head 3 --band 0",
        PARAMS(band_interval_params),
        .lane = SX_LANE_QUERY,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_band_interval_prepare,
        .run = sx_cmd_band_interval_run,
        .apply = sx_cmd_band_interval_apply,
    },
    {
        .name = "head-bands",
        .group = "Session",
        .help = "one head at the selected query: bands of the scores, what is left without some",
        .example = "head-bands --layer 5 --head 3 --removed 1",
        PARAMS(head_bands_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE,
        .prepare = sx_cmd_head_bands_prepare,
        .run = sx_cmd_head_bands_run,
        .apply = sx_cmd_head_bands_apply,
    },
    {
        .name = "attribution",
        .group = "Session",
        .help = "what the target's logit at the selected token is made of",
        .example = "attribution --target M --linearised",
        PARAMS(attribution_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_attribution_prepare,
        .run = sx_cmd_attribution_run,
        .apply = sx_cmd_attribution_apply,
    },
    {
        .name = "composition",
        .group = "Session",
        .help = "what the query, key or value of a head is made of",
        .example = "composition --layer 4 --head 7 --side key",
        PARAMS(composition_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE | QUIET,
        .prepare = sx_cmd_composition_prepare,
        .run = sx_cmd_composition_run,
        .apply = sx_cmd_composition_apply,
    },
    {
        .name = "patch-grid",
        .group = "Session",
        .help = "patch or ablate the input, cell by cell of a grid",
        .example = "patch-grid --ablate zero --grid layer-head",
        PARAMS(patch_grid_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE,
        .prepare = sx_cmd_patch_grid_prepare,
        .run = sx_cmd_patch_grid_run,
        .apply = sx_cmd_patch_grid_apply,
        .partial = sx_cmd_patch_grid_partial,
    },
    {
        .name = "nterm-table",
        .group = "Session",
        .help = "proteins in five presentations: what the model says stands first",
        .example = "nterm-table proteins.dat --limit 100",
        PARAMS(nterm_table_params),
        .lane = SX_LANE_COMPUTE,
        .flags = PROMPT | SUPERSEDE,
        .prepare = sx_cmd_nterm_table_prepare,
        .run = sx_cmd_nterm_table_run,
        .apply = sx_cmd_nterm_table_apply,
    },
    {
        .name = "export",
        .group = "Session",
        .help = "write rows, marked rows, curves or the matching to a file",
        .example = "export shared.csv --what rows",
        PARAMS(export_params),
        .lane = SX_LANE_QUERY,
        .flags = PROMPT,
        .prepare = sx_cmd_export_prepare,
        .run = sx_cmd_export_run,
        .apply = sx_cmd_export_apply,
    },
    {
        .name = "cancel",
        .group = "Session",
        .help = "stop a job, or all",
        .example = "cancel 3",
        PARAMS(cancel_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT,
        .apply = sx_cmd_cancel_apply,
    },
    {
        .name = "message",
        .group = "Session",
        .help = "put text on the last line",
        .example = "message saved",
        PARAMS(message_params),
        .lane = SX_LANE_UI,
        .flags = PROMPT | SX_CMD_HIDDEN,
        .apply = sx_cmd_message_apply,
    },

    /* --- the program --- */
    {
        .name = "view",
        .group = "Terminal",
        .help = "show a screen, or print it",
        .example = "sextant view features runs/mnist --size 120x40",
        PARAMS(view_params),
        .flags = CLI | PROMPT | SX_CMD_TABLE | APP,
    },
    {
        .name = "play",
        .group = "Terminal",
        .help = "replay a session",
        .example = "sextant play session.txt",
        PARAMS(play_params),
        .flags = CLI | APP,
    },
    {
        .name = "config",
        .group = "Terminal",
        .help = "paths, check and effective values of the configuration",
        .example = "sextant config --check",
        PARAMS(config_params),
        .flags = CLI | APP,
    },
    {
        .name = "doctor",
        .group = "Terminal",
        .help = "what a bug report needs, and a short self test",
        .example = "sextant doctor",
        .flags = CLI | APP,
    },
    {
        .name = "theme",
        .group = "Terminal",
        .help = "change the colours",
        .example = "theme high-contrast",
        PARAMS(theme_params),
        .flags = PROMPT | APP,
    },
    {
        .name = "save",
        .group = "Terminal",
        .help = "write the screen to a text file",
        .example = "save screen.txt",
        PARAMS(save_params),
        .flags = PROMPT | APP,
    },
    {
        .name = "copy",
        .group = "Terminal",
        .help = "put a cell, a row, the screen, or the command line of it on the clipboard",
        .example = "copy row",
        PARAMS(copy_params),
        .flags = PROMPT | APP,
    },
    {
        .name = "cmd",
        .group = "Terminal",
        .help = "show the command line that prints this view",
        .example = "cmd",
        .flags = PROMPT | APP,
    },
    {
        .name = "help",
        .group = "Terminal",
        .help = "explain this screen",
        .example = "help",
        .flags = PROMPT | APP,
    },
    {
        .name = "quit",
        .group = "Terminal",
        .help = "leave",
        .example = "quit",
        .flags = PROMPT | APP,
    },
};

const struct sx_command *sx_command_at(size_t i)
{
    return i < COUNT(table) ? &table[i] : NULL;
}

const struct sx_command *sx_command_find(const char *name)
{
    for (size_t i = 0; i < COUNT(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}
