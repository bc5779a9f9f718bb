/* SPDX-License-Identifier: Apache-2.0
 *
 * consumer.c: a C99 program that uses the installed library: one small transposed convolution with
 * a known answer (TensorFlow Lite's test vector "Simple": 4x4 and 3x3 of 1, 2, 3 ..., SAME). */
#include <stdint.h>
#include <stdio.h>
#include <tconv/tconv_c.h>

static int fail(const char* what) {
  fprintf(stderr, "consumer: %s: %s\n", what, tconv_last_error());
  return 1;
}

static void arange(float* values, int count) {
  int i;
  for (i = 0; i < count; ++i) values[i] = (float)(i + 1);
}

/* C99 has no alignment of its own: the first multiple of 256 in a buffer that is that much longer.
 */
static void* aligned(unsigned char* buffer) {
  return buffer + (256 - (uintptr_t)buffer % 256) % 256;
}

static int run(const tconv_plan* plan) {
  static unsigned char input_buffer[512], filter_buffer[512], output_buffer[512];
  static unsigned char workspace_buffer[(1 << 20) + 256];
  float *input = aligned(input_buffer), *filters = aligned(filter_buffer);
  float* output = aligned(output_buffer);
  tconv_tensors tensors = {.struct_size = sizeof tensors};
  double sum = 0, weighted = 0;
  int i;

  arange(input, 16);
  arange(filters, 9);
  if (tconv_plan_workspace_bytes(plan) > 1 << 20) return fail("workspace");
  tensors.input = input;
  tensors.filters = filters;
  tensors.output = output;
  tensors.output_bytes = 16 * sizeof *output;
  tensors.workspace = aligned(workspace_buffer);
  tensors.workspace_bytes = 1 << 20;
  if (tconv_run(plan, &tensors, NULL) != TCONV_OK) return fail("run");

  for (i = 0; i < 16; ++i) {
    sum += output[i];
    weighted += (i + 1) * (double)output[i];
  }
  if (sum != 3860 || weighted != 42500) {
    fprintf(stderr, "consumer: checksums %g, %g instead of 3860, 42500\n", sum, weighted);
    return 1;
  }
  printf("consumer: tconv %s, row %s: right\n", tconv_version(), tconv_plan_kernel(plan));
  return 0;
}

int main(void) {
  const int64_t input_shape[] = {1, 4, 4, 1}, filter_shape[] = {3, 3, 1, 1}, strides[] = {1};
  tconv_tensorflow_args args = {.struct_size = sizeof args};
  tconv_problem_desc desc = {.struct_size = sizeof desc};
  tconv_problem* problem = NULL;
  tconv_options options = {.struct_size = sizeof options};
  tconv_plan* plan = NULL;
  int status;

  options.device = TCONV_DEVICE_CPU; /* where the arrays are */
  args.input_shape = input_shape;
  args.input_rank = 4;
  args.filter_shape = filter_shape;
  args.filter_rank = 4;
  args.strides = strides;
  args.strides_count = 1;
  if (tconv_problem_desc_from_tensorflow(&args, &desc) != TCONV_OK) return fail("arguments");
  if (tconv_problem_create(&desc, &problem) != TCONV_OK) return fail("problem");
  if (tconv_plan_create(problem, &options, &plan) != TCONV_OK) return fail("plan");
  status = run(plan);
  tconv_plan_destroy(plan);
  tconv_problem_destroy(problem);

  /* What is wrong must come back as a status, not as the end of the process. */
  desc.h.stride = 0;
  problem = NULL;
  if (tconv_problem_create(&desc, &problem) != TCONV_INVALID || problem != NULL) {
    return fail("a stride of 0 was taken");
  }
  return status;
}
