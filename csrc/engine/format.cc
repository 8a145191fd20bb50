#include "engine/format.h"

#include <cstdio>

namespace r1 {

std::string format_bytes(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  char text[32];
  if (bytes >= int64_t{1} << 30) {
    std::snprintf(text, sizeof text, "%.2f GiB", value / (1 << 30));
  } else if (bytes >= int64_t{1} << 20) {
    std::snprintf(text, sizeof text, "%.1f MiB", value / (1 << 20));
  } else {
    std::snprintf(text, sizeof text, "%.0f KiB", value / (1 << 10));
  }
  return text;
}

}  // namespace r1
