// What the two halves of loading reach alone: the yardsticks of `r1 bench load`.
#pragma once
#include <string>
#include <vector>

#include "engine/engine_spec.h"

namespace r1 {

struct LoadCeilings {
  double read_bytes_per_s = 0;    // of the files, by as many threads as loading has; 0 without files
  double upload_bytes_per_s = 0;  // pinned host memory to the device; 0 on the CPU
};

/** Reads the files from start to end once: where they are to come from the page cache they have to be in it. */
LoadCeilings measure_load_ceilings(const DeviceSpec& device, const std::vector<std::string>& files);

}  // namespace r1
