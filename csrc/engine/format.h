// Numbers in messages.
#pragma once
#include <cstdint>
#include <string>

namespace r1 {

/** "3.42 GiB", "17.0 MiB", "640 KiB". */
std::string format_bytes(int64_t bytes);

}  // namespace r1
