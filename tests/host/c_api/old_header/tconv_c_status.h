/* SPDX-License-Identifier: Apache-2.0
 *
 * tconv_c_status.h: what a call comes to. Part of tconv_c.h, which is the one to include. */
#ifndef TCONV_TCONV_C_STATUS_H_
#define TCONV_TCONV_C_STATUS_H_

#include <stddef.h>
#include <stdint.h>

#define TCONV_VERSION_MAJOR 0
#define TCONV_VERSION_MINOR 1
#define TCONV_VERSION_PATCH 0

#if defined(_WIN32) || !defined(__GNUC__)
#define TCONV_API
#else
#define TCONV_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What a call came to. The program `tconv` exits with the same numbers. */
typedef int32_t tconv_status;
enum {
  TCONV_OK = 0,          /**< done */
  TCONV_MISMATCH = 1,    /**< verification found a wrong element */
  TCONV_INVALID = 2,     /**< an argument is wrong; the message names field, value, what is legal */
  TCONV_UNSUPPORTED = 3, /**< valid, but no allowed kernel takes it; the message has each reason */
  TCONV_DEVICE_ERROR = 4 /**< device, memory or vendor library failed */
};

/** The message of the last failed call on this thread; "" if there was none. Owned by the library,
 *  valid until the next failing call on this thread. */
TCONV_API const char* tconv_last_error(void);

/** "0.1.0". */
TCONV_API const char* tconv_version(void);

/** Frees a text that one of these functions made. NULL is allowed. */
TCONV_API void tconv_text_free(char* text);

#ifdef __cplusplus
}
#endif
#endif /* TCONV_TCONV_C_STATUS_H_ */
