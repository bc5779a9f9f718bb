// SPDX-License-Identifier: Apache-2.0
#include "python/src/call.h"

#include <cstdlib>
#include <new>

namespace tconv::python {

namespace {

struct Named {
  const char* name;
  Activation activation;
  int numbers;
};
constexpr Named kActivations[] = {
    {"identity", Activation::identity, 0},
    {"relu", Activation::relu, 0},
    {"leaky_relu", Activation::leaky_relu, 1},
    {"prelu", Activation::prelu, 0},
    {"clamp", Activation::clamp, 2},
    {"sigmoid", Activation::sigmoid, 0},
    {"tanh", Activation::tanh, 0},
    {"gelu", Activation::gelu, 0},
    {"gelu_tanh", Activation::gelu_tanh, 0},
    {"silu", Activation::silu, 0},
};

const Named& activation_named(nb::handle object) {
  std::string name, known;
  if (!nb::isinstance<nb::str>(object))
    throw nb::type_error("activation: a name, or a tuple of a name and its numbers");
  name = nb::cast<std::string>(object);
  for (const Named& one : kActivations) {
    if (name == one.name) return one;
    known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  throw nb::value_error(("activation: one of " + known + ", not '" + name + "'").c_str());
}

double real_of(nb::handle object) {
  double number = 0;
  if (!nb::try_cast(object, number)) throw nb::type_error("activation: its numbers are floats");
  return number;
}

/// Another dense array within the bytes of `out`, which would be overwritten while it is read.
void check_apart(const Operand& out, const Operand& other, const char* name) {
  if (!other.given() || !out.dense() || !other.dense()) return;
  const auto bytes = [](const Operand& o) {
    std::size_t count = element_bytes(o.dtype());
    for (const int64_t size : o.shape()) count *= static_cast<std::size_t>(size);
    return count;
  };
  const auto* a = static_cast<const char*>(out.data());
  const auto* b = static_cast<const char*>(other.data());
  if (a < b + bytes(other) && b < a + bytes(out))
    throw nb::value_error((std::string("out: shares memory with ") + name).c_str());
}

void check_arrays(const face::Prepared& ready, const Arrays& arrays) {
  if (arrays.bias.given() || arrays.slopes.given()) {
    const Numbers channels = {ready.problem.desc().out_c};
    if (arrays.bias.given()) arrays.bias.check_shape(channels);
    if (arrays.slopes.given()) arrays.slopes.check_shape(channels);
  }
  if (arrays.residual.given()) arrays.residual.check_shape(ready.output_shape);
  if (!arrays.out.given()) return;
  arrays.out.check_shape(ready.output_shape);
  check_apart(arrays.out, arrays.input, "input");
  check_apart(arrays.out, arrays.filters, "filters");
  check_apart(arrays.out, arrays.bias, "bias");
}

nb::object exported(Framework framework, void* data, const Numbers& shape, const Numbers& strides,
                    nb::dlpack::dtype dtype) {
  const nb::capsule owner(data, [](void* memory) noexcept { std::free(memory); });
  size_t sizes[4] = {};
  for (std::size_t i = 0; i < shape.size(); ++i) sizes[i] = static_cast<size_t>(shape[i]);
  const int64_t* steps = strides.empty() ? nullptr : strides.data();
  const auto as = [&](auto kind) {
    return nb::cast(nb::ndarray<decltype(kind)>(data, shape.size(), sizes, owner, steps, dtype));
  };
  switch (framework) {
    case Framework::torch: return as(nb::pytorch());
    case Framework::tensorflow: return as(nb::tensorflow());
    case Framework::jax: return as(nb::jax());
    default: return as(nb::numpy());
  }
}

/// Element strides in the order of the shape, of a dense channels_last tensor of PyTorch's.
Numbers channels_last_strides(const Numbers& shape, const Places& p) {
  Numbers strides(shape.size());
  int64_t step = 1;
  for (const int place : {p.c, p.w, p.h, p.n}) {
    if (place < 0) continue;
    strides[place] = step;
    step *= shape[place];
  }
  return strides;
}

Tensors tensors_of(const Arrays& arrays) {
  Tensors t;
  t.input = arrays.input.data();
  t.filters = arrays.filters.data();
  t.bias = arrays.bias.data();
  t.slopes = arrays.slopes.data();
  t.residual = arrays.residual.data();
  return t;
}

nb::object run_on_cuda(const face::Prepared& ready, Arrays& arrays, const Memory& memory,
                       const Target& target, Tensors tensors, nb::object result) {
  if (target.memory.is_none())
    throw nb::value_error(
        "input: in a GPU's memory, of a framework that allocates none there for "
        "tconv: use out= of Plan.run");
  if (!arrays.out.given()) {
    result = target.memory.attr("empty")(nb::cast(ready.output_shape),
                                         memory.layout == Layout::nhwc && memory.places.c == 1);
    arrays.out = Operand(result, "out", false, true);
  }
  nb::object scratch;
  Operand workspace;
  if (ready.workspace_bytes != 0) {
    scratch = target.memory.attr("workspace")(ready.workspace_bytes);
    nb::ndarray<> bytes;
    if (!nb::try_cast(scratch, bytes, false)) throw nb::type_error("workspace: no DLPack");
    tensors.workspace = bytes.data();
    tensors.workspace_bytes = ready.workspace_bytes;
  }
  tensors.output = arrays.out.data();
  const auto stream = nb::cast<std::uintptr_t>(target.memory.attr("stream")());
  const nb::gil_scoped_release released;
  face::run(ready, tensors, reinterpret_cast<void*>(stream));
  return result;
}

}  // namespace

void take_activation(nb::handle object, Details& details, Operand& slopes) {
  if (object.is_none()) return;
  const bool listed = PyTuple_Check(object.ptr()) || PyList_Check(object.ptr());
  const std::size_t count = listed ? nb::len(object) : 1;
  if (count == 0) throw nb::value_error("activation: an empty list");
  const Named& named = activation_named(listed ? nb::object(object[0]) : nb::borrow(object));
  const bool prelu = named.activation == Activation::prelu;
  const std::size_t wanted = 1 + (prelu ? 1 : named.numbers);
  if (count != wanted)
    throw nb::value_error((std::string("activation: ") + named.name + " takes " +
                           (prelu ? "its slopes" : std::to_string(named.numbers) + " numbers") +
                           ", not " + std::to_string(count - 1))
                              .c_str());
  details.activation = named.activation;
  if (prelu) {
    slopes = Operand(nb::object(object[1]), "activation", false);
    return;
  }
  if (count > 1) details.activation_a = real_of(object[1]);
  if (count > 2) details.activation_b = real_of(object[2]);
}

Memory look_at(const Arrays& arrays, Details& details, const Places& places,
               std::optional<Layout> layout, FilterOrder own_order) {
  Memory memory;
  memory.places = places;
  details.dtype = arrays.input.dtype();
  arrays.filters.check_dtype(details.dtype, "input");
  for (const Operand* other :
       {&arrays.filters, &arrays.bias, &arrays.slopes, &arrays.residual, &arrays.out}) {
    if (other->given()) other->check_beside(arrays.input);
  }
  if (static_cast<std::size_t>(places.rank()) != arrays.input.shape().size())
    return memory;  // refused when it is prepared
  std::optional<Strides> strides;
  if (layout) {
    memory.layout = *layout;
    strides = arrays.input.strides(places, *layout);
  } else {
    strides = arrays.input.strides(places, Layout::nchw);
    if (!strides || strides->given()) {
      const auto last = arrays.input.strides(places, Layout::nhwc);
      if (last && (!strides || !last->given())) {
        memory.layout = Layout::nhwc;
        strides = last;
      }
    }
  }
  memory.copy_input = !strides;
  details.input_strides = strides.value_or(Strides{});
  const auto order = arrays.filters.filter_order(own_order);
  memory.copy_filters = !order;
  memory.filter_order = order.value_or(own_order);
  details.has_bias = arrays.bias.given();
  if (details.has_bias) details.bias_dtype = arrays.bias.dtype();
  const bool has_shape_of_input = true;
  details.output_dtype = details.dtype;
  if (arrays.out.given()) {
    details.output_dtype = arrays.out.dtype();
    if (arrays.out.shape().size() == arrays.input.shape().size()) {
      const auto own = arrays.out.strides(places, memory.layout);
      if (!own)
        throw nb::value_error(
            "out: its strides cannot be written in place: the dimension that is "
            "innermost in input must be innermost in it, with a stride of 1");
      details.output_strides = *own;
    }
  }
  details.has_residual = arrays.residual.given();
  if (details.has_residual) {
    arrays.residual.check_dtype(details.output_dtype, "the output");
    if (arrays.residual.shape().size() == arrays.input.shape().size()) {
      const auto own = arrays.residual.strides(places, memory.layout);
      memory.copy_residual = !own;
      details.residual_strides = own.value_or(Strides{});
    }
  }
  (void)has_shape_of_input;
  details.alignment = face::alignment_of({memory.copy_input ? nullptr : arrays.input.data(),
                                          memory.copy_filters ? nullptr : arrays.filters.data(),
                                          memory.copy_residual ? nullptr : arrays.residual.data(),
                                          arrays.out.data()});
  return memory;
}

nb::object run(const face::Prepared& ready, Arrays& arrays, const Memory& memory,
               const Target& target) {
  check_arrays(ready, arrays);
  if (memory.copy_input) arrays.input.copy_dense(memory.places, memory.layout);
  if (memory.copy_filters) arrays.filters.copy_dense();
  if (memory.copy_residual) arrays.residual.copy_dense(memory.places, memory.layout);
  if (arrays.bias.given() && !arrays.bias.dense()) arrays.bias.copy_dense();
  if (arrays.slopes.given() && !arrays.slopes.dense()) arrays.slopes.copy_dense();
  Tensors tensors = tensors_of(arrays);
  if (arrays.input.on_cuda())
    return run_on_cuda(ready, arrays, memory, target, tensors, nb::none());
  if (arrays.out.given()) {
    tensors.output = arrays.out.data();
    const nb::gil_scoped_release released;
    face::run(ready, tensors);
    return nb::none();
  }
  const auto bytes = static_cast<std::size_t>(ready.info.output_bytes);
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> output(std::aligned_alloc(64, (bytes + 64) / 64 * 64));
  if (output == nullptr) throw std::bad_alloc();
  {
    tensors.output = output.get();
    const nb::gil_scoped_release released;
    face::run(ready, tensors);
  }
  const bool last = memory.layout == Layout::nhwc && memory.places.c < memory.places.w;
  return exported(target.framework, output.release(), ready.output_shape,
                  last ? channels_last_strides(ready.output_shape, memory.places) : Numbers{},
                  arrays.input.dlpack_dtype());
}

}  // namespace tconv::python
