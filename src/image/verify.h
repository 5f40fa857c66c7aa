/* image/verify.h: OpenPGP signatures, judged by gpgv, as apt does. */
#ifndef IMAGE_VERIFY_H
#define IMAGE_VERIFY_H

#include "image/buffer.h"

#define VERIFY_DEBIAN_KEYRING "/usr/share/keyrings/debian-archive-keyring.gpg"

/* Verifies the cleartext-signed file WORK/InRelease against `keyring` (NULL: Debian's of
 * the host) and appends the text that the signature covers, and only that, to `out`.
 * WORK is a folder of the caller's, where gpgv's output is written.
 *
 * COSM_BAD_SIGNATURE: no good signature by a key of the keyring, or a bad one beside it.
 * COSM_NOT_FOUND: no gpgv, no keyring; the message names the Debian package. COSM_IO,
 * COSM_NO_MEMORY, COSM_LIMIT. */
cosm_status verify_clearsigned(struct host *host, const char *work, const char *keyring,
                               struct buffer *out, struct cosm_error *err);

/* gpgv's status lines (GnuPG's doc/DETAILS): at least one good and valid signature by a
 * key that is neither expired nor revoked, made with a digest that is not broken, no bad
 * one, and one signed text. `keyring` is named in messages. */
cosm_status verify_judge(const char *status_lines, const char *keyring, struct cosm_error *err);

#endif
