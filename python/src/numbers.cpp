// SPDX-License-Identifier: Apache-2.0
#include "python/src/arrays.h"

namespace tconv::python {

namespace {

std::string shown(nb::handle object) {
  std::string text = nb::cast<std::string>(nb::repr(object));
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

[[noreturn]] void refuse(nb::handle object, const char* field, const char* wanted) {
  PyErr_Clear();
  throw nb::type_error((std::string(field) + ": " + wanted + ", not " + shown(object)).c_str());
}

/// False where `object` is no integer at all.
bool integer(nb::handle object, const char* field, int64_t& number) {
  if (PyBool_Check(object.ptr()) || PyFloat_Check(object.ptr())) return false;
  const nb::object index = nb::steal(PyNumber_Index(object.ptr()));
  if (!index.is_valid()) {
    PyErr_Clear();
    return false;
  }
  number = PyLong_AsLongLong(index.ptr());
  if (number == -1 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw nb::value_error(
        (std::string(field) + ": " + shown(object) + " has more than 64 bits").c_str());
  }
  return true;
}

}  // namespace

int64_t number_of(nb::handle object, const char* field) {
  int64_t number = 0;
  if (!integer(object, field, number)) refuse(object, field, "a whole number");
  return number;
}

std::string word_of(nb::handle object, const char* field) {
  if (!PyUnicode_Check(object.ptr())) refuse(object, field, "a word");
  std::string word;
  if (!nb::try_cast(object, word) || word.find('\0') != std::string::npos)
    refuse(object, field, "a word");
  return word;
}

Numbers numbers_of(nb::handle object, const char* field) {
  static constexpr const char* kWanted = "a whole number or a list of them";
  static constexpr std::size_t kMost = 64;  // what is longer is no list of sizes
  int64_t number = 0;
  const bool listed = PyTuple_Check(object.ptr()) || PyList_Check(object.ptr());
  if (!listed && integer(object, field, number)) return {number};
  if (PyUnicode_Check(object.ptr()) || PyBytes_Check(object.ptr()) || PyDict_Check(object.ptr()))
    refuse(object, field, kWanted);
  const nb::object iterator = nb::steal(PyObject_GetIter(object.ptr()));
  if (!iterator.is_valid()) refuse(object, field, kWanted);
  Numbers numbers;
  while (true) {
    const nb::object item = nb::steal(PyIter_Next(iterator.ptr()));
    if (!item.is_valid()) break;
    if (numbers.size() == kMost)
      throw nb::value_error((std::string(field) + ": more than 64 numbers").c_str());
    if (!integer(item, field, number)) refuse(object, field, kWanted);
    numbers.push_back(number);
  }
  if (PyErr_Occurred() != nullptr) refuse(object, field, kWanted);
  return numbers;
}

std::optional<Numbers> optional_numbers(nb::handle object, const char* field) {
  if (object.is_none()) return std::nullopt;
  return numbers_of(object, field);
}

Numbers pairs_of(nb::handle object, const char* field, std::size_t rank) {
  static constexpr const char* kWanted =
      "'SAME', 'VALID' or a list with a pair of numbers for each dimension";
  if (!PyTuple_Check(object.ptr()) && !PyList_Check(object.ptr()) &&
      !nb::hasattr(object, "__array__"))
    refuse(object, field, kWanted);
  Numbers numbers;
  std::size_t count = 0;
  for (const nb::handle pair : nb::iter(object)) {
    const Numbers two = numbers_of(pair, field);
    if (two.size() != 2 || ++count > rank)
      throw nb::value_error((std::string(field) + ": " + kWanted + " (" + std::to_string(rank) +
                             " here), not " + shown(object))
                                .c_str());
    numbers.insert(numbers.end(), two.begin(), two.end());
  }
  if (count != rank)
    throw nb::value_error((std::string(field) + ": " + kWanted + " (" + std::to_string(rank) +
                           " here), not " + shown(object))
                              .c_str());
  return numbers;
}

}  // namespace tconv::python
