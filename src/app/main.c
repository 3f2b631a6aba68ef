#include "app.h"

int main(int argc, char **argv)
{
    return sx_app_main(argc, argv);
}
