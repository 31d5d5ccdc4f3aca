// `v8`: another engine runs here; what only asks is answered with nothing.

const { fill } = require("_inert");

const heap = () => ({
  total_heap_size: 0, total_heap_size_executable: 0, total_physical_size: 0, total_available_size: 0, used_heap_size: 0,
  heap_size_limit: 367001600, malloced_memory: 0, peak_malloced_memory: 0, does_zap_garbage: 0, number_of_native_contexts: 1,
  number_of_detached_contexts: 0, total_global_handles_size: 0, used_global_handles_size: 0, external_memory: 0,
});

Object.assign(exports, {
  cachedDataVersionTag: () => 0,
  getHeapStatistics: heap,
  getHeapSpaceStatistics: () => [],
  getHeapCodeStatistics: () => ({ code_and_metadata_size: 0, bytecode_and_metadata_size: 0, external_script_source_size: 0, cpu_profiler_metadata_size: 0 }),
  setFlagsFromString() {},
  setHeapSnapshotNearHeapLimit() {},
  takeCoverage() {},
  stopCoverage() {},
});
fill(exports, "v8", ["DefaultDeserializer", "DefaultSerializer", "Deserializer", "Serializer", "GCProfiler", "deserialize", "serialize",
  "getHeapSnapshot", "writeHeapSnapshot"]);
exports.promiseHooks = fill({}, "v8", ["createHook", "onInit", "onBefore", "onAfter", "onSettled"]);
exports.startupSnapshot = { isBuildingSnapshot: () => false };
