// What a linear layer could be computed with: the choices that tuning tries. All of them yield the same bits.
#pragma once
#include "backend/cuda/linear_choices.h"
#include "backend/cuda/linear_plan.h"

namespace r1::cuda {

/**
 * The plan of a layer as a row of the table, and the rows that could be in its place; both empty where there is nothing
 * to choose. Stream kernels: every tile, with the rings that let 1, 2, 3 or 4 blocks share an SM, since what a kernel
 * leaves free is what of the next may be there already. Tile kernels: bands of 1, 2, 4 and 16 of every width that by
 * its waves could be best.
 */
LinearOptions linear_options(const LinearShape& shape, KernelFamily family, const DeviceProperties& device,
                             const ChoiceTable& choices);

}  // namespace r1::cuda
