#include "sextant/io/folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Test(folder, parents_are_made_and_files_are_in_the_way)
{
    char base[] = "/tmp/sx-folder-XXXXXX";
    cr_assert_not_null(mkdtemp(base));
    char path[64];
    struct sx_error err = {0};
    struct stat st;
    snprintf(path, sizeof path, "%s/a/b/", base);
    cr_expect_eq(sx_folder_make(path, &err), SX_OK);
    cr_expect_eq(sx_folder_make(path, &err), SX_OK, "again");
    cr_expect(stat(path, &st) == 0 && S_ISDIR(st.st_mode));

    snprintf(path, sizeof path, "%s/file", base);
    fclose(fopen(path, "w"));
    snprintf(path, sizeof path, "%s/file/below", base);
    cr_expect_eq(sx_folder_make(path, &err), SX_ERR_IO);
    cr_expect_not_null(strstr(err.message, "expected a folder"));
    cr_expect_eq(sx_folder_make("", &err), SX_ERR_IO);
}
