// SPDX-License-Identifier: Apache-2.0
// shape_diagnosis.cpp: see shape_diagnosis.h. A result's shape is made of image count, height and
// width, channels, and an order of these; each can be wrong by itself or together with one other.
#include "src/cli/shape_diagnosis.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "src/cli/record.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

/// One way to get a part of the shape wrong; the right way has no name.
template <typename Part>
struct Guess {
  Part part;
  std::string name, sentence;
  bool right() const { return name.empty(); }
};
using Pixels = std::pair<int64_t, int64_t>;
using Shape = std::vector<int64_t>;

int64_t keff(const tconv_axis& a) { return (a.kernel - 1) * a.dilation + 1; }
int64_t full(const tconv_axis& a) { return (a.in - 1) * a.stride + keff(a); }
int64_t pad_end(const tconv_axis& a) { return full(a) - a.pad_begin - a.out; }
int64_t most_output_padding(const tconv_axis& a) { return std::max(a.stride, a.dilation) - 1; }

/// "1", or "(1, 0)" where the axes differ.
std::string argument(int64_t h, int64_t w) {
  return h == w ? std::to_string(h) : "(" + std::to_string(h) + ", " + std::to_string(w) + ")";
}
std::string size_text(int64_t h, int64_t w) {
  return std::to_string(h) + " x " + std::to_string(w);
}

/// Heights and widths that mistakes give.
class PixelGuesses {
 public:
  PixelGuesses(const tconv_problem_desc& desc, const std::string& convention)
      : h_(desc.h), w_(desc.w), tensorflow_(convention == "tensorflow") {
    guesses_.push_back({{h_.out, w_.out}, "", ""});
    add_padding();
    add_steps();
    add_other_operations();
  }
  const std::vector<Guess<Pixels>>& all() const { return guesses_; }

 private:
  using Size = std::function<int64_t(const tconv_axis&)>;

  void add(const char* name, const std::string& sentence, const Size& size) {
    add_pixels(name, sentence, {size(h_), size(w_)});
  }
  void add_pixels(const char* name, const std::string& sentence, const Pixels& pixels) {
    if (pixels.first < 0 || pixels.second < 0 || pixels == Pixels{h_.out, w_.out}) return;
    const bool known = std::ranges::any_of(
        guesses_, [&](const auto& guess) { return guess.name == name && guess.part == pixels; });
    if (!known) guesses_.push_back({pixels, name, sentence});
  }

  void add_padding() {
    if (!tensorflow_) add_output_padding();
    add("padding", tensorflow_ ? "padding='VALID' instead of 'SAME'" : "padding was left out",
        [](const tconv_axis& a) { return full(a); });
    add("padding", "TensorFlow's padding='VALID'", [](const tconv_axis& a) {
      return a.in * a.stride + std::max<int64_t>(keff(a) - a.stride, 0);
    });
    add("padding", "TensorFlow's padding='SAME'",
        [](const tconv_axis& a) { return a.in * a.stride; });
    add("padding", "padding was applied at the beginning only",
        [](const tconv_axis& a) { return full(a) - a.pad_begin; });
    add("padding", "padding was left out, output_padding was not",
        [](const tconv_axis& a) { return a.out + 2 * a.pad_begin; });
    if (tensorflow_) add_output_padding();
    for (int64_t other = 0; other <= std::max(keff(h_), keff(w_)) && other < 64; ++other) {
      add("padding",
          "padding=" + std::to_string(other) + " instead of " +
              argument(h_.pad_begin, w_.pad_begin),
          [&](const tconv_axis& a) { return a.out + 2 * a.pad_begin - 2 * other; });
    }
  }

  /// Fewer rows and columns than asked for, by what output_padding can add.
  void add_output_padding() {
    const int64_t most_h = std::min<int64_t>(most_output_padding(h_), 64);
    const int64_t most_w = std::min<int64_t>(most_output_padding(w_), 64);
    const std::string wanted = size_text(h_.out, w_.out);
    for (int64_t dh = 0; dh <= most_h; ++dh) {
      for (int64_t dw = 0; dw <= most_w; ++dw) {
        const std::string adds = argument(dh, dw), less = size_text(h_.out - dh, w_.out - dw);
        const char* words =
            tensorflow_ ? "output_shape was not honoured, or output_padding was left out: %s is "
                          "what PyTorch gives without it, output_padding=%s makes it %s"
                        : "without output_padding it is %s: output_padding=%s makes it %s";
        add_pixels("output_padding", format(words, less.c_str(), adds.c_str(), wanted.c_str()),
                   {h_.out - dh, w_.out - dw});
        add_pixels("output_padding",
                   "output_padding is larger than the problem's by " + argument(dh, dw),
                   {h_.out + dh, w_.out + dw});
      }
    }
  }

  /// The problem's size with other strides and dilations, under the same padding or under SAME.
  void add_changed(const char* name, const std::string& sentence,
                   const std::function<void(tconv_axis&, const tconv_axis& other)>& change) {
    const auto resized = [&](const tconv_axis& axis, const tconv_axis& other) {
      tconv_axis a = axis;
      change(a, other);
      return a;
    };
    const tconv_axis h = resized(h_, w_), w = resized(w_, h_);
    if (full(h) == full(h_) && full(w) == full(w_)) return;
    const auto both = [&](const Size& size) {
      add_pixels(name, sentence, {size(h), size(w)});
      add_pixels(name, sentence + " along H", {size(h), w_.out});
      add_pixels(name, sentence + " along W", {h_.out, size(w)});
    };
    // pad_end is that of the unchanged axis; SAME takes it from the size; PyTorch pads both alike.
    add_pixels(name, sentence,
               {full(h) - h_.pad_begin - pad_end(h_), full(w) - w_.pad_begin - pad_end(w_)});
    both([](const tconv_axis& a) { return a.in * a.stride; });
    both([](const tconv_axis& a) { return full(a) - 2 * a.pad_begin; });
  }

  void add_steps() {
    add_changed("stride", "stride 1 instead of " + argument(h_.stride, w_.stride),
                [](tconv_axis& a, const tconv_axis&) { a.stride = 1; });
    if (h_.dilation != 1 || w_.dilation != 1) {
      add_changed("dilation", "dilation 1 instead of " + argument(h_.dilation, w_.dilation),
                  [](tconv_axis& a, const tconv_axis&) { a.dilation = 1; });
      add_changed("stride_dilation_swapped", "stride and dilation are exchanged",
                  [](tconv_axis& a, const tconv_axis&) { std::swap(a.stride, a.dilation); });
    }
    add_changed("hw_swapped", "the strides of H and W are exchanged",
                [](tconv_axis& a, const tconv_axis& other) { a.stride = other.stride; });
    add_changed("hw_swapped", "the kernel's height and width are exchanged",
                [](tconv_axis& a, const tconv_axis& other) { a.kernel = other.kernel; });
  }

  void add_other_operations() {
    add("not_transposed", "this is the size that a forward convolution gives",
        [](const tconv_axis& a) {
          return (a.in + a.pad_begin + std::max<int64_t>(pad_end(a), 0) - keff(a)) / a.stride + 1;
        });
    add("not_transposed", "this is the size that a forward convolution with padding='SAME' gives",
        [](const tconv_axis& a) { return (a.in + a.stride - 1) / a.stride; });
    add("not_computed", "this is the input's size: nothing was enlarged",
        [](const tconv_axis& a) { return a.in; });
  }

  tconv_axis h_, w_;
  bool tensorflow_;
  std::vector<Guess<Pixels>> guesses_;
};

std::vector<Guess<int64_t>> channel_guesses(const tconv_problem_desc& d) {
  std::vector<Guess<int64_t>> guesses = {{d.out_c, "", ""}};
  const auto add = [&](int64_t channels, const char* name, const std::string& sentence) {
    if (channels != d.out_c) guesses.push_back({channels, name, sentence});
  };
  add(d.out_c / d.groups, "groups",
      "one group's output channels instead of all " + std::to_string(d.groups) + " groups'");
  add(d.in_c, "channels",
      "as many channels as the input has: the filter's input and output "
      "channels are exchanged, or nothing was computed");
  add(d.in_c / d.groups, "channels", "as many channels as one group of the input has");
  add(d.out_c * d.groups, "groups", "groups were counted twice in the output channels");
  add(1, "channels", "one output channel instead of " + std::to_string(d.out_c));
  return guesses;
}

std::vector<Guess<int64_t>> batch_guesses(const tconv_problem_desc& d) {
  std::vector<Guess<int64_t>> guesses = {{d.batch, "", ""}};
  if (d.batch != 1)
    guesses.push_back({1, "batch", "one image instead of all " + std::to_string(d.batch)});
  return guesses;
}

/// n, h, w, c in the order of the files, in the other order, and with dimensions left out.
std::vector<Guess<Shape>> arrangements(int64_t n, const Pixels& pixels, int64_t c, bool nhwc) {
  const auto [h, w] = pixels;
  const Shape first = {n, h, w, c}, last = {n, c, h, w};
  const Shape& right = nhwc ? first : last;
  std::vector<Guess<Shape>> all = {{right, "", ""}};
  const char* names[] = {"NCHW", "NHWC"};
  all.push_back(
      {nhwc ? last : first, "layout",
       std::string("it is ") + names[nhwc ? 0 : 1] + ", the problem says " + names[nhwc ? 1 : 0]});
  all.push_back({nhwc ? Shape{n, w, h, c} : Shape{n, c, w, h}, "hw_swapped",
                 "height and width are exchanged"});
  const auto without = [](const Shape& shape, std::ptrdiff_t place) {
    Shape rest = shape;
    rest.erase(rest.begin() + place);
    return rest;
  };
  if (n == 1) all.push_back({without(right, 0), "batch", "the batch dimension is missing"});
  if (c == 1) {
    all.push_back({without(right, nhwc ? 3 : 1), "channels", "the channel dimension is missing"});
  }
  Shape squeezed = right;
  std::erase(squeezed, 1);
  if (squeezed.size() < 3) all.push_back({squeezed, "squeezed", "dimensions of 1 were left out"});
  Shape flat = {n, h * w * c};
  all.push_back({flat, "flattened", "all dimensions but the batch are one"});
  return all;
}

class Search {
 public:
  explicit Search(const Shape& got) : got_(got) {}

  template <typename... Guesses>
  void consider(const Shape& shape, const Guesses&... guesses) {
    if (shape != got_) return;
    std::vector<ShapeMistake> found;
    const auto take = [&](const auto& guess) {
      if (!guess.right()) found.push_back({guess.name, guess.sentence});
    };
    (take(guesses), ...);
    if (found.empty()) return;
    if (found.size() < fewest_) fewest_ = found.size(), mistakes_.clear();
    if (found.size() > fewest_) return;
    for (std::size_t i = 1; i < found.size(); ++i) {
      found[0].name += "+" + found[i].name;
      found[0].sentence += "; and " + found[i].sentence;
    }
    const bool named = std::ranges::any_of(
        mistakes_, [&](const ShapeMistake& other) { return other.name == found[0].name; });
    if (!named) mistakes_.push_back(found[0]);
  }
  const std::vector<ShapeMistake>& mistakes() const { return mistakes_; }

 private:
  const Shape& got_;
  std::size_t fewest_ = 3;  // more than two at once explain everything and say nothing
  std::vector<ShapeMistake> mistakes_;
};

}  // namespace

std::vector<ShapeMistake> shape_mistakes(const Request& request, const std::string& convention,
                                         const std::vector<int64_t>& got) {
  const tconv_problem_desc& d = request.desc;
  const bool nhwc = request.file_layout == TCONV_NHWC;
  const PixelGuesses pixels(d, convention);
  Search search(got);
  for (const Guess<Pixels>& size : pixels.all()) {
    for (const Guess<int64_t>& c : channel_guesses(d)) {
      for (const Guess<int64_t>& n : batch_guesses(d)) {
        for (const Guess<Shape>& shape : arrangements(n.part, size.part, c.part, nhwc)) {
          search.consider(shape.part, size, c, n, shape);
        }
      }
    }
  }
  return search.mistakes();
}

std::string describe(const std::vector<ShapeMistake>& mistakes, bool json) {
  if (json) {
    std::vector<Record> list;
    for (const auto& [name, sentence] : mistakes) {
      list.emplace_back();
      list.back().set("name", name).set("sentence", sentence);
    }
    return Record().set("right", false).set("mistakes", list).line();
  }
  if (mistakes.empty()) return "None of the usual mistakes gives this shape.";
  std::string text = mistakes.size() > 1 ? "Each of these mistakes gives this shape:"
                                         : "This mistake gives this shape:";
  for (const auto& [name, sentence] : mistakes) {
    text.append("\n  ").append(name).append(": ").append(sentence);
  }
  return text;
}

}  // namespace tconv::cli
