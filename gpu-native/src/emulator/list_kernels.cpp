// Prints the name and the argument size of every kernel, one a line.
#include "emulator.h"

#include <cstdio>

int main() {
    for (emulator::Kernel* k = emulator::kernels(); k; k = k->next) {
        printf("%s %zu\n", k->name, k->paramBytes);
    }
    return 0;
}
