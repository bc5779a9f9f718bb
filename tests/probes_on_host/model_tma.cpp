// SPDX-License-Identifier: Apache-2.0
// model_tma.cpp: tensor maps and TMA of the model, after the manual: zeros outside the tensor,
// whole boxes counted, 128-byte swizzle by absolute address. The map is the model's own, in place
// of the driver's opaque one.
#include <cudaTypedefs.h>

#include <algorithm>

#include "tests/probes_on_host/model.h"

namespace tconv::model {
namespace {

struct Map {
  unsigned char* address;
  uint64_t sizes[4];
  uint64_t strides[4];  // bytes; the first is the element's
  uint32_t box[4];      // im2col: channels, pixels
  int16_t lower[2], upper[2];
  uint8_t rank, swizzle, tf32, im2col;
};
static_assert(sizeof(Map) <= sizeof(CUtensorMap));

unsigned element_bytes(CUtensorMapDataType type) {
  return type == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 ? 2 : 4;
}

void require(bool right, const char* what) {
  if (!right) {
    std::fprintf(stderr, "model: %s\n", what);
    std::abort();
  }
}

// What the driver documents that it refuses.
bool legal(CUtensorMapDataType type, const Map& map) {
  bool right = reinterpret_cast<std::uintptr_t>(map.address) % 16 == 0;
  for (int i = 0; i < map.rank; ++i) {
    right = right && map.sizes[i] > 0 && (i == 0 || map.strides[i] % 16 == 0);
  }
  const unsigned inner = map.box[0] * element_bytes(type);
  return right && inner % 16 == 0 && (map.swizzle == 0 || inner <= 128);
}

Map base_map(CUtensorMapDataType type, cuuint32_t rank, void* address, const cuuint64_t* sizes,
             const cuuint64_t* strides, CUtensorMapSwizzle swizzle) {
  require(rank <= 4, "rank over 4");
  require(swizzle == CU_TENSOR_MAP_SWIZZLE_NONE || swizzle == CU_TENSOR_MAP_SWIZZLE_128B,
          "a swizzle that is not modelled");
  Map map{};
  map.address = static_cast<unsigned char*>(address);
  map.rank = static_cast<uint8_t>(rank);
  map.swizzle = swizzle == CU_TENSOR_MAP_SWIZZLE_128B && !setting("unswizzled");
  map.tf32 = type == CU_TENSOR_MAP_DATA_TYPE_TFLOAT32;
  map.strides[0] = element_bytes(type);
  for (cuuint32_t i = 0; i < rank; ++i) {
    map.sizes[i] = sizes[i];
    map.strides[i] = i == 0 ? element_bytes(type) : strides[i - 1];
  }
  return map;
}

CUresult CUDAAPI encode_tiled(CUtensorMap* out, CUtensorMapDataType type, cuuint32_t rank,
                              void* address, const cuuint64_t* sizes, const cuuint64_t* strides,
                              const cuuint32_t* box, const cuuint32_t*, CUtensorMapInterleave,
                              CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                              CUtensorMapFloatOOBfill) {
  Map map = base_map(type, rank, address, sizes, strides, swizzle);
  std::copy(box, box + rank, map.box);
  std::memcpy(static_cast<void*>(out), &map, sizeof map);
  const bool box_fits =
      std::all_of(box, box + rank, [](cuuint32_t n) { return n >= 1 && n <= 256; });
  return box_fits && legal(type, map) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult CUDAAPI encode_im2col(CUtensorMap* out, CUtensorMapDataType type, cuuint32_t rank,
                               void* address, const cuuint64_t* sizes, const cuuint64_t* strides,
                               const int* lower, const int* upper, cuuint32_t channels,
                               cuuint32_t pixels, const cuuint32_t*, CUtensorMapInterleave,
                               CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                               CUtensorMapFloatOOBfill) {
  Map map = base_map(type, rank, address, sizes, strides, swizzle);
  map.im2col = 1;
  map.box[0] = channels;
  map.box[1] = pixels;
  for (int i = 0; i < 2; ++i) {  // kept as W, H
    const int from = setting("corners_hw") ? 1 - i : i;
    map.lower[i] = static_cast<int16_t>(lower[from]);
    map.upper[i] = static_cast<int16_t>(upper[from]);
  }
  std::memcpy(static_cast<void*>(out), &map, sizeof map);
  return channels <= 256 && pixels <= 1024 && legal(type, map) ? CUDA_SUCCESS
                                                               : CUDA_ERROR_INVALID_VALUE;
}

// Null outside the tensor.
unsigned char* global_at(const Map& map, const std::vector<int>& at) {
  uint64_t offset = 0;
  for (int i = 0; i < map.rank; ++i) {
    const auto position = static_cast<int64_t>(at[static_cast<std::size_t>(i)]);
    if (position < 0 || position >= static_cast<int64_t>(map.sizes[i])) {
      return nullptr;
    }
    offset += static_cast<uint64_t>(position) * map.strides[i];
  }
  return map.address + offset;
}

uint32_t place(const Map& map, uint32_t shared, uint32_t offset) {
  const uint32_t address = shared + offset;
  return map.swizzle ? address ^ (address >> 7 & 7) << 4 : address;
}

void load_element(const Map& map, uint32_t to, const unsigned char* from) {
  const uint64_t bytes = map.strides[0];
  std::memset(bytes_at(to), 0, bytes);
  if (from == nullptr) {
    return;
  }
  std::memcpy(bytes_at(to), from, bytes);
  if (map.tf32 && setting("tma_rounds")) {
    uint32_t bits;
    std::memcpy(&bits, from, 4);
    bits = (bits + 0xfffu + (bits >> 13 & 1)) & ~0x1fffu;
    std::memcpy(bytes_at(to), &bits, 4);
  }
}

// Calls visit(offset in the box, coordinates) for each element, innermost first.
template <typename Visit>
uint32_t for_box(const Map& map, const std::vector<int>& at, const Visit& visit) {
  uint32_t count = 1;
  for (int i = 0; i < map.rank; ++i) {
    count *= map.box[i];
  }
  for (uint32_t element = 0; element < count; ++element) {
    std::vector<int> position = at;
    uint32_t rest = element;
    for (int i = 0; i < map.rank; ++i) {
      position[static_cast<std::size_t>(i)] += static_cast<int>(rest % map.box[i]);
      rest /= map.box[i];
    }
    visit(static_cast<uint32_t>(element * map.strides[0]), position);
  }
  return static_cast<uint32_t>(count * map.strides[0]);
}

Map map_at(const void* address) {
  Map map;
  std::memcpy(&map, address, sizeof map);
  return map;
}

}  // namespace

void load_tiled(uint32_t shared, const void* address, uint32_t barrier, const std::vector<int>& at,
                uint32_t blocks) {
  const Map map = map_at(address);
  require(!map.im2col && map.rank == at.size(), "a tiled load of another map");
  require(shared % (map.swizzle ? 1024 : 128) == 0, "a box that is not aligned");
  const uint32_t ranks = blocks == 0 ? 1u << here.rank : blocks;
  for (uint32_t rank = 0; rank < here.cluster->blocks.size(); ++rank) {
    if ((ranks >> rank & 1) == 0) {
      continue;
    }
    const uint32_t window = (rank + 1) << 24;
    const uint32_t bytes = for_box(map, at, [&](uint32_t offset, const std::vector<int>& position) {
      load_element(map, place(map, shared, offset) | window, global_at(map, position));
    });
    complete(barrier | window, bytes);
  }
}

void store_tiled(const void* address, uint32_t shared, const std::vector<int>& at) {
  const Map map = map_at(address);
  require(!map.im2col && map.rank == at.size(), "a tiled store of another map");
  for_box(map, at, [&](uint32_t offset, const std::vector<int>& position) {
    if (unsigned char* to = global_at(map, position)) {
      std::memcpy(to, bytes_at(place(map, shared, offset)), map.strides[0]);
    }
  });
}

void load_im2col(uint32_t shared, const void* address, uint32_t barrier, const std::vector<int>& at,
                 int offset_w, int offset_h) {
  const Map map = map_at(address);
  require(map.im2col && map.rank == 4, "an im2col load of another map");
  int w = at[1];
  int h = at[2];
  int n = at[3];
  uint32_t offset = 0;
  for (uint32_t pixel = 0; pixel < map.box[1]; ++pixel) {
    for (uint32_t c = 0; c < map.box[0]; ++c, offset += map.strides[0]) {
      load_element(map, place(map, shared, offset),
                   global_at(map, {at[0] + static_cast<int>(c), w + offset_w, h + offset_h, n}));
    }
    if (++w >= static_cast<int>(map.sizes[1]) + map.upper[0]) {
      w = map.lower[0];
      if (++h >= static_cast<int>(map.sizes[2]) + map.upper[1]) {
        h = map.lower[1];
        ++n;
      }
    }
  }
  complete(barrier, offset);
}

void* encode_function(const std::string& name) {
  if (name == "cuTensorMapEncodeTiled") {
    return reinterpret_cast<void*>(encode_tiled);
  }
  return name == "cuTensorMapEncodeIm2col" ? reinterpret_cast<void*>(encode_im2col) : nullptr;
}

}  // namespace tconv::model
