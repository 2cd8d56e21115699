/* Detached signatures of OpenSSH and minisign, against one key of each kind. None that is found here may fit
 * the file: nobody has the secrets. */
#include "reports/minisign.h"
#include "reports/sshsig.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[] = {
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKh7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3Geem",
    "ecdsa-sha2-nistp256 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBE0JUkKNC1v1tMmPDkRSCrl7yPWuBGDWfvpWItlNQ5+"
    "ab8OELMevZVw+c7F5a0f3FKPnfcj4QENi3ujAl5FQhAc=",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes file = { "another file", 12 }, signature = { data, size };
    for (int i = 0; i < 2; i++) {
        struct key_public *k = NULL;
        struct status st = { 0 };
        assert(key_parse_public((struct bytes){ keys[i], strlen(keys[i]) }, &k, NULL) == 0);
        assert(sshsig_verify(k, file, signature, &st) != 0 && st.msg[0]);
        st = (struct status){ 0 };
        assert(minisign_verify(k, file, signature, NULL, &st) != 0 && st.msg[0]);
        key_public_free(k);
    }
    return 0;
}
