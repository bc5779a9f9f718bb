/* SPDX-License-Identifier: Apache-2.0
 *
 * tconv_c.h: 2-D transposed convolution, the binary interface (C99).
 *
 *   output[n,p,q,k] += input[n,h,w,c] * filters[r,s,k,c]
 *       p = h*stride_h - pad_begin_h + r*dilation_h,   q likewise with w and s
 *
 *   n batch | h,w input pixel | p,q output pixel | r,s tap | c input channel | k output channel
 *
 * One way in: fill a tconv_problem_desc (or let a tconv_problem_desc_from_* translate a framework's
 * arguments), make a problem, make a plan, run it. tconv.h is a C++17 face over this file.
 *
 * Rules that hold for all parts:
 *   - Every struct begins with struct_size; set it to sizeof the struct and the rest to zero. Later
 *     headers add fields at the end of a struct: a caller of an older one passes a shorter struct,
 *     whose missing fields are zero, a caller of a newer one a longer struct, which is taken where
 *     all that this library does not know is zero.
 *   - Zero means "default" for enumerations, options, element strides and pointers. Sizes, strides
 *     and dilations of the operation are literal: a stride of 0 is refused, a batch of 0 is empty.
 *   - Functions return a tconv_status. On anything but TCONV_OK, tconv_last_error() gives one
 *     message (of this thread), no output argument has been written, and nothing was enqueued.
 *   - Handles are immutable and may be shared by threads. Texts are UTF-8, freed with
 *     tconv_text_free(). No function aborts, exits or prints, except as TCONV_LOG asks.
 */
#ifndef TCONV_TCONV_C_H_
#define TCONV_TCONV_C_H_

#include "tconv_c_conventions.h"
#include "tconv_c_plan.h"
#include "tconv_c_problem.h"
#include "tconv_c_status.h"
#include "tconv_c_verify.h"

#endif /* TCONV_TCONV_C_H_ */
