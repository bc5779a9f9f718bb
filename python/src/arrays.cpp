// SPDX-License-Identifier: Apache-2.0
#include "python/src/arrays.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tconv::python {

namespace {

struct Type {
  nb::dlpack::dtype_code code;
  int bits;
  DType dtype;
  const char* name;
};
constexpr Type kTypes[] = {
    {nb::dlpack::dtype_code::Float, 16, DType::f16, "float16"},
    {nb::dlpack::dtype_code::Bfloat, 16, DType::bf16, "bfloat16"},
    {nb::dlpack::dtype_code::Float, 32, DType::f32, "float32"},
    {nb::dlpack::dtype_code::Float, 64, DType::f64, "float64"},
};

DType dtype_of(const nb::ndarray<nb::ro>& array, const char* field, bool bf16) {
  const nb::dlpack::dtype type = array.dtype();
  if (type.lanes == 1) {
    for (const Type& known : kTypes) {
      if (type.code == static_cast<uint8_t>(known.code) && type.bits == known.bits)
        return known.dtype;
    }
    if (bf16 && type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::UInt) && type.bits == 16)
      return DType::bf16;
  }
  static constexpr const char* kKinds[] = {"int",    "uint",    "float", "handle",
                                           "bfloat", "complex", "bool"};
  const std::string kind = type.code < std::size(kKinds) ? kKinds[type.code] : "of another kind, ";
  throw nb::type_error((std::string(field) + ": float16, bfloat16, float32 or float64, not " +
                        kind + std::to_string(type.bits))
                           .c_str());
}

std::string class_of(nb::handle object) {
  return nb::cast<std::string>(nb::str(object.type().attr("__name__")));
}

[[noreturn]] void refuse(const char* field, nb::handle object, bool writable) {
  const char* wanted =
      writable ? ": an array that can be written and speaks DLPack or the buffer protocol, not "
               : ": an array that speaks DLPack or the buffer protocol, not ";
  throw nb::type_error((field + (wanted + class_of(object))).c_str());
}

/// DLPack takes no negative strides, for one: NumPy's own copy can be read.
nb::object numpy_copy(nb::handle object) {
  const nb::object numpy = nb::module_::import_("numpy");
  if (!nb::isinstance(object, numpy.attr("ndarray"))) return nb::none();
  return numpy.attr("ascontiguousarray")(object);
}

}  // namespace

Places places(bool channels_first, int axes, bool batched) {
  Places p;
  int next = 0;
  if (batched) p.n = next++;
  if (channels_first) p.c = next++;
  if (axes == 2) p.h = next++;
  p.w = next++;
  if (!channels_first) p.c = next++;
  return p;
}

std::size_t element_bytes(DType dtype) {
  return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2;
}
const char* name_of(DType dtype) {
  for (const Type& known : kTypes) {
    if (known.dtype == dtype) return known.name;
  }
  return "?";
}
nb::dlpack::dtype dlpack_type(DType dtype, bool bf16) {
  if (bf16 && dtype == DType::bf16) return nb::dtype<uint16_t>();
  nb::dlpack::dtype type = nb::dtype<float>();
  type.bits = static_cast<uint8_t>(8 * element_bytes(dtype));
  if (dtype == DType::bf16) type.code = static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat);
  return type;
}
std::string text_of(const Numbers& numbers) {
  std::string text = "[";
  for (const int64_t number : numbers) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(number);
  }
  return text + "]";
}

Operand::Operand(nb::handle object, const char* field, bool bf16, bool writable) : field_(field) {
  if (writable) {
    nb::ndarray<> array;
    if (!nb::try_cast(object, array, false)) refuse(field, object, writable);
    array_ = nb::ndarray<nb::ro>(array);
  } else if (!nb::try_cast(object, array_, false)) {
    PyErr_Clear();
    const nb::object copy = numpy_copy(object);
    if (copy.is_none() || !nb::try_cast(copy, array_, false)) refuse(field, object, writable);
  }
  dtype_ = dtype_of(array_, field, bf16);
  const int type = array_.device_type();
  if (type != nb::device::cpu::value && !on_cuda())
    throw nb::value_error((std::string(field) + ": on the CPU or a CUDA GPU").c_str());
  data_ = const_cast<void*>(static_cast<const void*>(array_.data()));
  for (std::size_t i = 0; i < array_.ndim(); ++i) {
    shape_.push_back(static_cast<int64_t>(array_.shape(i)));
    strides_.push_back(array_.stride(i));
  }
}

bool Operand::on_cuda() const { return array_.device_type() == nb::device::cuda::value; }

void Operand::check_beside(const Operand& other) const {
  const auto name = [](const Operand& o) {
    return o.on_cuda() ? "cuda:" + std::to_string(o.device_id()) : std::string("cpu");
  };
  if (name(*this) == name(other)) return;
  throw nb::value_error((std::string(field_) + ": on " + name(*this) + ", but " + other.field_ +
                         " is on " + name(other))
                            .c_str());
}

void Operand::check_dtype(DType wanted, const char* whose) const {
  if (dtype_ == wanted) return;
  throw nb::type_error(
      (std::string(field_) + ": " + name_of(dtype_) + ", but " + whose + " is " + name_of(wanted))
          .c_str());
}

void Operand::check_shape(const Numbers& wanted) const {
  if (shape_ == wanted) return;
  throw nb::value_error(
      (std::string(field_) + ": shape " + text_of(shape_) + ", must be " + text_of(wanted))
          .c_str());
}

bool Operand::dense_by(const int* order, int rank) const {
  int64_t expected = 1;
  for (int i = rank - 1; i >= 0; --i) {
    if (shape_[order[i]] != 1 && strides_[order[i]] != expected) return false;
    expected *= shape_[order[i]];
  }
  return true;
}

bool Operand::dense() const {
  static constexpr int kOwn[] = {0, 1, 2, 3, 4, 5, 6, 7};
  const int rank = static_cast<int>(shape_.size());
  if (std::find(shape_.begin(), shape_.end(), 0) != shape_.end()) return true;
  return rank <= 8 && aligned(element_bytes(dtype_)) && dense_by(kOwn, rank);
}

std::optional<Strides> Operand::strides(const Places& p, Layout layout) const {
  if (std::find(shape_.begin(), shape_.end(), 0) != shape_.end()) return Strides{};
  if (!aligned(element_bytes(dtype_))) return std::nullopt;
  Strides result;
  const bool last = layout == Layout::nhwc;
  const int outer[] = {p.n, last ? p.h : p.c, last ? p.w : p.h, last ? p.c : p.w};
  int64_t* const into[] = {&result.n, last ? &result.h : &result.c, last ? &result.w : &result.h,
                           last ? &result.c : &result.w};
  bool is_dense = true;
  int64_t expected = 1, beyond = 1;  // beyond: past the dimensions within
  for (int i = 3; i >= 0; --i) {
    const int64_t size = outer[i] < 0 ? 1 : shape_[outer[i]];
    const int64_t stride = size == 1 ? beyond : strides_[outer[i]];
    if (stride < 0 || (i == 3 && stride != 1)) return std::nullopt;
    is_dense = is_dense && (size == 1 || stride == expected);
    *into[i] = stride;
    expected *= size;
    beyond = std::max(beyond, stride * size);
  }
  return is_dense ? Strides{} : result;
}

namespace {

struct Order {
  FilterOrder order;
  const char* letters;
};
constexpr Order kOrders[] = {{FilterOrder::hwoi, "hwoi"},
                             {FilterOrder::ihwo, "ihwo"},
                             {FilterOrder::iohw, "iohw"},
                             {FilterOrder::ohwi, "ohwi"}};

/// Where the dimensions of `wanted` stand in a shape of 3 or 4 numbers that is written as `own`.
std::array<int, 4> places_of(FilterOrder own, FilterOrder wanted, int rank) {
  std::string written = kOrders[static_cast<int>(own) - 1].letters;
  if (rank == 3) written.erase(written.find('h'), 1);
  std::array<int, 4> order = {};
  int count = 0;
  for (const char* letter = kOrders[static_cast<int>(wanted) - 1].letters; *letter != 0; ++letter) {
    const std::size_t place = written.find(*letter);
    if (place != std::string::npos) order[count++] = static_cast<int>(place);
  }
  return order;
}

}  // namespace

std::optional<FilterOrder> Operand::filter_order(FilterOrder own) const {
  const int rank = static_cast<int>(shape_.size());
  if ((rank != 3 && rank != 4) || dense()) return own;
  if (!aligned(element_bytes(dtype_))) return std::nullopt;
  for (const Order& other : kOrders) {
    if (dense_by(places_of(own, other.order, rank).data(), rank)) return other.order;
  }
  return std::nullopt;
}

Strides Operand::dense_strides(const Places& p, Layout layout) const {
  Strides result;
  int64_t step = 1;
  const auto take = [&](int place, int64_t& stride) {
    stride = step;
    if (place >= 0) step *= std::max<int64_t>(shape_[place], 1);
  };
  if (layout == Layout::nhwc) take(p.c, result.c);
  take(p.w, result.w);
  take(p.h, result.h);
  if (layout == Layout::nchw) take(p.c, result.c);
  take(p.n, result.n);
  return result;
}

void Operand::copy_dense(FilterOrder own, FilterOrder wanted) {
  const int rank = static_cast<int>(shape_.size());
  copy_by(places_of(own, wanted, rank).data(), rank);
}

void Operand::copy_dense() {
  static constexpr int kOwn[] = {0, 1, 2, 3, 4, 5, 6, 7};
  copy_by(kOwn, static_cast<int>(shape_.size()));
}

void Operand::copy_dense(const Places& p, Layout layout) {
  const int places[] = {p.n, layout == Layout::nhwc ? p.h : p.c, layout == Layout::nhwc ? p.w : p.h,
                        layout == Layout::nhwc ? p.c : p.w};
  int order[4] = {}, count = 0;
  for (const int place : places) {
    if (place >= 0) order[count++] = place;
  }
  copy_by(order, count);
}

void Operand::copy_by(const int* order, int rank) {
  if (on_cuda())
    throw nb::value_error((std::string(field_) + ": strides " + text_of(strides_) +
                           " cannot be read in place; make it contiguous")
                              .c_str());
  const std::size_t bytes = element_bytes(dtype_);
  int64_t count = 1;
  bool huge = false;  // an expanded array may have more elements than there are addresses
  for (int i = 0; i < rank; ++i) huge |= __builtin_mul_overflow(count, shape_[order[i]], &count);
  if (huge || count > (int64_t{1} << 48)) throw std::bad_alloc();
  copy_ = std::shared_ptr<void>(std::aligned_alloc(64, (count * bytes + 64) / 64 * 64), std::free);
  if (copy_ == nullptr) throw std::bad_alloc();
  Numbers at(rank, 0), dense(rank, 1);
  auto* to = static_cast<unsigned char*>(copy_.get());
  const auto* from = static_cast<const unsigned char*>(data_);
  int64_t offset = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * bytes, from + offset * static_cast<int64_t>(bytes), bytes);
    for (int d = rank - 1; d >= 0; --d) {  // the next element in the order of the copy
      offset += strides_[order[d]];
      if (++at[d] < shape_[order[d]]) break;
      offset -= at[d] * strides_[order[d]];
      at[d] = 0;
    }
  }
  int64_t step = 1;
  for (int d = rank - 1; d >= 0; --d) {
    strides_[order[d]] = step;
    step *= shape_[order[d]];
  }
  data_ = copy_.get();
}

}  // namespace tconv::python
