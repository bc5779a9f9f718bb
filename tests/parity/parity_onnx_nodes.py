# SPDX-License-Identifier: Apache-2.0
"""ONNX's own node tests of ConvTranspose, with the data that the onnx package ships, against
`tconv run --convention onnx`. Ten of the eleven have one axis or two; all ten must be there and
pass."""

import sys
import unittest
import warnings

import onnx
from onnx.backend.test import loader

import parity

# The option of each attribute; the filters' file says kernel_shape.
OPTIONS = dict(strides="--strides", pads="--pads", output_padding="--output-padding",
               output_shape="--output-shape", dilations="--dilations", auto_pad="--auto-pad",
               group="--groups")


def cases_of_one_axis_or_two():
    """(name, node, inputs, output) of each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other operators' cases, which overflow on purpose
        cases = loader.load_model_tests(kind="node")
    for case in cases:
        if not case.name.startswith("test_convtranspose"):
            continue
        (node,) = case.model.graph.node
        ((inputs, (output,)),) = case.data_sets
        if inputs[0].ndim in (3, 4):
            yield case.name, node, inputs, output


def typed(value):
    if isinstance(value, bytes):
        return value.decode()
    return parity.joined(value) if isinstance(value, list) else str(value)


class OnnxNodeTest(unittest.TestCase):
    def test_every_node_test(self):
        names = []
        for name, node, inputs, expected in cases_of_one_axis_or_two():
            names.append(name)
            arguments = ["--convention", "onnx"]
            for attribute in node.attribute:
                if attribute.name != "kernel_shape":
                    value = onnx.helper.get_attribute_value(attribute)
                    arguments += [OPTIONS[attribute.name], typed(value)]
            with self.subTest(name):
                got = parity.run_program(*inputs, arguments)
                # The data are small integers: nothing is rounded.
                self.assertEqual(parity.difference(got, expected, expected.dtype), "")
        self.assertEqual(len(names), 10, names)
        print(f"{len(names)} node tests: equal", flush=True)


if __name__ == "__main__":
    sys.exit(not unittest.main(verbosity=2, exit=False).result.wasSuccessful())
