#include <criterion/criterion.h>
#include <math.h>

#include "sae_files.h"
#include "sextant/io/h5.h"
#include "sextant/run/workspace.h"
#include "tiny_models.h"

static struct sx_workspace scan(const char *path)
{
    struct sx_workspace workspace;
    struct sx_error err = {0};
    cr_assert_eq(sx_workspace_scan(&path, 1, NULL, &workspace, &err), SX_OK, "%s", err.message);
    return workspace;
}

static const struct sae_recipe small = {.D = 16, .F = 24, .lambda = NAN, .shared = 8, .image = 4};

static const struct sx_entry *entry_named(const struct sx_workspace *workspace, const char *part)
{
    for (size_t i = 0; i < workspace->n_entries; i++)
        if (strstr(workspace->entries[i].path, part))
            return &workspace->entries[i];
    return NULL;
}

static void put_file(const char *folder, const char *name, const char *bytes, size_t n)
{
    char *path = sx_xasprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
    sx_free(path);
}

static char *subfolder(const char *folder, const char *name)
{
    char *path = sx_xasprintf("%s/%s", folder, name);
    cr_assert_eq(mkdir(path, 0700), 0);
    return path;
}

Test(workspace, families_by_group_penalty_lambda_and_seed)
{
    char *folder = sae_folder();
    struct sae_recipe r = small;
    r.penalty = SX_PENALTY_L2;
    r.lambda = 1e-4;
    cr_assert(sae_family(folder, "T_l2_1e-4", r, 3));
    r.lambda = 1e-5;
    cr_assert(sae_family(folder, "T_l2_1e-5", r, 11)); /* s10 comes after s2 */
    r.penalty = SX_PENALTY_NONE;
    r.lambda = NAN;
    cr_assert(sae_family(folder, "T_none", r, 2));
    struct sx_workspace w = scan(folder);
    cr_assert_eq(w.n_entries, 16);
    cr_assert_eq(w.n_problems, 0);
    cr_assert_eq(w.n_families, 3);
    cr_assert_str_eq(w.families[0].title, "T none 16→24 relu");
    cr_assert_str_eq(w.families[1].title, "T l2 1e-05 16→24 relu");
    cr_assert_str_eq(w.families[2].title, "T l2 0.0001 16→24 relu");
    cr_assert_str_eq(w.families[0].group, w.families[2].group);
    cr_assert_eq(w.families[1].n_members, 11);
    for (size_t m = 0; m < 11; m++) {
        const struct sx_entry *entry = &w.entries[w.families[1].members[m]];
        cr_assert_eq(entry->info.seed, (int64_t)m);
        cr_assert_eq(entry->family, 1);
    }
    sx_workspace_release(&w);
    sae_remove(folder);
}

Test(workspace, the_same_seed_twice_makes_two_families)
{
    char *folder = sae_folder();
    char *a = subfolder(folder, "run1");
    char *b = subfolder(folder, "run2");
    cr_assert(sae_family(a, "x", small, 3));
    cr_assert(sae_family(b, "x", small, 3));
    struct sx_workspace w = scan(folder);
    cr_assert_eq(w.n_families, 2);
    for (size_t f = 0; f < 2; f++) {
        cr_assert_eq(w.families[f].n_members, 3);
        for (size_t m = 0; m < 3; m++)
            cr_assert(strstr(w.entries[w.families[f].members[m]].path, f ? "/run2/" : "/run1/"));
    }
    cr_assert_str_neq(w.families[0].title, w.families[1].title);
    sx_workspace_release(&w);
    sae_remove(folder);
    sx_free(a);
    sx_free(b);
}

Test(workspace, seeds_in_folders_of_their_own_are_one_family)
{
    char *folder = sae_folder();
    struct sae_recipe r = small;
    for (r.seed = 0; r.seed < 3; r.seed++) {
        char name[32];
        snprintf(name, sizeof name, "trainer_%d", 8 * (int)r.seed);
        char *sub = subfolder(folder, name);
        char *path = sx_xasprintf("%s/sae.h5", sub);
        cr_assert(sae_write(&r, path));
        sx_free(path);
        sx_free(sub);
    }
    struct sx_workspace w = scan(folder);
    cr_assert_eq(w.n_families, 1);
    cr_assert_eq(w.families[0].n_members, 3);
    sx_workspace_release(&w);
    sae_remove(folder);
}

Test(workspace, broken_files_are_entries_and_others_are_ignored)
{
    char *folder = sae_folder();
    cr_assert(sae_family(folder, "x", small, 2));
    put_file(folder, "broken.safetensors", "\x08\0\0\0\0\0\0\0{\"a\":[}}", 16);
    put_file(folder, "short.pt", "PK\x03\x04", 4);
    put_file(folder, "empty.npz", "", 0);
    put_file(folder, "bad.curve.h5", "no hdf5", 7);
    put_file(folder, "stray.bin", "anything", 8);
    put_file(folder, "notes.txt", "anything", 8);
    put_file(folder, ".hidden.pt", "anything", 8);
    put_file(folder, "half.ckpt.h5", "anything", 8);
    struct sx_workspace w = scan(folder);
    cr_assert_eq(w.n_entries, 6);
    cr_assert_eq(w.n_problems, 4);
    static const char *const broken[] = {"broken.safetensors", "short.pt", "empty.npz",
                                         "bad.curve.h5"};
    for (size_t i = 0; i < 4; i++) {
        const struct sx_entry *entry = entry_named(&w, broken[i]);
        cr_assert_not_null(entry, "%s", broken[i]);
        cr_assert_eq(entry->kind, SX_ENTRY_PROBLEM);
        cr_assert_eq(entry->family, SIZE_MAX);
        cr_assert(*entry->problem.message);
    }
    sx_workspace_release(&w);
    sae_remove(folder);
}

Test(workspace, named_files_are_judged_by_content)
{
    char *folder = sae_folder();
    char *path = sx_xasprintf("%s/no-ending", folder);
    struct sae_recipe r = small;
    cr_assert(sae_write(&r, path));
    struct sx_workspace w = scan(path);
    cr_assert_eq(w.n_entries, 1);
    cr_assert_eq(w.entries[0].kind, SX_ENTRY_SAE);
    cr_assert_str_eq(w.entries[0].label, "no-ending");
    sx_workspace_release(&w);
    put_file(folder, "notes.txt", "anything", 8);
    sx_free(path);
    path = sx_xasprintf("%s/notes.txt", folder);
    w = scan(path);
    cr_assert_eq(w.n_problems, 1, "a named file that is no SAE is told");
    sx_workspace_release(&w);
    sx_free(path);

    const char *missing = "/no/such/place";
    struct sx_error err = {0};
    cr_assert_eq(sx_workspace_scan(&missing, 1, NULL, &w, &err), SX_ERR_IO);
    cr_assert(strstr(err.message, missing));
    cr_assert_eq(w.n_entries, 0);
    sae_remove(folder);
}

Test(workspace, link_loops_end)
{
    char *folder = sae_folder();
    char *sub = subfolder(folder, "sub");
    char *loop = sx_xasprintf("%s/loop", sub);
    char *dangling = sx_xasprintf("%s/gone.pt", folder);
    cr_assert_eq(symlink(folder, loop), 0);
    cr_assert_eq(symlink("/no/such/file", dangling), 0);
    cr_assert(sae_family(sub, "x", small, 2));
    char *target = sx_xasprintf("%s/x_s0.sae.h5", sub);
    char *link = sx_xasprintf("%s/again.sae.h5", folder);
    cr_assert_eq(symlink(target, link), 0);
    struct sx_workspace w = scan(folder);
    cr_assert_eq(w.n_entries, 2, "the file behind the link is listed once");
    sx_workspace_release(&w);
    /* Overlapping paths. */
    const char *paths[] = {folder, sub, target};
    cr_assert_eq(sx_workspace_scan(paths, 3, NULL, &w, NULL), SX_OK);
    cr_assert_eq(w.n_entries, 2);
    cr_assert_eq(w.n_paths, 3);
    sx_workspace_release(&w);
    sae_remove(folder);
    sx_free(sub);
    sx_free(loop);
    sx_free(dangling);
    sx_free(target);
    sx_free(link);
}

Test(workspace, control_characters_never_come_out)
{
    char *folder = sae_folder();
    char *evil = subfolder(folder, "a\x1b[2Jb\nc");
    cr_assert(sae_family(evil, "x\x07", small, 1));
    put_file(evil, "\x1b]0;t\x07.pt", "PK", 2);
    struct sx_workspace w = scan(evil);
    cr_assert_eq(w.n_entries, 2);
    for (size_t i = 0; i < w.n_entries; i++) {
        cr_assert_null(strpbrk(w.entries[i].label, "\x1b\x07\n"));
        cr_assert_null(strpbrk(w.entries[i].problem.message, "\x1b\x07\n"));
    }
    cr_assert_null(strpbrk(w.root, "\x1b\x07\n"));
    cr_assert_null(strpbrk(w.families[0].title, "\x1b\x07\n"));
    sx_workspace_release(&w);
    sae_remove(folder);
    sx_free(evil);
}

Test(workspace, scan_can_be_cancelled)
{
    char *folder = sae_folder();
    cr_assert(sae_family(folder, "x", small, 3));
    struct sx_task task;
    struct sx_workspace w;
    const char *path = folder;
    sx_task_init(&task);
    sx_task_cancel(&task);
    cr_assert_eq(sx_workspace_scan(&path, 1, &task, &w, NULL), SX_CANCELLED);
    cr_assert_eq(w.n_entries, 0);
    sae_remove(folder);
}

Test(workspace, fixtures_of_every_library)
{
    char *path = sx_xasprintf("%s/sae", getenv("SX_FIXTURES"));
    struct sx_workspace w = scan(path);
    size_t saes = 0;
    for (size_t i = 0; i < w.n_entries; i++) {
        saes += w.entries[i].kind == SX_ENTRY_SAE;
        if (w.entries[i].kind == SX_ENTRY_PROBLEM)
            cr_assert(strstr(w.entries[i].path, "refused"), "%s", w.entries[i].problem.message);
    }
    cr_assert_gt(saes, 20);
    for (size_t f = 0; f < w.n_families; f++)
        for (size_t g = 0; g < f; g++)
            cr_assert_str_neq(w.families[f].title, w.families[g].title);
    sx_workspace_release(&w);
    sx_free(path);
}

/* --- transformers -------------------------------------------------------------------------------
 */

static char *model_folder(const char *folder, const char *name, struct tiny_shape shape,
                          const struct tiny_options *options)
{
    char *path = subfolder(folder, name);
    struct tiny_model tiny = tiny_random(shape, 5);
    tiny_write(&tiny, path, options);
    tiny_release(&tiny);
    return path;
}

static void drop_model(char *take_path)
{
    tiny_remove(take_path);
    sx_free(take_path);
}

Test(workspace, folders_of_transformers_are_one_entry_each)
{
    char *folder = sae_folder();
    char *esm = model_folder(folder, "esm", tiny_esm2_shape, &(struct tiny_options){0});
    char *neox =
        model_folder(folder, "neox", tiny_neox_shape, &(struct tiny_options){.torch = true});
    cr_assert(sae_family(folder, "x", small, 2));
    cr_assert(sae_family(neox, "own", small, 1)); /* an SAE beside the weights of its host */
    struct sx_workspace w = scan(folder);
    cr_assert_eq(w.n_entries, 5);
    cr_assert_eq(w.n_problems, 0);
    const struct sx_entry *entry = entry_named(&w, "/esm");
    cr_assert_eq(entry->kind, SX_ENTRY_MODEL);
    cr_assert_str_eq(entry->label, "esm");
    cr_assert_eq(entry->family, SIZE_MAX);
    cr_assert_eq(entry->model.family, SX_MODEL_ESM2);
    cr_assert(entry->model.n_layers == 2 && entry->model.d_model == 16);
    entry = entry_named(&w, "/neox");
    cr_assert_eq(entry->kind, SX_ENTRY_MODEL);
    cr_assert_eq(entry->model.family, SX_MODEL_GPT_NEOX);
    sx_workspace_release(&w);
    /* Named itself, it still has a label. */
    w = scan(esm);
    cr_assert_eq(w.n_entries, 1);
    cr_assert_eq(w.entries[0].kind, SX_ENTRY_MODEL);
    cr_assert_str_eq(w.entries[0].label, "esm");
    sx_workspace_release(&w);
    char *weights = sx_xasprintf("%s/model.safetensors", esm);
    w = scan(weights);
    cr_assert_eq(w.n_entries, 1);
    cr_assert_eq(w.entries[0].kind, SX_ENTRY_MODEL);
    sx_workspace_release(&w);
    sx_free(weights);
    drop_model(esm);
    drop_model(neox);
    sae_remove(folder);
}

Test(workspace, refused_transformers_concern_us_when_they_are_of_our_families_or_named)
{
    char *folder = sae_folder();
    char *bert = model_folder(
        folder, "bert", tiny_esm2_shape,
        &(struct tiny_options){.config = "{\"model_type\": \"bert\", \"hidden_size\": 16}"});
    char *absolute = model_folder(
        folder, "esm1b", tiny_esm2_shape,
        &(struct tiny_options){.config = "{\"model_type\": \"esm\", \"vocab_size\": 33, "
                                         "\"position_embedding_type\": \"absolute\"}"});
    struct sx_workspace w = scan(folder);
    cr_assert_eq(w.n_entries, 1);
    cr_assert_eq(w.n_problems, 1);
    cr_assert_eq(entry_named(&w, "esm1b")->kind, SX_ENTRY_PROBLEM);
    cr_assert_null(entry_named(&w, "bert"));
    sx_workspace_release(&w);
    w = scan(bert);
    cr_assert_eq(w.n_entries, 1);
    cr_assert_eq(w.entries[0].kind, SX_ENTRY_PROBLEM);
    cr_assert(strstr(w.entries[0].problem.message, "bert"), "%s", w.entries[0].problem.message);
    sx_workspace_release(&w);
    drop_model(bert);
    drop_model(absolute);
    sae_remove(folder);
}

/* An HDF5 file whose attribute `tool` is this one. */
static void put_run(const char *folder, const char *name, const char *tool)
{
    static const int32_t ids[4] = {0, 32, 15, 2};
    char *path = sx_xasprintf("%s/%s", folder, name);
    struct sx_value *about = sx_value_map();
    struct sx_h5 *h5 = NULL;
    struct sx_error err;
    sx_value_set(about, "tool", sx_value_string(tool));
    sx_value_set(about, "interventions", sx_value_string("ctx@layers=1=zero"));
    cr_assert_eq(sx_h5_create(path, &h5, &err), SX_OK, "%s", err.message);
    cr_assert_eq(sx_h5_write_attributes(h5, "/", about, &err), SX_OK);
    cr_assert_eq(sx_h5_write(h5, "0/ids", SX_DTYPE_I32, 1, (const uint64_t[]){4}, ids, 0, &err),
                 SX_OK);
    cr_assert_eq(sx_h5_commit(h5, &err), SX_OK);
    sx_value_free(about);
    sx_free(path);
}

Test(workspace, a_run_tells_what_it_holds)
{
    char *folder = sae_folder();
    put_run(folder, "ours.run.h5", "sextant 0.1.0");
    put_run(folder, "foreign.run.h5", "another tool");
    struct sx_workspace w = scan(folder);
    cr_assert_eq(w.n_entries, 2);
    const struct sx_entry *foreign = entry_named(&w, "foreign.run.h5");
    cr_assert_eq(foreign->kind, SX_ENTRY_PROBLEM);
    cr_expect(strstr(foreign->problem.message, "tool"), "%s", foreign->problem.message);
    const struct sx_entry *ours = entry_named(&w, "ours.run.h5");
    cr_assert_eq(ours->kind, SX_ENTRY_RUN);
    cr_assert_not_null(ours->run);
    cr_expect_str_eq(sx_value_string_or(sx_value_get(ours->run, "interventions"), ""),
                     "ctx@layers=1=zero");
    const struct sx_value *tensor = sx_value_item(sx_value_get(ours->run, "tensors"), 0);
    cr_expect_str_eq(sx_value_string_or(sx_value_get(tensor, "name"), ""), "0/ids");
    cr_expect_eq(sx_value_int_or(sx_value_item(sx_value_get(tensor, "shape"), 0), 0), 4);
    sx_workspace_release(&w);
    sae_remove(folder);
}

Test(workspace, fair_esm_files_and_broken_models)
{
    char *folder = sae_folder();
    char *broken = model_folder(folder, "broken", tiny_esm2_shape, &(struct tiny_options){0});
    put_file(broken, "model.safetensors", "nothing", 7);
    put_file(folder, "a.run.h5", "\x89HDF\r\n\x1a\n", 8);
    put_file(folder, "b.run.h5", "nothing", 7);
    struct sx_workspace w = scan(folder);
    cr_assert_eq(w.n_entries, 3);
    cr_assert_eq(w.n_problems, 3);
    cr_assert_eq(entry_named(&w, "broken")->kind, SX_ENTRY_PROBLEM);
    cr_assert_eq(entry_named(&w, "a.run.h5")->kind, SX_ENTRY_PROBLEM);
    cr_assert_eq(entry_named(&w, "b.run.h5")->kind, SX_ENTRY_PROBLEM);
    sx_workspace_release(&w);
    drop_model(broken);
    sae_remove(folder);

    const char *fixtures = getenv("SX_FIXTURES");
    char *fair = sx_xasprintf("%s/model/fair", fixtures ? fixtures : "tests/fixtures");
    w = scan(fair);
    cr_assert_eq(w.n_problems, 0);
    cr_assert_eq(w.n_entries, 1, "the file of the contact head is part of the model");
    cr_assert_eq(w.entries[0].kind, SX_ENTRY_MODEL);
    cr_assert_eq(w.entries[0].model.format, SX_MODEL_FAIR_ESM);
    cr_assert(w.entries[0].model.has_contact_head);
    sx_workspace_release(&w);
    sx_free(fair);
}
