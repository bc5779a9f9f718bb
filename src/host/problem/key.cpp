// SPDX-License-Identifier: Apache-2.0
// key.cpp: a problem as one line of text, and back. Parts with default values are left out:
//
//   f16:nhwc:n8:c512:k256:h64k2s2o128:w64k2s2o128
//   f32:nchw:n1:c8:k8:g4:h5k3s2d2p1o9:w5k3s2p-1o12:iohw:out=f16:bias=f32:residual
//       :act=leaky_relu,0.1:align=4:xs=960,160,16,1:ys=...:rs=...
//
// Strides (x input, y output, r residual) are n,h,w,c.
#include <array>
#include <charconv>
#include <string_view>
#include <system_error>
#include <vector>

#include "src/host/problem/errors.h"
#include "src/host/problem/problem.h"

namespace tconv::host {
namespace {

std::string shortest(double x) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), x).ptr;
  return {text.data(), end};
}

std::string axis_part(char name, const Axis& axis) {
  std::string part = name + std::to_string(axis.in) + "k" + std::to_string(axis.kernel) + "s" +
                     std::to_string(axis.stride);
  if (axis.dilation != 1) part += "d" + std::to_string(axis.dilation);
  if (axis.pad_begin != 0) part += "p" + std::to_string(axis.pad_begin);
  return part + "o" + std::to_string(axis.out);
}

std::string strides_part(const char* name, const Strides& s) {
  return std::string(":") + name + "=" + std::to_string(s.n) + "," + std::to_string(s.h) + "," +
         std::to_string(s.w) + "," + std::to_string(s.c);
}

std::string activation_part(const ProblemDesc& d) {
  if (d.activation == Activation::identity) return "";
  std::string part = std::string(":act=") + name_of(d.activation);
  if (d.activation == Activation::leaky_relu) part += "," + shortest(d.activation_a);
  if (d.activation == Activation::clamp) {
    part += "," + shortest(d.activation_a) + "," + shortest(d.activation_b);
  }
  return part;
}

// ---- Reading ---------------------------------------------------------------------------------

/// One part of a key, read from the left; every error names the part.
class Part {
 public:
  explicit Part(std::string_view text) : whole_(text), rest_(text) {}

  bool take(std::string_view prefix) {
    if (!rest_.starts_with(prefix)) return false;
    rest_.remove_prefix(prefix.size());
    return true;
  }
  void expect(std::string_view prefix) {
    if (!take(prefix)) fail("'" + std::string(prefix) + "' before '" + std::string(rest_) + "'");
  }
  template <typename Number>
  Number number() {
    Number value{};
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{}) fail("a number at '" + std::string(rest_) + "'");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }
  int64_t integer() { return number<int64_t>(); }
  bool digit_next() const { return !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9'; }
  void end() const {
    if (!rest_.empty())
      fail("nothing after '" + std::string(whole_.substr(0, whole_.size() - rest_.size())) + "'");
  }
  [[noreturn]] void fail(const std::string& expected) const {
    throw InvalidProblem("problem key part '" + std::string(whole_) + "': expected " + expected);
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view whole_, rest_;
};

DType parse_dtype(Part& part) {
  for (const DType type : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    if (part.rest() == name_of(type)) {
      part.take(name_of(type));
      return type;
    }
  }
  part.fail("f16, bf16, f32 or f64");
}

Axis parse_axis(Part& part) {
  Axis axis;
  axis.in = part.integer();
  part.expect("k");
  axis.kernel = part.integer();
  part.expect("s");
  axis.stride = part.integer();
  if (part.take("d")) axis.dilation = part.integer();
  if (part.take("p")) axis.pad_begin = part.integer();
  part.expect("o");
  axis.out = part.integer();
  return axis;
}

Strides parse_strides(Part& part) {
  Strides strides;
  int64_t* const fields[] = {&strides.n, &strides.h, &strides.w, &strides.c};
  for (int i = 0; i < 4; ++i) {
    if (i > 0) part.expect(",");
    *fields[i] = part.integer();
  }
  return strides;
}

void parse_activation(Part& part, ProblemDesc& d) {
  const std::string_view name = part.rest().substr(0, part.rest().find(','));
  for (int a = 0; a <= static_cast<int>(Activation::silu); ++a) {
    if (name != name_of(static_cast<Activation>(a))) continue;
    d.activation = static_cast<Activation>(a);
    part.take(name);
    if (d.activation == Activation::leaky_relu || d.activation == Activation::clamp) {
      part.expect(",");
      d.activation_a = part.number<double>();
    }
    if (d.activation == Activation::clamp) {
      part.expect(",");
      d.activation_b = part.number<double>();
    }
    return;
  }
  part.fail("an activation");
}

/// The parts after the type and the layout. `seen` has one letter per mandatory part.
void parse_part(Part& part, ProblemDesc& d, std::string& seen) {
  const auto mandatory = [&](char letter) {
    if (seen.find(letter) != std::string::npos) part.fail("each part once");
    seen += letter;
  };
  if (part.take("out=")) {
    d.output_dtype = parse_dtype(part);
  } else if (part.take("bias=")) {
    d.has_bias = true;
    d.bias_dtype = parse_dtype(part);
  } else if (part.take("bias")) {
    d.has_bias = true;
  } else if (part.take("residual")) {
    d.has_residual = true;
  } else if (part.take("act=")) {
    parse_activation(part, d);
  } else if (part.take("align=")) {
    d.alignment = part.number<int32_t>();
  } else if (part.take("xs=")) {
    d.input_strides = parse_strides(part);
  } else if (part.take("ys=")) {
    d.output_strides = parse_strides(part);
  } else if (part.take("rs=")) {
    d.residual_strides = parse_strides(part);
  } else if (part.take("ihwo")) {
    d.filter_order = FilterOrder::ihwo;
  } else if (part.take("iohw")) {
    d.filter_order = FilterOrder::iohw;
  } else if (part.take("ohwi")) {
    d.filter_order = FilterOrder::ohwi;
  } else if (part.take("n")) {
    mandatory('n'), d.batch = part.integer();
  } else if (part.take("c")) {
    mandatory('c'), d.in_c = part.integer();
  } else if (part.take("k")) {
    mandatory('k'), d.out_c = part.integer();
  } else if (part.take("g")) {
    d.groups = part.integer();
  } else if (part.take("h")) {
    mandatory('h'), d.h = parse_axis(part);
  } else if (part.take("w")) {
    mandatory('w'), d.w = parse_axis(part);
  } else {
    part.fail(
        "one of n, c, k, g, h, w, ihwo, iohw, ohwi, out=, bias, residual, act=, align=, xs=, ys=, "
        "rs=");
  }
  part.end();
}

}  // namespace

std::string make_key(const ProblemDesc& d) {
  std::string key = std::string(name_of(d.dtype)) + ":" + name_of(d.layout);
  key += ":n" + std::to_string(d.batch) + ":c" + std::to_string(d.in_c) + ":k" +
         std::to_string(d.out_c);
  if (d.groups != 1) key += ":g" + std::to_string(d.groups);
  key += ":" + axis_part('h', d.h) + ":" + axis_part('w', d.w);
  if (d.filter_order != FilterOrder::hwoi) key += std::string(":") + name_of(d.filter_order);
  if (d.output_dtype != d.dtype) key += std::string(":out=") + name_of(d.output_dtype);
  if (d.has_bias) {
    key += ":bias";
    if (d.bias_dtype != d.dtype) key += std::string("=") + name_of(d.bias_dtype);
  }
  if (d.has_residual) key += ":residual";
  key += activation_part(d);
  if (d.alignment != 16) key += ":align=" + std::to_string(d.alignment);
  const Extents x{d.batch, d.h.in, d.w.in, d.in_c}, y{d.batch, d.h.out, d.w.out, d.out_c};
  if (d.input_strides != dense_strides(d.layout, x)) key += strides_part("xs", d.input_strides);
  if (d.output_strides != dense_strides(d.layout, y)) key += strides_part("ys", d.output_strides);
  if (d.residual_strides != d.output_strides) key += strides_part("rs", d.residual_strides);
  return key;
}

ProblemDesc parse_key(const std::string& key) {
  std::vector<std::string_view> texts;
  for (std::string_view rest = key;;) {
    const std::size_t colon = rest.find(':');
    texts.push_back(rest.substr(0, colon));
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  ProblemDesc d;
  Part type(texts[0]);
  d.dtype = d.output_dtype = d.bias_dtype = parse_dtype(type);
  if (texts.size() < 2 || (texts[1] != "nhwc" && texts[1] != "nchw")) {
    throw InvalidProblem("problem key '" + key + "': expected nhwc or nchw after the type");
  }
  d.layout = texts[1] == "nchw" ? Layout::nchw : Layout::nhwc;
  std::string seen;
  for (std::size_t i = 2; i < texts.size(); ++i) {
    Part part(texts[i]);
    parse_part(part, d, seen);
  }
  for (const char letter : {'n', 'c', 'k', 'h', 'w'}) {
    if (seen.find(letter) == std::string::npos) {
      throw InvalidProblem("problem key '" + key + "': the part '" + letter + "...' is missing");
    }
  }
  return d;
}

}  // namespace tconv::host
