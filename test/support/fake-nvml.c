// A made-up management library: COUNT devices whose figures tell which is which. Device i has the PCI bus id
// 00000000:0i:00.0 and the UUID GPU-i. PARTIAL leaves out functions and figures, BROKEN does not start.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef COUNT
#define COUNT 2
#endif
#define EXPORT __attribute__((visibility("default")))

enum { kSuccess = 0, kNotSupported = 3, kNotFound = 6 };
struct memory {
  uint64_t total, free, used;
};
struct utilization {
  uint32_t gpu, memory;
};

static int number(const void* device) { return (int)((uintptr_t)device - 1); }
static int find(int i, void** device) {
  if (i < 0 || i >= COUNT) return kNotFound;
  *device = (void*)((uintptr_t)i + 1);
  return kSuccess;
}

EXPORT int nvmlInit_v2(void) {
#ifdef BROKEN
  return 9;
#else
  return kSuccess;
#endif
}
EXPORT int nvmlDeviceGetCount_v2(uint32_t* count) {
  *count = COUNT;
  return kSuccess;
}
EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** device) {
  unsigned bus;
  return sscanf(id, "00000000:%X:00.0", &bus) == 1 ? find((int)bus, device) : kNotFound;
}
EXPORT int nvmlDeviceGetHandleByIndex_v2(uint32_t i, void** device) { return find((int)i, device); }
EXPORT int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  return strncmp(uuid, "GPU-", 4) == 0 ? find(atoi(uuid + 4), device) : kNotFound;
}
EXPORT int nvmlDeviceGetMemoryInfo(const void* device, struct memory* memory) {
  memory->total = 80000000000u + (uint64_t)number(device);
  memory->used = 6000000000u;
  memory->free = memory->total - memory->used;
  return kSuccess;
}
#ifdef PARTIAL
EXPORT int nvmlDeviceGetTemperature(const void* device, int sensor, uint32_t* degrees) {
  (void)device, (void)sensor, (void)degrees;
  return kNotSupported;
}
#else
EXPORT int nvmlDeviceGetTemperature(const void* device, int sensor, uint32_t* degrees) {
  *degrees = 40 + (uint32_t)number(device);
  return sensor == 0 ? kSuccess : kNotSupported;
}
EXPORT int nvmlDeviceGetUtilizationRates(const void* device, struct utilization* use) {
  use->gpu = 50 + (uint32_t)number(device);
  use->memory = 99;
  return kSuccess;
}
EXPORT int nvmlDeviceGetPowerUsage(const void* device, uint32_t* milliwatts) {
  *milliwatts = 123500 + 1000 * (uint32_t)number(device);
  return kSuccess;
}
#endif
